// What the graph is coloured by: for each overlay the categories with their colours and signs, and the category of each node.

import { FAMILIES, familiesOf } from "./families.ts";
import { shortDtype } from "./labels.ts";
import { size } from "./words.ts";
import type { GraphModel } from "./model.ts";
import type { Comparison, Overlay, OverlayKind, SymbolFlow, Told } from "./state.ts";

/** One colour of an overlay. `colour` is the name of a variable of the style sheet; `sign` stands on the box besides it. */
export interface Category {
  readonly key: string;
  readonly label: string;
  readonly sign: string;
  readonly colour: string;
  /** How many nodes have it. */
  readonly count: number;
}

/** An overlay on a graph: `of[node]` is the index of its category, -1 for a node that has none. */
export interface Painting {
  readonly kind: OverlayKind;
  readonly title: string;
  readonly categories: readonly Category[];
  readonly of: Int16Array;
  /** Why there is nothing to see, or what is left out; null where all is said. */
  readonly note: string | null;
}

export const OVERLAYS: readonly { kind: OverlayKind; title: string; needs: string | null }[] = [
  { kind: "family", title: "Kind of operator", needs: null },
  { kind: "dtype", title: "Dtype", needs: null },
  { kind: "device", title: "Device", needs: null },
  { kind: "symbol", title: "Symbols", needs: "symbol" },
  { kind: "dims", title: "Dynamic dimensions", needs: null },
  { kind: "guards", title: "Guards", needs: null },
  { kind: "memory", title: "Memory of outputs", needs: null },
  { kind: "kernels", title: "Fused kernels", needs: "kernel" },
  { kind: "partition", title: "Partitions", needs: null },
  { kind: "changed", title: "What changed", needs: null },
];

const SERIES = 12;
const KINDS_SHOWN = 400;

/** What an overlay shows on a graph. */
export function paintingOf(graph: GraphModel, overlay: Overlay, compare: Comparison | null, told: Told = { flow: null, verdicts: null }): Painting {
  const title = OVERLAYS.find(({ kind }) => kind === overlay.kind)?.title ?? overlay.kind;
  switch (overlay.kind) {
    case "family":
      return fixed(graph, overlay.kind, title, FAMILIES.map(({ key, label, sign }) => ({ key, label, sign, colour: `--op-${key}` })), familiesOf(graph));
    case "dtype":
      return distinct(graph, overlay.kind, title, (node) => (graph.text("shape", node) === null ? null : graph.text("dtype", node)), shortDtype, "No node of this graph has a dtype.");
    case "device":
      return distinct(graph, overlay.kind, title, (node) => graph.text("device", node), (device) => device, "No node of this graph names its device.");
    case "partition":
      return distinct(graph, overlay.kind, title, (node) => ((graph.partition[node] as number) < 0 ? null : String(graph.partition[node])), (word) => `p${word}`, "This graph was not partitioned.", (word) => `Partition ${word}`);
    case "kernels":
      return kernels(graph, title, overlay.argument);
    case "symbol":
      return symbols(graph, title, overlay.argument, told.flow);
    case "guards":
      return guards(graph, title);
    case "dims":
      return dimensions(graph, title, told.verdicts);
    case "memory":
      return memory(graph, title);
    case "changed":
      return changes(graph, title, compare);
  }
}

type Kind = Omit<Category, "count">;

function fixed(graph: GraphModel, kind: OverlayKind, title: string, kinds: readonly Kind[], of: ArrayLike<number>, note: string | null = null): Painting {
  const counts = new Uint32Array(kinds.length);
  const found = Int16Array.from(of);
  for (let node = 0; node < graph.count; node += 1) {
    const at = found[node] as number;
    if (at >= 0 && !graph.hidden[node]) counts[at] = (counts[at] as number) + 1;
  }
  return { kind, title, categories: kinds.map((each, at) => ({ ...each, count: counts[at] as number })), of: found, note: counts.some((count) => count > 0) ? null : note };
}

/** A category for each word that nodes say, the commonest first. */
function distinct(graph: GraphModel, kind: OverlayKind, title: string, word: (node: number) => string | null, sign: (word: string) => string, none: string, label: (word: string) => string = (said) => said): Painting {
  const counts = new Map<string, number>();
  for (let node = 0; node < graph.count; node += 1) {
    const said = word(node);
    if (said !== null && said !== "") counts.set(said, (counts.get(said) ?? 0) + (graph.hidden[node] ? 0 : 1));
  }
  const words = [...counts.keys()].sort((a, b) => (counts.get(b) as number) - (counts.get(a) as number) || a.localeCompare(b, "en", { numeric: true })).slice(0, KINDS_SHOWN);
  const index = new Map(words.map((said, at) => [said, at]));
  const kinds = words.map((said, at) => ({ key: said, label: label(said), sign: sign(said), colour: `--series-${at % SERIES}` }));
  return fixed(graph, kind, title, kinds, Array.from({ length: graph.count }, (_, node) => index.get(word(node) ?? "") ?? -1), none);
}

function kernels(graph: GraphModel, title: string, picked: string | null): Painting {
  if (graph.kernels.length === 0) return fixed(graph, "kernels", title, [], new Int16Array(graph.count).fill(-1), "No kernel is known for this graph: record with provenance=True and backend=\"inductor\", and look at a stage that Inductor lowers.");
  const only = picked === null ? -1 : graph.kernels.indexOf(picked);
  const shown = only >= 0 ? [only] : [...graph.kernels.keys()].slice(0, KINDS_SHOWN);
  const kinds = shown.map((kernel) => ({ key: graph.kernels[kernel] as string, label: graph.kernels[kernel] as string, sign: `k${kernel}`, colour: `--series-${kernel % SERIES}` }));
  const at = new Map(shown.map((kernel, place) => [kernel, place]));
  const of = Array.from({ length: graph.count }, (_, node) => {
    for (const kernel of graph.kernelsOf(node)) if (at.has(kernel)) return at.get(kernel) as number;
    return -1;
  });
  return fixed(graph, "kernels", title, kinds, of);
}

function symbols(graph: GraphModel, title: string, picked: string | null, flow: SymbolFlow | null): Painting {
  if (graph.symbols.length === 0) return fixed(graph, "symbol", title, [], new Int16Array(graph.count).fill(-1), "No size of this graph is a symbol: all of them are constants.");
  if (picked !== null && graph.symbols.includes(picked)) {
    const symbol = graph.symbols.indexOf(picked);
    const kinds: Kind[] = [
      { key: "enters", label: `${picked} comes in`, sign: "▽", colour: "--series-2" },
      { key: "carries", label: `${picked} in shape or stride`, sign: picked, colour: "--series-0" },
      { key: "computes", label: `computes with ${picked}`, sign: "=", colour: "--series-1" },
      { key: "guarded", label: `${picked} is guarded here`, sign: "!", colour: "--series-6" },
      { key: "pinned", label: `${picked} became a constant here`, sign: "‼", colour: "--series-8" },
    ];
    const roles = flow?.symbol === picked ? flow.roles : null;
    const of = Array.from({ length: graph.count }, (_, node) => {
      const role = roles?.get(node);
      if (role !== undefined) return kinds.findIndex(({ key }) => key === role);
      if (!graph.symbolsOf(node).includes(symbol)) return -1;
      if (graph.op[node] === 0) return 0;
      if (graph.guardsOf(node).length > 0) return 3;
      return graph.text("shape", node) === null ? 2 : 1;
    });
    return { ...fixed(graph, "symbol", `${title}: ${picked}`, kinds, of), note: roles ? (flow?.told ?? null) : null };
  }
  const kinds: Kind[] = graph.symbols.slice(0, KINDS_SHOWN).map((symbol, at) => ({ key: symbol, label: symbol, sign: symbol, colour: `--series-${at % SERIES}` }));
  kinds.push({ key: "several", label: "several symbols", sign: "+", colour: "--dim" });
  const of = Array.from({ length: graph.count }, (_, node) => {
    const held = graph.symbolsOf(node);
    return held.length === 0 ? -1 : held.length > 1 ? kinds.length - 1 : (held[0] as number) < kinds.length - 1 ? (held[0] as number) : -1;
  });
  return fixed(graph, "symbol", title, kinds, of);
}

function guards(graph: GraphModel, title: string): Painting {
  const kinds: Kind[] = [
    { key: "one", label: "1 guard", sign: "1", colour: "--series-7" },
    { key: "some", label: "2 to 9 guards", sign: "2+", colour: "--series-6" },
    { key: "many", label: "10 guards or more", sign: "10+", colour: "--series-8" },
  ];
  const of = Array.from({ length: graph.count }, (_, node) => {
    const count = graph.guardsOf(node).length;
    return count === 0 ? -1 : count === 1 ? 0 : count < 10 ? 1 : 2;
  });
  return fixed(graph, "guards", title, kinds, of, "No guard names what a node of this graph stands for.");
}

/** Verdicts in the order in which a reader should hear of them. */
const VERDICTS: readonly (readonly [string, string, string])[] = [
  ["specialized", "‼", "--series-8"],
  ["unbacked", "u", "--series-1"],
  ["zero-one", "01", "--series-6"],
  ["duck-shared", "≡", "--series-5"],
  ["marked", "m", "--series-3"],
  ["dynamic", "s", "--series-2"],
  ["static", "=", "--series-7"],
];

function dimensions(graph: GraphModel, title: string, verdicts: ReadonlyMap<number, string> | null): Painting {
  if (verdicts !== null && verdicts.size > 0) {
    const named = VERDICTS.map(([key, sign, colour]) => ({ key, label: key, sign, colour }));
    const index = new Map(named.map(({ key }, at) => [key, at]));
    return fixed(graph, "dims", title, named, Array.from({ length: graph.count }, (_, node) => index.get(verdicts.get(node) ?? "") ?? -1), "No node of this graph has a verdict.");
  }
  const kinds: Kind[] = [
    { key: "static", label: "all sizes constant", sign: "=", colour: "--series-7" },
    { key: "dynamic", label: "a size is a symbol", sign: "s", colour: "--series-2" },
    { key: "unbacked", label: "a size depends on data (unbacked)", sign: "u", colour: "--series-1" },
  ];
  const unbacked = graph.symbols.map((symbol) => /^z?u(f)?\d/.test(symbol));
  const of = Array.from({ length: graph.count }, (_, node) => {
    if (graph.text("shape", node) === null && graph.symbolsOf(node).length === 0) return -1;
    const held = graph.symbolsOf(node);
    return held.length === 0 ? 0 : held.some((symbol) => unbacked[symbol]) ? 2 : 1;
  });
  return fixed(graph, "dims", title, kinds, of, "No node of this graph has a shape.");
}

const HEATS = 6;

/** Sizes in steps of one factor, from the smallest output of the graph to its largest. */
function memory(graph: GraphModel, title: string): Painting {
  let least = Infinity;
  let most = 0;
  for (const bytes of graph.bytes) {
    if (!(bytes > 0)) continue;
    least = Math.min(least, bytes);
    most = Math.max(most, bytes);
  }
  const steps = most <= least * 1.001 ? 1 : HEATS;
  const border = (at: number): number => (at === steps ? most : least * (most / least) ** (at / steps));
  const label = (at: number): string => (steps === 1 ? size(most) : at === 0 ? `up to ${size(border(1))}` : `${size(border(at))} to ${size(border(at + 1))}`);
  const known = most > 0;
  const kinds: Kind[] = known ? Array.from({ length: steps }, (_, at) => ({ key: `heat-${at}`, label: label(at), sign: "▁▂▃▅▆█"[steps === 1 ? 2 : at] ?? "", colour: `--heat-${steps === 1 ? 2 : at}` })) : [];
  const step = (bytes: number): number => (steps === 1 ? 0 : Math.min(Math.floor((Math.log(bytes / least) / Math.log(most / least)) * steps), steps - 1));
  const of = Array.from(graph.bytes, (bytes) => (known && bytes >= 0 ? (bytes > 0 ? step(bytes) : 0) : -1));
  return fixed(graph, "memory", title, kinds, of, "No size of an output is known.");
}

function changes(graph: GraphModel, title: string, compare: Comparison | null): Painting {
  const kinds: Kind[] = [
    { key: "added", label: "added", sign: "+", colour: "--good" },
    { key: "removed", label: "removed", sign: "−", colour: "--bad" },
    { key: "changed", label: "changed", sign: "~", colour: "--changed" },
    { key: "same", label: "the same", sign: "", colour: "--op-view" },
  ];
  if (!compare) return fixed(graph, "changed", title, kinds, new Int16Array(graph.count).fill(-1), "Choose what to hold this graph against.");
  const left = graph === compare.graph;
  const of = new Int16Array(graph.count).fill(3);
  const seen = [new Set<number>(), new Set<number>(), new Set<number>()];
  for (const { kind, left: was, right: is } of compare.differences) {
    const at = kind === "added" ? 0 : kind === "removed" ? 1 : 2;
    seen[at]?.add(is ?? was ?? -1);
    const node = left ? was : is;
    if (node !== null && node < of.length) of[node] = at;
  }
  // Where two graphs lie over each other, what the later one lacks is there as well.
  graph.extra("removed")?.forEach((removed, node) => removed && (of[node] = 1));
  const painting = fixed(graph, "changed", title, kinds, of);
  const same = compare.differences.length === 0 ? "Nothing differs." : null;
  return { ...painting, note: same, categories: painting.categories.map((category, at) => ({ ...category, count: seen[at]?.size ?? category.count })) };
}
