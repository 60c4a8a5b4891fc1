// The containers of a graph: its groups, and runs of alike neighbours as containers of their members. Nodes lie in groups.

import type { GraphModel } from "./model.ts";

/** Containers 0 to `groupCount - 1` are the groups; the runs follow. Container 0 is the root. */
export class Tree {
  readonly count: number;
  readonly parent: Uint32Array;
  /** By container: how many nodes lie in it, at any depth, hidden ones left out. */
  readonly nodeCount: Uint32Array;
  /** By container: how many levels below the root. */
  readonly depth: Uint16Array;
  private readonly paths: string[];
  private readonly byPath: Map<string, number>;
  private readonly childOffsets: Uint32Array;
  private readonly childItems: Uint32Array;
  private readonly nodeOffsets: Uint32Array;
  private readonly nodeItems: Uint32Array;
  private readonly members: Map<number, number[]>;

  constructor(readonly graph: GraphModel) {
    const { groupCount, groupParent, groupRun } = graph;
    const members = new Map<number, number[]>();
    for (let group = 1; group < groupCount; group += 1) {
      const first = groupRun[group] as number;
      if (first === 0 || groupParent[first] !== groupParent[group]) continue;
      const found = members.get(first);
      if (found) found.push(group);
      else members.set(first, [group]);
    }
    const runs = [...members.values()].filter((found) => found.length > 1);
    this.count = groupCount + runs.length;
    this.members = new Map(runs.map((found, at) => [groupCount + at, found]));
    this.parent = new Uint32Array(this.count);
    this.parent.set(groupParent);
    this.paths = Array.from({ length: groupCount }, (_, group) => graph.groupText("g_path", group) ?? `#${group}`);
    for (const [run, found] of this.members) {
      this.parent[run] = groupParent[found[0] as number] as number;
      for (const member of found) this.parent[member] = run;
      this.paths.push(runPath(graph, found));
    }
    this.byPath = new Map(this.paths.map((path, container) => [path, container]));
    this.depth = this.depths();
    this.nodeCount = this.counted();
    [this.nodeOffsets, this.nodeItems] = byKey(graph.group, this.count);
    [this.childOffsets, this.childItems] = byKey(this.parent, this.count, 0);
  }

  /** The stable id of a container. */
  path(container: number): string {
    return this.paths[container] ?? "";
  }

  /** The container of a stable id. */
  at(path: string): number | undefined {
    return this.byPath.get(path);
  }

  isRun(container: number): boolean {
    return container >= this.graph.groupCount;
  }

  /** The groups that a run stands for, in order; a group stands for itself. */
  membersOf(container: number): readonly number[] {
    return this.members.get(container) ?? [container];
  }

  /** The containers right below a container, in order. */
  children(container: number): Uint32Array {
    return this.childItems.subarray(this.childOffsets[container], this.childOffsets[container + 1]);
  }

  /** The nodes right in a container, in order; none for a run. */
  nodes(container: number): Uint32Array {
    return this.nodeItems.subarray(this.nodeOffsets[container], this.nodeOffsets[container + 1]);
  }

  /** The containers that hold a container, innermost first, the root left out; the container itself included where asked. */
  ancestors(container: number, withItself = false): number[] {
    const found: number[] = [];
    for (let at = withItself ? container : (this.parent[container] as number); at !== 0; at = this.parent[at] as number) found.push(at);
    return found;
  }

  /** What a container is called: "3" for layers.3, "0 … 31" for a run. */
  name(container: number): string {
    const members = this.members.get(container);
    const word = (group: number): string => this.graph.groupText("g_name", group) ?? "";
    return members ? `${word(members[0] as number)} … ${word(members[members.length - 1] as number)}` : word(container);
  }

  /** The class of a container's modules, null where none is known. */
  className(container: number): string | null {
    return this.graph.groupText("g_class", this.members.get(container)?.[0] ?? container);
  }

  private depths(): Uint16Array {
    const depth = new Uint16Array(this.count);
    for (const container of this.downwards()) if (container !== 0) depth[container] = (depth[this.parent[container] as number] as number) + 1;
    return depth;
  }

  private counted(): Uint32Array {
    const counts = new Uint32Array(this.count);
    const { group, hidden, count } = this.graph;
    for (let node = 0; node < count; node += 1) if (!hidden[node]) counts[group[node] as number] = (counts[group[node] as number] as number) + 1;
    for (const container of this.downwards().reverse()) {
      if (container === 0) continue;
      const parent = this.parent[container] as number;
      counts[parent] = (counts[parent] as number) + (counts[container] as number);
    }
    return counts;
  }

  /** Every container, parents before children. */
  private downwards(): number[] {
    const { groupCount } = this.graph;
    const order: number[] = [];
    const done = new Uint8Array(this.count);
    for (let group = 0; group < groupCount; group += 1) {
      const parent = this.parent[group] as number;
      if (parent >= groupCount && !done[parent]) {
        done[parent] = 1;
        order.push(parent);
      }
      order.push(group);
    }
    return order;
  }
}

/** The stable id of a run of alike groups: the first one's path, and the last one's name. */
export function runPath(graph: GraphModel, members: readonly number[]): string {
  const first = members[0] as number;
  const last = members[members.length - 1] as number;
  return `${graph.groupText("g_path", first) ?? ""}…${graph.groupText("g_name", last) ?? ""}`;
}

/** Indices by key, in order; index `skip` is left out. */
function byKey(keys: Uint32Array, count: number, skip = -1): [Uint32Array, Uint32Array] {
  const offsets = new Uint32Array(count + 1);
  keys.forEach((key, at) => at !== skip && (offsets[key + 1] = (offsets[key + 1] as number) + 1));
  for (let key = 0; key < count; key += 1) offsets[key + 1] = (offsets[key + 1] as number) + (offsets[key] as number);
  const next = offsets.slice();
  const items = new Uint32Array(offsets[count] as number);
  keys.forEach((key, at) => {
    if (at === skip) return;
    items[next[key] as number] = at;
    next[key] = (next[key] as number) + 1;
  });
  return [offsets, items];
}
