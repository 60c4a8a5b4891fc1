// The edges of what is visible, cut at the borders of open containers: inside each container, the nets that are laid out there.

import { OPEN, type Folded } from "./fold.ts";

/** A target that stands for the lower border: the value leaves the container. */
export const OUTWARDS = -1;

/** The nets of one open container: net k is the value of box `sources[k]`, its targets the items from `offsets[k]` on. */
export interface ContainerNets {
  readonly sources: number[];
  readonly offsets: number[];
  /** Boxes right in the container, or OUTWARDS. */
  readonly targets: number[];
  /** By target: how many values go there. */
  readonly values: number[];
}

/** By box: the nets of an open container, undefined for other boxes. */
export function netsOf(folded: Folded): (ContainerNets | undefined)[] {
  const { count, kind, parent, end, depth, readerOffsets, readers, values } = folded;
  const nets: (ContainerNets | undefined)[] = Array.from({ length: count });
  for (let box = 0; box < count; box += 1) if (kind[box] === OPEN) nets[box] = { sources: [], offsets: [0], targets: [], values: [] };
  const entered = new Int32Array(count).fill(-1);
  const add = (container: number, source: number, target: number, value: number): void => {
    const net = nets[container] as ContainerNets;
    if (net.sources[net.sources.length - 1] !== source) {
      net.sources.push(source);
      net.offsets.push(net.targets.length);
    }
    net.targets.push(target);
    net.values.push(value);
    net.offsets[net.offsets.length - 1] = net.targets.length;
  };
  for (let source = 0; source < count; source += 1) {
    const first = readerOffsets[source] as number;
    const last = readerOffsets[source + 1] as number;
    if (first === last) continue;
    let highest = Infinity;
    let most = 0;
    for (let at = first; at < last; at += 1) {
      const value = values[at] as number;
      let child = readers[at] as number;
      most = Math.max(most, value);
      for (;;) {
        const container = parent[child] as number;
        add(container, source, child, value);
        if (source >= container && source < (end[container] as number)) {
          highest = Math.min(highest, depth[container] as number);
          break;
        }
        if (entered[container] === source) break;
        entered[container] = source;
        child = container;
      }
    }
    for (let at = parent[source] as number; (depth[at] as number) > highest; at = parent[at] as number) add(at, source, OUTWARDS, most);
  }
  return nets;
}

/** By open container: pairs of boxes right in it of which the first holds a long-lived value that the second reads by a tag. */
export function tagOrder(folded: Folded): Map<number, Set<number>> {
  const { count, tagOffsets, tags, leafOf, parent, end } = folded;
  const found = new Map<number, Set<number>>();
  for (let box = 1; box < count; box += 1) {
    for (let at = tagOffsets[box] as number; at < (tagOffsets[box + 1] as number); at += 1) {
      const source = leafOf[tags[at] as number] as number;
      if (source < 0) continue;
      let child = box;
      while (source < (parent[child] as number) || source >= (end[parent[child] as number] as number)) child = parent[child] as number;
      const container = parent[child] as number;
      const pairs = found.get(container) ?? new Set<number>();
      pairs.add(childHolding(folded, container, source) * count + child);
      found.set(container, pairs);
    }
  }
  return found;
}

/** The box right in `container` that is or holds `box`; -1 where the box lies outside. */
export function childHolding(folded: Folded, container: number, box: number): number {
  if (box < container || box >= (folded.end[container] as number)) return -1;
  let at = box;
  while (folded.parent[at] !== container) at = folded.parent[at] as number;
  return at;
}
