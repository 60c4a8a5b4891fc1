// One edge: the values that flow along it, each with its type, who computes it and who reads it.

import { fill, h, type Child } from "../dom.ts";
import { count } from "../format.ts";
import { valuesOf, type EdgePick } from "./edges.ts";
import { memory, nodeButton, pair } from "./facts.ts";
import type { ExplorerState } from "./state.ts";

const AT_ONCE = 20;
const MORE = 200;

/** What the panel says of an edge. */
export function edgeDetails(state: ExplorerState, edge: EdgePick): Child[] {
  const values = valuesOf(edge);
  const [value] = values;
  if (value === undefined) return [];
  const readers = readersOf(edge);
  const head = h("h3", {}, values.length === 1 ? "Edge" : `Edge of ${count(values.length, "value")}`);
  if (values.length > 1) {
    const all = [...new Set(edge.pairs.map(([, reader]) => reader))];
    return [
      head,
      h("p", { class: "links" }, pickAll(state, `Pick ${count(values.length, "value")}`, values), pickAll(state, `Pick ${count(all.length, "reader")}`, all)),
      h("dl", { class: "fields" }, ...pair("Memory", memory(state, values))),
      grown(values.map((each) => () => h("li", {}, nodeButton(state, each), " ", type(state, each), h("div", {}, h("span", { class: "dim" }, "read by "), ...spaced((readers.get(each) ?? []).map((reader) => nodeButton(state, reader))))))),
    ];
  }
  const { graph } = state;
  const stride = graph.text("stride", value);
  const device = graph.text("device", value);
  return [
    head,
    h(
      "dl",
      { class: "fields" },
      ...pair("From", nodeButton(state, value), within(state, value)),
      ...pair("Type", type(state, value)),
      ...pair("Strides", Boolean(stride) && h("code", {}, stride)),
      ...pair("Device", Boolean(device) && h("code", {}, device)),
      ...pair("Memory", memory(state, [value])),
      ...pair("To", grown((readers.get(value) ?? []).map((reader) => () => h("li", {}, nodeButton(state, reader), within(state, reader))))),
    ),
  ];
}

function readersOf({ pairs }: EdgePick): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const [value, reader] of pairs) found.set(value, [...(found.get(value) ?? []), reader]);
  return found;
}

function pickAll(state: ExplorerState, word: string, nodes: readonly number[]): HTMLElement {
  return h("button", { type: "button", class: "link", onclick: () => state.select(nodes, { reveal: true }) }, word);
}

function type({ graph }: ExplorerState, node: number): Child {
  const words = [graph.text("shape", node), graph.text("dtype", node)].filter(Boolean).join(" ") || graph.text("value", node);
  return h("span", { class: "dim" }, words || "of unknown type");
}

/** The module that a node is in. */
function within({ graph, tree }: ExplorerState, node: number): Child {
  const group = graph.group[node] ?? 0;
  return group !== 0 && h("span", { class: "dim" }, ` in ${tree.path(group)}`);
}

function spaced(children: HTMLElement[]): Child[] {
  return children.slice(0, AT_ONCE).flatMap((child, at) => (at === 0 ? [child] : [", ", child])).concat(children.length > AT_ONCE ? [` and ${count(children.length - AT_ONCE, "more", "more")}`] : []);
}

/** A list that grows when asked to. */
function grown(items: readonly (() => HTMLElement)[]): HTMLElement {
  const body = h("ul", { class: "names" });
  const show = (until: number): void => {
    const left = items.length - until;
    fill(body, ...items.slice(0, until).map((make) => make()), left > 0 && h("li", {}, h("button", { type: "button", class: "link", onclick: () => show(until + MORE) }, count(left, "more", "more"))));
  };
  show(AT_ONCE);
  return body;
}
