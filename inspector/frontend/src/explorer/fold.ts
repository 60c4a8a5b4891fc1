// What of a graph is visible: a tree of open containers, closed ones and nodes, and the edges between what is visible.

import type { Tree } from "./tree.ts";

/** Boxes that a graph opens with, at most; a group that is alone is opened past it. */
const OPENING_BOXES = 40;

/** Which containers are open at first: level by level, as long as everything fits the eye. Runs stay merged. */
export function openingPaths(tree: Tree): Set<string> {
  const open = new Set<string>();
  const inside = (container: number): number => tree.children(container).length + tree.nodes(container).filter((node) => !tree.graph.hidden[node]).length;
  let level = [0];
  let boxes = inside(0);
  while (level.length > 0) {
    const next = level.flatMap((container) => [...tree.children(container)]).filter((container) => !tree.isRun(container));
    level = [];
    for (const container of next) {
      const more = inside(container) - 1;
      const alone = boxes <= 3 && more > 0;
      if (!alone && (boxes + more > OPENING_BOXES || more > OPENING_BOXES / 2)) continue;
      open.add(tree.path(container));
      boxes += more;
      level.push(container);
    }
  }
  return open;
}
