// The explorer of one graph: a bar of what can be done and the canvas, in a frame of panels.

import { h, fill, type Child } from "../dom.ts";
import { count, whole } from "../format.ts";
import { download, fileName, pageHtml, toPng, toSvg } from "./export.ts";
import { detailOf, nodeLabel } from "./labels.ts";
import { edgeWords } from "./edges.ts";
import { followKeys, KEYS } from "./keyboard.ts";
import type { Context } from "./context.ts";
import { besides } from "./beside.ts";
import { stageTitle } from "./compare.ts";
import { frame } from "./frame.ts";
import type { LegendData } from "./legend.ts";
import { OVERLAYS, paintingOf } from "./overlays.ts";
import { Graphviz } from "./graphviz.ts";
import { followPointer } from "./pointer.ts";
import { SEARCH_KEYS } from "./search.ts";
import { ExplorerState, type GraphSource, type OverlayKind } from "./state.ts";
import { unread, type GraphModel, type StageEntry } from "./model.ts";
import { Tidy } from "./tidy.ts";
import { GraphCanvas } from "./view.ts";

/** An explorer that is shown. */
export interface Explorer {
  readonly element: HTMLElement;
  readonly state: ExplorerState;
  readonly view: GraphCanvas;
}

/** The event by which a document tells tests and measurements of each explorer that is made in it; `detail` is the Explorer. */
export const MADE = "compile-inspector:explorer";

/** Makes an explorer out of sight before its graph is there: `open` then shows that. All that need not know the graph is ready by then. */
export function openLater(source: GraphSource, context: Context): { readonly element: HTMLElement; open(row: number, graph: GraphModel): Explorer } {
  const made = assembled(-1, unread(), source, context, true);
  made.element.classList.add("unread");
  const open = (row: number, graph: GraphModel): Explorer => {
    made.element.classList.remove("unread");
    made.state.begin(row, graph);
    return told(made);
  };
  return { element: made.element, open };
}

/** Makes the explorer of a graph; everything it holds is let go when the context's signal is aborted. */
export function explorer(row: number, graph: GraphModel, source: GraphSource, context: Context): Explorer {
  return told(assembled(row, graph, source, context, false));
}

function told(made: Explorer): Explorer {
  document.dispatchEvent(new CustomEvent(MADE, { detail: made }));
  return made;
}

function assembled(row: number, graph: GraphModel, source: GraphSource, context: Context, enlarge: boolean): Explorer {
  const { signal } = context;
  const state = new ExplorerState(row, graph, source);
  const view = new GraphCanvas(state, signal);
  const searchBox = h("input", { type: "search", class: "search", placeholder: "Search nodes", "aria-label": "Search nodes: words, or op:, module:, shape:, symbol:, line:", spellcheck: "false" });
  const menus = new Menus();
  const stages = h("div", { class: "graph-stages" }, view.element, menus.element);
  const tidy = context.parts.live ? new Tidy(view, new Graphviz(context.parts, signal), signal) : null;
  const targets = {
    ...(tidy && { tidy }),
    search: () => {
      searchBox.focus();
      searchBox.select();
    },
    help: () => menus.toggle("help"),
  };
  followPointer(view, signal);
  followKeys(view, targets, signal);
  announce(view, state, signal);
  besides(view, source, stages, targets, signal);
  view.element.appendChild(zoomTools(view));
  menus.add("help", () => help(tidy !== null));
  menus.add("save", () => saving(view, menus));
  const toolbar = bar(view, state, searchBox, menus, tidy, signal);
  const legend = (): LegendData => paintingOf(state.graph, state.overlay, state.compare, state.told);
  return { element: frame({ state, context, canvas: stages, toolbar, legend, enlarge }), state, view };
}

function bar(view: GraphCanvas, state: ExplorerState, searchBox: HTMLInputElement, menus: Menus, tidy: Tidy | null, signal: AbortSignal): HTMLElement {
  return h(
    "div",
    { class: "explorer-bar", role: "group", "aria-label": "Graph" },
    stageChoice(state, signal),
    searching(state, searchBox, view, signal),
    overlayChoice(state, signal),
    h(
      "span",
      { class: "group" },
      tool("Open everything (e)", "Expand all", () => state.expandAll()),
      tool("Fold as at first (c)", "Fold", () => state.collapseAll()),
      tool("Fit all on the screen (0)", "Fit", () => view.fit()),
      tidy && tidying(tidy),
      menus.button("save", "Save as a file", "Save"),
      menus.button("help", "Keys and search words (?)", "?"),
    ),
  );
}

function tool(title: string, word: string, act: () => void): HTMLButtonElement {
  return h("button", { type: "button", class: "tool", title, "aria-label": /^\w/.test(word) ? `${word}: ${title}` : title, onclick: act }, word);
}

/** The button that has Graphviz lay out, and cancels while it does. */
function tidying(tidy: Tidy): HTMLButtonElement {
  const button = tool("Lay out what is open, or the open group that is picked, with Graphviz; again for the layout before (t)", "Tidy", () => tidy.press());
  const idle = button.getAttribute("aria-label");
  button.classList.add("tidy");
  tidy.changed = () => {
    button.textContent = tidy.busy ? "Stop" : "Tidy";
    button.setAttribute("aria-label", tidy.busy ? "Stop: cancel the layout by Graphviz (Escape)" : (idle ?? "Tidy"));
    button.setAttribute("aria-busy", String(tidy.busy));
  };
  return button;
}

function zoomTools(view: GraphCanvas): HTMLElement {
  return h(
    "div",
    { class: "zoom-tools", role: "group", "aria-label": "Zoom" },
    tool("Zoom in (+)", "+", () => view.camera.zoom(1.3)),
    tool("Zoom out (−)", "−", () => view.camera.zoom(0.77)),
    tool("Natural size, from the top (1)", "1:1", () => view.home()),
  );
}

/** Which graph of the session is shown. */
function stageChoice(state: ExplorerState, signal: AbortSignal): Child {
  const compile = h("select", { "aria-label": "Compile", onchange: () => pick(stagesOf(compile.value)[0]) });
  const stage = h("select", { "aria-label": "Stage", onchange: () => void state.showStage(Number(stage.value)) });
  const stagesOf = (id: string): StageEntry[] => state.graph.stages.filter((entry) => entry.compile_id === id);
  const pick = (entry: StageEntry | undefined): void => {
    const same = stagesOf(compile.value).find((other) => other.stage === state.graph.stage) ?? entry;
    if (same) void state.showStage(same.row);
  };
  const update = (): void => {
    const ids = [...new Set(state.graph.stages.map((entry) => entry.compile_id))];
    fill(compile, ...ids.map((id) => h("option", { value: id, selected: id === state.graph.compileId }, id)));
    const entries = stagesOf(state.graph.compileId);
    fill(stage, ...entries.map((entry) => h("option", { value: entry.row, selected: entry.row === state.row }, stageTitle(entry, entries))));
  };
  state.on("graph", update, signal);
  update();
  return h("span", { class: "group" }, compile, stage);
}

function searching(state: ExplorerState, box: HTMLInputElement, view: GraphCanvas, signal: AbortSignal): Child {
  const tally = h("span", { class: "tally", role: "status" });
  let typed: ReturnType<typeof setTimeout> | undefined;
  const search = (): void => {
    clearTimeout(typed);
    typed = undefined;
    if (state.query !== box.value) state.search(box.value);
  };
  box.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(search, 40);
  }, { signal });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      search();
      state.nextMatch(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      box.value = "";
      search();
      view.canvas.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }, { signal });
  const update = (): void => {
    if (typed === undefined && box.value !== state.query) box.value = state.query;
    const at = state.matches.indexOf(state.selection[0] ?? -1);
    tally.textContent = state.query.trim() === "" ? "" : state.matches.length === 0 ? "none" : at >= 0 ? `${whole(at + 1)} of ${whole(state.matches.length)}` : whole(state.matches.length);
  };
  state.on("matches", update, signal);
  state.on("selection", update, signal);
  return h("span", { class: "group" }, box, tool("Previous match (p)", "‹", () => state.nextMatch(-1)), tool("Next match (n)", "›", () => state.nextMatch(1)), tally);
}

/** What the graph is coloured by. */
function overlayChoice(state: ExplorerState, signal: AbortSignal): Child {
  const kind = h("select", { "aria-label": "Colour", onchange: () => state.setOverlay(kind.value as OverlayKind) });
  const argument = h("select", { "aria-label": "Which", onchange: () => state.setOverlay(state.overlay.kind, argument.value || null) });
  const update = (): void => {
    fill(kind, ...OVERLAYS.filter((overlay) => overlay.kind !== "changed" || state.compare).map((overlay) => h("option", { value: overlay.kind, selected: overlay.kind === state.overlay.kind }, overlay.title)));
    const names = state.overlay.kind === "symbol" ? state.graph.symbols : state.overlay.kind === "kernels" ? state.graph.kernels : [];
    argument.hidden = names.length === 0;
    fill(argument, h("option", { value: "" }, "all"), ...names.map((name) => h("option", { value: name, selected: name === state.overlay.argument }, name)));
  };
  for (const event of ["graph", "overlay", "compare"] as const) state.on(event, update, signal);
  update();
  return h("label", { class: "group" }, "Colour ", kind, argument);
}

/** Tells readers who do not see the canvas what is picked, and names the canvas by what it shows. */
function announce(view: GraphCanvas, state: ExplorerState, signal: AbortSignal): void {
  const live = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
  view.element.appendChild(live);
  const title = (): void => {
    const { graph } = state;
    view.canvas.setAttribute("aria-label", `Graph of compile ${graph.compileId}, ${graph.stage}: ${whole(graph.count)} nodes. Arrow keys go along the edges, question mark for all keys.`);
  };
  const say = (): void => void (live.textContent = described(state));
  state.on("selection", say, signal);
  state.on("expanded", () => state.selectedGroup !== null && say(), signal);
  state.on("graph", title, signal);
  title();
}

/** What is picked, in a sentence. */
export function described(state: ExplorerState): string {
  const { graph, tree, selection, selectedGroup } = state;
  if (selectedGroup !== null) {
    const container = tree.at(selectedGroup) ?? 0;
    return `Group ${selectedGroup}, ${tree.className(container) ?? "no class"}, ${count(tree.nodeCount[container] as number, "node")}, ${state.expanded.has(selectedGroup) ? "open" : "closed"}`;
  }
  const [node] = selection;
  if (state.selectedEdge) return `Edge: ${edgeWords(graph, state.selectedEdge)}`;
  if (node === undefined) return state.carried ?? "Nothing is picked";
  const { lead, word, tail } = nodeLabel(graph, node);
  const more = selection.length > 1 ? ` and ${whole(selection.length - 1)} more` : "";
  return `${graph.text("name", node) ?? ""}: ${lead}${word}${tail} ${detailOf(graph, node)}, ${count(graph.inputs(node).length, "input")}, ${count(graph.users(node).length, "user")}${more}`;
}

function help(tidies: boolean): HTMLElement {
  return h(
    "div",
    {},
    h("h3", {}, "Keys, with the graph focused"),
    h("table", {}, ...KEYS.filter(({ needs }) => needs !== "tidy" || tidies).map(({ keys, what }) => h("tr", {}, h("td", {}, ...keys.flatMap((key) => [h("kbd", {}, key), " "])), h("td", {}, what)))),
    h("h3", {}, "Search"),
    h("p", { class: "dim" }, "All words must be there, anywhere in a node; a key before a colon says where."),
    h("table", {}, ...SEARCH_KEYS.map(({ example, what }) => h("tr", {}, h("td", {}, h("code", {}, example)), h("td", {}, what)))),
    h("h3", {}, "Pointer"),
    h("p", { class: "dim" }, "Click a box, a name or an edge to pick it, drag to move, Ctrl with the wheel or two fingers to zoom, double click opens a group. The plain wheel moves the graph once it is focused."),
  );
}

/** What can be saved, and how. */
function saving(view: GraphCanvas, menus: Menus): HTMLElement {
  const note = h("p", { class: "dim", role: "status" });
  const { picture, marks, state } = view;
  const { compileId, stage } = state.graph;
  const item = (word: string, act: () => Promise<string | null> | string | null): HTMLElement => {
    const run = async (): Promise<void> => {
      try {
        note.textContent = (await act()) ?? "";
        if (note.textContent === "") menus.close();
      } catch (error) {
        note.textContent = error instanceof Error ? error.message : String(error);
      }
    };
    return h("button", { type: "button", class: "item", onclick: () => void run() }, word);
  };
  const page = pageHtml();
  const kept = { ...marks, strong: marks.strong, hover: -1 };
  return h(
    "div",
    { role: "group", "aria-label": "Save" },
    picture &&
      item("SVG, what is open", () => {
        download(toSvg(picture, kept), fileName(compileId, stage, "svg"), "image/svg+xml");
        return null;
      }),
    picture &&
      item("PNG, what is open", async () => {
        const { blob, scale } = await toPng(picture, kept);
        download(blob, fileName(compileId, stage, "png"), "image/png");
        return scale < 1 ? `Saved at ${Math.round(scale * 100)} % of its size: a larger picture cannot be opened everywhere.` : null;
      }),
    page !== null &&
      item("HTML, this page", () => {
        download(page, "graphs.html", "text/html");
        return null;
      }),
    page === null && h("p", { class: "dim" }, "One HTML file that works offline: ", h("code", {}, "session.graph().to_html(\"graph.html\")")),
    note,
  );
}

/** Panels that open over the canvas, one at a time. */
class Menus {
  readonly element = h("div", { class: "explorer-menu", hidden: true, tabindex: 0, role: "group", "aria-label": "Graph menu" });
  private readonly made = new Map<string, () => HTMLElement>();
  private readonly buttons = new Map<string, HTMLButtonElement>();
  private open: string | null = null;
  private back: HTMLElement | null = null;

  constructor() {
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.close();
      event.stopPropagation();
    });
  }

  /** What a panel holds, made anew each time it is opened. */
  add(name: string, make: () => HTMLElement): void {
    this.made.set(name, make);
  }

  button(name: string, title: string, word: string): HTMLButtonElement {
    const button = tool(title, word, () => this.toggle(name));
    button.setAttribute("aria-expanded", "false");
    this.buttons.set(name, button);
    return button;
  }

  close(): void {
    if (this.open === null) return;
    this.toggle(this.open);
    this.back?.focus();
  }

  toggle(name: string): void {
    const root = this.element.getRootNode() as Document | ShadowRoot;
    if (this.open === null) this.back = root.activeElement instanceof HTMLElement ? root.activeElement : null;
    this.open = this.open === name ? null : name;
    this.element.hidden = this.open === null;
    fill(this.element, this.open === null ? null : this.made.get(this.open)?.());
    if (this.open !== null) (this.element.querySelector<HTMLElement>("button") ?? this.element).focus();
    for (const [key, button] of this.buttons) button.setAttribute("aria-expanded", String(key === this.open));
  }
}
