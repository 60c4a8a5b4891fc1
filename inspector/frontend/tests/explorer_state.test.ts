import assert from "node:assert/strict";
import test from "node:test";
import { translated } from "../src/explorer/beside.ts";
import { paintingOf } from "../src/explorer/overlays.ts";
import { ExplorerState, type Difference, type GraphSource, type OverlayKind } from "../src/explorer/state.ts";
import type { GraphModel } from "../src/explorer/model.ts";
import { unionOf } from "../src/explorer/union.ts";
import { llama, model, type GraphSpec } from "./graphs.ts";

function source(graphs: GraphModel[], pairs: number[] = [], differences: Difference[] = [], told: string | null = null): GraphSource {
  return {
    graph: (row) => (graphs[row] ? Promise.resolve(graphs[row]) : Promise.reject(new Error(`no graph ${row}`))),
    guards: () => Promise.resolve(),
    correspondence: (left, right) => Promise.resolve({ left, right, pairs: Uint32Array.from(pairs), told }),
    differences: () => Promise.resolve({ pairs: Uint32Array.from(pairs), differences }),
  };
}

function state(spec: GraphSpec): ExplorerState {
  const graph = model(spec);
  return new ExplorerState(0, graph, source([graph]));
}

test("listeners hear of each change until they are gone", () => {
  const made = state(llama(2));
  const gone = new AbortController();
  const heard: string[] = [];
  for (const event of ["selection", "expanded", "matches", "overlay", "hover"] as const) made.on(event, () => heard.push(event), gone.signal);
  made.select([3]);
  made.expand("model.layers.0…1");
  made.search("mm");
  made.setOverlay("dtype");
  made.setHover({ node: 1 });
  made.setHover({ node: 1 });
  assert.deepEqual(heard, ["selection", "expanded", "matches", "overlay", "hover"]);
  gone.abort();
  made.select([]);
  assert.equal(heard.length, 5);
});

test("revealing a node opens every group and run around it, and says which node", () => {
  const made = state(llama(8));
  const node = made.graph.nodeOf("q_proj_mm_5") as number;
  made.select([node], { reveal: true });
  for (const path of ["model", "model.layers", "model.layers.0…7", "model.layers.5", "model.layers.5.self_attn", "model.layers.5.self_attn.q_proj"]) assert.ok(made.expanded.has(path), path);
  assert.equal(made.revealed, node);
});

test("opening and closing keep to paths that exist; what was open inside is open again", () => {
  const made = state(llama(4));
  made.expand("model.layers.0…3");
  made.expand("model.layers.2");
  made.collapse("model.layers.0…3");
  assert.equal(made.expanded.has("model.layers.2"), true);
  const before = made.expanded;
  made.expand("no.such.group");
  made.collapse("no.such.group");
  assert.equal(made.expanded, before);
  made.expandAll();
  assert.equal(made.expanded.size, made.tree.count);
});

test("picking keeps to nodes that exist, each once", () => {
  const made = state(llama(2));
  made.select([1, 1, -4, 1e9, 2]);
  assert.deepEqual(made.selection, [1, 2]);
  made.select([3], { extend: true });
  assert.deepEqual(made.selection, [1, 2, 3]);
  made.selectGroup("nowhere");
  assert.equal(made.selectedGroup, null);
});

test("the next match follows the one that is picked, round and round", () => {
  const made = state(llama(2));
  made.search("op:scaled_dot");
  assert.equal(made.matches.length, 2);
  made.nextMatch();
  assert.deepEqual(made.selection, [made.matches[0]]);
  made.nextMatch();
  made.nextMatch();
  assert.deepEqual(made.selection, [made.matches[0]]);
  made.nextMatch(-1);
  assert.deepEqual(made.selection, [made.matches[1]]);
});

test("another stage keeps what is picked by its partner, and what is open by its path", async () => {
  const [first, second] = [model(llama(2)), model({ ...llama(2), stage: "post_grad" })];
  const from = first.nodeOf("sdpa_1") as number;
  const to = second.nodeOf("sdpa_0") as number;
  const made = new ExplorerState(0, first, source([first, second], [from, to]));
  made.expand("model.layers.0…1");
  made.select([from]);
  await made.showStage(1);
  assert.equal(made.graph, second);
  assert.deepEqual(made.selection, [to]);
  assert.ok(made.expanded.has("model.layers.0…1"));
  assert.equal(made.carried, null);
});

test("what was picked for another stage's nodes says so, and how that is known, until something is picked here", async () => {
  const [first, second] = [model(llama(2)), model({ ...llama(2), stage: "post_grad" })];
  const [from, to] = [first.nodeOf("sdpa_1") as number, second.nodeOf("sdpa_0") as number];
  const made = new ExplorerState(0, first, source([first, second], [from, to, from, to], [], "As torch noted it."));
  made.select([from]);
  await made.showStage(1);
  assert.deepEqual(made.selection, [to]);
  assert.equal(made.carried, "Corresponds to 1 node of dynamo. As torch noted it.");
  made.select([from]);
  assert.equal(made.carried, null);
  const others = new ExplorerState(0, first, source([first, second], [to, from]));
  others.select([from]);
  await others.showStage(1);
  assert.deepEqual(others.selection, []);
  assert.equal(others.carried, "Nothing here corresponds to the 1 node of dynamo that was picked.");
});

test("a stage that cannot be had is told, and the graph stays", async () => {
  const made = state(llama(2));
  const { graph } = made;
  await made.showStage(7);
  assert.equal(made.graph, graph);
  assert.equal(made.problem, "no graph 7");
});

const LEFT: GraphSpec = { nodes: [{ name: "x", op: "placeholder" }, { name: "old", inputs: ["x"], group: "a.gone" }, { name: "old2", inputs: ["old"], group: "a" }, { name: "y", inputs: ["old2"], group: "a" }], groups: [{ path: "a" }, { path: "a.gone", className: "Gone" }] };
const RIGHT: GraphSpec = { nodes: [{ name: "x", op: "placeholder" }, { name: "new", inputs: ["x"], group: "a" }, { name: "y", inputs: ["new"], group: "a" }], groups: [{ path: "a" }] };

test("two graphs over each other are all of the later one and what the earlier one has besides", () => {
  const [left, right] = [model(LEFT), model(RIGHT)];
  const { graph, removed } = unionOf(left, right, Uint32Array.from([0, 0, 3, 2]));
  assert.deepEqual(Array.from({ length: graph.count }, (_, node) => graph.text("name", node)), ["x", "new", "y", "old", "old2"]);
  assert.deepEqual([...removed], [1, 2]);
  assert.deepEqual([...graph.inputs(3)], [0]);
  assert.deepEqual([...graph.inputs(4)], [3]);
  assert.equal(graph.groupText("g_path", graph.group[3] as number), "a.gone");
  assert.equal(graph.groupText("g_class", graph.group[3] as number), "Gone");
});

test("a comparison colours what is added, removed and changed, and counts each node once", async () => {
  const [left, right] = [model(LEFT), model(RIGHT)];
  const differences: Difference[] = [
    { kind: "added", left: null, right: 1, what: null, was: null, is: null },
    { kind: "removed", left: 1, right: null, what: null, was: null, is: null },
    { kind: "removed", left: 2, right: null, what: null, was: null, is: null },
    { kind: "changed", left: 3, right: 2, what: "shape", was: "[1]", is: "[2]" },
    { kind: "changed", left: 3, right: 2, what: "dtype", was: "f32", is: "f16" },
  ];
  const made = new ExplorerState(0, right, source([right, left], [0, 0, 3, 2], differences));
  await made.compareWith(1);
  assert.equal(made.overlay.kind, "changed");
  const counts = (graph: GraphModel): [number[], number[]] => {
    const { of, categories } = paintingOf(graph, made.overlay, made.compare);
    return [[...of], categories.map(({ count }) => count)];
  };
  assert.deepEqual(counts(right), [[3, 0, 2], [1, 2, 1, 1]]);
  assert.deepEqual(counts(left)[0], [3, 1, 1, 2]);
  assert.deepEqual(counts(unionOf(left, right, Uint32Array.from([0, 0, 3, 2])).graph)[0], [3, 0, 2, 1, 1]);
  made.stopComparing();
  assert.equal(made.overlay.kind, "family");
});

test("what is open in one graph is open in another whose runs end elsewhere", () => {
  const [one, other] = [state(llama(4, { odd: 2 })), state(llama(4))];
  const open = translated(new Set(["model", "model.layers", "model.layers.0…1", "model.layers.1"]), one.tree, other.tree);
  assert.deepEqual([...open].sort(), ["model", "model.layers", "model.layers.0…3", "model.layers.1"]);
});

test("every overlay has a category or a reason, and no node lies outside of its categories", () => {
  const kinds: OverlayKind[] = ["family", "dtype", "device", "partition", "kernels", "symbol", "guards", "dims", "memory", "changed"];
  for (const spec of [llama(2), { nodes: [] }, { nodes: [{ name: "bare" }] }] as GraphSpec[]) {
    const { graph } = state(spec);
    for (const kind of kinds) {
      for (const argument of [null, "s77", "no such thing"]) {
        const painting = paintingOf(graph, { kind, argument }, null);
        assert.equal(painting.of.length, graph.count);
        assert.ok(painting.of.every((at) => at >= -1 && at < painting.categories.length));
        assert.ok(graph.count === 0 || painting.note !== null || painting.categories.some(({ count }) => count > 0), `${kind} says nothing`);
      }
    }
  }
});

test("what the recording tells of a symbol and of dimensions colours the graph once it comes, and another graph does without", async () => {
  const [first, second] = [model(llama(2)), model(llama(2))];
  const [node, other] = [first.nodeOf("sdpa_0") as number, first.nodeOf("logits") as number];
  const made = new ExplorerState(0, first, {
    ...source([first, second]),
    flow: (_, symbol) => Promise.resolve({ symbol, roles: new Map([[node, "pinned"]]), told: "s77 became 8." }),
    verdicts: () => Promise.resolve(new Map([[other, "specialized"]])),
  });
  const key = (at: number): string | undefined => {
    const { categories, of } = paintingOf(made.graph, made.overlay, made.compare, made.told);
    return categories[of[at] as number]?.key;
  };
  made.setOverlay("symbol", "s77");
  assert.equal(key(node), "carries");
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(key(node), "pinned");
  assert.equal(paintingOf(made.graph, made.overlay, null, made.told).note, "s77 became 8.");
  made.setOverlay("dims");
  assert.equal(key(other), "dynamic");
  await Promise.resolve();
  await Promise.resolve();
  assert.deepEqual([key(other), key(node)], ["specialized", undefined]);
  made.setOverlay("family");
  await made.showStage(1);
  assert.deepEqual(made.told, { flow: null, verdicts: null });
});

test("a symbol's overlay tells where it comes in from where it is held", () => {
  const { graph } = state(llama(2));
  const { categories, of } = paintingOf(graph, { kind: "symbol", argument: "s77" }, null);
  assert.equal(categories[of[graph.nodeOf("tokens") as number] as number]?.key, "enters");
  assert.equal(categories[of[graph.nodeOf("sdpa_0") as number] as number]?.key, "carries");
  assert.equal(of[graph.nodeOf("q_proj_t_0") as number], -1);
});
