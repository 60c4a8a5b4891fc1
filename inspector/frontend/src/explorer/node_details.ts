// One node: what it computes and of which kind, from what and for whom, whose line it is, what guards it, the kernel it became.

import { badge } from "../badge.ts";
import { fill, h, type Child } from "../dom.ts";
import { count, shortPlace, whole } from "../format.ts";
import { linkButton } from "../links.ts";
import { nodeButton, pair } from "./facts.ts";
import { OPS } from "./model.ts";
import { shortClass, shortTarget, size } from "./words.ts";
import type { Context } from "./context.ts";
import type { Difference, ExplorerState } from "./state.ts";

const AT_ONCE = 12;
const MORE = 200;
const BRIEF = 90;

/** What the panel says of a node. */
export function nodeDetails(state: ExplorerState, context: Context, node: number): Child[] {
  const { graph } = state;
  const target = graph.text("target", node) ?? "";
  const text = (column: Parameters<typeof graph.text>[0]): Child => {
    const found = graph.text(column, node);
    return found !== null && found !== "" && h("code", {}, found);
  };
  const bytes = graph.bytes[node] ?? NaN;
  const partition = graph.partition[node] ?? -1;
  return [
    h("h3", {}, h("code", {}, graph.text("name", node) ?? ""), " ", badge((OPS[graph.op[node] ?? 0] ?? "").replace("_", " "), "plain")),
    changes(state, node),
    h(
      "dl",
      { class: "fields" },
      ...pair("Computes", target !== "" && h("code", { title: target }, shortTarget(target)), target !== "" && shortTarget(target) !== target && h("div", { class: "dim" }, h("code", {}, target))),
      ...pair("Shape", text("shape"), graph.text("dtype", node) !== null && " ", text("dtype")),
      ...pair("Strides", text("stride")),
      ...pair("Device", text("device")),
      ...pair("Value", text("value")),
      ...pair("Output", Number.isNaN(bytes) ? "" : `${size(bytes)}${graph.symbolsOf(node).length > 0 ? ", with the sizes of this recording" : ""}`),
      ...pair("Your line", ...line(state, context, node)),
      ...pair("Module", ...modules(state, node)),
      ...pair("Arguments", text("args")),
      ...pair("Inputs", list(state, unique(graph.inputs(node)), "It reads no other node.")),
      ...pair("Users", list(state, graph.users(node), "Nothing reads it.")),
      ...pair("Symbols", ...symbols(state, node)),
      ...pair("Partition", partition >= 0 && h("button", { type: "button", class: "link", title: "Colour by partition", onclick: () => state.setOverlay("partition") }, whole(partition))),
      ...pair("Kernel", ...kernels(state, context, node)),
      ...pair("Guards", ...guards(state, context, node)),
    ),
  ];
}

function unique(nodes: Uint32Array): Uint32Array {
  return Uint32Array.from(new Set(nodes));
}

/** Nodes as links with their shapes; a long list grows when asked to. */
function list(state: ExplorerState, nodes: Uint32Array, none: string): Child {
  if (nodes.length === 0) return h("span", { class: "dim" }, none);
  const body = h("ul", { class: "names" });
  const show = (until: number): void => {
    const shown = [...nodes.subarray(0, until)].map((node) => h("li", {}, nodeButton(state, node), " ", h("span", { class: "dim" }, [state.graph.text("shape", node), state.graph.text("dtype", node)].filter(Boolean).join(" "))));
    const left = nodes.length - until;
    fill(body, ...shown, left > 0 && h("li", {}, h("button", { type: "button", class: "link", onclick: () => show(until + MORE) }, `${count(left, "more", "more")}`)));
  };
  show(AT_ONCE);
  if (nodes.length < 3) return body;
  return h("div", {}, h("button", { type: "button", class: "link all", onclick: () => state.select([...nodes]) }, `Pick all ${whole(nodes.length)}`), body);
}

function line({ graph }: ExplorerState, { session }: Context, node: number): Child[] {
  const file = graph.text("file", node);
  if (file === null) return [];
  const number = graph.line[node] ?? -1;
  const place = number > 0 ? `${file}:${number}` : file;
  const row = session?.table("traced_files").find("file", file) ?? -1;
  const words = `${shortPlace(place)}${graph.text("function", node) === null ? "" : ` in ${graph.text("function", node)}`}`;
  return [
    session && row >= 0 ? linkButton(session, { title: words, target: session.to("traced_files", { row }) }) : h("span", { title: place }, words),
    graph.text("code", node) !== null && h("pre", { class: "line-code" }, graph.text("code", node)),
  ];
}

function modules(state: ExplorerState, node: number): Child[] {
  const { tree, graph } = state;
  return tree
    .ancestors(graph.group[node] ?? 0, true)
    .filter((container) => !tree.isRun(container))
    .reverse()
    .map((container) => h("button", { type: "button", class: "link crumb", title: [tree.path(container), tree.className(container)].filter(Boolean).join("\n"), onclick: () => state.selectGroup(tree.path(container)) }, h("code", {}, tree.name(container) || tree.path(container)), tree.className(container) !== null && h("span", { class: "dim" }, ` ${shortClass(tree.className(container) ?? "")}`)));
}

function symbols(state: ExplorerState, node: number): Child[] {
  return [...state.graph.symbolsOf(node)].map((id) => {
    const symbol = state.graph.symbols[id] ?? "";
    return h("button", { type: "button", class: "link crumb", title: `Follow ${symbol} through the graph`, onclick: () => state.setOverlay("symbol", symbol) }, h("code", {}, symbol));
  });
}

function kernels(state: ExplorerState, { session }: Context, node: number): Child[] {
  const { graph } = state;
  return [...graph.kernelsOf(node)].map((id) => {
    const name = graph.kernels[id] ?? "";
    const held = Array.from({ length: graph.count }, (_, each) => each).filter((each) => graph.kernelsOf(each).includes(id));
    const row = session?.table("kernels").rows({ key: "compile_id", word: graph.compileId }, { key: "name", word: name })[0];
    return h(
      "div",
      {},
      h("button", { type: "button", class: "link", title: "Pick the nodes that it computes", onclick: () => state.select(held) }, h("code", {}, name)),
      h("span", { class: "dim" }, ` of ${count(held.length, "node")}`),
      session && row !== undefined && h("span", {}, " ", linkButton(session, { title: "its code", target: session.to("kernels", { row }) })),
    );
  });
}

function guards({ graph }: ExplorerState, { session }: Context, node: number): Child[] {
  const rows = [...graph.guardsOf(node)];
  if (rows.length === 0) return [];
  const table = session?.table("guards");
  if (!session || !table || table.count === 0) return [`${count(rows.length, "guard")} of the session, which this view does not hold`];
  const shown = rows.slice(0, AT_ONCE).map((row) => h("li", {}, h("button", { type: "button", class: "link", title: "Show this guard", onclick: () => session.go(session.to("guards", { row })) }, table.text("kind", row)), " ", h("code", { class: "dim", title: table.text("expr", row) }, brief(table.text("expr", row)))));
  return [h("ul", { class: "guard-list" }, ...shown, rows.length > shown.length && h("li", { class: "dim" }, `${count(rows.length - shown.length, "more", "more")}`))];
}

function brief(text: string): string {
  return text.length > BRIEF ? `${text.slice(0, BRIEF)}…` : text;
}

const SIGNS: Record<Difference["kind"], string> = { added: "+ only here", removed: "− only in the other graph", changed: "~ changed" };

/** How the node differs from the one it is held against. */
function changes({ compare }: ExplorerState, node: number): Child {
  const found = compare?.differences.filter(({ right }) => right === node) ?? [];
  if (found.length === 0) return null;
  return h("ul", { class: "changes-of" }, ...found.map(({ kind, what, was, is }) => h("li", { class: kind }, SIGNS[kind], what !== null && `: ${what} `, was !== null && h("code", { class: "value was" }, was), was !== null && " → ", is !== null && h("code", { class: "value now" }, is))));
}
