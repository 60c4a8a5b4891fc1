// The rows of the outline: containers and nodes of a graph in the order of the printout, those below closed containers left out.

import type { Tree } from "./tree.ts";

/** One row: a container or a node, how deep it lies, and its place among its siblings. */
export interface OutlineRow {
  readonly container: number;
  /** -1 for a container. */
  readonly node: number;
  readonly level: number;
  readonly place: number;
  readonly siblings: number;
}

/** What lies right in each container, in order: a node as its index, a container as `-1 - container`. */
export class Outline {
  private readonly first: Float64Array;
  private readonly inside = new Map<number, Int32Array>();

  constructor(readonly tree: Tree) {
    this.first = firstNodes(tree);
  }

  /** The rows in sight of a reader who opened these containers; the root's own row is left out. */
  rows(open: ReadonlySet<number>): OutlineRow[] {
    const rows: OutlineRow[] = [];
    const stack: { items: Int32Array; at: number }[] = [{ items: this.of(0), at: 0 }];
    for (let top = stack[0]; top !== undefined; top = stack[stack.length - 1]) {
      const item = top.items[top.at];
      if (item === undefined) {
        stack.pop();
        continue;
      }
      top.at += 1;
      const container = item < 0 ? -1 - item : -1;
      rows.push({ container, node: item < 0 ? -1 : item, level: stack.length, place: top.at, siblings: top.items.length });
      if (container >= 0 && open.has(container)) stack.push({ items: this.of(container), at: 0 });
    }
    return rows;
  }

  /** What lies in a container. */
  of(container: number): Int32Array {
    let found = this.inside.get(container);
    if (!found) {
      const nodes = this.tree.nodes(container);
      const children = this.tree.children(container);
      const items = new Int32Array(nodes.length + children.length);
      items.set(nodes);
      children.forEach((child, at) => (items[nodes.length + at] = -1 - child));
      const order = (item: number): number => (item < 0 ? (this.first[-1 - item] ?? 0) - 0.5 : item);
      found = items.sort((a, b) => order(a) - order(b));
      this.inside.set(container, found);
    }
    return found;
  }
}

/** By container: its first node, in the order of the printout; infinity where it has none. */
function firstNodes(tree: Tree): Float64Array {
  const first = new Float64Array(tree.count).fill(Infinity);
  const { group, count } = tree.graph;
  for (let node = 0; node < count; node += 1) {
    for (let at = group[node] as number; (first[at] as number) > node; at = tree.parent[at] as number) {
      first[at] = node;
      if (at === 0) break;
    }
  }
  return first;
}
