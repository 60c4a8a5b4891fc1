// The fourth step of a layered layout: where items stand from left to right, by the method of Brandes and Köpf, in which long
// edges are straight; with ports, and without recursion.

import type { Proper } from "./proper.ts";

const BOX_GAP = 18;
const POINT_GAP = 9;

/** By item, its middle; nothing in a rank overlaps, and the order of ranks is kept. */
export function* placeItems(proper: Proper): Generator<void, Float64Array> {
  const conflicts = crossingLongEdges(proper);
  const found: Float64Array[] = [];
  for (const upwards of [true, false]) {
    for (const mirrored of [false, true]) {
      found.push(onePlacement(proper, conflicts, upwards, mirrored));
      yield;
    }
  }
  return balanced(proper, found);
}

/** By segment: 1 where it crosses a segment between two points of long edges, which goes first. */
function crossingLongEdges(proper: Proper): Uint8Array {
  const { layers, place, above, segmentUpper, boxes } = proper;
  const marks = new Uint8Array(segmentUpper.length);
  const inner = (item: number): number => {
    if (item < boxes) return -1;
    for (let next = above.offsets[item] as number; next < (above.offsets[item + 1] as number); next += 1) {
      const upper = segmentUpper[above.items[next] as number] as number;
      if (upper >= boxes) return place[upper] as number;
    }
    return -1;
  };
  for (let rank = 1; rank < layers.length; rank += 1) {
    const layer = layers[rank] as Uint32Array;
    const width = (layers[rank - 1] as Uint32Array).length;
    let left = 0;
    let done = 0;
    for (let at = 0; at < layer.length; at += 1) {
      const reached = inner(layer[at] as number);
      if (reached < 0 && at < layer.length - 1) continue;
      const right = reached < 0 ? width : reached;
      for (; done <= at; done += 1) {
        const item = layer[done] as number;
        for (let next = above.offsets[item] as number; next < (above.offsets[item + 1] as number); next += 1) {
          const segment = above.items[next] as number;
          const upper = segmentUpper[segment] as number;
          const where = place[upper] as number;
          if ((where < left || where > right) && !(item >= boxes && upper >= boxes)) marks[segment] = 1;
        }
      }
      left = Math.max(left, reached < 0 ? left : reached);
    }
  }
  return marks;
}

function onePlacement(proper: Proper, conflicts: Uint8Array, upwards: boolean, mirrored: boolean): Float64Array {
  const { root, shift } = aligned(proper, conflicts, upwards, mirrored);
  const x = compacted(proper, root, shift, mirrored);
  const sign = mirrored ? -1 : 1;
  return Float64Array.from(x, (_, item) => sign * ((x[root[item] as number] as number) + (shift[item] as number)));
}

/** Joins items of neighbouring ranks to blocks that stand in line. */
function aligned(proper: Proper, conflicts: Uint8Array, upwards: boolean, mirrored: boolean): { root: Uint32Array; shift: Float64Array } {
  const { layers, place, items, boxes } = proper;
  const { offsets, items: segments } = upwards ? proper.above : proper.below;
  const other = upwards ? proper.segmentUpper : proper.segmentLower;
  const otherAt = upwards ? proper.upperLine : proper.lowerLine;
  const ownAt = upwards ? proper.lowerLine : proper.upperLine;
  const root = Uint32Array.from({ length: items }, (_, item) => item);
  const taken = new Uint8Array(items);
  const shift = new Float64Array(items);
  const sign = mirrored ? -1 : 1;
  const where = (item: number): number => sign * (place[item] as number);
  for (let step = 0; step < layers.length; step += 1) {
    const layer = layers[upwards ? step : layers.length - 1 - step] as Uint32Array;
    let last = -Infinity;
    for (let index = 0; index < layer.length; index += 1) {
      const item = layer[mirrored ? layer.length - 1 - index : index] as number;
      const joined = segments.slice(offsets[item], offsets[item + 1]).sort((a, b) => where(other[a] as number) - where(other[b] as number));
      if (joined.length === 0) continue;
      for (const segment of candidates(joined, (segment) => item < boxes && (other[segment] as number) < boxes)) {
        const neighbour = other[segment] as number;
        if (conflicts[segment] || taken[neighbour] || where(neighbour) <= last) continue;
        taken[neighbour] = 1;
        root[item] = root[neighbour] as number;
        shift[item] = (shift[neighbour] as number) + sign * ((otherAt[segment] as number) - (ownAt[segment] as number));
        last = where(neighbour);
        break;
      }
    }
  }
  return { root, shift };
}

/** What an item may stand in line with: the middle one of its segments; the only one that joins two boxes before that, so that a
 * chain of boxes stays straight where values leave it at each step. */
function candidates(joined: Uint32Array, plain: (segment: number) => boolean): number[] {
  const low = (joined.length - 1) >> 1;
  const middle = [joined[low] as number, ...(joined.length % 2 ? [] : [joined[low + 1] as number])];
  const direct = joined.filter(plain);
  return direct.length === 1 ? [direct[0] as number, ...middle] : middle;
}

/** By block: where it stands, as far left as its neighbours let it, then drawn to the right towards them. */
function compacted(proper: Proper, root: Uint32Array, shift: Float64Array, mirrored: boolean): Float64Array {
  const { layers, items, width, boxes } = proper;
  const before: number[] = [];
  const after: number[] = [];
  const apart: number[] = [];
  for (const layer of layers) {
    for (let index = 1; index < layer.length; index += 1) {
      const a = layer[mirrored ? layer.length - index : index - 1] as number;
      const b = layer[mirrored ? layer.length - 1 - index : index] as number;
      const gap = a < boxes && b < boxes ? BOX_GAP : a < boxes || b < boxes ? (BOX_GAP + POINT_GAP) / 2 : POINT_GAP;
      before.push(root[a] as number);
      after.push(root[b] as number);
      apart.push(((width[a] as number) + (width[b] as number)) / 2 + gap + (shift[a] as number) - (shift[b] as number));
    }
  }
  const waiting = new Uint32Array(items);
  const firstAfter = new Int32Array(items).fill(-1);
  const next = new Int32Array(before.length);
  for (let at = 0; at < before.length; at += 1) {
    waiting[after[at] as number] = (waiting[after[at] as number] as number) + 1;
    next[at] = firstAfter[before[at] as number] as number;
    firstAfter[before[at] as number] = at;
  }
  const order: number[] = [];
  const x = new Float64Array(items);
  for (let item = 0; item < items; item += 1) if (root[item] === item && waiting[item] === 0) order.push(item);
  for (let index = 0; index < order.length; index += 1) {
    const block = order[index] as number;
    for (let at = firstAfter[block] as number; at >= 0; at = next[at] as number) {
      const right = after[at] as number;
      x[right] = Math.max(x[right] as number, (x[block] as number) + (apart[at] as number));
      waiting[right] = (waiting[right] as number) - 1;
      if (waiting[right] === 0) order.push(right);
    }
  }
  for (let index = order.length - 1; index >= 0; index -= 1) {
    const block = order[index] as number;
    let most = Infinity;
    for (let at = firstAfter[block] as number; at >= 0; at = next[at] as number) most = Math.min(most, (x[after[at] as number] as number) - (apart[at] as number));
    if (most < Infinity) x[block] = Math.max(x[block] as number, most);
  }
  return x;
}

/** The mean of the two middle ones of four placements, laid over each other by the narrowest. */
function balanced({ items, width }: Proper, found: Float64Array[]): Float64Array {
  const bounds = found.map((x) => {
    let low = Infinity;
    let high = -Infinity;
    for (let item = 0; item < items; item += 1) {
      low = Math.min(low, (x[item] as number) - (width[item] as number) / 2);
      high = Math.max(high, (x[item] as number) + (width[item] as number) / 2);
    }
    return { low, high };
  });
  const narrowest = bounds.reduce((a, b) => (b.high - b.low < a.high - a.low ? b : a));
  const moved = bounds.map(({ low, high }, at) => (at % 2 === 0 ? narrowest.low - low : narrowest.high - high));
  const four = new Float64Array(4);
  const middle = new Float64Array(items);
  let least = Infinity;
  for (let item = 0; item < items; item += 1) {
    for (let at = 0; at < 4; at += 1) four[at] = ((found[at] as Float64Array)[item] as number) + (moved[at] as number);
    four.sort();
    middle[item] = ((four[1] as number) + (four[2] as number)) / 2;
    least = Math.min(least, (middle[item] as number) - (width[item] as number) / 2);
  }
  return middle.map((at) => at - least);
}
