// CUDA graphs: how many calls ran from one, what a replay saves for each size, which pieces are held, when what was captured, and the table.

import type { Table } from "./data.ts";
import { h, type Child } from "./dom.ts";
import { count, duration, whole } from "./format.ts";
import { layOut } from "./recompile_timeline.ts";
import { tablePanel, type Panel } from "./tables.ts";
import type { Session } from "./session.ts";

const MOST = 80;

/** One row of the table, as the charts read it. */
export interface Row {
  row: number;
  source: string;
  compile: string;
  module: string;
  piece: number | null;
  key: string;
  size: number | null;
  mode: string;
  event: string;
  capture: number | null;
  replay: number | null;
  compiled: number | null;
  eager: number | null;
  pays: number | null;
  replays: number;
  without: number;
  kernels: number | null;
  at: number | null;
}

/** The table's rows. */
export function rowsOf(table: Table): Row[] {
  const number = (key: string, row: number): number | null => {
    const value = table.column(key)?.value(row);
    return typeof value === "number" ? value : null;
  };
  return Array.from({ length: table.count }, (_, row) => ({
    row,
    source: table.text("source", row),
    compile: table.text("compile_id", row),
    module: table.text("module", row),
    piece: number("partition", row),
    key: table.text("key", row),
    size: number("size", row),
    mode: table.text("mode", row),
    event: table.text("event", row),
    capture: number("capture_ns", row),
    replay: number("replay_ns", row),
    compiled: number("compiled_ns", row),
    eager: number("eager_ns", row),
    pays: number("break_even", row),
    replays: number("replay_count", row) ?? 0,
    without: number("call_count", row) ?? 0,
    kernels: number("kernel_count", row),
    at: number("at_ns", row),
  }));
}

const batch = (row: Row): string => JSON.stringify([row.source, row.compile, row.mode, row.key]);

/** The rows that stand for calls of their own: a piece of the decorator's does not where it is called within a whole model's. */
function callsOf(rows: Row[]): Row[] {
  const whole = new Set(rows.filter((row) => row.piece === null).map(batch));
  return rows.filter((row) => row.piece === null || row.source === "torch" || !whole.has(batch(row)));
}

/** Whether there is a graph that calls can run from. */
function hasGraph(row: Row): boolean {
  return row.event === "captured" || row.event === "re-recorded";
}

/** How much ran from graphs. */
export interface Share {
  /** CUDA graphs: of a model in pieces, one a piece. */
  graphs: number;
  /** Calls that ran from one, of all that were counted. */
  from: number;
  all: number;
  /** Kernels that they launched; null where those of some graph were not counted. */
  kernels: number | null;
  /** Compiled graphs that torch captures none of, and no call of which was seen. */
  unseen: number;
}

/** What the rows tell together, as `analyze.capture_shares` does. */
export function shares(rows: Row[]): Share {
  const own = callsOf(rows);
  const split = new Set(rows.filter((row) => row.piece !== null && row.source !== "torch").map(batch));
  const from = own.reduce((sum, row) => sum + row.replays, 0);
  const unknown = own.some((row) => row.replays > 0 && row.kernels === null);
  const kernels = own.reduce((sum, row) => sum + row.replays * (row.kernels ?? 0), 0);
  return {
    graphs: rows.filter((row) => hasGraph(row) && (row.piece !== null || !split.has(batch(row)))).length,
    from,
    all: from + own.reduce((sum, row) => sum + row.without, 0),
    kernels: unknown ? null : kernels,
    unseen: own.filter((row) => row.source === "torch" && row.event === "skipped" && row.without === 0).length,
  };
}

/** The tab. */
export function capturesPanel(session: Session): Panel {
  const table = session.table("captures");
  const panel = tablePanel(session, "captures", { noun: "graphs and reasons", choices: [{ key: "event" }, { key: "mode" }, { key: "compile_id" }, { key: "partition" }] }, none(session));
  if (table.count === 0) return panel;
  const rows = rowsOf(table);
  const reveal = (row: number): void => panel.show?.({ tab: "captures", row });
  const above = h("div", { class: "captures" }, summary(rows), sizes(rows, reveal), pieces(session, rows), timeline(rows, reveal));
  return { ...panel, element: h("div", { class: "stack" }, above, panel.element) };
}

/** Why nothing was captured. */
function none(session: Session): string {
  const gpu = session.wire.environment.versions.some(({ name }) => name === "GPU");
  if (!gpu) return "Nothing was captured: there is no CUDA GPU where this was recorded.";
  return "Nothing was captured: nothing asked for CUDA graphs. applied.capture(sizes=[…]) and torch.compile(mode=\"reduce-overhead\") do.";
}

function summary(rows: Row[]): HTMLElement {
  const { graphs, from, all, kernels, unseen } = shares(rows);
  const said = all === 0 ? ["no call was counted while this was recorded"] : [`${whole(from)} of ${count(all, "call")} of code that was asked to have some (${Math.round((100 * from) / all)} %) ran from one${kernels ? `, which launched ${count(kernels, "kernel")}` : ""}`];
  if (kernels === null) said.push("the kernels in some of the graphs were not counted");
  if (unseen > 0) said.push(`no call was seen of ${count(unseen, "compiled graph")} that torch leaves out, which says nothing of whether there was one`);
  return h("p", { class: "captures-share" }, h("strong", {}, count(graphs, "CUDA graph")), `; ${said.join("; ")}.`);
}

/** A bar for each time of each size that was measured, and after how many replays its capture has paid for itself; by module, each to its own scale. */
function sizes(rows: Row[], reveal: (row: number) => void): Child {
  const timed = rows.filter((row) => row.piece === null && row.replay !== null).sort((a, b) => (a.size ?? 0) - (b.size ?? 0) || a.row - b.row);
  if (timed.length === 0) return null;
  const modules = new Map<string, Row[]>();
  for (const row of timed.slice(0, MOST)) modules.set(row.module, [...(modules.get(row.module) ?? []), row]);
  const key = (kind: string, title: string): HTMLElement => h("span", { class: "time-key" }, h("span", { class: `time ${kind}` }), title);
  const several = modules.size > 1;
  const groups = [...modules].flatMap(([module, held]) => [several && h("h4", {}, h("code", {}, module === "" ? held[0]?.compile : module)), h("ul", { class: "sizes" }, ...lines(held, reveal))]);
  return h(
    "section",
    { "aria-label": "Times by size" },
    h("h3", {}, "One call, by batch size"),
    h("p", { class: "dim time-keys" }, key("eager", "eager"), key("compiled", "compiled"), key("replay", "from the graph")),
    ...groups,
    timed.length > MOST && h("p", { class: "dim" }, `${count(timed.length - MOST, "more size")} in the table.`),
  );
}

function lines(held: Row[], reveal: (row: number) => void): HTMLElement[] {
  const longest = Math.max(...held.flatMap((row) => [row.replay ?? 0, row.compiled ?? 0, row.eager ?? 0]), 1);
  const bar = (kind: string, title: string, ns: number | null): Child => {
    if (ns === null) return null;
    const fillIn = h("span", { class: `time ${kind}` });
    fillIn.style.width = `${Math.max((82 * ns) / longest, 0.5)}%`;
    return h("span", { class: "time-line", title: `${title}: ${duration(ns)}` }, fillIn, h("span", { class: "time-text" }, duration(ns)));
  };
  return held.map((row) =>
    h(
      "li",
      {},
      h("button", { type: "button", class: "link size-name", onclick: () => reveal(row.row), "aria-label": `Show ${row.key} ${row.mode}` }, h("strong", {}, row.key), ` ${row.mode}`),
      h("span", { class: "times", role: "img", "aria-label": spoken(row) }, bar("eager", "eager", row.eager), bar("compiled", "compiled", row.compiled), bar("replay", "replay", row.replay)),
      h("span", { class: "pays" }, pays(row)),
    ),
  );
}

function spoken(row: Row): string {
  const said = [["eager", row.eager], ["compiled", row.compiled], ["from the graph", row.replay]] as const;
  return said.flatMap(([name, ns]) => (ns === null ? [] : [`${name} ${duration(ns)}`])).join(", ");
}

/** When a capture has paid for itself. */
export function pays(row: Pick<Row, "pays" | "replays" | "replay" | "compiled">): string {
  if (row.compiled === null || row.replay === null) return "";
  if (row.pays === null) return "never pays: a replay saves nothing";
  const done = row.replays >= row.pays ? "has paid" : `${whole(row.replays)} so far`;
  return `pays after ${count(row.pays, "replay")} (${done})`;
}

/** Each partitioned graph as a strip of its pieces: what a graph holds, and what lies outside. A piece leads to its nodes. */
function pieces(session: Session, rows: Row[]): Child {
  const table = session.table("partitions");
  const graphs = new Map<string, number[]>();
  for (let row = 0; row < table.count; row += 1) {
    const compile = table.text("compile_id", row);
    if (!rows.some((one) => one.compile === compile && one.piece !== null)) continue;
    const key = `${compile} ${table.text("by", row)} ${table.text("graph", row)}`;
    graphs.set(key, [...(graphs.get(key) ?? []), row]);
  }
  const split = new Set([...graphs].flatMap(([key, held]) => (key.includes(" fx ") && held.length > 1 ? [key.split(" ")[0]] : [])));
  const shown = [...graphs].filter(([key]) => key.includes(" fx ") || !split.has(key.split(" ")[0]));
  if (shown.length === 0) return null;
  const strips = shown.map(([key, held]) => strip(session, table, rows, key, held));
  return h("section", { "aria-label": "Pieces" }, h("h3", {}, "What the graphs hold"), pieceKeys(), ...strips);
}

function pieceKeys(): HTMLElement {
  const key = (state: string, title: string): HTMLElement => h("span", { class: "time-key" }, h("span", { class: `piece-key piece ${state}`, "aria-hidden": "true" }), title);
  return h("p", { class: "dim time-keys" }, key("held", "in a graph (× in how many)"), key("could", "could be held, and was not captured"), key("outside", "outside any graph"));
}

function strip(session: Session, table: Table, rows: Row[], key: string, held: number[]): HTMLElement {
  const [compile = "", by = ""] = key.split(" ");
  let place = 0;
  const parts = held.map((row) => {
    const capturable = table.text("capturable", row) === "can hold it";
    const index = by === "inductor" ? place : Number(table.text("index", row));
    if (capturable) place += 1;
    const own = capturable ? rows.filter((one) => one.compile === compile && one.piece === index && one.capture !== null) : [];
    const nodes = table.column("nodes")?.value(row);
    const names = Array.isArray(nodes) ? nodes : [];
    const reason = table.text("reason", row);
    const state = own.length > 0 ? "held" : capturable ? "could" : "outside";
    const said = own.length > 0 ? `in ${count(own.length, "graph")}` : capturable ? "no graph was captured" : `outside any graph: ${reason || "no reason is known"}`;
    const title = `${table.text("name", row)}, ${count(names.length, "node")}, ${said}`;
    const stages = by === "inductor" ? ["post_grad", "inference", "forward", "dynamo"] : ["dynamo"];
    const follow = (): void => session.go(session.to("graphs", { compile, stages, pick: { names } }));
    const face = `${table.text("index", row)}${own.length > 0 ? ` × ${own.length}` : ""}`;
    const made = h("button", { type: "button", class: `piece ${state}`, title, "aria-label": `${face}: ${title}`, onclick: follow }, table.text("index", row), own.length > 0 && h("small", {}, ` × ${own.length}`));
    made.style.flexGrow = String(Math.max(Math.sqrt(names.length), 1));
    return made;
  });
  return h("div", { class: "pieces-line" }, h("code", { class: "lane-name" }, compile), h("div", { class: "pieces-strip", role: "group", "aria-label": `Pieces of ${compile}` }, ...parts));
}

/** When what was captured: a lane a compile, a bar a capture as wide as it took. */
function timeline(rows: Row[], reveal: (row: number) => void): Child {
  const timed = rows.filter((row) => row.at !== null && row.capture !== null && (row.piece === null || row.source === "torch"));
  if (timed.length < 2) return null;
  const first = Math.min(...timed.map((row) => row.at ?? 0));
  const { bars } = layOut(timed.map((row) => ({ start_ns: (row.at ?? 0) - first, elapsed_ns: row.capture })));
  const lanes = new Map<string, HTMLElement[]>();
  bars.forEach((bar) => {
    const row = timed[bar.row];
    if (!row) return;
    const title = `${row.key === "" ? row.mode : `size ${row.key}, ${row.mode}`}: ${row.event} in ${duration(row.capture ?? 0)}`;
    const made = h("button", { type: "button", class: `bar ${row.event === "re-recorded" ? "again" : "first"}`, title, "aria-label": title, onclick: () => reveal(row.row) });
    made.style.left = `min(${100 * bar.left}%, calc(100% - 6px))`;
    made.style.width = `${100 * bar.width}%`;
    const lane = row.compile === "" ? row.source : row.compile;
    lanes.set(lane, [...(lanes.get(lane) ?? []), made]);
  });
  const all = timed.reduce((sum, row) => sum + (row.capture ?? 0), 0);
  return h(
    "section",
    { "aria-label": "Captures along time" },
    h("h3", {}, `Captures along time, ${duration(all)} together`),
    h("div", { class: "lanes" }, ...[...lanes].map(([lane, held]) => h("div", { class: "lane" }, h("code", { class: "lane-name" }, lane), h("div", { class: "track" }, ...held)))),
  );
}
