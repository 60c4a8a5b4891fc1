// What the tab Caches says of the decorator's lookups.

import assert from "node:assert/strict";
import { test } from "node:test";

import { artifactsOf } from "../src/caches.ts";
import { Table } from "../src/data.ts";
import type { WireTable } from "../src/wire.ts";

function table(columns: Record<string, (string | string[] | null)[]>): Table {
  const rows = Object.values(columns)[0]?.length ?? 0;
  const wire: WireTable = {
    name: "caches",
    title: "Caches",
    count: rows,
    total: rows,
    note: null,
    absent: null,
    columns: Object.entries(columns).map(([key, values]) => ({
      key,
      title: key,
      kind: key === "differs" ? ("list" as const) : ("text" as const),
      detail: false,
      words: values.map((value) => value ?? ""),
      codes: values.map((value, row) => (value === null || value.length === 0 ? -1 : row)),
      numbers: null,
    })),
  };
  return new Table(wire);
}

test("the decorator's lookups are told apart from torch's, and misses keep what they differ in", () => {
  const found = artifactsOf(
    table({
      cache: ["artifact", "fx_graph", "artifact", "artifact"],
      outcome: ["hit", "miss", "miss", "bypass"],
      module: ["m.A", null, "m.B", "m.C"],
      differs: [[], [], ["forward: a -> b"], []],
      reason: [null, null, "forward changed", "not kept: why"],
    }),
  );
  assert.equal(found.hits, 1);
  assert.deepEqual(
    found.misses.map(({ row, program, outcome, differs }) => ({ row, program, outcome, differs })),
    [
      { row: 2, program: "m.B", outcome: "miss", differs: ["forward: a -> b"] },
      { row: 3, program: "m.C", outcome: "bypass", differs: [] },
    ],
  );
});
