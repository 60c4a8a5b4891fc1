// Two graphs side by side: the earlier one in a canvas of its own, whose camera, groups and picks follow those of the later one.

import type { Camera } from "./camera.ts";
import { NODE } from "./fold.ts";
import { followKeys, type KeyTargets } from "./keyboard.ts";
import { followPointer } from "./pointer.ts";
import { ExplorerState, type Comparison, type GraphSource } from "./state.ts";
import type { Tree } from "./tree.ts";
import { GraphCanvas } from "./view.ts";

/** Shows a second canvas in `stages` while the state compares side by side. */
export function besides(view: GraphCanvas, source: GraphSource, stages: HTMLElement, targets: KeyTargets, signal: AbortSignal): void {
  const { state } = view;
  let shown: { compare: Comparison; gone: AbortController } | null = null;
  const update = (): void => {
    const wanted = state.compare?.mode === "side" ? state.compare : null;
    if (shown?.compare === wanted) return;
    shown?.gone.abort();
    shown = null;
    if (!wanted) return;
    const gone = new AbortController();
    signal.addEventListener("abort", () => gone.abort(), { once: true, signal: gone.signal });
    shown = { compare: wanted, gone };
    open(view, wanted, source, stages, targets, gone.signal);
  };
  state.on("compare", update, signal);
  state.on("graph", update, signal);
}

function open(view: GraphCanvas, compare: Comparison, source: GraphSource, stages: HTMLElement, targets: KeyTargets, signal: AbortSignal): void {
  const left = new ExplorerState(compare.row, compare.graph, source);
  left.compare = compare;
  left.overlay = view.state.overlay;
  const other = new GraphCanvas(left, signal, `${compare.graph.compileId} ${compare.graph.stage}`);
  other.canvas.setAttribute("aria-label", `The earlier graph: compile ${compare.graph.compileId}, ${compare.graph.stage}`);
  followPointer(other, signal);
  followKeys(other, targets, signal);
  stages.insertBefore(other.element, view.element);
  signal.addEventListener("abort", () => {
    other.element.remove();
    view.moved = null;
  });
  linkStates(view.state, left, compare.pairs, signal);
  const settle = linkCameras(view, other);
  const line = (): void => {
    lineUp(view, other, compare.pairs);
    settle();
  };
  const [picked] = view.state.selection;
  if (picked !== undefined) view.state.reveal(picked);
  other.laidOut = line;
  view.laidOut = line;
  signal.addEventListener("abort", () => (view.laidOut = null));
  view.state.on("selection", line, signal);
}

/** Puts what a reader looks at in the right canvas at the same place of the left one. */
function lineUp(right: GraphCanvas, left: GraphCanvas, pairs: Uint32Array): void {
  const here = right.picture?.scene;
  const there = left.picture?.scene;
  if (!here || !there) return;
  for (let box = right.focusBox(); box > 0; box = here.parent[box] as number) {
    const twin = twinOf(right, left, pairs, box);
    if (twin <= 0) continue;
    const { camera } = right;
    const x = ((here.x[box] as number) + (here.width[box] as number) / 2 - camera.left) * camera.scale;
    const y = ((here.y[box] as number) - camera.top) * camera.scale;
    left.camera.put(camera.scale, { x: (there.x[twin] as number) + (there.width[twin] as number) / 2, y: there.y[twin] as number }, x, y);
    return;
  }
}

/** The box of the left canvas that shows what a box of the right one shows; -1 where there is none. */
function twinOf(right: GraphCanvas, left: GraphCanvas, pairs: Uint32Array, box: number): number {
  const scene = right.picture?.scene;
  if (!scene) return -1;
  const ref = scene.ref[box] as number;
  if (scene.kind[box] !== NODE) return left.boxOfContainer(right.tree.path(ref));
  for (let at = 0; at + 1 < pairs.length; at += 2) if (pairs[at + 1] === ref) return left.boxOf(pairs[at] as number);
  return -1;
}

/** What to open in a tree so that it shows what is open in another one, whose runs may end elsewhere. */
export function translated(open: ReadonlySet<string>, from: Tree, to: Tree): Set<string> {
  const found = new Set<string>();
  const add = (container: number): void => {
    for (const each of to.ancestors(container, true)) found.add(to.path(each));
  };
  for (const path of open) {
    const same = to.at(path);
    if (same !== undefined) {
      if (same !== 0) add(same);
      continue;
    }
    const run = from.at(path);
    if (run === undefined || !from.isRun(run)) continue;
    for (const member of from.membersOf(run)) {
      const twin = to.at(from.path(member));
      if (twin !== undefined && to.isRun(to.parent[twin] as number)) add(to.parent[twin] as number);
    }
  }
  return found;
}

/** Makes what is open, picked, searched and coloured in one graph so in the other. */
function linkStates(right: ExplorerState, left: ExplorerState, pairs: Uint32Array, signal: AbortSignal): void {
  const toLeft = new Map<number, number[]>();
  const toRight = new Map<number, number[]>();
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const [a, b] = [pairs[at] as number, pairs[at + 1] as number];
    toRight.set(a, [...(toRight.get(a) ?? []), b]);
    toLeft.set(b, [...(toLeft.get(b) ?? []), a]);
  }
  let busy = false;
  const once = (act: () => void) => (): void => {
    if (busy) return;
    busy = true;
    try {
      act();
    } finally {
      busy = false;
    }
  };
  const both = (from: ExplorerState, to: ExplorerState, through: Map<number, number[]>): void => {
    from.on("selection", once(() => {
      if (from.selectedGroup !== null) to.selectGroup(from.selectedGroup);
      else if (from.selectedEdge) to.selectEdge({ pairs: from.selectedEdge.pairs.flatMap(([value, reader]) => (through.get(value) ?? []).flatMap((one) => (through.get(reader) ?? []).map((other): [number, number] => [one, other]))) });
      else to.select(from.selection.flatMap((node) => through.get(node) ?? []));
    }), signal);
    from.on("expanded", once(() => to.open(translated(from.expanded, from.tree, to.tree))), signal);
    from.on("reveal", once(() => {
      const [node] = through.get(from.revealed) ?? [];
      if (node !== undefined) to.reveal(node);
    }), signal);
  };
  left.open(translated(right.expanded, right.tree, left.tree));
  both(right, left, toLeft);
  both(left, right, toRight);
  left.select(right.selection.flatMap((node) => toLeft.get(node) ?? []));
  right.on("matches", () => left.search(right.query), signal);
  right.on("overlay", () => left.setOverlay(right.overlay.kind, right.overlay.argument), signal);
  left.search(right.query);
}

/** Moves one camera by as much as the other moves. What it returns is called when they were moved apart on purpose. */
function linkCameras(a: GraphCanvas, b: GraphCanvas): () => void {
  const before = new Map<GraphCanvas, Pose>();
  const settle = (): void => {
    for (const view of [a, b]) before.set(view, pose(view.camera));
  };
  const link = (from: GraphCanvas, to: GraphCanvas): void => {
    from.moved = () => {
      const was = before.get(from) as Pose;
      const now = pose(from.camera);
      if (now.left === was.left && now.top === was.top && now.scale === was.scale) return;
      const { camera } = to;
      if (now.scale !== was.scale) {
        // The place of the screen that the zoom left where it was.
        const still = 1 / was.scale - 1 / now.scale;
        camera.zoom(now.scale / camera.scale, (now.left - was.left) / still, (now.top - was.top) / still);
      } else camera.shift(now.left - was.left, now.top - was.top);
      settle();
    };
  };
  settle();
  link(a, b);
  link(b, a);
  return settle;
}

interface Pose {
  left: number;
  top: number;
  scale: number;
}

function pose({ left, top, scale }: Camera): Pose {
  return { left, top, scale };
}
