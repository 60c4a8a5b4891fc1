// Which nodes a query finds: words that must all be there, each anywhere or, with a key before a colon, in one place.

import { OPS, type GraphModel, type TextColumn } from "./model.ts";

/** What a key before a colon searches; shown in the help. */
export const SEARCH_KEYS: readonly { key: string; what: string; example: string }[] = [
  { key: "op", what: "operator or kind of node", example: "op:mm" },
  { key: "name", what: "name of the node", example: "name:mul_3" },
  { key: "module", what: "module path or class", example: "module:self_attn" },
  { key: "shape", what: "shape", example: "shape:4096" },
  { key: "dtype", what: "dtype", example: "dtype:bf16" },
  { key: "symbol", what: "symbol in shape, stride or value", example: "symbol:s77" },
  { key: "line", what: "the user's source line", example: "line:model.py:12" },
  { key: "kernel", what: "fused kernel", example: "kernel:triton_poi" },
  { key: "device", what: "device", example: "device:cuda" },
  { key: "partition", what: "partition", example: "partition:2" },
];

const ANYWHERE: readonly TextColumn[] = ["name", "target", "shape", "dtype", "value", "code", "function"];
const PLACES: Record<string, readonly TextColumn[]> = { name: ["name"], shape: ["shape"], dtype: ["dtype"], device: ["device"], op: ["target"], args: ["args"] };

const lowered = new WeakMap<readonly string[], string[]>();

/** The nodes that a query finds, in the order of the printout; none for an empty query. */
export function search(graph: GraphModel, query: string): number[] {
  const terms = termsOf(query);
  if (terms.length === 0) return [];
  let kept: Uint8Array | null = null;
  for (const term of terms) {
    const hits = found(graph, term);
    if (kept) for (let node = 0; node < graph.count; node += 1) kept[node] = (kept[node] as number) & (hits[node] as number);
    kept ??= hits;
  }
  const nodes: number[] = [];
  for (let node = 0; node < graph.count; node += 1) if (kept?.[node]) nodes.push(node);
  return nodes;
}

/** A query's words; quotes keep words together. */
export function termsOf(query: string): string[] {
  return [...query.matchAll(/(?:[^\s"]+|"[^"]*")+/g)].map(([term]) => term.replaceAll('"', "").toLowerCase()).filter((term) => term !== "");
}

function found(graph: GraphModel, term: string): Uint8Array {
  const hits = new Uint8Array(graph.count);
  const [, key = "", rest = ""] = term.match(/^([a-z]+):(.+)$/) ?? [];
  if (key === "symbol") byList(hits, graph.symbols, rest, (node) => graph.symbolsOf(node), true);
  else if (key === "kernel") byList(hits, graph.kernels, rest, (node) => graph.kernelsOf(node), false);
  else if (key === "module") byModule(graph, hits, rest);
  else if (key === "line") byLine(graph, hits, rest);
  else if (key === "partition") for (let node = 0; node < graph.count; node += 1) hits[node] = Number(String(graph.partition[node]) === rest);
  else if (PLACES[key]) {
    byText(graph, hits, rest, PLACES[key]);
    if (key === "op") byOp(graph, hits, rest);
  } else {
    byText(graph, hits, term, ANYWHERE);
    byModule(graph, hits, term);
    if (/\d/.test(term)) byLine(graph, hits, term);
    if (term.includes("_")) byOp(graph, hits, term);
  }
  return hits;
}

function byText(graph: GraphModel, hits: Uint8Array, term: string, columns: readonly TextColumn[]): void {
  const says = saying(graph, term);
  for (const column of columns) {
    const codes = graph.codes(column);
    for (let node = 0; node < hits.length; node += 1) if (says[codes[node] as number]) hits[node] = 1;
  }
}

function byOp(graph: GraphModel, hits: Uint8Array, term: string): void {
  const says = OPS.map((op) => op.includes(term));
  if (says.some(Boolean)) for (let node = 0; node < hits.length; node += 1) if (says[graph.op[node] as number]) hits[node] = 1;
}

/** Nodes of the groups, and of the groups in them, whose path or class holds the term. */
function byModule(graph: GraphModel, hits: Uint8Array, term: string): void {
  const says = saying(graph, term);
  const columns = (["g_path", "g_class"] as const).map((column) => graph.codes(column));
  const held = new Uint8Array(graph.groupCount);
  for (let group = 1; group < graph.groupCount; group += 1)
    held[group] = Number(columns.some((codes) => says[codes[group] as number]) || held[graph.groupParent[group] as number]);
  for (let node = 0; node < hits.length; node += 1) if (held[graph.group[node] as number]) hits[node] = 1;
}

/** `file:line`, `file` or `:line`: the file by the end of its path without regard to what follows a dot. */
function byLine(graph: GraphModel, hits: Uint8Array, term: string): void {
  const [, file = "", digits] = term.match(/^(.*?):?(\d+)?$/) ?? [];
  const wanted = digits === undefined ? null : Number(digits);
  if (file === "" && !term.startsWith(":")) return;
  const says = saying(graph, file);
  const files = graph.codes("file");
  for (let node = 0; node < hits.length; node += 1)
    if (says[files[node] as number] && (wanted === null || graph.line[node] === wanted)) hits[node] = 1;
}

function byList(hits: Uint8Array, names: readonly string[], term: string, of: (node: number) => Uint32Array, whole: boolean): void {
  const says = names.map((name) => (whole ? name.toLowerCase() === term : name.toLowerCase().includes(term)));
  if (says.some(Boolean)) for (let node = 0; node < hits.length; node += 1) if (of(node).some((id) => says[id])) hits[node] = 1;
}

/** By distinct text of the graph: whether it holds the term. */
function saying(graph: GraphModel, term: string): Uint8Array {
  let lower = lowered.get(graph.strings);
  if (!lower) {
    lower = graph.strings.map((text) => text.toLowerCase());
    lowered.set(graph.strings, lower);
  }
  return Uint8Array.from(lower, (text) => (text.includes(term) ? 1 : 0));
}
