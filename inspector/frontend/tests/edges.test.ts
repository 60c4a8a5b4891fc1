import assert from "node:assert/strict";
import test from "node:test";
import { finish } from "../src/explorer/drive.ts";
import { throughCalls } from "../src/explorer/calls.ts";
import { edgeAt, edgesOf, edgeWords, leadsTo, pairsOf, piecesOf, piecesOfCalls, valuesOf, type Edge } from "../src/explorer/edges.ts";
import { foldInput } from "../src/explorer/fold.ts";
import { Layouts, type Scene } from "../src/explorer/layout.ts";
import type { GraphModel } from "../src/explorer/model.ts";
import type { Picture } from "../src/explorer/picture.ts";
import { ExplorerState, type GraphSource } from "../src/explorer/state.ts";
import { fan, model, type GraphSpec } from "./graphs.ts";

interface Laid {
  graph: GraphModel;
  state: ExplorerState;
  scene: Scene;
  picture: Picture;
  box: (which: string) => number;
}

function laid(spec: GraphSpec, closed: string[] = []): Laid {
  const graph = model(spec);
  const state = new ExplorerState(0, graph, {} as GraphSource);
  state.expandAll();
  for (const path of closed) state.collapse(path);
  const { tree } = state;
  const items = tree.count + graph.count;
  const sizes = { itemWidth: new Float32Array(items).fill(100), itemHeight: new Float32Array(items).fill(36), headerWidth: new Float32Array(tree.count).fill(120), tagWidth: new Float32Array(graph.count).fill(30) };
  const flags = Uint8Array.from({ length: tree.count }, (_, container) => Number(container === 0 || state.expanded.has(tree.path(container))));
  const scene = finish(new Layouts({ ...foldInput(tree), ...sizes }).compute(flags, false));
  const edgeBounds = new Float32Array(scene.edgeSource.length * 4);
  for (let edge = 0; edge < scene.edgeSource.length; edge += 1) {
    const points = [...scene.points.slice(scene.pointOffsets[edge], scene.pointOffsets[edge + 1])];
    const [x, y] = [0, 1].map((axis) => points.filter((_, at) => at % 2 === axis)) as [number[], number[]];
    edgeBounds.set([Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)], edge * 4);
  }
  const box = (which: string): number => {
    const container = tree.at(which);
    if (container === undefined) return scene.leafOf[graph.nodeOf(which) as number] as number;
    return [...scene.ref.keys()].find((at) => at > 0 && scene.kind[at] !== 2 && scene.ref[at] === container) as number;
  };
  return { graph, state, scene, picture: { scene, edgeBounds } as Picture, box };
}

const NET: GraphSpec = {
  nodes: [
    { name: "x", op: "placeholder", shape: "[2, 3]", dtype: "torch.float32" },
    { name: "w", op: "get_attr", hidden: true },
    { name: "a", inputs: ["x", "w"], group: "m", shape: "[2, 4]", dtype: "torch.bfloat16" },
    { name: "b", inputs: ["x"], group: "m" },
    { name: "c", inputs: ["a", "b"] },
    { name: "d", inputs: ["a"] },
    { name: "output", op: "output", inputs: ["c", "d"] },
  ],
  groups: [{ path: "m" }],
};

/** The middle of the longest straight or curved part of the pieces from one box to another. */
function onTheWay({ scene }: Laid, source: number, target: number): [number, number] {
  for (let edge = 0; edge < scene.edgeSource.length; edge += 1) {
    if (scene.edgeSource[edge] !== source || scene.edgeTarget[edge] !== target) continue;
    const last = (scene.pointOffsets[edge + 1] as number) - 2;
    return [scene.points[last] as number, ((scene.points[last + 1] as number) + (scene.points[last - 1] as number)) / 2];
  }
  throw new Error("there is no such piece");
}

test("an edge is met within a few pixels, at any scale at which it can be seen", () => {
  const net = laid(NET);
  const { scene, picture, box } = net;
  const [x, y] = onTheWay(net, box("c"), box("output"));
  const edge = edgeAt(picture, x + 3, y, 1, 0) as Edge;
  assert.deepEqual([edge.source, edge.readers], [box("c"), [box("output")]]);
  assert.equal(edgeAt(picture, x + 60, y, 1, 0), null);
  assert.ok(edgeAt(picture, x + 9, y, 0.5, 0));
  assert.equal(edgeAt(picture, x + 9, y, 2, 0), null);
  assert.equal(edgeAt(picture, x, y, 0.1, 0), null);
  assert.ok(scene.edgeSource.length > 0);
});

test("an edge says which values flow along it, and a hidden one does not count", () => {
  const net = laid(NET, ["m"]);
  const { graph, scene, box } = net;
  const names = (pairs: readonly (readonly [number, number])[]): string[] => pairs.map((pair) => pair.map((node) => graph.text("name", node)).join(">"));
  const into = pairsOf(graph, scene, { source: box("x"), readers: [box("m")] }, false);
  assert.deepEqual(names(into), ["x>a", "x>b"]);
  assert.deepEqual(valuesOf({ pairs: into }).length, 1);
  assert.equal(edgeWords(graph, { pairs: into }), "x f32[2, 3] → 2 readers");
  const out = pairsOf(graph, scene, { source: box("m"), readers: [box("c")] }, false);
  assert.deepEqual(names(out), ["a>c", "b>c"]);
  assert.equal(edgeWords(graph, { pairs: out }), "2 values: a, b → c");
  assert.equal(edgeWords(graph, { pairs: pairsOf(graph, scene, { source: box("m"), readers: [box("d")] }, false) }), "a bf16[2, 4] → d");
  assert.equal(edgeWords(graph, { pairs: [] }), "");
});

test("a value that goes into an open group is one edge as far as its pieces run together", () => {
  const net = laid(NET);
  const { scene, picture, box, graph } = net;
  const [x, y] = onTheWay(net, box("x"), box("m"));
  const edge = edgeAt(picture, x, y - 1, 1, 0) as Edge;
  assert.deepEqual(new Set(edge.readers), new Set([box("a"), box("b")]));
  const pieces = piecesOf(scene, pairsOf(graph, scene, edge, false));
  const marked = [...scene.edgeSource.keys()].filter((piece) => leadsTo(scene, piece, pieces.get(scene.edgeSource[piece] as number)));
  assert.deepEqual(new Set(marked.map((piece) => scene.edgeTarget[piece])), new Set([box("m"), box("a"), box("b")]));
});

test("pieces of an edge within a closed group are none, and the edge is there again when it opens", () => {
  const spec: GraphSpec = { ...NET, nodes: [...NET.nodes.slice(0, 3), { name: "b", inputs: ["a"], group: "m" }, ...NET.nodes.slice(4)] };
  const [open, closed] = [laid(spec), laid(spec, ["m"])];
  const pairs: [number, number][] = [[open.graph.nodeOf("a") as number, open.graph.nodeOf("b") as number]];
  assert.equal(piecesOf(open.scene, pairs).size, 1);
  assert.equal(piecesOf(closed.scene, pairs).size, 0);
});

test("the edges of a box are in order from left to right; of an open group, those across its border", () => {
  const { scene, box } = laid(NET);
  const ends = (edges: Edge[]): [number, number][] => edges.map(({ source, readers }) => [source, readers[0] as number]);
  assert.deepEqual(ends(edgesOf(scene, box("output"), "in")).map(([source]) => source).sort(), [box("c"), box("d")].sort());
  assert.deepEqual(new Set(ends(edgesOf(scene, box("m"), "in")).map(([source]) => source)), new Set([box("x")]));
  assert.equal(edgesOf(scene, box("m"), "out").length, 3);
  assert.deepEqual(edgesOf(scene, box("output"), "out"), []);
  const places = edgesOf(scene, box("x"), "out").map(({ readers: [reader] }) => scene.x[reader as number] as number);
  assert.deepEqual(places, [...places].sort((a, b) => a - b));
});

test("an edge that is picked takes the place of picked nodes and groups, and ends with them", () => {
  const { state, graph } = laid(NET);
  const told: string[] = [];
  state.on("selection", () => told.push(`${state.selection.length} ${state.selectedGroup} ${state.selectedEdge?.pairs.length ?? "-"}`), new AbortController().signal);
  state.select([2]);
  state.selectEdge({ pairs: [[graph.nodeOf("a") as number, graph.nodeOf("c") as number], [99, 0]] });
  state.selectGroup("m");
  state.selectEdge({ pairs: [[0, 2]] });
  state.select([]);
  state.selectEdge({ pairs: [[99, 0]] });
  assert.deepEqual(told, ["1 null -", "0 null 1", "0 m -", "0 null 1", "0 null -", "0 null -"]);
});

test("where thousands of edges meet, one is found without looking along all of them", () => {
  const net = laid(fan(3000));
  const { picture, scene } = net;
  let read = 0;
  const points = new Proxy(scene.points, { get: (target, key) => (typeof key === "string" && /^\d+$/.test(key) && (read += 1), Reflect.get(target, key)) });
  const watched = { ...picture, scene: { ...scene, points } } as Picture;
  const last = (scene.pointOffsets[scene.edgeSource.length] as number) - 2;
  assert.ok(edgeAt(watched, scene.points[last] as number, (scene.points[last + 1] as number) - 1, 1, 0));
  assert.ok(read < scene.points.length / 4, `${read} of ${scene.points.length} coordinates were read`);
});

/** `call` gives x and y to a body that computes z of them, and calls another graph within. */
const CALLED: GraphSpec = {
  nodes: [
    { name: "x", op: "placeholder" },
    { name: "y", inputs: ["x"] },
    { name: "holder", op: "get_attr", hidden: true },
    { name: "call", inputs: ["holder", "x", "y"] },
    { name: "output", op: "output", inputs: ["call"] },
    { name: "b.a", op: "placeholder", hidden: true, group: "[b]" },
    { name: "b.c", op: "placeholder", hidden: true, group: "[b]" },
    { name: "b.z", inputs: ["b.a"], group: "[b]" },
    { name: "b.i", inputs: ["b.z"], group: "[b]" },
    { name: "b.output", op: "output", inputs: ["b.i"], hidden: true, group: "[b]" },
    { name: "b.i.d", op: "placeholder", hidden: true, group: "[b].[i]" },
    { name: "b.i.e", inputs: ["b.i.d"], group: "[b].[i]" },
    { name: "b.i.output", op: "output", inputs: ["b.i.e"], hidden: true, group: "[b].[i]" },
  ],
  groups: [{ path: "[b]", parent: "", kind: 2 }, { path: "[b].[i]", parent: "[b]", kind: 2 }],
  calls: [["x", "b.a"], ["y", "b.c"], ["b.output", "call"], ["b.c", "b.i.d"], ["b.i.output", "b.i"]],
};

function joins({ graph }: Laid, pairs: Uint32Array): string[] {
  return Array.from({ length: pairs.length / 2 }, (_, at) => `${graph.text("name", pairs[2 * at] as number)}>${graph.text("name", pairs[2 * at + 1] as number)}`);
}

test("what calls join is followed to drawn nodes, through called graphs within called graphs", () => {
  const net = laid(CALLED);
  const input = foldInput(net.state.tree);
  assert.deepEqual(joins(net, net.scene.calls).sort(), ["b.i.e>b.i", "b.i>call", "x>b.z", "y>b.i.e"]);
  assert.deepEqual(joins(net, throughCalls(input, true)).sort(), ["b.c>b.i.d", "b.i.output>b.i", "b.output>call", "x>b.a", "y>b.c"]);
  const damaged = { ...input, calls: Uint32Array.from([5, 6, 6, 5, 5, 7]) };
  assert.deepEqual([...throughCalls(damaged, false)], []);
});

test("edges into and out of called graphs are edges of their own kind, and others are not", () => {
  for (const closed of [[], ["[b]"]]) {
    const net = laid(CALLED, closed);
    const { scene } = net;
    const kinds = piecesOfCalls(scene) as Uint8Array;
    const name = (box: number): string => (scene.kind[box] === 2 ? (net.graph.text("name", scene.ref[box] as number) as string) : net.state.tree.path(scene.ref[box] as number));
    const found = [...scene.edgeSource.keys()].map((edge) => `${name(scene.edgeSource[edge] as number)}>${name(scene.edgeTarget[edge] as number)} ${kinds[edge]}`);
    assert.ok(found.includes("x>call 0") && found.includes("y>call 0") && found.includes("call>output 0"), found.join(", "));
    assert.ok(found.includes("x>[b] 1") && found.includes("y>[b] 1"), found.join(", "));
    assert.ok(found.includes(closed.length > 0 ? "[b]>call 1" : "b.i>call 1"), found.join(", "));
    assert.ok(closed.length > 0 || found.includes("b.z>b.i 0"), found.join(", "));
  }
  assert.equal(piecesOfCalls(laid(NET).scene), null);
});

test("an edge into a called graph says what flows along it, as any other", () => {
  const net = laid(CALLED, ["[b]"]);
  const pairs = pairsOf(net.graph, net.scene, { source: net.box("x"), readers: [net.box("[b]")] }, false);
  assert.deepEqual(pairs.map((pair) => pair.map((node) => net.graph.text("name", node))), [["x", "b.z"]]);
});
