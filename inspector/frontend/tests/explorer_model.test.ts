import assert from "node:assert/strict";
import test from "node:test";
import { decodeGraph, GraphModel } from "../src/explorer/model.ts";
import { search, termsOf } from "../src/explorer/search.ts";
import { Tree } from "../src/explorer/tree.ts";
import { compressed, encode, fan, llama, model, type GraphSpec } from "./graphs.ts";

const SMALL: GraphSpec = {
  nodes: [
    { name: "x", op: "placeholder", shape: "[s77, 8]", dtype: "f32", symbols: ["s77"], guards: [3, 5] },
    { name: "mm", target: "torch.ops.aten.mm.default", inputs: ["x", "x"], group: "net.0", shape: "[s77, 8]", dtype: "bf16", symbols: ["s77"], file: "/a/model.py", line: 12, kernels: ["triton_poi_0"], device: "cuda:0", partition: 2 },
    { name: "relu", target: "torch.ops.aten.relu.default", inputs: ["mm"], group: "net.1", file: "/a/model.py", line: 112 },
    { name: "output", op: "output", inputs: ["relu"] },
  ],
  groups: [{ path: "net", className: "Sequential" }, { path: "net.0", className: "Linear" }, { path: "net.1", className: "ReLU" }],
};

test("a graph is read from its bytes, compressed and not, at any offset of a buffer", async () => {
  const plain = encode(SMALL);
  const shifted = new Uint8Array(plain.length + 3);
  shifted.set(plain, 3);
  for (const bytes of [plain, compressed(SMALL), shifted.subarray(3)]) {
    const graph = await decodeGraph(bytes);
    assert.equal(graph.count, 4);
    assert.equal(graph.text("target", 1), "torch.ops.aten.mm.default");
    assert.equal(graph.text("stride", 1), null);
    assert.deepEqual([...graph.inputs(1)], [0, 0]);
    assert.deepEqual([...graph.users(0)], [1]);
    assert.deepEqual([...graph.guardsOf(0)], [3, 5]);
    assert.equal(graph.groupOf("net.1"), 3);
    assert.equal(graph.nodeOf("relu"), 2);
  }
});

test("bytes that hold no graph, and graphs that are cut off, are told apart", async () => {
  assert.throws(() => new GraphModel(new Uint8Array(20)), /no graph/);
  assert.throws(() => new GraphModel(encode(SMALL).subarray(0, 60)), /cut off in its header/);
  assert.throws(() => new GraphModel(encode(SMALL).subarray(0, -80)), /cut off in "/);
  await assert.rejects(decodeGraph(new Uint8Array([0x78, 0x9c, 1, 2, 3])));
});

test("indices of a damaged graph that lead nowhere are left out", () => {
  const graph = new GraphModel(
    encode(SMALL, (arrays) => {
      (arrays["in_nodes"] as [string, number[]])[1][2] = 99;
      (arrays["group"] as [string, number[]])[1][1] = 77;
      (arrays["g_parent"] as [string, number[]])[1][2] = 9;
      (arrays["kernel_offsets"] as [string, number[]])[1][2] = 50;
    }),
  );
  assert.deepEqual([...graph.inputs(2)], []);
  assert.equal(graph.group[1], 0);
  assert.equal(graph.groupParent[2], 0);
  assert.deepEqual([...graph.kernelsOf(1)], [0]);
  assert.equal(new Tree(graph).nodeCount[0], 4);
});

test("columns that were not sent are empty", () => {
  const graph = new GraphModel(
    encode(SMALL, (arrays) => {
      for (const name of ["partition", "stub", "hidden", "kernel_offsets", "g_run", "bytes"]) delete arrays[name];
    }),
  );
  assert.equal(graph.partition[1], -1);
  assert.equal(graph.stub[1], 0);
  assert.ok(Number.isNaN(graph.bytes[1]));
  assert.deepEqual([...graph.kernelsOf(1)], []);
});

test("alike neighbours make one container; the path of a run names its first and its last", () => {
  const tree = new Tree(model(llama(4, { odd: 2 })));
  const run = tree.at("model.layers.0…1");
  assert.ok(run !== undefined && tree.isRun(run));
  assert.deepEqual(tree.membersOf(run).map((group) => tree.path(group)), ["model.layers.0", "model.layers.1"]);
  assert.equal(tree.path(tree.parent[run] as number), "model.layers");
  assert.equal(tree.isRun(tree.at("model.layers.3") as number), false);
  assert.equal(tree.depth[tree.at("model.layers.1.mlp") as number], 5);
});

const found = (query: string, spec = SMALL): string[] => {
  const graph = model(spec);
  return search(graph, query).map((node) => graph.text("name", node) ?? "");
};

test("a search finds nodes by each of its keys, and by several words at once", () => {
  assert.deepEqual(found("op:mm"), ["mm"]);
  assert.deepEqual(found("op:placeholder"), ["x"]);
  assert.deepEqual(found("name:REL"), ["relu"]);
  assert.deepEqual(found("module:linear"), ["mm"]);
  assert.deepEqual(found("module:sequential"), ["mm", "relu"]);
  assert.deepEqual(found('shape:"[s77, 8]"'), ["x", "mm"]);
  assert.deepEqual(found("symbol:s77 dtype:bf16"), ["mm"]);
  assert.deepEqual(found("symbol:s7"), []);
  assert.deepEqual(found("line:model.py:12"), ["mm"]);
  assert.deepEqual(found("line::112"), ["relu"]);
  assert.deepEqual(found("kernel:poi"), ["mm"]);
  assert.deepEqual(found("device:cuda"), ["mm"]);
  assert.deepEqual(found("partition:2"), ["mm"]);
  assert.deepEqual(found("net relu"), ["relu"]);
  assert.deepEqual(found("model.py:112"), ["relu"]);
});

test("a query of nothing, of signs, of an unknown key finds nothing and breaks nothing", () => {
  for (const query of ["", "   ", '"', "((", "\\", "nokey:x", "op:", "symbol:<b>"]) assert.deepEqual(found(query), []);
  assert.deepEqual(termsOf(' a "b c" op:"x y" '), ["a", "b c", "op:x y"]);
});

test("texts with markup, quotes, emoji and right-to-left letters are found as they are", () => {
  const name = '"><script>alert(1)</script>🙂 שלום';
  assert.deepEqual(found("🙂", { nodes: [{ name }] }), [name]);
  assert.deepEqual(found("<script>", { nodes: [{ name }] }), [name]);
});

test("a value with five thousand users has them all", () => {
  assert.equal(model(fan(5000)).users(0).length, 5000);
});
