// A graph as it was sent: typed columns by node and by group, decoded once, and read by index.

import type { Bytes } from "../host.ts";

/** In a column of texts: nothing. */
export const ABSENT = 0xffffffff;

/** What a node does, as numbers in the column `op`. */
export const OPS = ["placeholder", "get_attr", "call_function", "call_method", "call_module", "output"] as const;
export const PLACEHOLDER = 0;
export const GET_ATTR = 1;
export const CALL_FUNCTION = 2;
export const CALL_METHOD = 3;
export const CALL_MODULE = 4;
export const OUTPUT = 5;

/** What a group is, as numbers in the column `kind` of groups. */
export const GROUP_ROOT = 0;
export const GROUP_MODULE = 1;
export const GROUP_BODY = 2;
export const GROUP_LOOSE = 3;

export type TextColumn = "name" | "target" | "dtype" | "shape" | "stride" | "device" | "value" | "args" | "file" | "function" | "code";
export type GroupTextColumn = "g_name" | "g_path" | "g_class" | "g_file";

/** One graph of the session: what a reader can switch to. */
export interface StageEntry {
  readonly row: number;
  readonly compile_id: string;
  readonly stage: string;
  readonly name: string;
  readonly direction: string | null;
}

interface ArrayEntry {
  readonly type: "u8" | "u16" | "u32" | "i32" | "f64";
  readonly offset: number;
  readonly length: number;
}

export interface Header {
  readonly version: number;
  readonly compile_id: string;
  readonly stage: string;
  readonly name: string;
  readonly count: number;
  readonly problem: string | null;
  readonly strings: string[];
  readonly kernels: string[];
  readonly symbols: string[];
  readonly stages: StageEntry[];
  readonly later?: string[];
}

/** What a graph is made from. */
export interface GraphData {
  readonly header: Header;
  readonly arrays: Map<string, Numbers>;
}

export type Numbers = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array;

const MAGIC = 0x31474943;
export const TEXT_COLUMNS: readonly TextColumn[] = ["name", "target", "dtype", "shape", "stride", "device", "value", "args", "file", "function", "code"];
export const GROUP_TEXT_COLUMNS: readonly GroupTextColumn[] = ["g_name", "g_path", "g_class", "g_file"];
const TYPES = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, i32: Int32Array, f64: Float64Array };

/** Reads a graph from its bytes, compressed or not. Throws an Error that says what is wrong with them. */
export async function decodeGraph(packed: Bytes): Promise<GraphModel> {
  return new GraphModel(await inflated(packed));
}

async function inflated(packed: Bytes): Promise<Uint8Array> {
  const bytes = packed instanceof ArrayBuffer ? new Uint8Array(packed) : new Uint8Array(packed.buffer as ArrayBuffer, packed.byteOffset, packed.byteLength);
  return magic(bytes) ? bytes : inflate(bytes);
}

function magic(bytes: Uint8Array): boolean {
  return bytes.byteLength >= 8 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) === MAGIC;
}

async function inflate(bytes: Uint8Array): Promise<Uint8Array> {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot inflate (it has no DecompressionStream)");
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** One graph: its nodes in the order of the printout, its groups with parents before children. */
export class GraphModel {
  readonly compileId: string;
  readonly stage: string;
  readonly name: string;
  readonly problem: string | null;
  readonly count: number;
  readonly groupCount: number;
  readonly kernels: readonly string[];
  readonly symbols: readonly string[];
  readonly stages: readonly StageEntry[];
  readonly strings: readonly string[];
  /** What is sent after the graph: `guards`. */
  readonly later: Set<string>;
  readonly op: Uint8Array;
  readonly group: Uint32Array;
  readonly line: Int32Array;
  readonly partition: Int32Array;
  readonly textLine: Int32Array;
  readonly bytes: Float64Array;
  readonly hidden: Uint8Array;
  readonly stub: Uint8Array;
  readonly groupParent: Uint32Array;
  readonly groupKind: Uint8Array;
  readonly groupRun: Uint32Array;
  readonly groupSignature: Uint32Array;
  readonly groupDiffers: Uint8Array;
  readonly groupLine: Int32Array;
  /** Pairs of nodes that the call of a graph joins: an argument and the called graph's input, its output and the node that calls it. */
  readonly calls: Uint32Array;
  private readonly columns = new Map<string, Uint32Array>();
  private readonly lists = new Map<string, { offsets: Uint32Array; items: Uint32Array }>();
  private readonly arrays: Map<string, Numbers>;
  private byName: Map<string, number> | null = null;
  private byPath: Map<string, number> | null = null;
  private readers: { offsets: Uint32Array; items: Uint32Array } | null = null;

  /** From bytes, not compressed, or from what was read from them. */
  constructor(from: Uint8Array | GraphData) {
    const { header, arrays } = from instanceof Uint8Array ? read(from) : from;
    this.compileId = header.compile_id;
    this.stage = header.stage;
    this.name = header.name;
    this.problem = header.problem;
    this.count = header.count;
    this.kernels = header.kernels;
    this.symbols = header.symbols;
    this.stages = header.stages;
    this.strings = header.strings;
    this.later = new Set(header.later ?? []);
    this.arrays = arrays;
    const n = this.count;
    const groups = Math.max(arrays.get("g_parent")?.length ?? 0, 1);
    this.groupCount = groups;
    for (const name of TEXT_COLUMNS) this.columns.set(name, this.column(name, n, Uint32Array, ABSENT));
    for (const name of GROUP_TEXT_COLUMNS) this.columns.set(name, this.column(name, groups, Uint32Array, ABSENT));
    this.op = this.column("op", n, Uint8Array, CALL_FUNCTION);
    this.line = this.column("line", n, Int32Array, -1);
    this.partition = this.column("partition", n, Int32Array, -1);
    this.textLine = this.column("text_line", n, Int32Array, -1);
    this.bytes = this.column("bytes", n, Float64Array, NaN);
    this.hidden = this.column("hidden", n, Uint8Array, 0);
    this.stub = this.column("stub", n, Uint8Array, 0);
    this.group = this.column("group", n, Uint32Array, 0).map((group) => (group < groups ? group : 0));
    this.groupParent = this.column("g_parent", groups, Uint32Array, 0).map((parent, group) => (parent < group ? parent : 0));
    this.groupKind = this.column("g_kind", groups, Uint8Array, GROUP_MODULE);
    this.groupRun = this.column("g_run", groups, Uint32Array, ABSENT).map((run, group) => (run <= group ? run : group));
    this.groupSignature = this.column("g_signature", groups, Uint32Array, ABSENT);
    this.groupDiffers = this.column("g_differs", groups, Uint8Array, 0);
    this.groupLine = this.column("g_line", groups, Int32Array, -1);
    const callers = arrays.get("call_to") ?? [];
    this.calls = Uint32Array.from([...(arrays.get("call_from") ?? [])].flatMap((one, at) => (one < n && (callers[at] ?? n) < n ? [one, callers[at] as number] : [])));
    this.lists.set("in", this.list("in_offsets", "in_nodes", n));
    this.lists.set("kernel", this.list("kernel_offsets", "kernel_ids", this.kernels.length));
    this.lists.set("symbol", this.list("symbol_offsets", "symbol_ids", this.symbols.length));
    this.lists.set("guard", this.list("guard_offsets", "guard_rows", ABSENT));
  }

  /** Takes in lists of guards that were sent after the graph. */
  async adopt(packed: Bytes): Promise<void> {
    const { arrays } = read(await inflated(packed));
    for (const name of ["guard_offsets", "guard_rows"]) this.arrays.set(name, arrays.get(name) ?? new Uint32Array(0));
    this.lists.set("guard", this.list("guard_offsets", "guard_rows", ABSENT));
    this.later.delete("guards");
  }

  /** A text of a node, null where it has none. */
  text(column: TextColumn, node: number): string | null {
    return this.strings[this.column_(column)[node] ?? ABSENT] ?? null;
  }

  /** A text of a group, null where it has none. */
  groupText(column: GroupTextColumn, group: number): string | null {
    return this.strings[this.column_(column)[group] ?? ABSENT] ?? null;
  }

  /** By node or group: indices in `strings`, ABSENT where there is no text. */
  codes(column: TextColumn | GroupTextColumn): Uint32Array {
    return this.column_(column);
  }

  /** An array that the sender added and this class has no name for. */
  extra(name: string): Numbers | null {
    return this.arrays.get(name) ?? null;
  }

  /** The nodes that a node reads, in order; a node read twice is there twice. */
  inputs(node: number): Uint32Array {
    return this.slice("in", node);
  }

  /** The inputs of all nodes: those of node n are `items` from `offsets[n]` to before `offsets[n + 1]`. */
  get inputLists(): { readonly offsets: Uint32Array; readonly items: Uint32Array } {
    return this.lists.get("in") as { offsets: Uint32Array; items: Uint32Array };
  }

  /** Lists by node, as `inputLists`. */
  listOf(list: "kernel" | "symbol" | "guard"): { readonly offsets: Uint32Array; readonly items: Uint32Array } {
    return this.lists.get(list) as { offsets: Uint32Array; items: Uint32Array };
  }

  /** The nodes that read a node, in the order of the printout, each once. */
  users(node: number): Uint32Array {
    this.readers ??= this.turned();
    return this.readers.items.subarray(this.readers.offsets[node], this.readers.offsets[node + 1]);
  }

  /** Indices in `kernels` of the kernels that compute a node. */
  kernelsOf(node: number): Uint32Array {
    return this.slice("kernel", node);
  }

  /** Indices in `symbols` of the symbols that a node's shape, stride or value holds. */
  symbolsOf(node: number): Uint32Array {
    return this.slice("symbol", node);
  }

  /** Rows of the session's guards that name what a node stands for. */
  guardsOf(node: number): Uint32Array {
    return this.slice("guard", node);
  }

  /** The node of an FX name. */
  nodeOf(name: string): number | undefined {
    this.byName ??= new Map(Array.from({ length: this.count }, (_, node) => [this.text("name", node) ?? "", node]));
    return this.byName.get(name);
  }

  /** The group of a path. */
  groupOf(path: string): number | undefined {
    this.byPath ??= new Map(Array.from({ length: this.groupCount }, (_, group) => [this.groupText("g_path", group) ?? "", group]));
    return this.byPath.get(path);
  }

  private column_(name: string): Uint32Array {
    return this.columns.get(name) as Uint32Array;
  }

  private slice(list: string, node: number): Uint32Array {
    const { offsets, items } = this.lists.get(list) as { offsets: Uint32Array; items: Uint32Array };
    return items.subarray(offsets[node], offsets[node + 1]);
  }

  private column<T extends Numbers>(name: string, length: number, type: { new (length: number): T; from(values: ArrayLike<number>): T }, otherwise: number): T {
    const found = this.arrays.get(name);
    if (found && found.length >= length) return found instanceof type ? found : type.from(found);
    const made = new type(length);
    made.fill(otherwise);
    return made;
  }

  /** Lists by node; items that name nothing are left out, damaged offsets are empty lists. */
  private list(offsetsName: string, itemsName: string, below: number): { offsets: Uint32Array; items: Uint32Array } {
    const offsets = this.column(offsetsName, this.count + 1, Uint32Array, 0);
    const items = new Uint32Array(this.arrays.get(itemsName) ?? []);
    let sound = true;
    for (let node = 0; sound && node < this.count; node += 1) sound = (offsets[node] ?? 0) <= (offsets[node + 1] ?? 0);
    for (let at = 0; sound && at < items.length; at += 1) sound = (items[at] ?? ABSENT) < below;
    return sound && (offsets[this.count] ?? 0) <= items.length ? { offsets, items } : repaired(offsets, items, this.count, below);
  }

  private turned(): { offsets: Uint32Array; items: Uint32Array } {
    const { offsets: from, items } = this.lists.get("in") as { offsets: Uint32Array; items: Uint32Array };
    const n = this.count;
    const offsets = new Uint32Array(n + 1);
    const seen = new Int32Array(n).fill(-1);
    const each = (act: (input: number, node: number) => void): void => {
      seen.fill(-1);
      for (let node = 0; node < n; node += 1) {
        for (let at = from[node] as number; at < (from[node + 1] as number); at += 1) {
          const input = items[at] as number;
          if (seen[input] === node) continue;
          seen[input] = node;
          act(input, node);
        }
      }
    };
    each((input) => (offsets[input + 1] = (offsets[input + 1] as number) + 1));
    for (let node = 0; node < n; node += 1) offsets[node + 1] = (offsets[node + 1] as number) + (offsets[node] as number);
    const next = offsets.slice();
    const turned = new Uint32Array(offsets[n] as number);
    each((input, node) => (turned[next[input] as number] = node, (next[input] = (next[input] as number) + 1)));
    return { offsets, items: turned };
  }
}

/** What stands in for a graph that is still being read. */
export function unread(): GraphModel {
  const header: Header = { version: 1, compile_id: "", stage: "", name: "", count: 0, problem: null, strings: [], kernels: [], symbols: [], stages: [] };
  return new GraphModel({ header, arrays: new Map() });
}

function repaired(offsets: Uint32Array, items: Uint32Array, count: number, below: number): { offsets: Uint32Array; items: Uint32Array } {
  const kept: number[] = [];
  const made = new Uint32Array(count + 1);
  for (let node = 0; node < count; node += 1) {
    const start = offsets[node] ?? 0;
    const end = Math.min(offsets[node + 1] ?? 0, items.length);
    for (let at = start; at < end; at += 1) if ((items[at] ?? ABSENT) < below) kept.push(items[at] as number);
    made[node + 1] = kept.length;
  }
  return { offsets: made, items: Uint32Array.from(kept) };
}

function read(bytes: Uint8Array): GraphData {
  if (!magic(bytes)) throw new Error("these bytes hold no graph");
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  if (8 + length > bytes.byteLength) throw new Error("the graph is cut off in its header");
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Header & { readonly arrays: Record<string, ArrayEntry> };
  if (header.version !== 1) throw new Error(`the graph is of version ${String(header.version)}, this view reads version 1`);
  // Copied once, so that every array begins at a multiple of its item size.
  const body = bytes.slice(8 + length);
  const arrays = new Map<string, Numbers>();
  for (const [name, { type, offset, length: items }] of Object.entries(header.arrays)) {
    const made = TYPES[type];
    if (made === undefined) continue;
    if (offset + items * made.BYTES_PER_ELEMENT > body.byteLength) throw new Error(`the graph is cut off in "${name}"`);
    arrays.set(name, new made(body.buffer, offset, items));
  }
  return { header, arrays };
}
