import assert from "node:assert/strict";
import test from "node:test";
import { Table, natural } from "../src/data.ts";
import type { WireTable } from "../src/wire.ts";

function table(): Table {
  const wire: WireTable = {
    name: "guards",
    title: "Guards",
    count: 4,
    total: 4,
    note: null,
    absent: null,
    columns: [
      { key: "compile_id", title: "Compile", kind: "id", detail: false, words: ["0/10", "0/2"], codes: [0, 1, 1, 0], numbers: null },
      { key: "source", title: "Source", kind: "code", detail: false, words: ["L['x']", "L['Mask']"], codes: [0, 1, -1, 0], numbers: null },
      { key: "sources", title: "Stands for", kind: "list", detail: false, words: [["a", "b"]], codes: [0, -1, -1, -1], numbers: null },
      { key: "time", title: "Time", kind: "duration", detail: false, words: null, codes: null, numbers: [5e6, null, 1e9, 2000] },
      { key: "at", title: "Line", kind: "location", detail: true, words: ["/a/b/model.py:3"], codes: [0, 0, 0, 0], numbers: null },
    ],
  };
  return new Table(wire);
}

test("a cell reads as text, a list joined, a duration with its unit, a place without its folders", () => {
  const made = table();
  assert.equal(made.text("source", 1), "L['Mask']");
  assert.equal(made.text("source", 2), "");
  assert.equal(made.text("sources", 0), "a, b");
  assert.equal(made.text("time", 0), "5.00 ms");
  assert.equal(made.column("at")?.brief(0), "model.py:3");
});

test("a search keeps the rows that hold every term, in any column, in any case", () => {
  const made = table();
  assert.deepEqual([...made.select("mask")], [1]);
  assert.deepEqual([...made.select("0/10 l['x")], [0, 3]);
  assert.deepEqual([...made.select("1.00 s")], []);
  assert.deepEqual([...made.select("  ")], [0, 1, 2, 3]);
});

test("a search finds details that no column shows", () => {
  assert.equal(table().select("model.py").length, 4);
});

test("a choice keeps the rows of one word", () => {
  assert.deepEqual([...table().select("", [{ key: "compile_id", word: "0/2" }])], [1, 2]);
  assert.deepEqual([...table().select("mask", [{ key: "compile_id", word: "0/10" }])], []);
  assert.equal(table().find("compile_id", "0/2"), 1);
  assert.equal(table().find("compile_id", "9/9"), -1);
});

test("texts sort as readers order them, and rows that say nothing come last either way", () => {
  const made = table();
  const all = made.select("");
  assert.deepEqual([...made.sort(all, "compile_id", "ascending")], [1, 2, 0, 3]);
  assert.deepEqual([...made.sort(all, "time", "ascending")], [3, 0, 2, 1]);
  assert.deepEqual([...made.sort(all, "time", "descending")], [2, 0, 3, 1]);
  assert.deepEqual([...all], [0, 1, 2, 3]);
});

test("numbers within texts order by value", () => {
  assert.deepEqual(["layers.10", "layers.9", "head", "0/10", "0/2"].sort(natural), ["0/2", "0/10", "head", "layers.9", "layers.10"]);
  assert.equal(natural("a", "a"), 0);
});

test("100,000 rows are searched and sorted within what a key stroke allows", () => {
  const count = 100_000;
  const words = Array.from({ length: 3000 }, (_, index) => `L['self'].layers[${index}].weight`);
  const made = new Table({
    name: "guards",
    title: "Guards",
    count,
    total: count,
    note: null,
    absent: null,
    columns: [{ key: "source", title: "Source", kind: "code", detail: false, words, codes: Array.from({ length: count }, (_, row) => row % 3000), numbers: null }],
  });
  assert.equal(made.select("layers[7].").length, 34);
  assert.equal(made.sort(made.select(""), "source", "descending")[0], 2999);
});
