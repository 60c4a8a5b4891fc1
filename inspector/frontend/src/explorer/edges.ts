// Edges as a reader meets them: what lies under the pointer, which values it stands for, which edges a box has.

import type { GraphModel } from "./model.ts";
import { detailOf } from "./labels.ts";
import { count } from "../format.ts";
import type { Scene } from "./layout.ts";
import type { Picture } from "./picture.ts";

/** An edge that is picked, by what flows along it: pairs of the node that computes a value and one that reads it. */
export interface EdgePick {
  readonly pairs: readonly (readonly [number, number])[];
}

/** An edge of a scene: a box that is not open, and those of its readers that it leads to. */
export interface Edge {
  readonly source: number;
  readonly readers: readonly number[];
}

/** Boxes that something leads to, with all that holds them: what tells which pieces belong to an edge. */
export interface Reads {
  readonly readers: number[];
  readonly around: Set<number>;
}

/** How far from an edge the pointer may be, in pixels of the screen, and the scale from which edges can be met at all. */
const REACH_PX = 5;
const MET_FROM = 0.2;
const STEPS = 10;

/** The edge under a point of the world, null where there is none. Pieces that run together there are one edge. */
export function edgeAt({ scene, edgeBounds }: Picture, x: number, y: number, scale: number, frame: number): Edge | null {
  if (scale < MET_FROM) return null;
  const reach = REACH_PX / scale;
  const near: { edge: number; away: number }[] = [];
  for (let box = frame; box >= 0; box = scene.parent[box] as number) {
    for (let edge = scene.edgeOffsets[box] as number; edge < (scene.edgeOffsets[box + 1] as number); edge += 1) {
      const at = edge * 4;
      if (x < (edgeBounds[at] as number) - reach || y < (edgeBounds[at + 1] as number) - reach || x > (edgeBounds[at + 2] as number) + reach || y > (edgeBounds[at + 3] as number) + reach) continue;
      const away = distance(scene, edge, x, y);
      if (away <= reach) near.push({ edge, away });
    }
  }
  if (near.length === 0) return null;
  const first = near.reduce((best, other) => (other.away < best.away ? other : best));
  const source = scene.edgeSource[first.edge] as number;
  const readers = new Set<number>();
  for (const { edge, away } of near) if (scene.edgeSource[edge] === source && away <= first.away + 0.5 / scale) for (const reader of beyond(scene, edge)) readers.add(reader);
  return readers.size === 0 ? null : { source, readers: [...readers] };
}

/** The readers that a piece leads to. */
function beyond({ edgeSource, edgeTarget, edgeOut, readerOffsets, readers, end }: Scene, edge: number): number[] {
  const source = edgeSource[edge] as number;
  const target = edgeTarget[edge] as number;
  const all = [...readers.subarray(readerOffsets[source], readerOffsets[source + 1])];
  const inside = (reader: number): boolean => reader >= target && reader < (end[target] as number);
  return all.filter((reader) => inside(reader) !== Boolean(edgeOut[edge]));
}

function distance({ pointOffsets, points }: Scene, edge: number, x: number, y: number): number {
  let least = Infinity;
  const first = pointOffsets[edge] as number;
  let [fromX, fromY] = [points[first] as number, points[first + 1] as number];
  const line = (toX: number, toY: number): void => {
    const [dx, dy] = [toX - fromX, toY - fromY];
    const part = Math.min(Math.max(((x - fromX) * dx + (y - fromY) * dy) / (dx * dx + dy * dy || 1), 0), 1);
    least = Math.min(least, Math.hypot(x - fromX - part * dx, y - fromY - part * dy));
    [fromX, fromY] = [toX, toY];
  };
  for (let at = first + 2; at < (pointOffsets[edge + 1] as number); at += 2) {
    const [endX, endY, startX, startY] = [points[at] as number, points[at + 1] as number, fromX, fromY];
    // As it is painted: straight down, or a curve whose ends are upright.
    for (let step = 1; step <= (Math.abs(endX - startX) < 0.75 ? 0 : STEPS - 1); step += 1) {
      const part = step / STEPS;
      const across = part * part * (3 - 2 * part);
      const down = 1.5 * part * (1 - part) ** 2 + 1.5 * part * part * (1 - part) + part ** 3;
      line(startX + (endX - startX) * across, startY + (endY - startY) * down);
    }
    line(endX, endY);
  }
  return least;
}

/** By piece of an edge: 1 where all that it leads to reads through the call of a graph; null where no graph is called. */
export function piecesOfCalls(scene: Scene): Uint8Array | null {
  const { called, calls, edgeSource, readerOffsets, readers } = scene;
  if (calls.length === 0) return null;
  return Uint8Array.from(edgeSource, (source, edge) => {
    if (!called.subarray(readerOffsets[source], readerOffsets[source + 1]).includes(1)) return 0;
    const ahead = new Set(beyond(scene, edge));
    for (let at = readerOffsets[source] as number; at < (readerOffsets[source + 1] as number); at += 1) if (ahead.has(readers[at] as number) && !called[at]) return 0;
    return Number(ahead.size > 0);
  });
}

/** What flows along an edge: who computes it, who reads it, in the order of the printout. */
export function pairsOf(graph: GraphModel, { leafOf, calls }: Scene, { source, readers }: Edge, showHidden: boolean): [number, number][] {
  const into = new Set(readers);
  const found: [number, number][] = [];
  for (let node = 0; node < graph.count; node += 1) {
    if (!into.has(leafOf[node] as number)) continue;
    for (const value of new Set(graph.inputs(node))) if (leafOf[value] === source && !graph.stub[value] && (showHidden || !graph.hidden[value])) found.push([value, node]);
  }
  for (let at = 0; at < calls.length; at += 2) {
    const [value, node] = [calls[at] as number, calls[at + 1] as number];
    if (leafOf[value] === source && into.has(leafOf[node] as number) && !graph.stub[value] && !found.some((pair) => pair[0] === value && pair[1] === node)) found.push([value, node]);
  }
  return found.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

/** The pieces of an edge in a scene, by the box they come from; an edge inside of a closed group has none. */
export function piecesOf(scene: Scene, pairs: EdgePick["pairs"]): Map<number, Reads> {
  const found = new Map<number, Reads>();
  for (const [value, reader] of pairs) {
    const source = scene.leafOf[value] as number;
    const box = scene.leafOf[reader] as number;
    if (source < 0 || box < 0 || source === box) continue;
    const known = found.get(source) ?? { readers: [], around: new Set<number>() };
    known.readers.push(box);
    for (let up = box; up > 0 && !known.around.has(up); up = scene.parent[up] as number) known.around.add(up);
    found.set(source, known);
  }
  return found;
}

/** True for a piece on the way to one of these readers. */
export function leadsTo({ edgeTarget, edgeOut, end }: Scene, edge: number, reads: Reads | undefined): boolean {
  if (!reads) return false;
  const target = edgeTarget[edge] as number;
  if (!edgeOut[edge]) return reads.around.has(target);
  return reads.readers.some((reader) => reader < target || reader >= (end[target] as number));
}

/** The edges that leave a box, or come into it, from left to right; of an open one, those that cross its border. */
export function edgesOf(scene: Scene, box: number, way: "out" | "in"): Edge[] {
  const { readerOffsets, readers, end, x, width } = scene;
  const inside = (other: number): boolean => other >= box && other < (end[box] as number);
  const found: Edge[] = [];
  for (let source = 1; source < scene.count; source += 1) {
    if (inside(source) !== (way === "out")) continue;
    for (const reader of readers.subarray(readerOffsets[source], readerOffsets[source + 1])) if (inside(reader) === (way === "in")) found.push({ source, readers: [reader] });
  }
  const far = ({ source, readers: [reader] }: Edge): number => {
    const other = way === "out" ? (reader as number) : source;
    return (x[other] as number) + (width[other] as number) / 2;
  };
  return found.sort((a, b) => far(a) - far(b));
}

/** The distinct values of an edge. */
export function valuesOf({ pairs }: EdgePick): number[] {
  return [...new Set(pairs.map(([value]) => value))];
}

/** An edge in a few words: the value, what it is, where it goes. */
export function edgeWords(graph: GraphModel, pick: EdgePick): string {
  const name = (node: number): string => graph.text("name", node) ?? `node ${node}`;
  const values = valuesOf(pick);
  const readers = [...new Set(pick.pairs.map(([, reader]) => reader))];
  const to = readers.length === 1 ? name(readers[0] as number) : count(readers.length, "reader");
  const [value] = values;
  if (value === undefined) return "";
  if (values.length === 1) return `${name(value)} ${detailOf(graph, value)} → ${to}`;
  return `${count(values.length, "value")}: ${values.slice(0, 3).map(name).join(", ")}${values.length > 3 ? ", …" : ""} → ${to}`;
}
