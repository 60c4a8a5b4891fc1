import assert from "node:assert/strict";
import test from "node:test";
import { deflateSync } from "node:zlib";
import { Parts, unpack, type Bytes, type Model } from "../src/host.ts";

function pack(value: unknown): DataView {
  const bytes = deflateSync(JSON.stringify(value));
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

class Host implements Model {
  sent: unknown[] = [];
  private listener: ((content: unknown, buffers: Bytes[]) => void) | null = null;
  get(): unknown {
    return undefined;
  }
  set(): void {}
  save_changes(): void {}
  on(_event: string, callback: (...values: never[]) => void): void {
    this.listener = callback as unknown as (content: unknown, buffers: Bytes[]) => void;
  }
  off(): void {
    this.listener = null;
  }
  send(content: unknown): void {
    this.sent.push(content);
  }
  answer(content: unknown, ...buffers: Bytes[]): void {
    this.listener?.(content, buffers);
  }
  get listening(): boolean {
    return this.listener !== null;
  }
}

test("a payload is read compressed and as it is, whatever view it comes in", async () => {
  assert.deepEqual(await unpack(pack({ a: [1, "é"] })), { a: [1, "é"] });
  assert.deepEqual(await unpack(new TextEncoder().encode('{"a":1}')), { a: 1 });
  assert.deepEqual(await unpack(new TextEncoder().encode('{"a":1}').buffer as ArrayBuffer), { a: 1 });
});

test("a part is asked for once, and its answer is kept", async () => {
  const host = new Host();
  const parts = new Parts(host, {}, new AbortController().signal);
  const first = parts.get("nodes:0");
  const second = parts.get("nodes:0");
  host.answer({ type: "part", key: "nodes:0" }, pack({ key: "nodes:0", text: "here" }));
  assert.equal((await first).text, "here");
  assert.equal((await second).text, "here");
  assert.deepEqual(host.sent, [{ type: "part", key: "nodes:0" }]);
});

test("a part that a page leaves out says why, and nobody is asked", async () => {
  const host = new Host();
  const parts = new Parts(host, { "nodes:1": "too many" }, new AbortController().signal);
  assert.equal((await parts.get("nodes:1")).problem, "too many");
  assert.deepEqual(host.sent, []);
});

test("a damaged answer is a problem, not an error", async () => {
  const host = new Host();
  const parts = new Parts(host, {}, new AbortController().signal);
  const asked = parts.get("kernels:0");
  host.answer({ type: "part", key: "kernels:0" }, new Uint8Array([0x78, 1, 2, 3]));
  assert.match((await asked).problem ?? "", /cannot be read/);
  const empty = parts.get("kernels:1");
  host.answer({ type: "part", key: "kernels:1" });
  assert.match((await empty).problem ?? "", /does not hold it/);
});

test("nobody listens any more once the view is gone", () => {
  const host = new Host();
  const gone = new AbortController();
  new Parts(host, {}, gone.signal);
  assert.equal(host.listening, true);
  gone.abort();
  assert.equal(host.listening, false);
});

test("a kernel that does not answer is named after a while, and can be asked again", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const host = new Host();
  const parts = new Parts(host, {}, new AbortController().signal);
  const asked = parts.get("nodes:0");
  context.mock.timers.tick(20_000);
  assert.match((await asked).problem ?? "", /does not answer/);
  void parts.get("nodes:0");
  assert.equal(host.sent.length, 2);
});

test("bytes come as they are, and a problem in their place is an error", async () => {
  const host = new Host();
  const parts = new Parts(host, { "explore:9": "too many nodes" }, new AbortController().signal);
  const found = parts.bytes("explore:0");
  host.answer({ type: "part", key: "explore:0" }, new Uint8Array([0x78, 1, 2]));
  assert.deepEqual([...(await found)], [0x78, 1, 2]);
  const refused = parts.bytes("explore:1");
  host.answer({ type: "part", key: "explore:1" }, new TextEncoder().encode('{"key":"explore:1","problem":"no such graph"}'));
  await assert.rejects(refused, /no such graph/);
  await assert.rejects(parts.bytes("explore:9"), /too many nodes/);
});
