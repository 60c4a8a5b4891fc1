// The phases of a compile as bars: one strip for a row of a table, all depths for its details.

import { h } from "./dom.ts";
import { duration } from "./format.ts";
import type { Table } from "./data.ts";

export interface Span {
  name: string;
  start: number;
  elapsed: number;
  depth: number;
  /** Its time less that of the phases within it. */
  self: number;
}

/** The spans of a table of phases, with their own time. */
export function spans(phases: Table): Span[] {
  const names = phases.column("name");
  const starts = phases.column("start_ns");
  const times = phases.column("elapsed_ns");
  const depths = phases.column("depth");
  const found: Span[] = [];
  for (let row = 0; row < phases.count; row += 1) {
    const elapsed = Number(times?.value(row) ?? 0);
    found.push({
      name: names?.text(row) ?? "",
      start: Number(starts?.value(row) ?? 0),
      elapsed,
      depth: Number(depths?.value(row) ?? 0),
      self: elapsed,
    });
  }
  const around: Span[] = [];
  for (const span of [...found].sort((a, b) => a.start - b.start || a.depth - b.depth)) {
    while (around.length > 0 && (around[around.length - 1]?.depth ?? 0) >= span.depth) around.pop();
    const parent = around[around.length - 1];
    if (parent) parent.self = Math.max(parent.self - span.elapsed, 0);
    around.push(span);
  }
  return found;
}

const LEAST = 0.02;
const REST = "shorter phases";

/** Own time by name, in order of first start; names of less than a fiftieth of all are summed at the end. */
export function shares(found: Span[]): { name: string; ns: number }[] {
  const sums = new Map<string, number>();
  for (const span of [...found].sort((a, b) => a.start - b.start)) sums.set(span.name, (sums.get(span.name) ?? 0) + span.self);
  const all = [...sums].map(([name, ns]) => ({ name, ns }));
  const least = LEAST * all.reduce((sum, { ns }) => sum + ns, 0);
  const rest = all.reduce((sum, { ns }) => sum + (ns < least ? ns : 0), 0);
  return [...all, { name: REST, ns: rest }].filter(({ name, ns }) => ns > 0 && (ns >= least || name === REST));
}

const hues = new Map<string, number>();

/** One of eight colours, the same for a name wherever it stands; names that are met one after the other differ. */
export function hue(name: string): string {
  if (name === REST) return "hue-none";
  const known = hues.get(name) ?? hues.size % 8;
  hues.set(name, known);
  return `hue-${known}`;
}

/** Own times side by side; `whole` is the time that fills the width. */
export function strip(found: Span[], whole: number): HTMLElement {
  const parts = shares(found);
  const total = parts.reduce((sum, { ns }) => sum + ns, 0);
  const bar = h("span", { class: "strip", role: "img", "aria-label": parts.map(({ name, ns }) => `${name} ${duration(ns)}`).join(", ") || "no phases" });
  bar.style.width = `${whole > 0 ? Math.max((100 * total) / whole, 1) : 0}%`;
  for (const { name, ns } of parts) {
    const part = h("span", { class: `part ${hue(name)}`, title: `${name}: ${duration(ns)}` });
    part.style.width = `${(100 * ns) / total}%`;
    bar.appendChild(part);
  }
  return bar;
}

/** All phases by depth, as wide as they took, and the same as a list. */
export function flame(found: Span[]): HTMLElement {
  const end = found.reduce((most, { start, elapsed }) => Math.max(most, start + elapsed), 0);
  const deepest = found.reduce((most, { depth }) => Math.max(most, depth), 0);
  const chart = h("div", { class: "flame", "aria-hidden": "true" });
  chart.style.height = `${(deepest + 1) * 19}px`;
  for (const span of found) {
    const box = h("div", { class: `span ${hue(span.name)}`, title: `${span.name}: ${duration(span.elapsed)}, of its own ${duration(span.self)}` }, span.name);
    box.style.left = `${(100 * span.start) / (end || 1)}%`;
    box.style.width = `${(100 * span.elapsed) / (end || 1)}%`;
    box.style.top = `${span.depth * 19}px`;
    chart.appendChild(box);
  }
  const list = h("ol", { class: "phases" });
  for (const span of found) {
    const line = h("li", {}, h("span", { class: `key ${hue(span.name)}` }), h("code", {}, span.name), h("span", { class: "dim" }, duration(span.elapsed)));
    line.style.paddingLeft = `${span.depth * 14}px`;
    list.appendChild(line);
  }
  return h("section", { class: "block" }, h("h3", {}, "Phases"), chart, list);
}
