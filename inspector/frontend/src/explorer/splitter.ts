// A bar between two panes that changes how large one of them is, by pointer and by arrow keys.

import { h } from "../dom.ts";

/** Where the pane lies that the bar sizes, and its limits in pixels. */
export interface Split {
  pane: HTMLElement;
  label: string;
  /** The pane's place seen from the bar. */
  side: "left" | "right" | "below";
  size: number;
  least: number;
  most: number;
}

const STEP_PX = 24;

/** The bar of a pane; the pane's size is the variable `--size` on it. */
export function splitter(split: Split, signal: AbortSignal): HTMLElement {
  const { pane, label, side, least, most } = split;
  let { size } = split;
  const upright = side !== "below";
  const bar = h("div", { class: `splitter ${upright ? "upright" : "level"}`, role: "separator", tabindex: 0, "aria-label": label, "aria-orientation": upright ? "vertical" : "horizontal", "aria-valuemin": least, "aria-valuemax": most });
  const set = (next: number): void => {
    size = Math.round(Math.min(Math.max(next, least), most));
    pane.style.setProperty("--size", `${size}px`);
    bar.setAttribute("aria-valuenow", String(size));
  };
  const grows = side === "left" ? 1 : -1;
  let from: { at: number; size: number } | null = null;
  const at = (event: PointerEvent): number => (upright ? event.clientX : event.clientY);
  bar.addEventListener("pointerdown", (event) => {
    from = { at: at(event), size };
    bar.setPointerCapture(event.pointerId);
    event.preventDefault();
    bar.focus();
  });
  bar.addEventListener("pointermove", (event) => from && set(from.size + grows * (at(event) - from.at)));
  for (const end of ["pointerup", "pointercancel"] as const) bar.addEventListener(end, () => (from = null));
  bar.addEventListener(
    "keydown",
    (event) => {
      const step = upright ? { ArrowRight: STEP_PX, ArrowLeft: -STEP_PX }[event.key] : { ArrowDown: STEP_PX, ArrowUp: -STEP_PX }[event.key];
      if (step !== undefined) set(size + grows * step);
      else if (event.key === "Home") set(least);
      else if (event.key === "End") set(most);
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    { signal },
  );
  set(size);
  return bar;
}
