// A layered layout of boxes and nets: ranks, points for long edges, an order with few crossings, places, routes. No recursion
// anywhere; a generator, so that who runs it on the page's thread can let the page breathe.

import { placeItems } from "./columns.ts";
import { orderLayers, properLayers, type Proper } from "./proper.ts";
import { rankBoxes, type LayerInput, type Ranked } from "./ranks.ts";

export type { LayerInput } from "./ranks.ts";

/** Where boxes stand (their left upper corners) and how edges run. */
export interface Layered {
  readonly width: number;
  readonly height: number;
  readonly x: Float32Array;
  readonly y: Float32Array;
  /** By edge: where its points begin in `points`, which holds x, y, x, y; none for an edge that is not routed. */
  readonly routeOffsets: Uint32Array;
  readonly points: Float32Array;
}

const GAP_LEAST = 24;
const GAP_MOST = 64;
const PORT_GAP = 16;
const ARROW_GAP = 8;
const SIDE = 10;

/** Lays out; see `LayerInput`. */
export function* layered(input: LayerInput): Generator<void, Layered> {
  if (input.count === 0) return { width: 0, height: 0, x: new Float32Array(0), y: new Float32Array(0), routeOffsets: new Uint32Array(1), points: new Float32Array(0) };
  const ranked = rankBoxes(input);
  yield;
  const proper = properLayers(input, ranked);
  yield;
  yield* orderLayers(proper);
  const middle = yield* placeItems(proper);
  yield;
  return placed(input, ranked, proper, middle);
}

/** The layout of items whose middles, from left to right, are known: how far apart ranks are, and how edges run. */
export function placed(input: LayerInput, ranked: Ranked, proper: Proper, middle: Float64Array): Layered {
  const { top, bottom, height } = rows(input, ranked, proper, middle);
  const x = Float32Array.from({ length: input.count }, (_, box) => (middle[box] as number) - (input.width[box] as number) / 2);
  const y = Float32Array.from({ length: input.count }, (_, box) => {
    const rank = ranked.rank[box] as number;
    return ((top[rank] as number) + (bottom[rank] as number) - (input.height[box] as number)) / 2;
  });
  let width = 0;
  for (let item = 0; item < proper.items; item += 1) width = Math.max(width, (middle[item] as number) + (proper.width[item] as number) / 2);
  return { width, height, x, y, ...routes(input, ranked, proper, middle, x, y, top, bottom) };
}

/** By rank, its upper and lower edge: further from the one above, the further edges run to the side between them. */
function rows(input: LayerInput, { rank, ranks }: Ranked, proper: Proper, middle: Float64Array): { top: Float64Array; bottom: Float64Array; height: number } {
  const heights = new Float64Array(ranks);
  for (let box = 0; box < input.count; box += 1) heights[rank[box] as number] = Math.max(heights[rank[box] as number] as number, input.height[box] as number);
  const aside = new Float64Array(ranks);
  for (let at = 0; at < proper.segmentUpper.length; at += 1) {
    const upper = proper.segmentUpper[at] as number;
    const lower = proper.segmentLower[at] as number;
    const run = Math.abs((middle[upper] as number) + (proper.upperAt[at] as number) - (middle[lower] as number) - (proper.lowerAt[at] as number));
    aside[proper.rank[lower] as number] = Math.max(aside[proper.rank[lower] as number] as number, run);
  }
  const top = new Float64Array(ranks);
  const bottom = new Float64Array(ranks);
  let y = 0;
  for (let at = 0; at < ranks; at += 1) {
    const least = heights[at] === 0 || heights[at - 1] === 0 ? PORT_GAP : GAP_LEAST;
    if (at > 0) y += Math.min(GAP_MOST, least + 0.08 * (aside[at] as number));
    top[at] = y;
    y += heights[at] as number;
    bottom[at] = y;
  }
  return { top, bottom, height: y };
}

function routes(
  input: LayerInput,
  { rank, from, reversed }: Ranked,
  proper: Proper,
  middle: Float64Array,
  x: Float32Array,
  y: Float32Array,
  top: Float64Array,
  bottom: Float64Array,
): Pick<Layered, "routeOffsets" | "points"> {
  const { source, exit, offsets, targets, width, height } = input;
  const edges = targets.length;
  const routeOffsets = new Uint32Array(edges + 1);
  const points: number[] = [];
  const chains: number[][] = [];
  const leaving = new Float64Array(edges);
  const coming = new Float64Array(edges);
  for (let net = 0; net < source.length; net += 1) {
    const box = source[net] as number;
    const at = (x[box] as number) + (Number.isNaN(exit[net] as number) ? (width[box] as number) / 2 : (exit[net] as number));
    for (let edge = offsets[net] as number; edge < (offsets[net + 1] as number); edge += 1) {
      const chain = proper.cut[edge] ? [] : proper.chain(edge);
      chains.push(chain);
      leaving[edge] = at;
      coming[edge] = chain.length > 0 ? (middle[chain[chain.length - 1] as number] as number) : at;
    }
  }
  const arriving = arrivals(input, proper.cut, x, coming);
  for (let edge = 0; edge < edges; edge += 1) {
    routeOffsets[edge + 1] = points.length;
    if (proper.cut[edge]) continue;
    const a = from[edge] as number;
    const b = targets[edge] as number;
    const up = reversed[edge] === 1;
    const out = up ? (top[rank[a] as number] as number) : (bottom[rank[a] as number] as number);
    const into = up ? (bottom[rank[b] as number] as number) : (top[rank[b] as number] as number);
    points.push(leaving[edge] as number, (y[a] as number) + (up ? 0 : (height[a] as number)));
    points.push(leaving[edge] as number, out);
    for (const item of chains[edge] as number[]) {
      const at = proper.rank[item] as number;
      const across = middle[item] as number;
      points.push(across, (up ? bottom : top)[at] as number, across, (up ? top : bottom)[at] as number);
    }
    const arrow = height[b] === 0 ? 0 : ARROW_GAP;
    points.push(arriving[edge] as number, into + (up ? arrow : -arrow));
    points.push(arriving[edge] as number, (y[b] as number) + (up ? (height[b] as number) : 0));
    routeOffsets[edge + 1] = points.length;
  }
  return { routeOffsets, points: Float32Array.from(points) };
}

/** By edge: where it meets its target's side: straight down where it comes over it, and not on another one. */
function arrivals({ count, targets, entry, width, inset }: LayerInput, cut: Uint8Array, x: Float32Array, coming: Float64Array): Float64Array {
  const arriving = new Float64Array(targets.length);
  const by: number[][] = Array.from({ length: count }, () => []);
  for (let edge = 0; edge < targets.length; edge += 1) {
    const box = targets[edge] as number;
    if (cut[edge]) continue;
    if (Number.isNaN(entry[edge] as number)) (by[box] as number[]).push(edge);
    else arriving[edge] = (x[box] as number) + (entry[edge] as number);
  }
  for (let box = 0; box < count; box += 1) {
    const edges = by[box] as number[];
    if (edges.length === 0) continue;
    const side = Math.min(SIDE, ((width[box] as number) - (inset[box] as number)) / 2);
    const left = (x[box] as number) + (inset[box] as number) + side;
    const right = (x[box] as number) + (width[box] as number) - side;
    edges.sort((a, b) => (coming[a] as number) - (coming[b] as number));
    const apart = Math.min(9, (right - left) / Math.max(edges.length - 1, 1));
    edges.forEach((edge, at) => {
      const least = at === 0 ? left : (arriving[edges[at - 1] as number] as number) + apart;
      const most = right - apart * (edges.length - 1 - at);
      arriving[edge] = Math.min(Math.max(coming[edge] as number, least), most);
    });
  }
  return arriving;
}
