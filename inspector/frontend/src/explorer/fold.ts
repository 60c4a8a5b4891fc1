// What of a graph is visible: a tree of open containers, closed ones and nodes, and the edges between what is visible.
// It reads plain arrays, so that a worker can do it as well as the page.

import { throughCalls, type CallInput } from "./calls.ts";
import type { Tree } from "./tree.ts";

/** Boxes that a graph opens with, at most; a group that is alone is opened past it. */
const OPENING_BOXES = 48;
/** A graph of so few nodes opens whole. */
const SMALL_GRAPH = 24;

/** Which containers are open at first: those that hold others, level by level, as long as everything fits the eye. Runs, and the
 * neighbours of runs, stay closed. */
export function openingPaths(tree: Tree): Set<string> {
  const open = new Set<string>();
  const inside = (container: number): number => tree.children(container).length + tree.nodes(container).filter((node) => !tree.graph.hidden[node]).length;
  if ((tree.nodeCount[0] as number) <= SMALL_GRAPH) return new Set(Array.from({ length: tree.count }, (_, container) => tree.path(container)));
  let level = [0];
  let boxes = inside(0);
  while (level.length > 0) {
    const next = level.flatMap((container) => {
      const held = [...tree.children(container)];
      const repeated = held.some((child) => tree.isRun(child));
      return held.filter((child) => tree.children(child).length > 0 && (!repeated || (!tree.isRun(child) && !tree.graph.groupDiffers[child] && !numbered(tree, child))));
    });
    level = [];
    for (const container of next) {
      const more = inside(container) - 1;
      const alone = boxes <= 3 && more > 0;
      if (!alone && boxes + more > OPENING_BOXES) continue;
      open.add(tree.path(container));
      boxes += more;
      level.push(container);
    }
  }
  return open;
}

function numbered(tree: Tree, container: number): boolean {
  return /(^|\.)\d+$/.test(tree.name(container));
}

/** What folding needs of a graph. Items are what a container holds: container c as c, node n as `containers + n`. */
export interface FoldInput extends CallInput {
  readonly containers: number;
  readonly stub: Uint8Array;
  readonly itemOffsets: Uint32Array;
  readonly items: Uint32Array;
}

export const OPEN = 0;
export const CLOSED = 1;
export const NODE = 2;

/** What is visible. Boxes are in preorder: a container comes before what lies in it; box 0 is the root, which has no frame. */
export interface Folded {
  readonly count: number;
  /** OPEN or CLOSED for containers, NODE. */
  readonly kind: Uint8Array;
  /** The container or the node that a box shows. */
  readonly ref: Uint32Array;
  /** The box around a box, -1 for the root. */
  readonly parent: Int32Array;
  /** Past the last box in a box. */
  readonly end: Uint32Array;
  readonly depth: Uint16Array;
  /** By node: the box that shows it or that it is folded into, -1 for hidden nodes. */
  readonly leafOf: Int32Array;
  /** By box that is not open: the boxes that read it, each once, and how many of its values each reads. */
  readonly readerOffsets: Uint32Array;
  readonly readers: Uint32Array;
  readonly values: Uint32Array;
  /** By reader: 1 where it reads nothing but through the call of a graph. */
  readonly called: Uint8Array;
  /** Pairs of nodes that are joined through a call: who computes a value, who reads it. */
  readonly calls: Uint32Array;
  /** By box that is not open: the long-lived nodes that it reads, drawn as tags instead of edges. */
  readonly tagOffsets: Uint32Array;
  readonly tags: Uint32Array;
}

/** What folding needs of a tree. */
export function foldInput(tree: Tree): FoldInput {
  const { graph } = tree;
  const total = tree.count + graph.count;
  const first = new Float64Array(total).fill(Infinity);
  for (let node = graph.count - 1; node >= 0; node -= 1) {
    first[tree.count + node] = node;
    for (let at = graph.group[node] as number; (first[at] as number) > node; at = tree.parent[at] as number) {
      first[at] = node;
      if (at === 0) break;
    }
  }
  const offsets = new Uint32Array(tree.count + 1);
  const items = new Uint32Array(total - 1);
  let at = 0;
  for (let container = 0; container < tree.count; container += 1) {
    const held = [...tree.children(container), ...tree.nodes(container).map((node) => node + tree.count)];
    held.sort((a, b) => (first[a] as number) - (first[b] as number));
    items.set(held, at);
    at += held.length;
    offsets[container + 1] = at;
  }
  const { offsets: inOffsets, items: inNodes } = graph.inputLists;
  return { nodes: graph.count, containers: tree.count, hidden: graph.hidden, stub: graph.stub, inOffsets, inNodes, calls: graph.calls, itemOffsets: offsets, items };
}

/** What is visible with these containers open. */
export function fold(input: FoldInput, open: Uint8Array, showHidden: boolean): Folded {
  const boxes = visibleBoxes(input, open, showHidden);
  return { ...boxes, ...edges(input, boxes.leafOf, boxes.count, showHidden) };
}

type Boxes = Pick<Folded, "count" | "kind" | "ref" | "parent" | "end" | "depth" | "leafOf">;

function visibleBoxes(input: FoldInput, open: Uint8Array, showHidden: boolean): Boxes {
  const { containers, items, itemOffsets, hidden } = input;
  const filled = holding(input, showHidden);
  const kind: number[] = [OPEN];
  const ref: number[] = [0];
  const parent: number[] = [-1];
  const depth: number[] = [0];
  const leafOf = new Int32Array(input.nodes).fill(-1);
  // Each frame: a container, the box whose content it is, the next item. Boxes below a closed container share its box.
  const stack: { container: number; box: number; at: number; closed: boolean }[] = [{ container: 0, box: 0, at: itemOffsets[0] as number, closed: false }];
  const ends: number[] = [0];
  while (stack.length > 0) {
    const top = stack[stack.length - 1] as (typeof stack)[number];
    if (top.at === itemOffsets[top.container + 1]) {
      if (!top.closed) ends[top.box] = kind.length;
      stack.pop();
      continue;
    }
    const item = items[top.at] as number;
    top.at += 1;
    const node = item - containers;
    if (node >= 0 ? hidden[node] && !showHidden : !filled[item]) continue;
    let box = top.box;
    if (!top.closed) {
      box = kind.length;
      kind.push(node >= 0 ? NODE : open[item] ? OPEN : CLOSED);
      ref.push(node >= 0 ? node : item);
      parent.push(top.box);
      depth.push((depth[top.box] as number) + 1);
      ends.push(box + 1);
    }
    if (node >= 0) leafOf[node] = box;
    else stack.push({ container: item, box, at: itemOffsets[item] as number, closed: top.closed || !open[item] });
  }
  return {
    count: kind.length,
    kind: Uint8Array.from(kind),
    ref: Uint32Array.from(ref),
    parent: Int32Array.from(parent),
    end: Uint32Array.from(ends),
    depth: Uint16Array.from(depth),
    leafOf,
  };
}

/** By container: whether anything in it is visible. */
function holding({ containers, items, itemOffsets, hidden }: FoldInput, showHidden: boolean): Uint8Array {
  const around = new Int32Array(containers).fill(-1);
  const filled = new Uint8Array(containers);
  for (let container = 0; container < containers; container += 1) {
    for (let at = itemOffsets[container] as number; at < (itemOffsets[container + 1] as number); at += 1) {
      const item = items[at] as number;
      if (item < containers) around[item] = container;
    }
  }
  for (let container = 0; container < containers; container += 1) {
    for (let at = itemOffsets[container] as number; at < (itemOffsets[container + 1] as number); at += 1) {
      const node = (items[at] as number) - containers;
      if (node < 0 || (hidden[node] && !showHidden)) continue;
      for (let up = container; up >= 0 && !filled[up]; up = around[up] as number) filled[up] = 1;
      break;
    }
  }
  return filled;
}

function edges(input: FoldInput, leafOf: Int32Array, count: number, showHidden: boolean): Pick<Folded, "readerOffsets" | "readers" | "values" | "called" | "calls" | "tagOffsets" | "tags"> {
  const { nodes, inOffsets, inNodes, stub, hidden } = input;
  const calls = throughCalls(input, showHidden);
  const reads = new Float64Array(inNodes.length + calls.length / 2);
  const tags = new Float64Array(inNodes.length + calls.length / 2);
  let readCount = 0;
  let tagCount = 0;
  for (let node = 0; node < nodes; node += 1) {
    const to = leafOf[node] as number;
    if (to < 0) continue;
    for (let at = inOffsets[node] as number; at < (inOffsets[node + 1] as number); at += 1) {
      const from = inNodes[at] as number;
      if (leafOf[from] === to || (hidden[from] && !showHidden)) continue;
      if (stub[from]) tags[tagCount++] = to * nodes + from;
      else if ((leafOf[from] as number) >= 0) reads[readCount++] = from * count + to;
    }
  }
  const plain = new Set<number>();
  if (calls.length > 0) for (let at = 0; at < readCount; at += 1) plain.add((leafOf[Math.floor((reads[at] as number) / count)] as number) * count + ((reads[at] as number) % count));
  for (let at = 0; at < calls.length; at += 2) {
    const from = calls[at] as number;
    const to = leafOf[calls[at + 1] as number] as number;
    if (to < 0 || leafOf[from] === to) continue;
    if (stub[from]) tags[tagCount++] = to * nodes + from;
    else if ((leafOf[from] as number) >= 0) reads[readCount++] = from * count + to;
  }
  // By value and reader, each once; then by box and reader, counted.
  const values = distinct(reads.subarray(0, readCount));
  for (let at = 0; at < values.length; at += 1) {
    const key = values[at] as number;
    const from = Math.floor(key / count);
    values[at] = (leafOf[from] as number) * count + (key - from * count);
  }
  values.sort();
  const readers: number[] = [];
  const numbers: number[] = [];
  const called: number[] = [];
  const readerOffsets = new Uint32Array(count + 1);
  for (let at = 0; at < values.length; at += 1) {
    const key = values[at] as number;
    if (at > 0 && key === values[at - 1]) {
      numbers[numbers.length - 1] = (numbers[numbers.length - 1] as number) + 1;
      continue;
    }
    const from = Math.floor(key / count);
    readers.push(key - from * count);
    numbers.push(1);
    called.push(Number(calls.length > 0 && !plain.has(key)));
    readerOffsets[from + 1] = (readerOffsets[from + 1] as number) + 1;
  }
  const tagged = distinct(tags.subarray(0, tagCount));
  const tagOffsets = new Uint32Array(count + 1);
  const tagNodes = Uint32Array.from(tagged, (key) => {
    const box = Math.floor(key / nodes);
    tagOffsets[box + 1] = (tagOffsets[box + 1] as number) + 1;
    return key - box * nodes;
  });
  return { readerOffsets: summed(readerOffsets), readers: Uint32Array.from(readers), values: Uint32Array.from(numbers), called: Uint8Array.from(called), calls, tagOffsets: summed(tagOffsets), tags: tagNodes };
}

function distinct(keys: Float64Array): Float64Array {
  keys.sort();
  let kept = 0;
  for (let at = 0; at < keys.length; at += 1) if (at === 0 || keys[at] !== keys[at - 1]) keys[kept++] = keys[at] as number;
  return keys.subarray(0, kept);
}

function summed(counts: Uint32Array): Uint32Array {
  for (let at = 1; at < counts.length; at += 1) counts[at] = (counts[at] as number) + (counts[at - 1] as number);
  return counts;
}
