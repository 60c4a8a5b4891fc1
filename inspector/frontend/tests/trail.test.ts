// Going back and forward.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Trail } from "../src/trail.ts";

test("back and forward retrace the way, and a new way forgets what was ahead", () => {
  const trail = new Trail<string>();
  assert.equal(trail.back("a"), null);
  trail.leave("a");
  trail.leave("b");
  assert.equal(trail.back("c"), "b");
  assert.equal(trail.back("b"), "a");
  assert.equal(trail.hasBefore, false);
  assert.equal(trail.forward("a"), "b");
  trail.leave("b");
  assert.equal(trail.hasAfter, false);
  assert.equal(trail.back("d"), "b");
});
