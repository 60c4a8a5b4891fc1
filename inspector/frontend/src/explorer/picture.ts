// Everything that a picture of the graph is made from, and what follows from it: the words of boxes, what is marked, what is hit.

import type { Camera } from "./camera.ts";
import { piecesOfCalls, type Reads } from "./edges.ts";
import { CLOSED, NODE, OPEN } from "./fold.ts";
import { containerLabel, fontsOf, nodeLabel, type ContainerLabel, type Fonts, type NodeLabel, type Ruler } from "./labels.ts";
import { HEADER, TAG_HEIGHT, TAGS_SHOWN, type Scene } from "./layout.ts";
import type { Painting } from "./overlays.ts";
import type { Palette } from "./palette.ts";
import type { Tree } from "./tree.ts";

/** What a reader has marked, in boxes of the scene. */
export interface Marks {
  /** Boxes that are picked, or that hold a picked node: 2 and 1. */
  readonly picked: Uint8Array;
  /** By box: how many of the matches of a search it shows or holds; null where there is no search. */
  readonly matches: Uint32Array | null;
  /** Leaf boxes whose edges are drawn strongly: those of what is picked and of what the pointer is on. */
  readonly strong: ReadonlySet<number>;
  readonly hover: number;
  /** The edges that are picked and under the pointer: their pieces by the box that they come from. */
  readonly edge: ReadonlyMap<number, Reads>;
  readonly hoverEdge: ReadonlyMap<number, Reads>;
}

export const NO_MARKS: Marks = { picked: new Uint8Array(0), matches: null, strong: new Set(), hover: -1, edge: new Map(), hoverEdge: new Map() };

/** A scene with its words and colours. */
export class Picture {
  readonly fonts: Fonts;
  private readonly nodeWords = new Map<number, NodeLabel>();
  private readonly containerWords = new Map<number, ContainerLabel>();
  private readonly fitted = new Map<string, string>();
  private shares: Uint32Array | null = null;
  /** By edge piece: left, top, right, bottom. */
  readonly edgeBounds: Float32Array;
  /** By edge piece: 1 where it leads into or out of a graph that is called; null where there is none. */
  readonly callPieces: Uint8Array | null;

  constructor(
    readonly scene: Scene,
    readonly tree: Tree,
    readonly palette: Palette,
    readonly painting: Painting,
    readonly ruler: Ruler,
  ) {
    this.fonts = fontsOf(palette.family);
    this.edgeBounds = bounds(scene);
    this.callPieces = piecesOfCalls(scene);
  }

  /** The same scene in other colours. */
  repainted(palette: Palette, painting: Painting): Picture {
    return new Picture(this.scene, this.tree, palette, painting, this.ruler);
  }

  node(node: number): NodeLabel {
    let found = this.nodeWords.get(node);
    if (!found) {
      found = nodeLabel(this.tree.graph, node);
      this.nodeWords.set(node, found);
    }
    return found;
  }

  container(container: number): ContainerLabel {
    let found = this.containerWords.get(container);
    if (!found) {
      found = containerLabel(this.tree, container);
      this.containerWords.set(container, found);
    }
    return found;
  }

  fit(text: string, font: string, room: number): string {
    const key = `${font}|${Math.floor(room)}|${text}`;
    let found = this.fitted.get(key);
    if (found === undefined) {
      if (this.fitted.size > 20_000) this.fitted.clear();
      found = this.ruler.fit(text, font, room);
      this.fitted.set(key, found);
    }
    return found;
  }

  /** How many nodes of each category a container holds; null where there are too many categories to tell apart. */
  share(container: number): Uint32Array | null {
    const kinds = this.painting.categories.length;
    if (kinds === 0 || kinds > 24) return null;
    this.shares ??= shares(this.tree, this.painting);
    return this.shares.subarray(container * kinds, (container + 1) * kinds);
  }

  /** The category of a leaf box: a node's own, a closed container's commonest; -1 for none. */
  category(box: number): number {
    const { kind, ref } = this.scene;
    if (kind[box] === NODE) return this.painting.of[ref[box] as number] as number;
    const share = this.share(ref[box] as number);
    if (!share) return -1;
    let best = -1;
    share.forEach((count, at) => {
      if (count > 0 && (best < 0 || count > (share[best] as number))) best = at;
    });
    return best;
  }
}

function shares(tree: Tree, painting: Painting): Uint32Array {
  const kinds = painting.categories.length;
  const made = new Uint32Array(tree.count * kinds);
  const { graph } = tree;
  for (let node = 0; node < graph.count; node += 1) {
    const kind = painting.of[node] as number;
    if (kind < 0 || graph.hidden[node]) continue;
    for (let at = graph.group[node] as number; ; at = tree.parent[at] as number) {
      made[at * kinds + kind] = (made[at * kinds + kind] as number) + 1;
      if (at === 0) break;
    }
  }
  return made;
}

function bounds({ pointOffsets, points, edgeSource }: Scene): Float32Array {
  const made = new Float32Array(edgeSource.length * 4);
  for (let edge = 0; edge < edgeSource.length; edge += 1) {
    let left = Infinity;
    let right = -Infinity;
    let top = Infinity;
    let bottom = -Infinity;
    for (let at = pointOffsets[edge] as number; at < (pointOffsets[edge + 1] as number); at += 2) {
      const x = points[at] as number;
      const y = points[at + 1] as number;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      if (y > bottom) bottom = y;
    }
    made.set([left, top, right, bottom], edge * 4);
  }
  return made;
}

/** True where a container is so small on the screen that it is drawn as one area. */
export function lump(scene: Scene, box: number, scale: number): boolean {
  const width = (scene.width[box] as number) * scale;
  const height = (scene.height[box] as number) * scale;
  return box > 0 && (Math.min(width, height) < 3 || (width * height < 450 && Math.min(width, height) < 26));
}

/** What lies under a point of the world. */
export interface Hit {
  readonly box: number;
  /** The long-lived node whose tag was met, else -1. */
  readonly tag: number;
  /** True on the header of an open container. */
  readonly header: boolean;
}

/** The innermost box under a point; null outside of everything. */
export function hit(scene: Scene, x: number, y: number, scale: number): Hit | null {
  let found = 0;
  for (let box = 1; box < (scene.end[found] as number); ) {
    const left = scene.x[box] as number;
    const top = scene.y[box] as number;
    const inside = x >= left && x <= left + (scene.width[box] as number) && y >= top && y <= top + (scene.height[box] as number);
    if (!inside) {
      box = scene.end[box] as number;
      continue;
    }
    found = box;
    if (scene.kind[box] !== OPEN || lump(scene, box, scale)) break;
    box += 1;
  }
  if (found === 0) return null;
  const inset = scene.inset[found] as number;
  let tag = -1;
  if (inset > 0 && x < (scene.x[found] as number) + inset) {
    const first = scene.tagOffsets[found] as number;
    const shown = Math.min((scene.tagOffsets[found + 1] as number) - first, TAGS_SHOWN);
    const top = (scene.y[found] as number) + ((scene.height[found] as number) - shown * TAG_HEIGHT) / 2;
    const row = Math.floor((y - top) / TAG_HEIGHT);
    if (row >= 0 && row < shown) tag = scene.tags[first + row] as number;
  }
  return { box: found, tag, header: scene.kind[found] === OPEN && y < (scene.y[found] as number) + HEADER };
}

/** The boxes that lead from the outermost frame to what is in the middle of the screen's top edge. */
export function framesAt(scene: Scene, camera: Camera): number[] {
  const x = camera.left + camera.width / 2 / camera.scale;
  const y = camera.top + 30 / camera.scale;
  const frames: number[] = [];
  for (let box = 1, end = scene.count; box < end; ) {
    const inside =
      scene.kind[box] === OPEN &&
      x >= (scene.x[box] as number) &&
      x <= (scene.x[box] as number) + (scene.width[box] as number) &&
      y >= (scene.y[box] as number) + HEADER &&
      y <= (scene.y[box] as number) + (scene.height[box] as number);
    if (!inside) {
      box = scene.end[box] as number;
      continue;
    }
    frames.push(box);
    end = scene.end[box] as number;
    box += 1;
  }
  return frames;
}

export { CLOSED, NODE, OPEN };
