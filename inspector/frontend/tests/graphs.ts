// Graphs for tests: written by hand as a list of nodes, or generated, and encoded as the Python side encodes them.

import { deflateSync } from "node:zlib";
import { GraphModel, OPS, type StageEntry } from "../src/explorer/model.ts";

export interface NodeSpec {
  name: string;
  op?: (typeof OPS)[number];
  target?: string;
  inputs?: string[];
  /** Path of its group. */
  group?: string;
  shape?: string;
  dtype?: string;
  value?: string;
  file?: string;
  line?: number;
  bytes?: number;
  hidden?: boolean;
  stub?: boolean;
  symbols?: string[];
  kernels?: string[];
  partition?: number;
  device?: string;
  guards?: number[];
}

export interface GroupSpec {
  path: string;
  parent?: string;
  name?: string;
  className?: string;
  kind?: number;
  run?: string;
  differs?: boolean;
}

export interface GraphSpec {
  nodes: NodeSpec[];
  groups?: GroupSpec[];
  stage?: string;
  stages?: StageEntry[];
  problem?: string | null;
  compileId?: string;
  /** Names of nodes that a call joins. */
  calls?: [string, string][];
}

const SIZES = { u8: 1, u16: 2, u32: 4, i32: 4, f64: 8 };
type Type = keyof typeof SIZES;

/** The bytes of a graph, not compressed. */
export function encode(spec: GraphSpec, damage: (arrays: Record<string, [Type, number[]]>) => void = () => undefined): Uint8Array {
  const strings = [""];
  const known = new Map<string, number>([["", 0]]);
  const word = (text: string | undefined | null): number => {
    if (text === undefined || text === null) return 0xffffffff;
    let code = known.get(text);
    if (code === undefined) {
      code = strings.length;
      known.set(text, code);
      strings.push(text);
    }
    return code;
  };
  const { nodes } = spec;
  const groups: GroupSpec[] = [{ path: "", kind: 0 }, ...(spec.groups ?? [])];
  const groupAt = new Map(groups.map(({ path }, at) => [path, at]));
  const nodeAt = new Map(nodes.map(({ name }, at) => [name, at]));
  const kernels = [...new Set(nodes.flatMap((node) => node.kernels ?? []))];
  const symbols = [...new Set(nodes.flatMap((node) => node.symbols ?? []))];
  const lists = (of: (node: NodeSpec) => number[]): [number[], number[]] => {
    const offsets = [0];
    const items: number[] = [];
    for (const node of nodes) {
      items.push(...of(node));
      offsets.push(items.length);
    }
    return [offsets, items];
  };
  const [inOffsets, inNodes] = lists((node) => (node.inputs ?? []).map((name) => nodeAt.get(name) ?? -1).filter((at) => at >= 0));
  const [kernelOffsets, kernelIds] = lists((node) => (node.kernels ?? []).map((name) => kernels.indexOf(name)));
  const [symbolOffsets, symbolIds] = lists((node) => (node.symbols ?? []).map((name) => symbols.indexOf(name)));
  const [guardOffsets, guardRows] = lists((node) => node.guards ?? []);
  const text = (of: (node: NodeSpec) => string | undefined): [Type, number[]] => ["u32", nodes.map((node) => word(of(node)))];
  const groupText = (of: (group: GroupSpec) => string | undefined): [Type, number[]] => ["u32", groups.map((group) => word(of(group)))];
  const arrays: Record<string, [Type, number[]]> = {
    name: text((node) => node.name),
    op: ["u8", nodes.map((node) => OPS.indexOf(node.op ?? "call_function"))],
    target: text((node) => node.target ?? (node.op === undefined || node.op === "call_function" ? "torch.ops.aten.relu.default" : node.name)),
    group: ["u32", nodes.map((node) => groupAt.get(node.group ?? "") ?? 0)],
    dtype: text((node) => node.dtype),
    shape: text((node) => node.shape),
    stride: text(() => undefined),
    device: text((node) => node.device),
    value: text((node) => node.value),
    args: text(() => undefined),
    file: text((node) => node.file),
    line: ["i32", nodes.map((node) => node.line ?? -1)],
    function: text(() => undefined),
    code: text(() => undefined),
    partition: ["i32", nodes.map((node) => node.partition ?? -1)],
    text_line: ["i32", nodes.map((_, at) => at)],
    bytes: ["f64", nodes.map((node) => node.bytes ?? NaN)],
    hidden: ["u8", nodes.map((node) => Number(node.hidden ?? false))],
    stub: ["u8", nodes.map((node) => Number(node.stub ?? false))],
    in_offsets: ["u32", inOffsets],
    in_nodes: ["u32", inNodes],
    kernel_offsets: ["u32", kernelOffsets],
    kernel_ids: ["u32", kernelIds],
    symbol_offsets: ["u32", symbolOffsets],
    symbol_ids: ["u32", symbolIds],
    call_from: ["u32", (spec.calls ?? []).map(([from]) => nodeAt.get(from) ?? 0)],
    call_to: ["u32", (spec.calls ?? []).map(([, to]) => nodeAt.get(to) ?? 0)],
    guard_offsets: ["u32", guardOffsets],
    guard_rows: ["u32", guardRows],
    g_parent: ["u32", groups.map((group) => groupAt.get(group.parent ?? group.path.split(".").slice(0, -1).join(".")) ?? 0)],
    g_name: groupText((group) => group.name ?? group.path.split(".").pop()),
    g_path: groupText((group) => group.path),
    g_class: groupText((group) => group.className),
    g_kind: ["u8", groups.map((group) => group.kind ?? 1)],
    g_signature: ["u32", groups.map((_, at) => at)],
    g_run: ["u32", groups.map((group, at) => groupAt.get(group.run ?? group.path) ?? at)],
    g_differs: ["u8", groups.map((group) => Number(group.differs ?? false))],
    g_file: groupText(() => undefined),
    g_line: ["i32", groups.map(() => -1)],
  };
  damage(arrays);
  let offset = 0;
  const placed = Object.entries(arrays).map(([name, [type, values]]) => {
    const at = offset;
    offset += Math.ceil((values.length * SIZES[type]) / 8) * 8;
    return { name, type, values, at };
  });
  const header = {
    version: 1,
    compile_id: spec.compileId ?? "0/0",
    stage: spec.stage ?? "dynamo",
    name: "graph",
    count: nodes.length,
    problem: spec.problem ?? null,
    strings,
    arrays: Object.fromEntries(placed.map(({ name, type, values, at }) => [name, { type, offset: at, length: values.length }])),
    kernels,
    symbols,
    stages: spec.stages ?? [{ row: 0, compile_id: spec.compileId ?? "0/0", stage: spec.stage ?? "dynamo", name: "graph", direction: null }],
  };
  const json = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + padded + offset).fill(0x20, 8, 8 + padded);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode("CIG1"));
  view.setUint32(4, padded, true);
  bytes.set(json, 8);
  for (const { type, values, at } of placed) {
    values.forEach((value, index) => {
      const where = 8 + padded + at + index * SIZES[type];
      if (type === "u8") view.setUint8(where, value);
      else if (type === "u16") view.setUint16(where, value, true);
      else if (type === "f64") view.setFloat64(where, value, true);
      else view.setUint32(where, value >>> 0, true);
    });
  }
  return bytes;
}

export function compressed(spec: GraphSpec): Uint8Array {
  return new Uint8Array(deflateSync(encode(spec)));
}

export function model(spec: GraphSpec): GraphModel {
  return new GraphModel(encode(spec));
}

/** A graph shaped like Llama's: 63 nodes a layer, runs of alike layers, `cos`, `sin` and the mask as long-lived values. */
export function llama(layers: number, { odd = -1 }: { odd?: number } = {}): GraphSpec {
  const nodes: NodeSpec[] = [];
  const groups: GroupSpec[] = [{ path: "model", className: "LlamaModel" }, { path: "model.embed_tokens", className: "Embedding" }, { path: "model.rotary_emb", className: "LlamaRotaryEmbedding" }];
  const op = (name: string, target: string, inputs: string[], group: string, shape = "[1, s77, 4096]", extra: Partial<NodeSpec> = {}): string => {
    nodes.push({ name, target: `torch.ops.aten.${target}`, inputs, group, shape, dtype: "bf16", symbols: shape.includes("s77") ? ["s77"] : [], file: "modeling_llama.py", line: 10 + (nodes.length % 60), bytes: 1024 * (1 + (nodes.length % 7)), ...extra });
    return name;
  };
  const parameter = (name: string, shape = "[4096, 4096]"): string => {
    nodes.push({ name, op: "placeholder", shape, dtype: "bf16", hidden: true });
    return name;
  };
  nodes.push({ name: "tokens", op: "placeholder", shape: "[1, s77]", dtype: "i64", symbols: ["s77"] });
  let hidden = op("embedding", "embedding.default", [parameter("embed_weight"), "tokens"], "model.embed_tokens");
  const positions = op("arange", "arange.start", [], "model", "[s77]");
  const freqs = op("freqs", "mul.Tensor", [positions], "model.rotary_emb", "[s77, 64]");
  const cos = op("cos", "cos.default", [freqs], "model.rotary_emb", "[1, 1, s77, 64]", { stub: layers > 1 });
  const sin = op("sin", "sin.default", [freqs], "model.rotary_emb", "[1, 1, s77, 64]", { stub: layers > 1 });
  const mask = op("mask", "triu.default", [positions], "model", "[1, 1, s77, s77]", { stub: layers > 1 });
  groups.push({ path: "model.layers", className: "ModuleList" });
  for (let layer = 0; layer < layers; layer += 1) {
    const path = `model.layers.${layer}`;
    const run = layer === odd ? path : `model.layers.${odd >= 0 && layer > odd ? odd + 1 : 0}`;
    groups.push({ path, className: "LlamaDecoderLayer", run, differs: layer === odd });
    const id = (word: string): string => `${word}_${layer}`;
    const norm = (group: string, word: string, input: string): string => {
      groups.push({ path: `${path}.${group}`, className: "LlamaRMSNorm" });
      const g = `${path}.${group}`;
      const f = op(id(`${word}_to`), "_to_copy.default", [input], g);
      const p = op(id(`${word}_pow`), "pow.Tensor_Scalar", [f], g);
      const m = op(id(`${word}_mean`), "mean.dim", [p], g, "[1, s77, 1]");
      const a = op(id(`${word}_add`), "add.Tensor", [m], g, "[1, s77, 1]");
      const r = op(id(`${word}_rsqrt`), "rsqrt.default", [a], g, "[1, s77, 1]");
      const x = op(id(`${word}_mul`), "mul.Tensor", [f, r], g);
      const t = op(id(`${word}_back`), "_to_copy.default", [x], g);
      return op(id(`${word}_scale`), "mul.Tensor", [parameter(id(`${word}_weight`), "[4096]"), t], g);
    };
    const linear = (parent: string, word: string, input: string): string => {
      groups.push({ path: `${path}.${parent}.${word}`, className: "Linear" });
      const g = `${path}.${parent}.${word}`;
      const t = op(id(`${word}_t`), "t.default", [parameter(id(`${word}_w`))], g, "[4096, 4096]");
      const v = op(id(`${word}_view`), "view.default", [input], g, "[s77, 4096]");
      const m = op(id(`${word}_mm`), "mm.default", [v, t], g, "[s77, 4096]", { kernels: [`extern_${word}`] });
      return op(id(`${word}_out`), "_unsafe_view.default", [m], g);
    };
    const attention = `${path}.self_attn`;
    const n1 = norm("input_layernorm", "n1", hidden);
    groups.push({ path: attention, className: "LlamaAttention" });
    const heads = ["q", "k", "v"].map((word) => {
      const made = linear("self_attn", `${word}_proj`, n1);
      const v = op(id(`${word}_heads`), "view.default", [made], attention, "[1, s77, 32, 128]");
      return op(id(`${word}_tr`), "transpose.int", [v], attention, "[1, 32, s77, 128]");
    });
    const rope = (word: string, input: string): string => {
      const a = op(id(`${word}_cos`), "mul.Tensor", [input, cos], attention, "[1, 32, s77, 128]");
      const x1 = op(id(`${word}_x1`), "slice.Tensor", [input], attention, "[1, 32, s77, 64]");
      const x2 = op(id(`${word}_x2`), "slice.Tensor", [input], attention, "[1, 32, s77, 64]");
      const n = op(id(`${word}_neg`), "neg.default", [x2], attention, "[1, 32, s77, 64]");
      const c = op(id(`${word}_cat`), "cat.default", [n, x1], attention, "[1, 32, s77, 128]");
      const s = op(id(`${word}_sin`), "mul.Tensor", [c, sin], attention, "[1, 32, s77, 128]");
      return op(id(`${word}_rope`), "add.Tensor", [a, s], attention, "[1, 32, s77, 128]");
    };
    const q = rope("q", heads[0] as string);
    const k = rope("k", heads[1] as string);
    const sdpa = op(id("sdpa"), "scaled_dot_product_attention.default", [q, k, heads[2] as string, mask], attention, "[1, 32, s77, 128]");
    const back = op(id("attn_tr"), "transpose.int", [sdpa], attention, "[1, s77, 32, 128]");
    const flat = op(id("attn_view"), "view.default", [back], attention);
    const o = linear("self_attn", "o_proj", flat);
    const r1 = op(id("add1"), "add.Tensor", [hidden, o], path);
    const n2 = norm("post_attention_layernorm", "n2", r1);
    groups.push({ path: `${path}.mlp`, className: "LlamaMLP" });
    const gate = linear("mlp", "gate_proj", n2);
    const up = linear("mlp", "up_proj", n2);
    const act = op(id("silu"), layer === odd ? "gelu.default" : "silu.default", [gate], `${path}.mlp`);
    const prod = op(id("prod"), "mul.Tensor", [act, up], `${path}.mlp`);
    const down = linear("mlp", "down_proj", prod);
    hidden = op(id("add2"), "add.Tensor", [r1, down], path);
  }
  groups.push({ path: "lm_head", className: "Linear" });
  const logits = op("logits", "mm.default", [hidden, parameter("lm_head_w")], "lm_head", "[1, s77, 128256]");
  nodes.push({ name: "output", op: "output", inputs: [logits] });
  return { nodes, groups };
}

/** A chain of this many nodes, in one group. */
export function chain(count: number): GraphSpec {
  return { nodes: Array.from({ length: count }, (_, at) => ({ name: `n${at}`, inputs: at > 0 ? [`n${at - 1}`] : [] })) };
}

/** One node that this many others read. */
export function fan(users: number): GraphSpec {
  return { nodes: [{ name: "x", op: "placeholder" }, ...Array.from({ length: users }, (_, at) => ({ name: `u${at}`, inputs: ["x"] }))] };
}
