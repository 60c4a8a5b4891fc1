// What is picked, told in full: one node, one group, one edge, several nodes, or else the graph.

import { fill, h, type Child } from "../dom.ts";
import { count, whole } from "../format.ts";
import { edgeDetails } from "./edge_details.ts";
import { groupDetails } from "./group_details.ts";
import { GROUP_MODULE } from "./model.ts";
import { nodeDetails } from "./node_details.ts";
import { memory, nodeButton, pair, tallied } from "./facts.ts";
import type { Context } from "./context.ts";
import type { ExplorerState } from "./state.ts";

/** The panel of details; it follows the state. */
export function details(state: ExplorerState, context: Context): HTMLElement {
  const element = h("section", { class: "details", tabindex: 0, "aria-label": "Details of what is picked" });
  const show = (): void => {
    const [node] = state.selection;
    const content =
      state.selectedGroup !== null
        ? groupDetails(state, state.selectedGroup)
        : state.selectedEdge
        ? edgeDetails(state, state.selectedEdge)
        : state.selection.length > 1
          ? severalDetails(state)
          : node !== undefined
            ? nodeDetails(state, context, node)
            : graphDetails(state);
    fill(element, state.carried !== null && h("p", { class: "carried" }, state.carried), ...content);
    element.scrollTop = 0;
  };
  for (const event of ["graph", "selection", "compare"] as const) state.on(event, show, context.signal);
  show();
  return element;
}

function severalDetails(state: ExplorerState): Child[] {
  const { selection, graph } = state;
  return [
    h("h3", {}, count(selection.length, "node")),
    h("dl", { class: "fields" }, ...pair("Outputs", memory(state, selection))),
    tallied(state, "Operations", selection.map((node) => graph.text("target", node)), selection),
    tallied(state, "Shapes", selection.map((node) => graph.text("shape", node)), selection),
    tallied(state, "Lines", selection.map((node) => lineOf(state, node)), selection),
    names(state, selection),
  ];
}

function lineOf({ graph }: ExplorerState, node: number): string | null {
  const file = graph.text("file", node);
  return file === null ? null : `${file.slice(Math.max(file.lastIndexOf("/"), file.lastIndexOf("\\")) + 1)}:${graph.line[node] ?? 0}`;
}

const LISTED = 200;

function names(state: ExplorerState, nodes: readonly number[]): Child {
  return h(
    "div",
    { class: "tallied" },
    h("h4", {}, "Nodes"),
    h(
      "ul",
      { class: "names" },
      ...nodes.slice(0, LISTED).map((node) => h("li", {}, nodeButton(state, node))),
      nodes.length > LISTED && h("li", { class: "dim" }, `${count(nodes.length - LISTED, "more", "more")}`),
    ),
  );
}

function graphDetails(state: ExplorerState): Child[] {
  const { graph } = state;
  const all = Array.from({ length: graph.count }, (_, node) => node);
  const seen = all.filter((node) => !graph.hidden[node]);
  const modules = graph.groupKind.reduce((sum, kind) => sum + Number(kind === GROUP_MODULE), 0);
  return [
    h("h3", {}, h("span", { class: "id" }, graph.compileId), ` ${graph.stage.replace(/_/g, " ")}`),
    graph.problem !== null && h("p", { class: "note" }, graph.problem),
    h(
      "dl",
      { class: "fields" },
      ...pair("Record", h("code", {}, graph.name)),
      ...pair("Nodes", `${whole(graph.count)}${seen.length < graph.count ? `, ${whole(graph.count - seen.length)} of them parameters, constants and sizes that are drawn in their readers` : ""}`),
      ...pair("Modules", modules > 0 && whole(modules)),
      ...pair("Outputs", memory(state, seen)),
      ...pair("Symbols", graph.symbols.length > 0 && h("span", { class: "words" }, ...graph.symbols.slice(0, 24).map((symbol) => h("button", { type: "button", class: "link", title: `Colour by ${symbol}`, onclick: () => state.setOverlay("symbol", symbol) }, h("code", {}, symbol))))),
      ...pair("Kernels", graph.kernels.length > 0 && h("button", { type: "button", class: "link", onclick: () => state.setOverlay("kernels") }, whole(graph.kernels.length))),
    ),
    tallied(state, "Operations", seen.map((node) => graph.text("target", node)), seen),
    h("p", { class: "dim" }, "Pick a node, a module or an edge to see all of it here."),
  ];
}
