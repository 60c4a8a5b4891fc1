import assert from "node:assert/strict";
import test from "node:test";
import { layOut } from "../src/recompile_timeline.ts";

test("bars lie in order of start, as wide as they took", () => {
  const { bars, gaps } = layOut([{ start_ns: 50, elapsed_ns: 50 }, { start_ns: 0, elapsed_ns: 50 }]);
  assert.deepEqual(bars.map(({ row, left, width }) => [row, left, width]), [[1, 0, 0.5], [0, 0.5, 0.5]]);
  assert.deepEqual(gaps, []);
});

test("a long wait is cut to a tenth of the compiling, and told", () => {
  const { bars, gaps } = layOut([{ start_ns: 0, elapsed_ns: 50 }, { start_ns: 1_000_050, elapsed_ns: 50 }]);
  assert.deepEqual(gaps.map(({ ns }) => ns), [1_000_000]);
  assert.ok((gaps[0]?.left ?? 0) > 50 / 110 && (gaps[0]?.left ?? 1) < 60 / 110);
  assert.equal(bars[1]?.left, 60 / 110);
});

test("compiles that overlap stay where they began, and none is too thin to be met", () => {
  const { bars } = layOut([{ start_ns: 0, elapsed_ns: 1000 }, { start_ns: 500, elapsed_ns: 0 }]);
  assert.equal(bars[1]?.left, 0.5);
  assert.ok((bars[1]?.width ?? 0) > 0);
});

test("compiles without a start are left out, and nothing gives nothing", () => {
  assert.deepEqual(layOut([{ start_ns: null, elapsed_ns: 5 }]), { bars: [], gaps: [] });
  assert.deepEqual(layOut([]), { bars: [], gaps: [] });
});
