// The second and third step of a layered layout: long edges become chains of points, one in each rank that they pass, and the
// items of each rank are put in an order with few crossings.

import { edgesBy, type LayerInput, type Lists, type Ranked } from "./ranks.ts";

/** Points of long edges for each box that are made at most; the longest edges beyond that are not routed. */
const POINTS_A_BOX = 8;
const POINTS_AT_LEAST = 20_000;
const SWEEPS = 4;

/** A layering whose segments lead from one rank to the next. Items are the boxes, then the points of long edges. */
export interface Proper {
  readonly items: number;
  readonly boxes: number;
  readonly rank: Int32Array;
  readonly width: Float32Array;
  /** By rank, its items from left to right. */
  readonly layers: Uint32Array[];
  /** By item: its place in its rank. */
  readonly place: Uint32Array;
  readonly segmentUpper: Uint32Array;
  readonly segmentLower: Uint32Array;
  /** By segment: where it meets its items, from their middle. */
  readonly upperAt: Float32Array;
  readonly lowerAt: Float32Array;
  /** The same for standing in line. */
  readonly upperLine: Float32Array;
  readonly lowerLine: Float32Array;
  /** By item: its segments to the rank below, and to the rank above. */
  readonly below: Lists;
  readonly above: Lists;
  /** By edge: its points from its source to its target; edges of a net share them. */
  readonly chain: (edge: number) => number[];
  /** By edge: 1 where it is not routed. */
  readonly cut: Uint8Array;
}

/** Makes the layering of ranked boxes. */
export function properLayers(input: LayerInput, ranked: Ranked): Proper {
  const { count, source, exit, offsets, targets, entry } = input;
  const { rank: boxRank, ranks, from, reversed } = ranked;
  const cut = tooLong(input, ranked);
  const rank: number[] = Array.from(boxRank);
  const upper: number[] = [];
  const lower: number[] = [];
  const upperAt: number[] = [];
  const lowerAt: number[] = [];
  const downBase = new Int32Array(source.length).fill(-1);
  const upBase = new Int32Array(source.length).fill(-1);
  const upFirst = new Int32Array(source.length);
  const netOf = new Uint32Array(targets.length);
  const segment = (a: number, b: number, aAt: number, bAt: number): void => {
    upper.push(a);
    lower.push(b);
    upperAt.push(aAt);
    lowerAt.push(bAt);
  };
  const middle = (box: number, offset: number): number => (Number.isNaN(offset) ? (input.inset[box] as number) / 2 : offset - (input.width[box] as number) / 2);
  for (let net = 0; net < source.length; net += 1) {
    const box = source[net] as number;
    const own = boxRank[box] as number;
    const exitAt = middle(box, exit[net] as number);
    let last = own;
    let first = own;
    for (let edge = offsets[net] as number; edge < (offsets[net + 1] as number); edge += 1) {
      netOf[edge] = net;
      if (cut[edge]) continue;
      const at = boxRank[targets[edge] as number] as number;
      last = Math.max(last, at);
      first = Math.min(first, at);
    }
    downBase[net] = rank.length;
    for (let at = own + 1; at < last; at += 1) {
      segment(at === own + 1 ? box : rank.length - 1, rank.length, at === own + 1 ? exitAt : 0, 0);
      rank.push(at);
    }
    upBase[net] = rank.length;
    upFirst[net] = first + 1;
    for (let at = first + 1; at < own; at += 1) {
      segment(rank.length, at === own - 1 ? box : rank.length + 1, 0, at === own - 1 ? exitAt : 0);
      rank.push(at);
    }
    for (let edge = offsets[net] as number; edge < (offsets[net + 1] as number); edge += 1) {
      if (cut[edge]) continue;
      const target = targets[edge] as number;
      const at = boxRank[target] as number;
      const entryAt = middle(target, entry[edge] as number);
      if (!reversed[edge]) {
        const direct = at === own + 1;
        segment(direct ? box : (downBase[net] as number) + at - own - 2, target, direct ? exitAt : 0, entryAt);
      } else {
        const direct = at === own - 1;
        segment(target, direct ? box : (upBase[net] as number) + at + 1 - (upFirst[net] as number), entryAt, direct ? exitAt : 0);
      }
    }
  }
  const chain = (edge: number): number[] => {
    const net = netOf[edge] as number;
    const own = boxRank[from[edge] as number] as number;
    const at = boxRank[targets[edge] as number] as number;
    const points: number[] = [];
    if (!reversed[edge]) for (let r = own + 1; r < at; r += 1) points.push((downBase[net] as number) + r - own - 1);
    else for (let r = own - 1; r > at; r -= 1) points.push((upBase[net] as number) + r - (upFirst[net] as number));
    return points;
  };
  const items = rank.length;
  const width = new Float32Array(items).fill(1);
  width.set(input.width);
  const itemRank = Int32Array.from(rank);
  const layers = edgesBy(itemRank, ranks);
  const segmentUpper = Uint32Array.from(upper);
  const segmentLower = Uint32Array.from(lower);
  return {
    items,
    boxes: count,
    rank: itemRank,
    width,
    layers: Array.from({ length: ranks }, (_, at) => layers.items.slice(layers.offsets[at], layers.offsets[at + 1])),
    place: new Uint32Array(items),
    segmentUpper,
    segmentLower,
    upperAt: Float32Array.from(upperAt),
    lowerAt: Float32Array.from(lowerAt),
    upperLine: Float32Array.from(upperAt, (at, segment) => (input.open[segmentUpper[segment] as number] ? 0 : at)),
    lowerLine: Float32Array.from(lowerAt, (at, segment) => (input.open[segmentLower[segment] as number] ? 0 : at)),
    below: edgesBy(segmentUpper, items),
    above: edgesBy(segmentLower, items),
    chain,
    cut,
  };
}

/** By edge: 1 for the longest ones, where points for all would be too many. */
function tooLong({ count, targets }: LayerInput, { rank, from }: Ranked): Uint8Array {
  const cut = new Uint8Array(targets.length);
  const span = (edge: number): number => Math.abs((rank[targets[edge] as number] as number) - (rank[from[edge] as number] as number)) - 1;
  let points = 0;
  for (let edge = 0; edge < targets.length; edge += 1) points += span(edge);
  const budget = Math.max(POINTS_AT_LEAST, POINTS_A_BOX * count);
  if (points <= budget) return cut;
  const spans = Uint32Array.from({ length: targets.length }, (_, edge) => span(edge));
  const order = Uint32Array.from(spans.keys()).sort((a, b) => (spans[b] as number) - (spans[a] as number));
  for (const edge of order) {
    if (points <= budget) break;
    cut[edge] = 1;
    points -= spans[edge] as number;
  }
  return cut;
}

/** Orders the items of each rank by the mean place of what they are joined to, down and up in turn; the best order is kept. */
export function* orderLayers(proper: Proper): Generator<void, void> {
  const { layers } = proper;
  for (const layer of layers) number(layer, proper.place);
  let best: Uint32Array[] | null = null;
  let fewest = Infinity;
  const judged = proper.segmentUpper.length <= 20_000;
  for (let sweep = 0; sweep < SWEEPS + (judged && proper.items < 2000 ? SWEEPS : 0); sweep += 1) {
    const downwards = sweep % 2 === 0;
    for (let step = 0; step < layers.length; step += 1) {
      sortLayer(proper, layers[downwards ? step : layers.length - 1 - step] as Uint32Array, downwards, sweep === 0);
      if (step % 200 === 199) yield;
    }
    if (!judged) continue;
    const now = crossings(proper);
    if (now < fewest) {
      fewest = now;
      best = layers.map((layer) => layer.slice());
    }
    if (now === 0) break;
  }
  if (!best) return;
  best.forEach((layer, at) => {
    (layers[at] as Uint32Array).set(layer);
    number(layer, proper.place);
  });
}

function number(layer: Uint32Array, place: Uint32Array): void {
  for (let at = 0; at < layer.length; at += 1) place[layer[at] as number] = at;
}

function sortLayer(proper: Proper, layer: Uint32Array, downwards: boolean, first: boolean): void {
  if (layer.length < 2) return;
  const { place, width } = proper;
  const { offsets, items } = downwards ? proper.above : proper.below;
  const other = downwards ? proper.segmentUpper : proper.segmentLower;
  const at = downwards ? proper.upperAt : proper.lowerAt;
  const keys = new Float64Array(layer.length);
  let sorted = true;
  for (let index = 0; index < layer.length; index += 1) {
    const item = layer[index] as number;
    const start = offsets[item] as number;
    const end = offsets[item + 1] as number;
    let sum = 0;
    for (let next = start; next < end; next += 1) {
      const segment = items[next] as number;
      const neighbour = other[segment] as number;
      sum += (place[neighbour] as number) + (0.9 * (at[segment] as number)) / (width[neighbour] as number);
    }
    keys[index] = end > start ? sum / (end - start) : first && downwards ? Infinity : (place[item] as number);
    if (index > 0 && (keys[index] as number) < (keys[index - 1] as number)) sorted = false;
  }
  if (sorted) return;
  const order = Array.from(layer.keys()).sort((a, b) => (keys[a] as number) - (keys[b] as number) || a - b);
  layer.set(order.map((index) => layer[index] as number));
  number(layer, place);
}

/** How many pairs of segments cross, counted with a tree of sums. */
export function crossings({ layers, place, above, segmentUpper }: Proper): number {
  let total = 0;
  for (let rank = 1; rank < layers.length; rank += 1) {
    const size = (layers[rank - 1] as Uint32Array).length + 1;
    const sums = new Uint32Array(size + 1);
    let seen = 0;
    for (const item of layers[rank] as Uint32Array) {
      const start = above.offsets[item] as number;
      const end = above.offsets[item + 1] as number;
      for (let next = start; next < end; next += 1) {
        let before = 0;
        for (let at = (place[segmentUpper[above.items[next] as number] as number] as number) + 1; at > 0; at -= at & -at) before += sums[at] as number;
        total += seen - before;
      }
      for (let next = start; next < end; next += 1) {
        for (let at = (place[segmentUpper[above.items[next] as number] as number] as number) + 1; at <= size; at += at & -at) sums[at] = (sums[at] as number) + 1;
        seen += 1;
      }
    }
  }
  return total;
}
