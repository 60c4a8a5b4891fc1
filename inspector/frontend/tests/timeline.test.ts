import assert from "node:assert/strict";
import test from "node:test";
import { Table } from "../src/data.ts";
import { shares, spans } from "../src/timeline.ts";

function phases(rows: [string, number, number, number][]): Table {
  const column = (key: string, at: 1 | 2 | 3) => ({ key, title: key, kind: "duration" as const, detail: false, words: null, codes: null, numbers: rows.map((row) => row[at]) });
  return new Table({
    name: "phases",
    title: "Phases",
    count: rows.length,
    total: rows.length,
    note: null,
    absent: null,
    columns: [
      { key: "name", title: "Phase", kind: "code", detail: false, words: rows.map((row) => row[0]), codes: rows.map((_, row) => row), numbers: null },
      column("start_ns", 1),
      column("elapsed_ns", 2),
      column("depth", 3),
    ],
  });
}

test("a phase's own time is its time less that of the phases right within it", () => {
  const found = spans(phases([["all", 0, 100, 0], ["trace", 5, 20, 1], ["backend", 30, 60, 1], ["inner", 40, 45, 2]]));
  assert.deepEqual(found.map(({ self }) => self), [20, 20, 15, 45]);
});

test("own times of one name are summed, and those of none are left out", () => {
  const found = spans(phases([["all", 0, 30, 0], ["step", 0, 10, 1], ["step", 10, 20, 1]]));
  assert.deepEqual(shares(found), [{ name: "step", ns: 30 }]);
});

test("names of less than a fiftieth of the time are summed at the end", () => {
  const found = spans(phases([["a", 0, 1, 0], ["b", 1, 98, 0], ["c", 99, 1, 0]]));
  assert.deepEqual(shares(found), [{ name: "b", ns: 98 }, { name: "shorter phases", ns: 2 }]);
});

test("clocks that disagree give no negative time", () => {
  const found = spans(phases([["all", 0, 10, 0], ["late", 5, 20, 1]]));
  assert.deepEqual(found.map(({ self }) => self), [0, 20]);
});
