// What the colours of the graph mean: a swatch, a word and a number each; an entry picks its nodes, or narrows the overlay to itself.

import { fill, h, type Child } from "../dom.ts";
import { count, whole } from "../format.ts";
import type { ExplorerState } from "./state.ts";

/** One colour of an overlay: a variable of the style sheet, and the sign that stands on boxes besides it. */
export interface LegendEntry {
  readonly key: string;
  readonly label: string;
  readonly sign: string;
  readonly colour: string;
  readonly count: number;
}

/** An overlay's colours; `of[node]` is the entry of a node, -1 for none. */
export interface LegendData {
  readonly title: string;
  readonly categories: readonly LegendEntry[];
  readonly of: Int16Array;
  /** Why there is nothing to see, or what is left out. */
  readonly note: string | null;
}

const MOST = 40;
/** A canvas smaller than this has its legend closed. */
const ROOM_PX = { width: 520, height: 400 };

/** The legend of a state's overlay; it follows the state. */
export function legend(state: ExplorerState, of: () => LegendData, signal: AbortSignal): HTMLElement {
  const body = h("div", {});
  const head = h("summary", {});
  const fold = h("details", { open: true }, head, body);
  const element = h("section", { class: "legend", "aria-label": "Legend" }, fold);
  // It makes way for the graph where there is little room, unless its reader opened it.
  let chosen = false;
  head.addEventListener("click", () => (chosen = true));
  const measured = new ResizeObserver(([entry]) => {
    const { width = 0, height = 0 } = entry?.contentRect ?? {};
    if (width > 0 && height > 0 && !chosen) fold.open = width >= ROOM_PX.width && height >= ROOM_PX.height;
  });
  queueMicrotask(() => element.parentElement && measured.observe(element.parentElement));
  signal.addEventListener("abort", () => measured.disconnect());
  const show = (): void => {
    const data = of();
    const { overlay } = state;
    const there = data.categories.map((entry, at) => ({ entry, at })).filter(({ entry }) => entry.count > 0);
    const shown = there.slice(0, MOST);
    fill(head, data.title);
    fill(
      body,
      overlay.argument !== null && h("button", { type: "button", class: "link", onclick: () => state.setOverlay(overlay.kind) }, "Show all"),
      data.note !== null && h("p", { class: "dim" }, data.note),
      h("ul", {}, ...shown.map(({ entry, at }) => line(state, data, entry, at))),
      state.graph.calls.length > 0 && h("p", { class: "legend-stroke dim" }, "into and out of a graph that an operator calls"),
      there.length > shown.length && h("p", { class: "dim" }, `${count(there.length - shown.length, "more", "more")}`),
    );
  };
  for (const event of ["graph", "overlay", "compare"] as const) state.on(event, show, signal);
  show();
  return element;
}

/** An entry that is one symbol or one kernel narrows the overlay to it; any other picks its nodes. */
function line(state: ExplorerState, data: LegendData, { key, label, sign, colour, count: number }: LegendEntry, at: number): Child {
  const { overlay, graph } = state;
  const swatch = h("span", { class: "swatch", "aria-hidden": "true" }, sign);
  swatch.style.background = `var(${colour})`;
  const narrows = overlay.argument === null && ((overlay.kind === "symbol" && graph.symbols.includes(key)) || (overlay.kind === "kernels" && graph.kernels.includes(key)));
  const act = (): void => {
    if (narrows) state.setOverlay(overlay.kind, key);
    else state.select([...data.of.keys()].filter((node) => data.of[node] === at && !graph.hidden[node]), { reveal: true });
  };
  return h("li", {}, h("button", { type: "button", class: "legend-entry", title: narrows ? `Follow ${label} alone` : `Pick ${count(number, "node")}`, onclick: act }, swatch, h("span", { class: "legend-label", title: label }, label), h("span", { class: "dim" }, whole(number))));
}
