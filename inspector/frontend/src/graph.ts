// One graph at a time: its drawing, its nodes, torch's own text of it.

import { Table } from "./data.ts";
import { h, fill, type Child } from "./dom.ts";
import { Grid } from "./grid.ts";
import { readSvg } from "./svg.ts";
import { nothing, code, type Panel } from "./tables.ts";
import { natural } from "./data.ts";
import { whole } from "./format.ts";
import type { Session } from "./session.ts";
import type { WireDrawing } from "./wire.ts";

const STAGES: Record<string, string> = {
  dynamo: "as Dynamo traced it",
  pre_grad: "before autograd",
  joint: "forward and backward",
  forward: "forward",
  backward: "backward",
  inference: "inference",
  post_grad: "as Inductor lowers it",
};

/** The panel of graphs. */
export function graphPanel(session: Session): Panel {
  const table = session.table("graphs");
  if (table.count === 0) return { element: nothing(table, "No graph was recorded.") };
  const compiles = table.column("compile_id")?.words ?? [];
  const ids = compiles.sort(natural);
  const compile = h("select", { "aria-label": "Compile", onchange: () => stages() }, ...ids.map((id) => h("option", { value: id }, id)));
  const stage = h("select", { "aria-label": "Stage", onchange: () => show() });
  const drawing = h("div", { class: "drawing-holder" });
  const nodes = h("div", { class: "nodes-holder" });
  const text = h("div", {});
  const printout = h("details", { class: "printout", ontoggle: () => printed() }, h("summary", {}, "torch's printout"), text);
  let generation = 0;

  const stages = (): void => {
    const rows = [...table.select("")].filter((row) => table.text("compile_id", row) === compile.value);
    fill(stage, ...rows.map((row) => h("option", { value: row }, label(table, row, rows))));
    show();
  };
  const show = (): void => {
    const row = Number(stage.value);
    const mine = (generation += 1);
    fill(drawing, h("p", { class: "waiting" }, "Drawing…"));
    fill(nodes, h("p", { class: "waiting" }, "Reading the nodes…"));
    printout.open = false;
    text.textContent = "";
    let grid: Grid | null = null;
    let names = new Map<string, number>();
    void session.parts.get(`nodes:${row}`).then((part) => {
      if (mine !== generation) return;
      const found = part.table ? new Table(part.table) : null;
      grid = found && found.count > 0 ? new Grid(found, { noun: "nodes", choices: [{ key: "op" }] }, session.signal) : null;
      const column = found?.column("name");
      names = new Map(found && column ? [...found.select("")].map((at) => [column.text(at), at]) : []);
      fill(nodes, part.problem !== null && h("p", { class: "note" }, part.problem), grid?.element);
    });
    void session.parts.get(`drawing:${row}`).then((part) => {
      if (mine !== generation) return;
      const picked = (title: string): void => {
        const words = title.split("\n").flatMap((line) => [line.trim(), (line.split(" … ")[0] ?? "").trim()]);
        const at = words.map((word) => names.get(word)).find((row) => row !== undefined);
        if (at !== undefined) grid?.reveal(at);
      };
      fill(drawing, part.problem !== null && h("p", { class: "note" }, part.problem), part.drawing && draw(part.drawing, picked));
    });
  };
  const printed = (): void => {
    if (!printout.open || text.hasChildNodes()) return;
    fill(text, h("p", { class: "waiting" }, "Reading…"));
    void session.parts.get(`graphs:${Number(stage.value)}`).then((part) =>
      fill(text, part.problem !== null && h("p", { class: "note" }, part.problem), part.text !== null && code(part.text, "torch's printout", "python")),
    );
  };
  stages();
  return {
    element: h("div", { class: "prose graph" }, h("div", { class: "bar" }, h("label", {}, "Compile ", compile), h("label", {}, "Stage ", stage)), drawing, nodes, printout),
    filter: (id) => {
      if (!ids.includes(id)) return;
      compile.value = id;
      stages();
    },
    reveal: (row) => {
      compile.value = table.text("compile_id", row);
      stages();
      stage.value = String(row);
      show();
    },
  };
}

function label(table: Table, row: number, rows: number[]): string {
  const stage = table.text("stage", row);
  const alone = rows.filter((other) => table.text("stage", other) === stage).length === 1;
  const words = STAGES[stage];
  return `${stage}${words === undefined ? "" : `: ${words}`}${alone ? "" : ` (${table.text("name", row)})`}`;
}

/** A drawing to zoom and to move: it scrolls, buttons and ctrl with the wheel zoom, and it can be dragged. */
function draw(drawing: WireDrawing, picked: (title: string) => void): Child {
  let drawn;
  try {
    drawn = readSvg(drawing.svg);
  } catch (error) {
    return h("p", { class: "note" }, `The drawing cannot be shown: ${String(error)}`);
  }
  const { svg, sheet } = drawn;
  const box = svg.viewBox.baseVal;
  const size = { width: Number(svg.getAttribute("width")) || box?.width || 400, height: Number(svg.getAttribute("height")) || box?.height || 300 };
  const stage = h("div", { class: "stage" });
  const shadow = stage.attachShadow({ mode: "open" });
  const rules = new CSSStyleSheet();
  rules.replaceSync(`:host{display:block}svg{display:block;margin:0 auto}${sheet}`);
  shadow.adoptedStyleSheets = [rules];
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `A drawing of the graph: ${whole(drawing.visible)} of ${whole(drawing.total)} nodes are shown; the table below lists them all`);
  shadow.appendChild(svg);
  const view = h("div", { class: "drawing", tabindex: 0, role: "region", "aria-label": "Drawing of the graph" }, stage);
  const zoom = zoomer(view, svg, stage, size);
  draggable(view);
  svg.addEventListener("click", (event) => {
    const title = (event.target as Element).closest(".node")?.querySelector("title")?.textContent;
    if (title) picked(title);
  });
  const button = (title: string, word: string, act: () => void): HTMLElement => h("button", { type: "button", title, "aria-label": title, onclick: act }, word);
  return h(
    "figure",
    {},
    h("div", { class: "zoom" }, button("Zoom out", "−", () => zoom.by(0.8)), button("Zoom in", "+", () => zoom.by(1.25)), button("Fit the width", "Fit", zoom.fit), button("1:1, natural size", "1:1", () => zoom.to(1))),
    view,
    drawing.note !== null && h("figcaption", {}, drawing.note),
  );
}

interface Zoom {
  by: (factor: number) => void;
  to: (scale: number) => void;
  fit: () => void;
}

function zoomer(view: HTMLElement, svg: SVGSVGElement, stage: HTMLElement, size: { width: number; height: number }): Zoom {
  let scale = 1;
  const to = (next: number): void => {
    const before = scale;
    const x = view.scrollLeft + view.clientWidth / 2;
    const y = view.scrollTop + view.clientHeight / 2;
    scale = Math.min(Math.max(next, 0.05), 4);
    svg.setAttribute("width", String(size.width * scale));
    svg.setAttribute("height", String(size.height * scale));
    stage.style.minWidth = `${size.width * scale}px`;
    view.scrollLeft = (x * scale) / before - view.clientWidth / 2;
    view.scrollTop = (y * scale) / before - view.clientHeight / 2;
  };
  const fit = (): void => {
    to(Math.min((view.clientWidth - 24) / size.width, 1.2));
    view.scrollTop = 0;
  };
  const by = (factor: number): void => to(scale * factor);
  view.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      by(event.deltaY < 0 ? 1.15 : 0.87);
    },
    { passive: false },
  );
  view.addEventListener("keydown", (event) => {
    const act = { "+": () => by(1.25), "=": () => by(1.25), "-": () => by(0.8), "0": fit }[event.key];
    if (!act || event.ctrlKey || event.metaKey) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  });
  to(1);
  requestAnimationFrame(() => to(Math.min(Math.max((view.clientWidth - 24) / size.width, 0.5), 1)));
  return { by, to, fit };
}

function draggable(view: HTMLElement): void {
  let from: { x: number; y: number; left: number; top: number } | null = null;
  view.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch") return;
    from = { x: event.clientX, y: event.clientY, left: view.scrollLeft, top: view.scrollTop };
  });
  view.addEventListener("pointermove", (event) => {
    if (!from) return;
    const far = Math.abs(event.clientX - from.x) + Math.abs(event.clientY - from.y) > 4;
    if (far && !view.hasPointerCapture(event.pointerId)) view.setPointerCapture(event.pointerId);
    view.scrollLeft = from.left + from.x - event.clientX;
    view.scrollTop = from.top + from.y - event.clientY;
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) view.addEventListener(end, () => (from = null));
}
