// When what was compiled: a lane a function, a bar a compile as wide as it took, and for the chosen one which guards failed and what changed.

import { Table } from "./data.ts";
import { fill, h, newId, type Child } from "./dom.ts";
import { Grid } from "./grid.ts";
import { count, duration, shortPlace } from "./format.ts";
import { reasons } from "./overview.ts";
import type { Session } from "./session.ts";
import type { WireTimeline } from "./wire.ts";

const MOST = 400;
const LEAST_PART = 0.004;

export interface Bar {
  /** The row of the compile. */
  row: number;
  /** Where it begins and how wide it is, of the width of all. */
  left: number;
  width: number;
  start: number;
  elapsed: number;
}

export interface Gap {
  left: number;
  ns: number;
}

/** Bars in order of start. Waits between compiles that are longer than a tenth of all compiling are cut to that, and told as gaps. */
export function layOut(timelines: Pick<WireTimeline, "start_ns" | "elapsed_ns">[]): { bars: Bar[]; gaps: Gap[] } {
  const timed = timelines
    .map(({ start_ns: start, elapsed_ns: elapsed }, row) => ({ row, start, elapsed: Math.max(elapsed ?? 0, 0) }))
    .filter((one): one is { row: number; start: number; elapsed: number } => one.start !== null)
    .sort((a, b) => a.start - b.start || a.row - b.row);
  const longest = Math.max(timed.reduce((sum, { elapsed }) => sum + elapsed, 0) / 10, 1);
  const placed: { row: number; at: number; start: number; elapsed: number }[] = [];
  const cuts: { at: number; ns: number }[] = [];
  let at = 0;
  let end = timed[0]?.start ?? 0;
  let cut = 0;
  for (const one of timed) {
    const wait = one.start - end;
    if (wait > longest) {
      cuts.push({ at: end - (timed[0]?.start ?? 0) - cut + longest / 2, ns: wait });
      cut += wait - longest;
    }
    at = one.start - (timed[0]?.start ?? 0) - cut;
    placed.push({ row: one.row, at, start: one.start, elapsed: one.elapsed });
    end = Math.max(end, one.start + one.elapsed);
  }
  const whole = Math.max(...placed.map((one) => one.at + one.elapsed), 1);
  return {
    bars: placed.map(({ row, at: from, start, elapsed }) => ({ row, left: from / whole, width: Math.max(elapsed / whole, LEAST_PART), start, elapsed })),
    gaps: cuts.map(({ at: from, ns }) => ({ left: from / whole, ns })),
  };
}

/** The timeline; null where no compile has a start. */
export function recompileTimeline(session: Session, show: (row: number) => void): HTMLElement | null {
  const compiles = session.table("compiles");
  const { bars, gaps } = layOut(session.wire.timelines.slice(0, MOST));
  if (bars.length === 0) return null;
  const recompiles = new Map(session.wire.recompiles.map((one, row) => [one.compile_id, row]));
  const lanes = new Map<string, Bar[]>();
  for (const bar of bars) {
    const lane = `${compiles.text("function", bar.row)} ${compiles.text("id", bar.row).replace(/\/[^/]*$/, "")}`;
    const found = lanes.get(lane);
    if (found) found.push(bar);
    else lanes.set(lane, [bar]);
  }
  const id = newId("told");
  const told = h("div", { class: "told", id, "aria-live": "polite" }, hint());
  const changes = h("div", { class: "changes" });
  const buttons: HTMLButtonElement[] = [];
  const button = (bar: Bar): HTMLButtonElement => {
    const name = compiles.text("id", bar.row);
    const row = recompiles.get(name);
    const status = compiles.text("status", bar.row);
    const made = h("button", {
      type: "button",
      class: `bar ${status === "failed" ? "failed" : row === undefined ? "first" : "again"}`,
      "aria-label": `${name}, ${row === undefined ? "compiled" : "compiled again"}, ${duration(bar.elapsed)}`,
      "aria-describedby": id,
      onmouseenter: () => fill(told, ...describe(session, bar, row)),
      onfocus: () => fill(told, ...describe(session, bar, row)),
      onclick: () => choose(made, row),
    });
    made.style.left = `${100 * bar.left}%`;
    made.style.width = `${100 * bar.width}%`;
    made.tabIndex = buttons.length === 0 ? 0 : -1;
    buttons.push(made);
    return made;
  };
  const choose = (made: HTMLButtonElement, row: number | undefined): void => {
    for (const other of buttons) other.removeAttribute("aria-current");
    made.setAttribute("aria-current", "true");
    if (row === undefined) fill(changes, h("p", { class: "dim" }, "A first compile: there is nothing to hold it against."));
    else {
      show(row);
      difference(session, row, changes);
    }
  };
  const made = new Map(bars.map((bar) => [bar, button(bar)]));
  const rows = [...lanes].map(([lane, held]) =>
    h(
      "div",
      { class: "lane" },
      h("code", { class: "lane-name", title: lane }, lane.replace(/ [^ ]*$/, "")),
      h("div", { class: "track" }, ...gaps.map((gap) => mark(gap)), ...held.map((bar) => made.get(bar) ?? null)),
    ),
  );
  const left = session.wire.timelines.length - MOST;
  return h(
    "section",
    { class: "when", "aria-label": "Compiles along time" },
    h("div", { class: "lanes", role: "group", "aria-label": "Compiles along time; arrow keys move", onkeydown: (event) => move(event as KeyboardEvent, buttons) }, ...rows),
    left > 0 && h("p", { class: "dim" }, `The first ${MOST} compiles; ${count(left, "more", "more")} in the table of compiles.`),
    told,
    changes,
  );
}

function mark(gap: Gap): HTMLElement {
  const made = h("span", { class: "gap", title: `${duration(gap.ns)} without a compile` });
  made.style.left = `${100 * gap.left}%`;
  return made;
}

function move(event: KeyboardEvent, buttons: HTMLButtonElement[]): void {
  const at = buttons.indexOf(event.target as HTMLButtonElement);
  const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  const next = to === undefined || at < 0 ? undefined : buttons[Math.min(Math.max(to, 0), buttons.length - 1)];
  if (!next) return;
  for (const one of buttons) one.tabIndex = one === next ? 0 : -1;
  next.focus();
  event.preventDefault();
  event.stopPropagation();
}

function hint(): HTMLElement {
  return h("p", { class: "dim" }, "Each bar is a compile, as wide as it took. Point at one, or move with the arrow keys, for the guards that failed; choose it for what changed.");
}

function describe(session: Session, bar: Bar, row: number | undefined): Child[] {
  const compiles = session.table("compiles");
  const recompile = row === undefined ? undefined : session.wire.recompiles[row];
  const place = recompile?.trigger ?? compiles.text("trigger", bar.row);
  const head = h(
    "p",
    {},
    h("strong", { class: "id" }, compiles.text("id", bar.row)),
    ` ${recompile ? "compiled again" : "compiled"} in ${duration(bar.elapsed)}`,
    place !== "" && [", called from ", shortPlace(place)].join(""),
  );
  return [head, ...(recompile ? reasons(recompile) : [])];
}

function difference(session: Session, row: number, place: HTMLElement): void {
  fill(place, h("p", { class: "dim" }, "Comparing …"));
  void session.parts.get(`diff:${row}`).then((part) => {
    if (session.signal.aborted) return;
    const table = part.table === null ? null : new Table(part.table);
    if (!table) fill(place, h("p", { class: "dim" }, part.problem ?? "There is nothing to compare."));
    else if (table.count === 0) fill(place, h("p", { class: "dim" }, "The two compiles do not differ in what is recorded."));
    else fill(place, h("h4", {}, part.text ?? "What changed"), new Grid(table, { noun: "changes" }, session.signal).element);
  });
}
