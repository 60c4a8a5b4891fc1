// The explorer's layout: a toolbar on top, the canvas with the room, the outline and the details beside it, the sources below. Each panel
// can be closed; where it is narrow they lie under the canvas.

import { enlarger } from "../enlarge.ts";
import { fill, h, newId } from "../dom.ts";
import { comparing } from "./compare.ts";
import { details } from "./details.ts";
import { legend, type LegendData } from "./legend.ts";
import { outline } from "./outline.ts";
import { sources } from "./sources.ts";
import { splitter } from "./splitter.ts";
import type { Context } from "./context.ts";
import type { ExplorerState } from "./state.ts";

/** What the frame is put together from. */
export interface FrameParts {
  state: ExplorerState;
  context: Context;
  canvas: HTMLElement;
  /** Controls of the canvas, in a row that may wrap. */
  toolbar: HTMLElement;
  legend: () => LegendData;
  /** Whether it brings its own button that fills the screen. */
  enlarge: boolean;
}

/** An explorer at least this wide begins with its outline open. */
const WIDE_PX = 1_150;

/** The explorer around its canvas. */
export function frame({ state, context, canvas, toolbar, legend: of, enlarge }: FrameParts): HTMLElement {
  const { signal } = context;
  const compare = comparing(state, signal);
  const panes = sources(state, context);
  const left = h("div", { class: "side left", "data-panel-of": "outline" }, outline(state, signal));
  const right = h("div", { class: "side right", "data-panel-of": "details" }, details(state, context), compare.element);
  const stage = h("div", { class: "explorer-stage" }, canvas, legend(state, of, signal));
  const below = h("div", { class: "below", "data-panel-of": "sources" }, panes.element);
  const problem = h("p", { class: "note problem", role: "status", hidden: true });
  const leftBar = splitter({ pane: left, label: "Width of the outline", side: "left", size: 230, least: 120, most: 560 }, signal);
  const rightBar = splitter({ pane: right, label: "Width of the details", side: "right", size: 290, least: 180, most: 640 }, signal);
  const belowBar = splitter({ pane: below, label: "Height of the sources", side: "below", size: 230, least: 90, most: 900 }, signal);
  const root = h("div", { class: "explorer-frame" });
  const panels = [
    panel("Outline", [left, leftBar], () => undefined),
    panel("Details", [right, rightBar], () => undefined),
    panel("Sources", [below, belowBar], panes.visible),
  ];
  const [outlined, detailed, sourced] = panels;
  root.append(
    ...(enlarge ? [h("h2", { class: "unseen" }, "Graph")] : []),
    h("div", { class: "explorer-top" }, toolbar, h("span", { class: "panel-buttons", role: "group", "aria-label": "Panels" }, ...panels.map(({ button }) => button)), ...(enlarge ? [enlarger(root, signal)] : [])),
    problem,
    h("div", { class: "explorer-middle" }, left, leftBar, stage, rightBar, right),
    belowBar,
    below,
  );
  state.on("problem", () => told(problem, state), signal);
  told(problem, state);
  detailed?.set(true);
  outlined?.set(false);
  sourced?.set(false);
  const first = new ResizeObserver(([entry]) => {
    const width = entry?.contentRect.width ?? 0;
    if (width === 0) return;
    outlined?.set(width >= WIDE_PX);
    first.disconnect();
  });
  first.observe(root);
  signal.addEventListener("abort", () => first.disconnect());
  root.addEventListener("keydown", (event) => walks(event, state, compare.walk));
  return root;
}

function told(problem: HTMLElement, state: ExplorerState): void {
  problem.hidden = state.problem === null;
  fill(problem, state.problem, h("button", { type: "button", class: "link", onclick: () => state.say(null) }, " dismiss"));
}

interface PanelSwitch {
  button: HTMLButtonElement;
  set: (open: boolean) => void;
}

function panel(title: string, elements: HTMLElement[], seen: (open: boolean) => void): PanelSwitch {
  const id = newId("panel");
  const [first] = elements;
  if (first) first.id = id;
  const button = h("button", { type: "button", class: "choose", "aria-controls": id, onclick: () => set(first?.hidden === true) }, title);
  const set = (open: boolean): void => {
    for (const element of elements) element.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    seen(open);
  };
  return { button, set };
}

function walks(event: KeyboardEvent, state: ExplorerState, walk: (step: 1 | -1) => void): void {
  const target = event.composedPath()[0];
  if (!state.compare || event.ctrlKey || event.metaKey || event.altKey || (event.key !== "n" && event.key !== "p")) return;
  if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement || (target instanceof Element && target.closest("[role=tree]"))) return;
  walk(event.key === "n" ? 1 : -1);
  event.preventDefault();
}
