import assert from "node:assert/strict";
import test from "node:test";
import { Graphviz, layoutOf, refusal, request, Silence } from "../src/explorer/graphviz.ts";
import type { LaidContainer } from "../src/explorer/layout.ts";
import type { Layered, LayerInput } from "../src/explorer/layering.ts";
import { Tidy } from "../src/explorer/tidy.ts";
import type { GraphCanvas } from "../src/explorer/view.ts";
import { Parts, type Model } from "../src/host.ts";

/** Boxes of 100 by 40; edges as pairs; one net an edge. */
function input(count: number, edges: [number, number][], port: number[] = []): LayerInput {
  return {
    count,
    width: new Float32Array(count).fill(100).map((width, box) => (port[box] ? 0 : width)),
    height: new Float32Array(count).fill(40).map((height, box) => (port[box] ? 0 : height)),
    inset: new Float32Array(count),
    open: new Uint8Array(count),
    port: Int8Array.from({ length: count }, (_, box) => port[box] ?? 0),
    source: Uint32Array.from(edges, ([from]) => from),
    exit: new Float32Array(edges.length).fill(50),
    offsets: Uint32Array.from({ length: edges.length + 1 }, (_, edge) => edge),
    targets: Uint32Array.from(edges, ([, to]) => to),
    entry: new Float32Array(edges.length).fill(NaN),
    above: new Uint32Array(0),
  };
}

/** 0 above 1 above 2, and a long edge from 0 to 2 that bows to the right of 1. */
const BOW = input(3, [[0, 1], [1, 2], [0, 2]]);
const BOW_ANSWER = {
  engine: "dot",
  positions: [[150, 20], [100, 100], [150, 180]],
  splines: [[150, 40, 140, 50, 110, 70, 100, 80], [100, 120, 110, 130, 140, 150, 150, 160], [150, 40, 200, 60, 220, 80, 220, 100, 220, 120, 200, 140, 150, 160]],
};

test("boxes take their ranks and their order from Graphviz, and a long edge passes where it drew it", () => {
  const layout = layoutOf(BOW, BOW_ANSWER.positions, BOW_ANSWER.splines) as Layered;
  assert.deepEqual([...layout.x], [50, 0, 50]);
  assert.ok((layout.y[0] as number) + 40 < (layout.y[1] as number) && (layout.y[1] as number) + 40 < (layout.y[2] as number));
  const long = [...layout.points.slice(layout.routeOffsets[2], layout.routeOffsets[3])];
  const beside = long.filter((_, at) => at % 2 === 0 && (long[at + 1] as number) >= (layout.y[1] as number) && (long[at + 1] as number) <= (layout.y[1] as number) + 40);
  assert.ok(beside.length >= 2 && beside.every((x) => Math.abs(x - 170) < 0.5), `it passes box 1 at ${beside.join(", ")}`);
  assert.ok(Math.abs(layout.width - 170.5) < 0.01);
  assert.deepEqual(long.slice(0, 2), [100, 40]);
});

test("edges of one value run apart where Graphviz draws them apart", () => {
  const fan = { ...input(3, [[0, 1], [1, 2], [0, 2]]), source: Uint32Array.from([0, 1]), offsets: Uint32Array.from([0, 2, 3]), targets: Uint32Array.from([1, 2, 2]), exit: new Float32Array(2).fill(50) };
  const layout = layoutOf(fan, BOW_ANSWER.positions, [BOW_ANSWER.splines[0], BOW_ANSWER.splines[2], BOW_ANSWER.splines[1]]) as Layered;
  const long = [...layout.points.slice(layout.routeOffsets[1], layout.routeOffsets[2])];
  assert.ok(long.some((x, at) => at % 2 === 0 && Math.abs(x - 170) < 0.5));
  assert.equal((layout.routeOffsets[1] as number) / 2, 4);
});

test("an edge that leads upwards keeps its way, whichever end Graphviz wrote first", () => {
  const back = input(3, [[0, 1], [1, 2], [2, 0]]);
  const turned = (BOW_ANSWER.splines[2] as number[]).map((_, at, all) => all[all.length - 2 - at + 2 * (at % 2)] as number);
  for (const spline of [BOW_ANSWER.splines[2], turned]) {
    const layout = layoutOf(back, BOW_ANSWER.positions, [...BOW_ANSWER.splines.slice(0, 2), spline]) as Layered;
    const points = [...layout.points.slice(layout.routeOffsets[2], layout.routeOffsets[3])];
    assert.ok(points.some((x, at) => at % 2 === 0 && Math.abs(x - 170) < 0.5));
    assert.ok((points[1] as number) > (points[points.length - 1] as number));
  }
});

test("an edge without a curve runs straight", () => {
  const layout = layoutOf(BOW, [[50, 20], [300, 100], [150, 180]], [[], [], []]) as Layered;
  assert.ok([...layout.points].every(Number.isFinite));
});

test("an answer that is no layout of these boxes is none", () => {
  const { positions, splines } = BOW_ANSWER;
  for (const [places, curves] of [[null, splines], [positions.slice(1), splines], [positions, []], [[[0, NaN], [1, 1], [2, 2]], splines], [["x", [1, 1], [2, 2]], splines], [[[0, 0], [100, 0], [0, 90]], splines]]) {
    assert.equal(layoutOf(BOW, places, curves), null);
  }
});

test("what is asked says how large boxes are and which stand at a border", () => {
  assert.deepEqual(request(input(3, [[0, 1], [1, 2]], [-1, 0, 1])), { boxes: [[1, 1], [100, 40], [1, 1]], edges: [[0, 1], [1, 2]], tops: [0], bottoms: [2], above: [] });
  assert.equal(refusal(input(400, [])), null);
  assert.match(refusal(input(401, [])) ?? "", /401/);
});

class Host implements Model {
  sent: { type: string; key: string; boxes?: unknown[] }[] = [];
  gone = false;
  private listeners = new Set<(content: unknown) => void>();
  get(): unknown {
    return undefined;
  }
  set(): void {}
  save_changes(): void {}
  on(_event: string, callback: (...values: never[]) => void): void {
    this.listeners.add(callback as unknown as (content: unknown) => void);
  }
  off(_event: string, callback?: ((...values: never[]) => void) | null): void {
    this.listeners.delete(callback as unknown as (content: unknown) => void);
  }
  send(content: unknown): void {
    if (this.gone) throw new Error("the comm is closed");
    this.sent.push(content as { type: string; key: string });
  }
  answer(content: object): void {
    for (const listener of [...this.listeners]) listener(content);
  }
}

/** A canvas with a root that holds container 1, which holds container 2; each has three boxes, and another key once what it holds is laid out anew. */
class Canvas {
  readonly put = new Map<string, Layered | null>();
  said: (string | null)[] = [];
  relaid = 0;
  readonly events = new Map<string, () => void>();
  readonly state = { selectedGroup: null as string | null, expanded: new Set(["a", "a.b"]), on: (event: string, act: () => void) => void this.events.set(event, act) };
  readonly tree = { at: (path: string) => ["", "a", "a.b"].indexOf(path) };
  containers(trial: ReadonlyMap<string, Layered>): Promise<LaidContainer[]> {
    const known = (key: string): boolean => trial.has(key) || this.prefers(key);
    const inner = "b";
    const middle = known(inner) ? "a+" : "a";
    const root = known(middle) ? `root${middle}` : "root";
    return Promise.resolve([inner, middle, root].map((key, at) => ({ key, box: 2 - at, parent: 1 - at, ref: 2 - at, input: BOW })));
  }
  prefer(key: string, layout: Layered | null): void {
    this.put.set(key, layout);
  }
  prefers(key: string): boolean {
    return Boolean(this.put.get(key));
  }
  relayout(then: () => void): void {
    this.relaid += 1;
    then();
  }
  say(text: string | null): void {
    this.said.push(text);
  }
}

function tidying(): { host: Host; canvas: Canvas; tidy: Tidy; turn: () => Promise<void>; answer: (more?: object) => Promise<void> } {
  const host = new Host();
  const { signal } = new AbortController();
  const canvas = new Canvas();
  const tidy = new Tidy(canvas as unknown as GraphCanvas, new Graphviz(new Parts(host, {}, signal), signal), signal);
  const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
  const answer = async (more: object = BOW_ANSWER): Promise<void> => {
    host.answer({ type: "layout", key: host.sent[host.sent.length - 1]?.key, ...more });
    await turn();
  };
  return { host, canvas, tidy, turn, answer };
}

test("groups are laid out from the inside out, and nothing is in place before all of it is", async () => {
  const { host, canvas, tidy, turn, answer } = tidying();
  tidy.press();
  await turn();
  assert.equal(tidy.busy, true);
  assert.equal(host.sent.length, 1);
  await answer();
  assert.deepEqual([host.sent.length, canvas.put.size], [2, 0]);
  await answer();
  await answer();
  assert.deepEqual([tidy.busy, canvas.relaid, [...canvas.put.keys()]], [false, 1, ["b", "a+", "roota+"]]);
  assert.match(canvas.said.at(-1) ?? "", /^Laid out by dot in [\d.]+ s: 3 groups\.$/);
  tidy.press();
  await turn();
  assert.ok([...canvas.put.values()].every((layout) => layout === null));
  assert.equal(canvas.said.at(-1), "As it was before Graphviz.");
});

test("of an open group that is picked, what lies in it is laid out and nothing else", async () => {
  const { host, canvas, tidy, turn, answer } = tidying();
  canvas.state.selectedGroup = "a";
  tidy.press();
  await turn();
  await answer();
  await answer();
  assert.deepEqual([host.sent.length, tidy.busy, [...canvas.put.keys()]], [2, false, ["b", "a+"]]);
});

test("what is cancelled, or overtaken by another view, changes nothing, and Python drops it", async () => {
  for (const end of [({ tidy }: ReturnType<typeof tidying>) => tidy.press(), ({ canvas }: ReturnType<typeof tidying>) => canvas.events.get("expanded")?.()]) {
    const made = tidying();
    made.tidy.press();
    await made.turn();
    await made.answer();
    const { key } = made.host.sent.at(-1) as { key: string };
    end(made);
    await made.turn();
    assert.deepEqual(made.host.sent.at(-1), { type: "cancel", key });
    made.host.answer({ type: "layout", key, ...BOW_ANSWER });
    await made.turn();
    assert.deepEqual([made.tidy.busy, made.canvas.put.size, made.canvas.relaid], [false, 0, 0]);
  }
});

test("a group that Graphviz cannot lay out stays as it is, with the reason", async () => {
  const { canvas, tidy, turn, answer } = tidying();
  tidy.press();
  await turn();
  await answer({ problem: "dot: it took longer than 5 s" });
  await answer();
  await answer();
  assert.match(canvas.said.at(-1) ?? "", /2 groups\. Left as before: 1 \(dot: it took longer than 5 s\)\.$/);
});

test("without any Graphviz a reader is told, and can ask again", async () => {
  const { host, canvas, tidy, turn, answer } = tidying();
  const none = { problem: "no dot was found: install Graphviz or graphviz-pure for its layout" };
  tidy.press();
  await turn();
  for (let at = 0; at < 3; at += 1) await answer(none);
  assert.equal(canvas.said.at(-1), `Graphviz laid out nothing: ${none.problem}`);
  assert.equal(canvas.relaid, 0);
  tidy.press();
  await turn();
  assert.equal(host.sent.length, 4);
});

test("a kernel that is gone is told of at once, and one that is silent after a while", async (t) => {
  const dead = tidying();
  dead.host.gone = true;
  dead.tidy.press();
  await dead.turn();
  assert.deepEqual([dead.tidy.busy, dead.canvas.said.at(-1)], [false, "Python cannot be asked: its kernel is gone."]);
  const silent = new Host();
  const { signal } = new AbortController();
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const asked = new Graphviz(new Parts(silent, {}, signal), signal).ask(BOW, signal);
  t.mock.timers.tick(20_000);
  await assert.rejects(asked, (error) => error instanceof Silence && /does not answer/.test(error.message));
  assert.equal(silent.sent.at(-1)?.type, "cancel");
});

test("an answer to another view's request is let be, and one that is damaged is a reason", async () => {
  const { host, canvas, tidy, turn, answer } = tidying();
  tidy.press();
  await turn();
  host.answer({ type: "layout", key: "another", ...BOW_ANSWER });
  host.answer({ type: "layout" });
  await turn();
  assert.equal(host.sent.length, 1);
  await answer({ positions: "x", splines: [] });
  await answer();
  await answer();
  assert.match(canvas.said.at(-1) ?? "", /no layout of these boxes/);
});
