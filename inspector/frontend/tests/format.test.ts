import assert from "node:assert/strict";
import test from "node:test";
import { count, duration, shortPlace, shortSource } from "../src/format.ts";

test("a duration has three digits and a unit, as in Python", () => {
  const expected: [number, string][] = [
    [0, "0 ns"], [950, "950 ns"], [512_000, "512 µs"], [83_000_000, "83.0 ms"], [999_600_000, "1.00 s"], [1_240_000_000, "1.24 s"], [12_340_000_000, "12.3 s"], [99_960_000_000, "1 min 40 s"],
  ];
  for (const [ns, text] of expected) assert.equal(duration(ns), text);
});

test("a count has its noun", () => {
  assert.equal(count(0, "compile"), "no compiles");
  assert.equal(count(1, "loss", "losses"), "1 loss");
  assert.equal(count(3012, "guard"), "3,012 guards");
});

test("a place loses its folders, a cell stays", () => {
  assert.equal(shortPlace("/home/ada/model.py:3"), "model.py:3");
  assert.equal(shortPlace("C:\\work\\model.py:3"), "model.py:3");
  assert.equal(shortPlace("In [3]:4"), "In [3]:4");
});

test("a source loses the dictionaries that modules keep their parts in", () => {
  assert.equal(shortSource("L['self']._modules['layers']._modules['0']._parameters['weight']"), "L['self'].layers[0].weight");
  assert.equal(shortSource("L['x'].size()[0]"), "L['x'].size()[0]");
});
