// The layout of what is visible: each open container by itself, from the inside out, so that opening one group lays out that group
// and what holds it. What was laid out once is kept by its content: a hundred alike layers are laid out once.

import { CLOSED, fold, NODE, OPEN, type Folded, type FoldInput } from "./fold.ts";
import { layered, type Layered, type LayerInput } from "./layering.ts";
import { childHolding, netsOf, OUTWARDS, tagOrder, type ContainerNets } from "./nets.ts";

export const HEADER = 26;
export const PAD = 12;
export const FOOT = 10;
export const TAG_HEIGHT = 15;
export const TAGS_SHOWN = 3;
const TAG_GAP = 6;
const KEPT = 4000;

/** What a layout needs of a graph besides its structure: sizes, in pixels at scale 1. */
export interface LayoutInput extends FoldInput {
  /** By item (see `FoldInput`): the size of its box where it is not open. */
  readonly itemWidth: Float32Array;
  readonly itemHeight: Float32Array;
  /** By container: the least width of its frame where it is open. */
  readonly headerWidth: Float32Array;
  /** By node: the width of its name as a tag, 0 for nodes that are none. */
  readonly tagWidth: Float32Array;
}

/** What is painted. Coordinates are absolute, boxes in preorder as in `Folded`. */
export interface Scene extends Folded {
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly width: Float32Array;
  readonly height: Float32Array;
  /** By box: how much of its left side its tags take. */
  readonly inset: Float32Array;
  /** By box: where the pieces that run right in it begin; they are in the order of the boxes. */
  readonly edgeOffsets: Uint32Array;
  /** By edge piece: the box whose value it carries. */
  readonly edgeSource: Uint32Array;
  /** By edge piece: the box that it ends at; for a piece that leaves an open container, that container. */
  readonly edgeTarget: Uint32Array;
  /** By edge piece: 1 where it leaves a container by its border. */
  readonly edgeOut: Uint8Array;
  readonly edgeValues: Uint32Array;
  readonly pointOffsets: Uint32Array;
  readonly points: Float32Array;
  /** Edges too long to be drawn among many: box, box, box, box. */
  readonly unrouted: Uint32Array;
}

/** A container that was laid out, for whoever wants to lay it out better. */
export interface LaidContainer {
  readonly key: string;
  readonly box: number;
  /** The box around it, -1 for the root. */
  readonly parent: number;
  /** The container that it shows. */
  readonly ref: number;
  readonly input: LayerInput;
}

/** Folds and lays out; keeps what it laid out. */
export class Layouts {
  private readonly kept = new Map<string, Layered>();
  private readonly preferred = new Map<string, Layered>();

  constructor(private readonly input: LayoutInput) {}

  /** Puts a layout made elsewhere in place of the one that is made for a key; null takes it away again. */
  prefer(key: string, layout: Layered | null): void {
    if (layout) this.preferred.set(key, layout);
    else this.preferred.delete(key);
  }

  /** Whether a layout made elsewhere is in place for a key. */
  prefers(key: string): boolean {
    return this.preferred.has(key);
  }

  /** What is visible with these containers open, in its places. */
  *compute(open: Uint8Array, showHidden: boolean, seen?: (container: LaidContainer) => void): Generator<void, Scene> {
    const folded = fold(this.input, open, showHidden);
    yield;
    return yield* this.place(folded, seen);
  }

  /** What is visible in its places. */
  *place(folded: Folded, seen?: (container: LaidContainer) => void): Generator<void, Scene> {
    const { nets, sizes, inside } = yield* this.lay(folded, seen);
    yield;
    return assembled(folded, nets, sizes, inside);
  }

  /** Lays out each open container, from the inside out. `seen` is told of each; layouts of `trial`, by key, go before those in place. */
  *lay(folded: Folded, seen?: (container: LaidContainer) => void, trial?: ReadonlyMap<string, Layered>): Generator<void, { nets: (ContainerNets | undefined)[]; sizes: Sizes; inside: (Inside | undefined)[] }> {
    const nets = netsOf(folded);
    const order = tagOrder(folded);
    yield;
    const sizes = leafSizes(this.input, folded);
    const inside: (Inside | undefined)[] = Array.from({ length: folded.count });
    for (let box = folded.count - 1; box >= 0; box -= 1) {
      if (folded.kind[box] !== OPEN) continue;
      const local = localInput(folded, nets[box] as ContainerNets, order.get(box), box, sizes, inside);
      const key = contentKey(local.input);
      seen?.({ key, box, parent: folded.parent[box] as number, ref: folded.ref[box] as number, input: local.input });
      let layout = trial?.get(key) ?? this.preferred.get(key) ?? this.kept.get(key);
      if (!layout) {
        layout = yield* layered(local.input);
        this.keep(key, layout);
        yield;
      } else if (box % 16 === 0) yield;
      const header = box === 0 ? 0 : HEADER;
      const pad = box === 0 ? 0 : PAD;
      const least = box === 0 ? 0 : (this.input.headerWidth[folded.ref[box] as number] as number);
      sizes.width[box] = Math.max(layout.width + 2 * pad, least);
      sizes.height[box] = layout.height + header + (box === 0 ? 0 : FOOT);
      inside[box] = { ...local, layout, left: ((sizes.width[box] as number) - layout.width) / 2, header };
    }
    return { nets, sizes, inside };
  }

  private keep(key: string, layout: Layered): void {
    if (this.kept.size >= KEPT) this.kept.clear();
    this.kept.set(key, layout);
  }
}

interface Sizes {
  readonly width: Float32Array;
  readonly height: Float32Array;
  readonly inset: Float32Array;
}

/** One open container: what was laid out in it, and where. */
interface Inside {
  readonly input: LayerInput;
  readonly children: number[];
  /** By net that comes in from above, or leaves below: its local index. */
  readonly tops: ReadonlyMap<number, number>;
  readonly bottoms: ReadonlyMap<number, number>;
  readonly layout: Layered;
  readonly left: number;
  readonly header: number;
}

function leafSizes(input: LayoutInput, folded: Folded): Sizes {
  const { count, kind, ref, tagOffsets, tags } = folded;
  const sizes = { width: new Float32Array(count), height: new Float32Array(count), inset: new Float32Array(count) };
  for (let box = 0; box < count; box += 1) {
    if (kind[box] === OPEN) continue;
    const item = (ref[box] as number) + (kind[box] === NODE ? input.containers : 0);
    const first = tagOffsets[box] as number;
    const shown = Math.min((tagOffsets[box + 1] as number) - first, TAGS_SHOWN);
    let widest = 0;
    for (let at = first; at < first + shown; at += 1) widest = Math.max(widest, input.tagWidth[tags[at] as number] as number);
    const inset = shown > 0 ? widest + TAG_GAP : 0;
    sizes.inset[box] = inset;
    sizes.width[box] = (input.itemWidth[item] as number) + inset;
    sizes.height[box] = Math.max(input.itemHeight[item] as number, shown * TAG_HEIGHT);
  }
  return sizes;
}

function localInput(folded: Folded, nets: ContainerNets, order: ReadonlySet<number> | undefined, container: number, sizes: Sizes, inside: (Inside | undefined)[]): Pick<Inside, "input" | "children" | "tops" | "bottoms"> {
  const children: number[] = [];
  const local = new Map<number, number>();
  for (let child = container + 1; child < (folded.end[container] as number); child = folded.end[child] as number) {
    local.set(child, children.length);
    children.push(child);
  }
  const tops = new Map<number, number>();
  const bottoms = new Map<number, number>();
  const source: number[] = [];
  const exit: number[] = [];
  let count = children.length;
  nets.sources.forEach((from) => {
    const child = childHolding(folded, container, from);
    if (child >= 0) {
      source.push(local.get(child) as number);
      exit.push(child === from ? (sizes.inset[from] as number) + ((sizes.width[from] as number) - (sizes.inset[from] as number)) / 2 : borderAt(inside[child] as Inside, "bottoms", from));
    } else {
      tops.set(from, count);
      source.push(count);
      exit.push(0);
      count += 1;
    }
  });
  const targets: number[] = [];
  const entry: number[] = [];
  nets.sources.forEach((from, net) => {
    for (let at = nets.offsets[net] as number; at < (nets.offsets[net + 1] as number); at += 1) {
      const target = nets.targets[at] as number;
      if (target === OUTWARDS) {
        bottoms.set(from, count);
        targets.push(count);
        entry.push(0);
        count += 1;
      } else {
        targets.push(local.get(target) as number);
        entry.push(folded.kind[target] === OPEN ? borderAt(inside[target] as Inside, "tops", from) : NaN);
      }
    }
  });
  const port = new Int8Array(count);
  for (const at of tops.values()) port[at] = -1;
  for (const at of bottoms.values()) port[at] = 1;
  const of = (values: Float32Array): Float32Array => {
    const made = new Float32Array(count);
    children.forEach((child, at) => (made[at] = values[child] as number));
    return made;
  };
  const input: LayerInput = {
    count,
    width: of(sizes.width),
    height: of(sizes.height),
    inset: of(sizes.inset),
    open: Uint8Array.from({ length: count }, (_, at) => Number(at < children.length && folded.kind[children[at] as number] === OPEN)),
    port,
    source: Uint32Array.from(source),
    exit: Float32Array.from(exit),
    offsets: Uint32Array.from(nets.offsets),
    targets: Uint32Array.from(targets),
    entry: Float32Array.from(entry),
    above: Uint32Array.from([...(order ?? [])].flatMap((pair) => [local.get(Math.floor(pair / folded.count)) as number, local.get(pair % folded.count) as number])),
  };
  return { input, children, tops, bottoms };
}

/** Where a value crosses a container's border, from the container's left side. */
function borderAt({ layout, left, tops, bottoms }: Inside, side: "tops" | "bottoms", source: number): number {
  const at = (side === "tops" ? tops : bottoms).get(source);
  return left + (at === undefined ? layout.width / 2 : (layout.x[at] as number));
}

/** Equal for containers whose content is laid out alike. */
function contentKey({ count, width, height, inset, open, port, source, exit, offsets, targets, entry, above }: LayerInput): string {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  const word = (value: number): void => {
    a = Math.imul(a ^ value, 0x01000193);
    b = Math.imul(b ^ (value + 0x7f4a7c15), 0x85ebca6b);
    b ^= b >>> 13;
  };
  for (const list of [width, height, inset, exit, entry]) for (const value of new Int32Array(list.buffer, list.byteOffset, list.length)) word(value);
  for (const list of [open, port, source, offsets, targets, above]) for (const value of list) word(value);
  return `${count}.${targets.length}.${(a >>> 0).toString(36)}.${(b >>> 0).toString(36)}`;
}

function assembled(folded: Folded, nets: (ContainerNets | undefined)[], sizes: Sizes, inside: (Inside | undefined)[]): Scene {
  const { count } = folded;
  const x = new Float32Array(count);
  const y = new Float32Array(count);
  let edges = 0;
  let coordinates = 0;
  for (let box = 0; box < count; box += 1) {
    const held = inside[box];
    if (!held) continue;
    const { layout, children, left, header } = held;
    children.forEach((child, at) => {
      x[child] = (x[box] as number) + left + (layout.x[at] as number);
      y[child] = (y[box] as number) + header + (layout.y[at] as number);
    });
    edges += held.input.targets.length;
    coordinates += layout.points.length;
  }
  const edgeSource = new Uint32Array(edges);
  const edgeTarget = new Uint32Array(edges);
  const edgeOut = new Uint8Array(edges);
  const edgeValues = new Uint32Array(edges);
  const pointOffsets = new Uint32Array(edges + 1);
  const points = new Float32Array(coordinates);
  const edgeOffsets = new Uint32Array(count + 1);
  const unrouted: number[] = [];
  let edge = 0;
  let filled = 0;
  for (let box = 0; box < count; box += 1) {
    edgeOffsets[box] = edge;
    const held = inside[box];
    if (!held) continue;
    const { sources, offsets, targets, values } = nets[box] as ContainerNets;
    const { layout, left, header, input } = held;
    const bottom = (y[box] as number) + (sizes.height[box] as number);
    for (let net = 0; net < sources.length; net += 1) {
      const incoming = input.port[input.source[net] as number] === -1;
      for (let at = offsets[net] as number; at < (offsets[net + 1] as number); at += 1) {
        const from = layout.routeOffsets[at] as number;
        const to = layout.routeOffsets[at + 1] as number;
        const target = targets[at] as number;
        if (from === to) {
          unrouted.push(sources[net] as number, target === OUTWARDS ? box : target);
          continue;
        }
        edgeSource[edge] = sources[net] as number;
        edgeTarget[edge] = target === OUTWARDS ? box : target;
        edgeOut[edge] = Number(target === OUTWARDS);
        edgeValues[edge] = values[at] as number;
        for (let point = from; point < to; point += 2) {
          points[filled + point - from] = (layout.points[point] as number) + (x[box] as number) + left;
          points[filled + point - from + 1] = (layout.points[point + 1] as number) + (y[box] as number) + header;
        }
        if (incoming) points[filled + 1] = y[box] as number;
        filled += to - from;
        if (target === OUTWARDS) points[filled - 1] = bottom;
        edge += 1;
        pointOffsets[edge] = filled;
      }
    }
  }
  edgeOffsets[count] = edge;
  return {
    ...folded,
    ...sizes,
    x,
    y,
    edgeOffsets,
    edgeSource: edgeSource.slice(0, edge),
    edgeTarget: edgeTarget.slice(0, edge),
    edgeOut: edgeOut.slice(0, edge),
    edgeValues: edgeValues.slice(0, edge),
    pointOffsets: pointOffsets.slice(0, edge + 1),
    points: points.slice(0, filled),
    unrouted: Uint32Array.from(unrouted),
  };
}

export { CLOSED, NODE, OPEN };
