import assert from "node:assert/strict";
import test from "node:test";
import { CLOSED, foldInput, NODE, OPEN } from "../src/explorer/fold.ts";
import { Layouts, type Scene } from "../src/explorer/layout.ts";
import type { GraphModel } from "../src/explorer/model.ts";
import { ExplorerState } from "../src/explorer/state.ts";
import { Tree } from "../src/explorer/tree.ts";
import { chain, fan, llama, model, type GraphSpec } from "./graphs.ts";

function layouts(graph: GraphModel, tree: Tree): Layouts {
  const items = tree.count + graph.count;
  return new Layouts({
    ...foldInput(tree),
    itemWidth: new Float32Array(items).fill(100),
    itemHeight: new Float32Array(items).fill(36),
    headerWidth: new Float32Array(tree.count).fill(120),
    tagWidth: new Float32Array(graph.count).fill(30),
  });
}

function run<T>(generator: Generator<void, T>): T {
  for (;;) {
    const { done, value } = generator.next();
    if (done) return value;
  }
}

function scene(spec: GraphSpec, open: "all" | "opening" = "all"): { scene: Scene; graph: GraphModel; tree: Tree } {
  const graph = model(spec);
  const state = new ExplorerState(0, graph, { graph: fail, guards: fail, correspondence: fail, differences: fail });
  if (open === "all") state.expandAll();
  const { tree } = state;
  const flags = Uint8Array.from({ length: tree.count }, (_, container) => Number(container === 0 || state.expanded.has(tree.path(container))));
  return { scene: run(layouts(graph, tree).compute(flags, false)), graph, tree };
}

function fail(): Promise<never> {
  return Promise.reject(new Error("not here"));
}

function sound({ count, x, y, width, height, parent, end, kind, pointOffsets, points, edgeTarget, edgeOut }: Scene): void {
  for (let box = 1; box < count; box += 1) {
    const around = parent[box] as number;
    if (around === 0) continue;
    assert.ok((x[box] as number) >= (x[around] as number) - 0.5, `box ${box} begins left of what holds it`);
    assert.ok((x[box] as number) + (width[box] as number) <= (x[around] as number) + (width[around] as number) + 0.5, `box ${box} ends right of what holds it`);
    assert.ok((y[box] as number) + (height[box] as number) <= (y[around] as number) + (height[around] as number) + 0.5, `box ${box} ends below what holds it`);
  }
  for (let box = 0; box < count; box += 1) {
    if (kind[box] !== OPEN) continue;
    const held: number[] = [];
    for (let child = box + 1; child < (end[box] as number); child = end[child] as number) held.push(child);
    held.sort((a, b) => (y[a] as number) - (y[b] as number));
    for (let at = 0; at < held.length; at += 1) {
      const a = held[at] as number;
      for (let next = at + 1; next < held.length; next += 1) {
        const b = held[next] as number;
        if ((y[b] as number) >= (y[a] as number) + (height[a] as number) - 0.5) break;
        const apart = (x[a] as number) + (width[a] as number) <= (x[b] as number) + 0.5 || (x[b] as number) + (width[b] as number) <= (x[a] as number) + 0.5;
        assert.ok(apart, `boxes ${a} and ${b} overlap`);
      }
    }
  }
  for (let edge = 0; edge < edgeTarget.length; edge += 1) {
    const last = (pointOffsets[edge + 1] as number) - 2;
    const target = edgeTarget[edge] as number;
    const where = points[last + 1] as number;
    const top = y[target] as number;
    const bottom = top + (height[target] as number);
    assert.ok(Math.abs(where - (edgeOut[edge] ? bottom : top)) < 1 || Math.abs(where - bottom) < 1 || Math.abs(where - top) < 28, `edge ${edge} ends at its target`);
  }
}

test("a graph opens folded to what fits the eye, however many layers it has", () => {
  for (const layers of [4, 32, 158]) {
    const { scene: made } = scene(llama(layers), "opening");
    assert.ok(made.count <= 40, `${made.count} boxes`);
    sound(made);
  }
});

test("with everything open each visible node is one box and nothing overlaps", () => {
  const { scene: made, graph } = scene(llama(4));
  const shown = [...made.kind].filter((kind) => kind === NODE).length;
  assert.equal(shown, [...graph.hidden].filter((hidden) => !hidden).length);
  assert.equal([...made.kind].includes(CLOSED), false);
  sound(made);
});

test("every read of a visible value is an edge or a tag", () => {
  const { scene: made, graph } = scene(llama(3));
  for (let node = 0; node < graph.count; node += 1) {
    const to = made.leafOf[node] as number;
    if (to < 0) continue;
    for (const input of graph.inputs(node)) {
      const from = made.leafOf[input] as number;
      if (from < 0) continue;
      const readers = made.readers.subarray(made.readerOffsets[from], made.readerOffsets[from + 1]);
      const tags = made.tags.subarray(made.tagOffsets[to], made.tagOffsets[to + 1]);
      assert.ok(graph.stub[input] ? tags.includes(input) : readers.includes(to));
    }
  }
});

test("ten thousand nodes, all open, are laid out soundly", () => {
  const { scene: made } = scene(llama(140));
  assert.ok(made.count > 8000);
  sound(made);
});

test("a chain of fifty thousand nodes and a value with five thousand readers are laid out without recursion", () => {
  const long = scene(chain(50_000)).scene;
  assert.equal(long.count, 50_001);
  sound(long);
  const wide = scene(fan(5000)).scene;
  assert.equal(wide.count, 5002);
  sound(wide);
});

test("nodes of a damaged log that read each other in a circle are laid out", () => {
  const made = scene({ nodes: [{ name: "a", inputs: ["c"] }, { name: "b", inputs: ["a"] }, { name: "c", inputs: ["b"] }, { name: "d", inputs: ["d"] }] }).scene;
  assert.equal(made.count, 5);
  assert.equal(made.edgeTarget.length, 3);
});

test("no node and one node are a scene", () => {
  assert.equal(scene({ nodes: [] }).scene.count, 1);
  assert.equal(scene({ nodes: [{ name: "x", op: "placeholder" }] }).scene.count, 2);
});

test("opening one layer lays out that layer and what holds it, nothing else", () => {
  const graph = model(llama(32));
  const tree = new Tree(graph);
  const made = layouts(graph, tree);
  const flags = new Uint8Array(tree.count);
  const open = (path: string): void => void (flags[tree.at(path) as number] = 1);
  flags[0] = 1;
  ["model", "model.layers", "model.layers.0…31", "model.layers.3"].forEach(open);
  run(made.compute(flags, false));
  let before = 0;
  run(made.compute(flags, false, () => (before += 1)));
  assert.equal(before, 5);
  open("model.layers.7");
  const keys: string[] = [];
  const scene = run(made.compute(flags, false, ({ key }) => keys.push(key)));
  sound(scene);
  assert.equal(new Set(keys).size, 5, "layers 3 and 7 are alike and share one layout");
});

test("a scene shares no memory with what it was made from, so that a worker can give it away", () => {
  for (const spec of [llama(3), { nodes: [] }, chain(5)] as GraphSpec[]) {
    const graph = model(spec);
    const state = new ExplorerState(0, graph, { graph: fail, guards: fail, correspondence: fail, differences: fail });
    const { tree } = state;
    const items = tree.count + graph.count;
    const input = { ...foldInput(tree), itemWidth: new Float32Array(items), itemHeight: new Float32Array(items), headerWidth: new Float32Array(tree.count), tagWidth: new Float32Array(graph.count) };
    const made = run(new Layouts(input).compute(new Uint8Array(tree.count).fill(1), false));
    const own = new Set(Object.values(input).flatMap((value) => (ArrayBuffer.isView(value) ? [value.buffer] : [])));
    for (const [name, value] of Object.entries(made)) assert.ok(!ArrayBuffer.isView(value) || !own.has(value.buffer), name);
  }
});
