// What the explorer's panels are made from: the rows of the outline, where links lead, words for names and sizes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { stageTitle } from "../src/explorer/compare.ts";
import { follow, picked, rowOf } from "../src/explorer/follow.ts";
import { Outline } from "../src/explorer/outline_rows.ts";
import { ExplorerState, type GraphSource } from "../src/explorer/state.ts";
import { Tree } from "../src/explorer/tree.ts";
import { shortClass, shortTarget, size } from "../src/explorer/words.ts";
import type { StageEntry } from "../src/explorer/model.ts";
import { llama, model, type GraphSpec } from "./graphs.ts";

const STAGES: StageEntry[] = [
  { row: 0, compile_id: "0/0", stage: "dynamo", name: "dynamo_output_graph", direction: null },
  { row: 1, compile_id: "0/0", stage: "post_grad", name: "before_post_grad_graph", direction: "forward" },
  { row: 2, compile_id: "0/0", stage: "post_grad", name: "inductor_post_grad_graph", direction: "forward" },
  { row: 3, compile_id: "0/1", stage: "dynamo", name: "dynamo_output_graph", direction: null },
];

const SMALL: GraphSpec = {
  nodes: [
    { name: "l_x_", op: "placeholder", target: "L_x_", shape: "[s77]", symbols: ["s77"] },
    { name: "a", inputs: ["l_x_"], group: "m.b", file: "/home/model.py", line: 12 },
    { name: "b", inputs: ["a"], group: "m.a", file: "/home/model.py", line: 12 },
    { name: "c", inputs: ["b"], file: "/home/model.py", line: 13 },
  ],
  groups: [{ path: "m" }, { path: "m.a" }, { path: "m.b" }],
  stages: STAGES,
};

function state(spec: GraphSpec, other: GraphSpec = spec): ExplorerState {
  const source: GraphSource = {
    guards: () => Promise.resolve(),
    graph: (row) => (row === 9 ? Promise.reject(new Error("it is not in this page")) : Promise.resolve(model(row === 0 ? spec : other))),
    correspondence: (left, right) => Promise.resolve({ left, right, pairs: new Uint32Array(), told: null }),
    differences: () => Promise.resolve({ pairs: new Uint32Array(), differences: [] }),
  };
  return new ExplorerState(0, model(spec), source);
}

test("the outline goes in the order of the printout, with levels and places among siblings", () => {
  const tree = new Tree(model(SMALL));
  const rows = new Outline(tree).rows(new Set([1, 3]));
  const shown = rows.map(({ container, node, level, place, siblings }) => [container >= 0 ? tree.path(container) : tree.graph.text("name", node), level, place, siblings]);
  assert.deepEqual(shown, [
    ["l_x_", 1, 1, 3],
    ["m", 1, 2, 3],
    ["m.b", 2, 1, 2],
    ["a", 3, 1, 1],
    ["m.a", 2, 2, 2],
    ["c", 1, 3, 3],
  ]);
});

test("every node of a large graph has one row once everything is open, and none is nested too deep to list", () => {
  const chain: GraphSpec = { nodes: [], groups: [] };
  for (let at = 0; at < 3_000; at += 1) chain.groups?.push({ path: `g${at}`, ...(at > 0 && { parent: `g${at - 1}` }) });
  chain.nodes.push({ name: "deep", group: "g2999" });
  const tree = new Tree(model(chain));
  assert.equal(new Outline(tree).rows(new Set(Array.from({ length: tree.count }, (_, at) => at))).length, 3_001);
  const wide = new Tree(model(llama(40)));
  const rows = new Outline(wide).rows(new Set(Array.from({ length: wide.count }, (_, at) => at)));
  assert.equal(rows.filter(({ node }) => node >= 0).length, wide.graph.count);
  assert.equal(rows.filter(({ container }) => container >= 0).length, wide.count - 1);
});

test("a link finds the graph of a compile at the best of its stages, the last printout of it", () => {
  assert.equal(rowOf(STAGES, { tab: "graph", compile: "0/0", stages: ["inference", "post_grad"] }), 2);
  assert.equal(rowOf(STAGES, { tab: "graph", compile: "0/1" }), 3);
  assert.equal(rowOf(STAGES, { tab: "graph", compile: "7/7" }), null);
  const passes = [...STAGES, { row: 4, compile_id: "0/0", stage: "post_grad", name: "before_post_grad_graph", direction: "backward" }];
  assert.deepEqual([undefined, "forward", "backward", "joint"].map((direction) => rowOf(passes, { tab: "graph", compile: "0/0", stages: ["post_grad"], ...(direction !== undefined && { direction }) })), [2, 2, 4, 2]);
});

test("a link picks nodes by name, by line, by file and by the input they stand for", () => {
  const graph = model(SMALL);
  assert.deepEqual(picked(graph, { names: ["c", "gone", "a"] }), [3, 1]);
  assert.deepEqual(picked(graph, { place: "/home/model.py:12" }), [1, 2]);
  assert.deepEqual(picked(graph, { place: "/home/model.py" }), [1, 2, 3]);
  assert.deepEqual(picked(graph, { source: "L['x']" }), [0]);
  assert.deepEqual(picked(graph, { source: "L['y']" }), []);
  assert.deepEqual(picked(graph, { place: "/home/other.py:1", source: "L['x'].size()[0]" }), [0]);
});

test("following a link shows the graph, picks the nodes, and says what it cannot do", async () => {
  const shown = state(SMALL, { ...llama(1), stages: STAGES });
  await follow(shown, { tab: "graph", compile: "0/0", stages: ["dynamo"], pick: { place: "/home/model.py:13" } });
  assert.deepEqual([shown.row, [...shown.selection], shown.problem], [0, [3], null]);
  await follow(shown, { tab: "graph", row: 3, pick: { symbol: "s77" } });
  assert.deepEqual([shown.row, shown.overlay], [3, { kind: "symbol", argument: "s77" }]);
  await follow(shown, { tab: "graph", compile: "0/0", stages: ["dynamo"], pick: { place: "/nowhere.py:1", source: "L['x']" } });
  assert.deepEqual([[...shown.selection], shown.problem], [[0], "No node of this graph belongs to nowhere.py:1; the input for L['x'] is picked."]);
  await follow(shown, { tab: "graph", pick: { place: "/nowhere.py:1" } });
  assert.match(shown.problem ?? "", /No node of this graph belongs to nowhere\.py:1/);
  await follow(shown, { tab: "graph", compile: "5/0", stages: ["post_grad"] });
  assert.match(shown.problem ?? "", /no graph of 5\/0 at post grad/);
  await follow(shown, { tab: "graph", row: 9 });
  assert.equal(shown.problem, "it is not in this page");
});

test("names and sizes are shortened so that they still tell things apart", () => {
  assert.deepEqual(["torch.ops.aten.mm.default", "torch.ops.aten.add.Tensor", "torch._C._nn.linear", "torch.ops.mylib.attention.default", "operator.mul", "relu"].map(shortTarget), ["mm", "add.Tensor", "linear", "mylib.attention", "mul", "relu"]);
  assert.equal(shortClass("torch.nn.modules.linear.Linear"), "Linear");
  assert.deepEqual([0, 12, 1024, 1536, 4 * 1024 ** 2, 3 * 1024 ** 3].map(size), ["0 B", "12 B", "1.00 KiB", "1.50 KiB", "4.00 MiB", "3.00 GiB"]);
});

test("two printouts of one stage are told apart by their names", () => {
  const [, before, after] = STAGES;
  assert.ok(before && after);
  assert.deepEqual([before, after].map((stage) => stageTitle(stage, STAGES)), ["post grad, forward (before post grad graph)", "post grad, forward (inductor post grad graph)"]);
});
