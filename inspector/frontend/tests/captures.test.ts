import assert from "node:assert/strict";
import { test } from "node:test";

import { pays, shares, type Row } from "../src/captures.ts";

const row = (changes: Partial<Row>): Row => ({
  row: 0,
  source: "decorator",
  compile: "0/0",
  module: "",
  piece: null,
  key: "4",
  size: 4,
  mode: "FULL",
  event: "captured",
  capture: 1000,
  replay: 10,
  compiled: 30,
  eager: 60,
  pays: 50,
  replays: 0,
  without: 0,
  kernels: 3,
  at: 0,
  ...changes,
});

test("a piece of the decorator's is part of its model's call, a function of torch's is a call", () => {
  const rows = [row({ replays: 6 }), row({ piece: 0, replays: 6 }), row({ source: "torch", piece: 1, replays: 2, kernels: 1 }), row({ event: "bypassed", without: 2 })];
  assert.deepEqual(shares(rows), { graphs: 2, from: 8, all: 10, kernels: 20, unseen: 0 });
});

test("pieces that no whole model's row stands for are calls themselves", () => {
  const rows = [row({ mode: "PIECEWISE", piece: 0, replays: 3 }), row({ mode: "PIECEWISE", piece: 2, replays: 3 })];
  assert.deepEqual(shares(rows), { graphs: 2, from: 6, all: 6, kernels: 18, unseen: 0 });
});

test("what torch leaves out and nobody saw called is told; what was seen called counts", () => {
  const left = row({ source: "torch", event: "skipped", kernels: null });
  assert.deepEqual(shares([row({ replays: 2 }), left, { ...left, compile: "1/0", without: 5 }]), { graphs: 1, from: 2, all: 7, kernels: 6, unseen: 1 });
});

test("kernels that were not counted are not said to be none", () => {
  assert.equal(shares([row({ replays: 1, kernels: null })]).kernels, null);
  assert.equal(shares([row({ replays: 0, kernels: null })]).kernels, 0);
});

test("a capture pays, has paid, or never does", () => {
  assert.equal(pays(row({ replays: 7 })), "pays after 50 replays (7 so far)");
  assert.equal(pays(row({ replays: 50 })), "pays after 50 replays (has paid)");
  assert.equal(pays(row({ pays: null })), "never pays: a replay saves nothing");
  assert.equal(pays(row({ replay: null })), "");
});
