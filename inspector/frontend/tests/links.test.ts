// What belongs to a row, told from the tables alone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { linkOf, linksOf } from "../src/links.ts";
import { Session } from "../src/session.ts";
import { stepLinks } from "../src/why.ts";
import type { Parts } from "../src/host.ts";
import type { Wire, WireTable } from "../src/wire.ts";

function table(name: string, rows: Record<string, string | number | string[]>[]): WireTable {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const columns = keys.map((key) => {
    const values = rows.map((row) => row[key]);
    const words: (string | string[])[] = [];
    const codes = values.map((value) => (value === undefined ? -1 : words.push(typeof value === "number" ? String(value) : value) - 1));
    return { key, title: key, kind: "text" as const, detail: false, words, codes, numbers: null };
  });
  return { name, title: name, count: rows.length, total: rows.length, columns, note: null, absent: null };
}

const FAILING = table("failing", [{ source: "L['x'].size()[0]", expr: "x", kind: "TENSOR_MATCH" }]);

function session(tables: WireTable[]): Session {
  const wire = {
    tables,
    recompiles: [{ compile_id: "0/1", function: "f", trigger: null, trigger_code: null, entries: [{ entry_id: "0/0", nearest: true, complete: true, torch_reason: null, failing: FAILING, unevaluated: table("unevaluated", []) }] }],
    not_recorded: [{ name: "Kernels", reason: "the log has none" }],
  } as unknown as Wire;
  return new Session(wire, {} as Parts, new AbortController().signal, () => undefined);
}

const TABLES = [
  table("compiles", [{ id: "0/0" }, { id: "0/1" }]),
  table("recompiles", [{ compile_id: "0/1", nearest: "0/0" }]),
  table("graphs", [{ compile_id: "0/0", stage: "dynamo" }, { compile_id: "0/0", stage: "post_grad" }]),
  table("guards", [
    { compile_id: "0/0", source: "L['x']", kind: "TENSOR_MATCH", expr: "check", location: "/a/m.py:3" },
    { compile_id: "0/0", source: "L['y']", kind: "TENSOR_MATCH", expr: "check", location: "/a/m.py:4" },
    { compile_id: "0/1", source: "L['x']", kind: "TENSOR_MATCH", expr: "check", location: "/a/m.py:3" },
  ]),
  table("dims", [{ compile_id: "0/0", source: "L['x']", dim: 0, symbol: "s77", location: "/a/m.py:3" }]),
  table("symbols", [{ compile_id: "0/0", name: "s77", sources: ["L['x'].size()[0]"], created: "/a/m.py:3" }]),
  table("traced_files", [{ file: "/a/m.py", compile_ids: ["0/0", "0/1"] }]),
  table("findings", [{ kind: "static-first", title: "f was compiled again", subjects: ["L['x'].size()[0]"], compile_ids: ["0/1"], cause: "/a/m.py:3" }]),
];

const titles = (held: Session, name: string, row: number): string[] => linksOf(held, name, row).map(({ title }) => title);

test("a dimension leads to its compile, symbol, guards, nodes and the recompile that it made", () => {
  const held = session(TABLES);
  assert.deepEqual(titles(held, "dims", 0), ["compile 0/0", "symbol s77", "s77 in the graph", "1 guard on L['x']", "its input in the graph", "failed at 0/1", "nodes of m.py:3"]);
  const [, , overlay] = linksOf(held, "dims", 0);
  assert.deepEqual(overlay?.target.pick, { symbol: "s77" });
});

test("a finding leads to its recompile, dimension, the guards of the earlier entry, and its line", () => {
  const found = linksOf(session(TABLES), "findings", 0);
  assert.deepEqual(found.map(({ title }) => title), ["recompile 0/1", "L['x'] dim 0", "1 guard on L['x']", "2 guards of this line"]);
  assert.deepEqual(found[2]?.target, { tab: "guards", table: "guards", row: 0 });
  assert.deepEqual(found[3]?.target.where, { key: "location", word: "/a/m.py:3" });
});

test("a tensor's guard leads to the recompile that one of its sizes made, another guard does not", () => {
  const held = session(TABLES);
  assert.deepEqual(titles(held, "guards", 0), ["compile 0/0", "failed at 0/1", "1 dimension", "nodes of m.py:3", "its input in the graph", "2 guards of this line"]);
  assert.ok(!titles(held, "guards", 1).some((title) => title.startsWith("failed")));
});

test("a file leads to the nodes of each graph and to its guards; a compile counts what is of it", () => {
  const held = session(TABLES);
  assert.deepEqual(titles(held, "traced_files", 0), ["nodes in 0/0", "guards of its lines", "compile 0/0", "recompile 0/1"]);
  assert.deepEqual(titles(held, "compiles", 0), ["graph", "2 guards", "1 dimension", "1 symbol", "1 traced file"]);
  assert.deepEqual(titles(held, "compiles", 1), ["why it was compiled again", "1 finding", "1 guard", "1 traced file"]);
});

test("words of a row's own fields lead to the compile and the file they name, and nowhere where there is none", () => {
  const held = session(TABLES);
  assert.deepEqual(linkOf(held, "compile_id", "0/1"), { tab: "compiles", table: "compiles", row: 1 });
  assert.deepEqual(linkOf(held, "location", "/a/m.py:3"), { tab: "files", table: "traced_files", row: 0 });
  assert.equal(linkOf(held, "location", "/b/n.py:3"), null);
  assert.equal(linkOf(held, "title", "0/1"), null);
});

test("tables without rows, and tables that were not sent, lead nowhere and break nothing", () => {
  const held = session([table("guards", [{ compile_id: "0/0", source: "L['z']" }])]);
  assert.deepEqual(titles(held, "guards", 0), []);
  assert.deepEqual(titles(held, "kernels", 0), []);
  assert.equal(held.table("kernels").absent, "the log has none");
});

test("a step of a chain leads to what it speaks of", () => {
  const held = session(TABLES);
  const step = (kind: "symbol" | "guard" | "recompile" | "finding" | "operation", text: string, location: string | null): string[] => stepLinks(held, "0/0", { kind, text, location, code: null }).map(({ title }) => title);
  assert.deepEqual(step("symbol", "it became s77 (backed, 4 at that time)", null), ["symbol s77", "in the graph"]);
  assert.deepEqual(step("guard", "TENSOR_MATCH: check", "/a/m.py:4"), ["the guard"]);
  assert.deepEqual(step("recompile", "0/1 was compiled because L['x'] changed", null), ["the recompile"]);
  assert.deepEqual(step("finding", "static-first: f was compiled again", null), ["the finding"]);
  assert.deepEqual(step("operation", "view gives [s77]", "/a/m.py:3"), ["its nodes"]);
  assert.deepEqual(step("recompile", "9/9 was compiled", null), []);
});
