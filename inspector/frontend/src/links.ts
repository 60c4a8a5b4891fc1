// What belongs to a row: the rows of other tables, the nodes of graphs, the lines. One function a table; each link is a target and a word.

import { Table } from "./data.ts";
import { h } from "./dom.ts";
import { count, shortPlace } from "./format.ts";
import type { Session, Target } from "./session.ts";

/** Somewhere that a row leads to. */
export interface Link {
  title: string;
  target: Target;
}

type Links = (session: Session, table: Table, row: number) => (Link | null)[];

const MOST = 6;

/** A link as a button. */
export function linkButton(session: Session, { title, target }: Link): HTMLElement {
  return h("button", { type: "button", class: "link", onclick: () => session.go(target) }, title);
}

/** Everything that a row of a table leads to. */
export function linksOf(session: Session, name: string, row: number): Link[] {
  const table = session.table(name);
  const found = OF[name]?.(session, table, row) ?? [];
  return found.filter((link): link is Link => link !== null);
}

/** Where a word of a row's own fields leads: a compile's id, a file. */
export function linkOf(session: Session, key: string, text: string): Target | null {
  if (key === "compile_id" || key === "compile_ids" || key === "nearest" || key === "entries") {
    const row = session.table("compiles").find("id", text);
    return row < 0 ? null : session.to("compiles", { row });
  }
  if (key === "location" || key === "trigger" || key === "cause" || key === "created" || key === "error_location") {
    const row = session.table("traced_files").find("file", text.replace(/:\d+$/, ""));
    return row < 0 ? null : session.to("traced_files", { row });
  }
  return null;
}

/** Rows of another table whose column says a word, as one link with their number; null where there is none. */
function rowsOf(session: Session, name: string, key: string, word: string, one: string, many = `${one}s`): Link | null {
  if (word === "") return null;
  const found = session.table(name).rows({ key, word });
  if (found.length === 0) return null;
  return { title: count(found.length, one, many), target: session.to(name, found.length === 1 ? { row: found[0] ?? 0 } : { where: { key, word } }) };
}

function ofCompile(session: Session, name: string, compile: string, one: string, many?: string): Link | null {
  const key = session.table(name).column("compile_id") ? "compile_id" : "compile_ids";
  return rowsOf(session, name, key, compile, one, many);
}

function compile(session: Session, id: string): Link | null {
  const again = session.table("recompiles").find("compile_id", id);
  if (again >= 0) return { title: `recompile ${id}`, target: session.to("recompiles", { row: again }) };
  const row = session.table("compiles").find("id", id);
  return row < 0 ? null : { title: `compile ${id}`, target: session.to("compiles", { row }) };
}

const USER_STAGES = ["dynamo", "pre_grad", "joint", "forward", "inference"];

function nodes(session: Session, id: string, pick: Target["pick"], title: string, stages = USER_STAGES, direction = ""): Link | null {
  if (id === "" || !hasGraph(session, id, stages)) return null;
  return { title, target: { tab: "graph", compile: id, stages, ...(direction !== "" && { direction }), ...(pick && { pick }) } };
}

function hasGraph(session: Session, id: string, stages: string[]): boolean {
  const table = session.table("graphs");
  return table.rows({ key: "compile_id", word: id }).some((row) => stages.includes(table.text("stage", row)));
}

/** The nodes of a user's line, where the compile has a graph. */
export function nodesOfLine(session: Session, id: string, place: string, title = `nodes of ${shortPlace(place)}`, source?: string): Link | null {
  return /:\d+$/.test(place) ? nodes(session, id, { place, ...(source !== undefined && { source }) }, title) : null;
}

/** The guards that check a source in a compile; all of them where a compile is not given. */
function guardsOf(session: Session, id: string, source: string): Link | null {
  const table = session.table("guards");
  const found = table.rows({ key: "source", word: source }, ...(id === "" ? [] : [{ key: "compile_id", word: id }]));
  const [first] = found;
  const size = SIZE.exec(source);
  if (first === undefined) return size ? guardsOf(session, id, size[1] ?? "") : null;
  return { title: `${count(found.length, "guard")} on ${source}`, target: session.to("guards", found.length === 1 ? { row: first } : { ...(id !== "" && { compile: id }), where: { key: "source", word: source } }) };
}

/** The row of the guard that an entry has on a source; -1 where it is not recorded. */
export function guardRow(session: Session, id: string, source: string, expr: string): number {
  const table = session.table("guards");
  const of = (checked: string): number[] => table.rows({ key: "compile_id", word: id }, { key: "source", word: checked });
  const found = of(source);
  // A size, a stride, a dtype is checked by the guard on the tensor.
  const tensor = source.replace(/\.(?:size|stride)\(\)\[\d+\]$|\.\w+$/, "");
  return found.find((row) => table.text("expr", row) === expr) ?? found[0] ?? of(tensor).find((row) => table.text("kind", row) === "TENSOR_MATCH") ?? -1;
}

const SIZE = /^(.*)\.size\(\)\[(\d+)\]$/s;

/** The dimension that a source such as `L['x'].size()[0]` names, or those of the input itself. */
function dimsOf(session: Session, id: string, source: string): Link | null {
  const table = session.table("dims");
  const size = SIZE.exec(source);
  const only = id === "" ? [] : [{ key: "compile_id", word: id }];
  if (size) {
    const [row] = table.rows({ key: "source", word: size[1] ?? "" }, { key: "dim", word: size[2] ?? "" }, ...only).slice(-1);
    return row === undefined ? null : { title: `${size[1] ?? ""} dim ${size[2] ?? ""}`, target: session.to("dims", { row }) };
  }
  const found = table.rows({ key: "source", word: source }, ...only);
  const [row] = found;
  if (row === undefined) return null;
  return { title: count(found.length, "dimension"), target: session.to("dims", found.length === 1 ? { row } : { ...(id !== "" && { compile: id }), where: { key: "source", word: source } }) };
}

function symbolOf(session: Session, id: string, name: string): Link | null {
  const [row] = session.table("symbols").rows({ key: "compile_id", word: id }, { key: "name", word: name });
  return row === undefined ? null : { title: `symbol ${name}`, target: session.to("symbols", { row }) };
}

/** The recompiles whose call failed what a compile guards on a source; of a tensor's guard also what failed of its sizes and the like. */
function failedAt(session: Session, id: string, source: string, kind = ""): Link[] {
  const found: Link[] = [];
  session.wire.recompiles.forEach(({ compile_id: again, entries }, row) => {
    const entry = entries.find(({ entry_id: held }) => held === id);
    if (!entry) return;
    const failing = new Table(entry.failing);
    const fails = failing.rows().some((at) => {
      const what = failing.text("source", at);
      return what === source || (kind === "TENSOR_MATCH" && failing.text("kind", at) === kind && what.startsWith(`${source}.`));
    });
    if (fails) found.push({ title: `failed at ${again}`, target: session.to("recompiles", { row }) });
  });
  return found.slice(0, MOST);
}

const OF: Record<string, Links> = {
  compiles: (session, table, row) => {
    const id = table.text("id", row);
    const again = session.table("recompiles").find("compile_id", id);
    return [
      again < 0 ? null : { title: "why it was compiled again", target: session.to("recompiles", { row: again }) },
      ofCompile(session, "findings", id, "finding"),
      nodes(session, id, undefined, "graph", [...USER_STAGES, "backward", "post_grad"]),
      ofCompile(session, "guards", id, "guard"),
      ofCompile(session, "dims", id, "dimension"),
      ofCompile(session, "symbols", id, "symbol"),
      ofCompile(session, "specializations", id, "specialization"),
      ofCompile(session, "graph_breaks", id, "graph break"),
      ofCompile(session, "kernels", id, "kernel"),
      ofCompile(session, "output_code", id, "file of generated code", "files of generated code"),
      ofCompile(session, "partitions", id, "piece"),
      ofCompile(session, "ranges", id, "range"),
      ofCompile(session, "violations", id, "violation"),
      ofCompile(session, "captures", id, "capture"),
      ofCompile(session, "caches", id, "cache lookup"),
      ofCompile(session, "traced_files", id, "traced file"),
      ofCompile(session, "applied", id, "decorated module"),
    ];
  },
  findings: (session, table, row) => {
    const compiles = [...new Set(table.list("compile_ids", row))];
    const [first = ""] = compiles;
    const nearest = session.table("recompiles").text("nearest", session.table("recompiles").find("compile_id", first));
    const about = table.list("subjects", row).slice(0, MOST);
    return [
      ...compiles.slice(0, MOST).map((id) => compile(session, id)),
      ...about.flatMap((source) => [dimsOf(session, "", source), guardsOf(session, nearest, source)]),
      nodesOfLine(session, first, table.text("cause", row), undefined, about[0]),
      rowsOf(session, "guards", "location", table.text("cause", row), "guard of this line", "guards of this line"),
      table.text("kind", row) === "graph-break" ? rowsOf(session, "graph_breaks", "location", table.text("cause", row), "graph break") : null,
    ];
  },
  guards: (session, table, row) => {
    const id = table.text("compile_id", row);
    const source = table.text("source", row);
    return [
      compile(session, id),
      ...failedAt(session, id, source, table.text("kind", row)),
      source === "" ? null : dimsOf(session, id, source),
      nodesOfLine(session, id, table.text("location", row)),
      source === "" ? null : nodes(session, id, { source }, "its input in the graph", ["dynamo"]),
      rowsOf(session, "guards", "location", table.text("location", row), "guard of this line", "guards of this line"),
    ];
  },
  dims: (session, table, row) => {
    const id = table.text("compile_id", row);
    const source = table.text("source", row);
    const symbol = table.text("symbol", row);
    return [
      compile(session, id),
      symbol === "" ? null : symbolOf(session, id, symbol),
      symbol === "" ? null : nodes(session, id, { symbol }, `${symbol} in the graph`),
      guardsOf(session, id, source),
      nodes(session, id, { source }, "its input in the graph", ["dynamo"]),
      ...failedAt(session, id, `${source}.size()[${table.text("dim", row)}]`),
      nodesOfLine(session, id, table.text("location", row)),
    ];
  },
  symbols: (session, table, row) => {
    const id = table.text("compile_id", row);
    const name = table.text("name", row);
    const dims = session.table("dims").rows({ key: "compile_id", word: id }, { key: "symbol", word: name });
    return [
      compile(session, id),
      nodes(session, id, { symbol: name }, `${name} in the graph`),
      dims.length === 0 ? null : { title: count(dims.length, "dimension"), target: session.to("dims", { compile: id, where: { key: "symbol", word: name } }) },
      ...pins(session, id, name),
      nodesOfLine(session, id, table.text("created", row)),
    ];
  },
  specializations: (session, table, row) => {
    const id = table.text("compile_id", row);
    return [
      compile(session, id),
      symbolOf(session, id, table.text("symbol", row)),
      ...table.list("sources", row).slice(0, MOST).map((source) => dimsOf(session, id, source)),
      nodesOfLine(session, id, table.text("location", row)),
      rowsOf(session, "guards", "location", table.text("location", row), "guard of this line", "guards of this line"),
    ];
  },
  graph_breaks: (session, table, row) => {
    const id = table.text("compile_id", row);
    return [
      compile(session, id),
      nodes(session, id, undefined, "the graph up to it"),
      rowsOf(session, "findings", "cause", table.text("location", row), "finding"),
    ];
  },
  traced_files: (session, table, row) => {
    const file = table.text("file", row);
    const compiles = table.list("compile_ids", row);
    const guards = session.table("guards");
    const here = guards.rows().some((at) => guards.text("location", at).replace(/:\d+$/, "") === file);
    return [
      ...compiles.slice(0, MOST).map((id) => nodes(session, id, { place: file }, `nodes in ${id}`)),
      here ? { title: "guards of its lines", target: session.to("guards", { search: `${shortPlace(file)}:` }) } : null,
      ...compiles.slice(0, MOST).map((id) => compile(session, id)),
    ];
  },
  kernels: (session, table, row) => {
    const id = table.text("compile_id", row);
    const direction = table.text("direction", row);
    const lowered = table.list("node_names", row);
    const origin = table.list("origin_names", row);
    const code = session.table("output_code").rows({ key: "compile_id", word: id }, { key: "direction", word: direction });
    return [
      compile(session, id),
      lowered.length === 0 ? null : nodes(session, id, { names: lowered }, `${count(lowered.length, "node")} it computes`, ["post_grad"], direction),
      origin.length === 0 ? null : nodes(session, id, { names: origin }, `${count(origin.length, "node")} of Dynamo's graph`, ["dynamo"]),
      code[0] === undefined ? null : { title: "the code that calls it", target: session.to("output_code", { row: code[0] }) },
    ];
  },
  output_code: (session, table, row) => {
    const id = table.text("compile_id", row);
    return [compile(session, id), ofCompile(session, "kernels", id, "kernel"), nodes(session, id, undefined, "the graph it came from", ["post_grad"], table.text("direction", row))];
  },
  applied: (session, table, row) => [
    ...table.list("compile_ids", row).slice(0, MOST).map((id) => compile(session, id)),
    rowsOf(session, "violations", "class_name", table.text("class_name", row), "violation"),
    rowsOf(session, "partitions", "module", table.text("module", row), "piece"),
    rowsOf(session, "ranges", "module", table.text("module", row), "range"),
  ],
  violations: (session, table, row) => {
    const id = table.text("compile_id", row);
    return [compile(session, id), guardsOf(session, id, table.text("source", row)), nodesOfLine(session, id, table.text("location", row)), rowsOf(session, "findings", "cause", table.text("location", row), "finding")];
  },
  partitions: (session, table, row) => {
    const id = table.text("compile_id", row);
    const names = table.list("nodes", row);
    const direction = table.text("by", row) === "inductor" && table.text("graph", row) === "1" ? "backward" : "";
    const stages = table.text("by", row) === "inductor" ? ["post_grad"] : USER_STAGES;
    return [
      compile(session, id),
      names.length === 0 ? null : nodes(session, id, { names }, `${count(names.length, "node")} in the graph`, stages, direction),
      ofCompile(session, "ranges", id, "range"),
    ];
  },
  ranges: (session, table, row) => {
    const id = table.text("compile_id", row);
    const piece = session.table("partitions").rows({ key: "compile_id", word: id }, { key: "index", word: table.text("partition", row) })[0];
    return [compile(session, id), piece === undefined ? null : { title: `piece ${table.text("partition", row)}`, target: session.to("partitions", { row: piece }) }];
  },
  captures: (session, table, row) => [compile(session, table.text("compile_id", row)), ofCompile(session, "partitions", table.text("compile_id", row), "piece")],
  caches: (session, table, row) => [compile(session, table.text("compile_id", row))],
  guard_costs: (session, table, row) => [compile(session, table.text("compile_id", row)), ofCompile(session, "guards", table.text("compile_id", row), "guard"), ofCompile(session, "guard_filters", table.text("compile_id", row), "filter")],
  guard_filters: (session, table, row) => [compile(session, table.text("compile_id", row)), ofCompile(session, "guard_costs", table.text("compile_id", row), "measurement")],
};

function pins(session: Session, id: string, symbol: string): (Link | null)[] {
  const [row] = session.table("specializations").rows({ key: "compile_id", word: id }, { key: "symbol", word: symbol });
  return [row === undefined ? null : { title: "what pinned it", target: session.to("specializations", { row }) }];
}
