// Layouts by Graphviz, which Python runs: what is asked, what is made of the answer. Graphviz says in which rank boxes stand, where from
// left to right, and where long edges pass; how far apart ranks are and how edges run between them is decided as in the own layout.

import { newId } from "../dom.ts";
import type { Parts } from "../host.ts";
import { placed, type Layered, type LayerInput } from "./layering.ts";
import { properLayers } from "./proper.ts";
import { type Ranked } from "./ranks.ts";

export const MOST_BOXES = 400;
export const MOST_EDGES = 4_000;
const PATIENCE_MS = 20_000;

/** Python did not answer: there is no use in asking it more. */
export class Silence extends Error {}

/** What Graphviz made of one container. */
export interface Drawn {
  /** Its name: dot, or what stands in for it. */
  readonly engine: string;
  readonly layout: Layered;
}

/** Asks Python for layouts. */
export class Graphviz {
  private readonly view = `${newId("layout")}-${Math.random().toString(36).slice(2)}`;
  private readonly waiting = new Map<string, (content: unknown) => void>();
  private asked = 0;

  constructor(
    private readonly parts: Parts,
    signal: AbortSignal,
  ) {
    parts.hear("layout", (content) => this.waiting.get(String((content as { key?: unknown }).key))?.(content), signal);
  }

  /** The layout of one container. Rejected with an Error whose message a reader can be shown; with `signal` aborted, Python drops it. */
  ask(input: LayerInput, signal: AbortSignal): Promise<Drawn> {
    const key = `${this.view}-${(this.asked += 1)}`;
    return new Promise((resolve, reject) => {
      const over = (act: () => void): void => {
        clearTimeout(late);
        this.waiting.delete(key);
        signal.removeEventListener("abort", cancel);
        act();
      };
      const cancel = (): void => {
        over(() => reject(new Error("It was cancelled.")));
        this.send({ type: "cancel", key });
      };
      const late = setTimeout(() => {
        over(() => reject(new Silence("Python does not answer: its kernel is gone or busy.")));
        this.send({ type: "cancel", key });
      }, PATIENCE_MS);
      signal.addEventListener("abort", cancel, { once: true });
      this.waiting.set(key, (content) => over(() => {
        try {
          resolve(read(input, content));
        } catch (error) {
          reject(error as Error);
        }
      }));
      if (!this.send({ type: "layout", key, ...request(input) })) over(() => reject(new Silence("Python cannot be asked: its kernel is gone.")));
    });
  }

  private send(message: { readonly type: string; readonly key: string }): boolean {
    try {
      this.parts.send(message);
      return true;
    } catch {
      return false;
    }
  }
}

/** Why Graphviz is not asked for a container; null where it is. */
export function refusal({ count, targets, above }: LayerInput): string | null {
  if (count > MOST_BOXES) return `${count} boxes and borders, Graphviz is asked for ${MOST_BOXES} at most`;
  const edges = targets.length + above.length / 2;
  return edges > MOST_EDGES ? `${edges} edges, Graphviz is asked for ${MOST_EDGES} at most` : null;
}

/** What is sent for a container: boxes by size, in pixels, and edges between them. */
export function request({ count, width, height, port, source, offsets, targets, above }: LayerInput): object {
  const edges: [number, number][] = [];
  for (let net = 0; net < source.length; net += 1) for (let edge = offsets[net] as number; edge < (offsets[net + 1] as number); edge += 1) edges.push([source[net] as number, targets[edge] as number]);
  const boxes = Array.from({ length: count }, (_, box) => [Math.max(width[box] as number, 1), Math.max(height[box] as number, 1)]);
  const at = (side: number): number[] => Array.from({ length: count }, (_, box) => box).filter((box) => port[box] === side);
  const pairs = Array.from({ length: above.length / 2 }, (_, pair) => [above[2 * pair], above[2 * pair + 1]]);
  return { boxes, edges, tops: at(-1), bottoms: at(1), above: pairs };
}

function read(input: LayerInput, content: unknown): Drawn {
  const { problem, positions, splines, engine } = content as { problem?: unknown; positions?: unknown; splines?: unknown; engine?: unknown };
  if (typeof problem === "string") throw new Error(problem);
  const layout = layoutOf(input, positions, splines);
  if (!layout) throw new Error("Graphviz's answer is no layout of these boxes.");
  return { engine: typeof engine === "string" ? engine : "Graphviz", layout };
}

/** The layout that an answer describes: the middles of boxes, and for each edge the points of its cubic curves; null where it is none. */
export function layoutOf(nets: LayerInput, positions: unknown, splines: unknown): Layered | null {
  const input = apart(nets);
  const { count, source: from, targets } = input;
  if (!Array.isArray(positions) || positions.length !== count || !Array.isArray(splines) || splines.length !== targets.length) return null;
  const places = positions as [number, number][];
  if (!places.every((place) => Array.isArray(place) && Number.isFinite(place[0]) && Number.isFinite(place[1]))) return null;
  const { rank, levels } = ranksOf(places);
  if (targets.some((target, edge) => rank[target] === rank[from[edge] as number])) return null;
  const reversed = Uint8Array.from(targets, (target, edge) => Number((rank[target] as number) < (rank[from[edge] as number] as number)));
  const ranked: Ranked = { rank, ranks: levels.length, from, reversed };
  const proper = properLayers(input, ranked);
  const middle = new Float64Array(proper.items);
  places.forEach(([x], box) => (middle[box] = x));
  targets.forEach((target, edge) => {
    if (proper.cut[edge]) return;
    const curve = curveOf(splines[edge], places[from[edge] as number] as [number, number], places[target] as [number, number]);
    for (const item of proper.chain(edge)) middle[item] = across(curve, levels[proper.rank[item] as number] as number);
  });
  let left = Infinity;
  for (let item = 0; item < proper.items; item += 1) left = Math.min(left, (middle[item] as number) - (proper.width[item] as number) / 2);
  for (let item = 0; item < proper.items; item += 1) middle[item] = (middle[item] as number) - left;
  return placed(input, ranked, proper, middle);
}

/** Each edge as a net of its own: Graphviz draws the edges of one value apart. */
function apart(input: LayerInput): LayerInput {
  const { source, exit, offsets, targets } = input;
  const net = new Uint32Array(targets.length);
  for (let at = 0; at < source.length; at += 1) net.fill(at, offsets[at], offsets[at + 1]);
  return { ...input, source: Uint32Array.from(net, (at) => source[at] as number), exit: Float32Array.from(net, (at) => exit[at] as number), offsets: Uint32Array.from({ length: targets.length + 1 }, (_, edge) => edge) };
}

/** Boxes whose middles are as high stand in one rank. */
function ranksOf(places: readonly [number, number][]): { rank: Int32Array; levels: number[] } {
  const order = [...places.keys()].sort((a, b) => (places[a] as [number, number])[1] - (places[b] as [number, number])[1]);
  const rank = new Int32Array(places.length);
  const levels: number[] = [];
  for (const box of order) {
    const y = (places[box] as [number, number])[1];
    if (levels.length === 0 || y > (levels[levels.length - 1] as number) + 1) levels.push(y);
    rank[box] = levels.length - 1;
  }
  return { rank, levels };
}

/** The points of an edge's curves, from the upper end to the lower one; a straight line where there are none. */
function curveOf(spline: unknown, from: readonly [number, number], to: readonly [number, number]): readonly number[] {
  const sound = Array.isArray(spline) && spline.length >= 8 && (spline.length - 2) % 6 === 0 && spline.every((number) => Number.isFinite(number));
  const points = sound ? (spline as number[]) : [...from, ...from, ...to, ...to];
  if ((points[1] as number) <= (points[points.length - 1] as number)) return points;
  return points.map((_, at) => points[points.length - 2 - at + 2 * (at % 2)] as number);
}

/** Where a chain of curves that goes downwards passes a height. */
function across(points: readonly number[], y: number): number {
  let first = 0;
  while (first + 12 < points.length && (points[first + 7] as number) < y) first += 6;
  const at = (axis: 0 | 1, part: number): number => {
    const [a, b, c, d] = [0, 2, 4, 6].map((step) => points[first + step + axis] as number) as [number, number, number, number];
    const rest = 1 - part;
    return rest ** 3 * a + 3 * rest * rest * part * b + 3 * rest * part * part * c + part ** 3 * d;
  };
  let [low, high] = [0, 1];
  for (let step = 0; step < 24; step += 1) {
    const middle = (low + high) / 2;
    if (at(1, middle) < y) low = middle;
    else high = middle;
  }
  return at(0, (low + high) / 2);
}
