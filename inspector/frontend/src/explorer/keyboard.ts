// The explorer by keyboard: what each key does, as a table that the help shows as well.

import { edgesOf, type Edge } from "./edges.ts";
import type { ExplorerState } from "./state.ts";
import { NODE, OPEN } from "./fold.ts";
import type { GraphCanvas } from "./view.ts";

/** What keys call besides the state: of the explorer around the canvas. */
export interface KeyTargets {
  search(): void;
  help(): void;
  /** Layouts by Graphviz; left out where no Python can be asked. */
  tidy?: { press(): void; cancel(): boolean };
}

export const KEYS: readonly { keys: readonly string[]; what: string; needs?: "tidy" }[] = [
  { keys: ["↓", "↑"], what: "to a node that reads this one, to one that it reads" },
  { keys: ["←", "→"], what: "to the neighbour beside it" },
  { keys: ["o", "i"], what: "to the next edge that leaves what is picked, or comes into it; then ↓ and ↑ go to its ends" },
  { keys: ["Alt ↓", "Alt ↑"], what: "to the next, the previous node of the printout" },
  { keys: ["Enter"], what: "open or close the group that is picked, pick a node" },
  { keys: ["Backspace"], what: "to the group around what is picked" },
  { keys: ["Esc"], what: "close this help, end the search, then pick nothing" },
  { keys: ["+", "−"], what: "zoom in, zoom out" },
  { keys: ["0"], what: "fit all of the graph on the screen" },
  { keys: ["1"], what: "natural size, from the top" },
  { keys: ["Shift ↑↓←→"], what: "move the picture" },
  { keys: ["Page Down", "Page Up"], what: "move by a screen" },
  { keys: ["Home", "End"], what: "to the first, the last node" },
  { keys: ["e", "c"], what: "open everything, fold as at first" },
  { keys: ["f", "/"], what: "search" },
  { keys: ["n", "p"], what: "to the next, the previous match, or difference where two graphs are compared" },
  { keys: ["h"], what: "parameters and constants as boxes, or folded" },
  { keys: ["t"], what: "lay out what is open, or the open group that is picked, with Graphviz; again: cancel, or as it was", needs: "tidy" },
  { keys: ["?"], what: "this help" },
];

/** Listens to keys on a canvas until `signal` is aborted. */
export function followKeys(view: GraphCanvas, targets: KeyTargets, signal: AbortSignal): void {
  view.canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey) return;
    const act = action(view, targets, event);
    if (!act) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  }, { signal });
}

function action(view: GraphCanvas, targets: KeyTargets, event: KeyboardEvent): (() => void) | null {
  const { camera, state } = view;
  const far = event.shiftKey ? 80 : 0;
  switch (event.key) {
    case "ArrowDown":
      return event.shiftKey ? () => camera.pan(0, -far) : event.altKey ? () => along(state, 1) : () => step(view, "down");
    case "ArrowUp":
      return event.shiftKey ? () => camera.pan(0, far) : event.altKey ? () => along(state, -1) : () => step(view, "up");
    case "ArrowLeft":
      return event.shiftKey ? () => camera.pan(far, 0) : () => step(view, "left");
    case "ArrowRight":
      return event.shiftKey ? () => camera.pan(-far, 0) : () => step(view, "right");
    case "PageDown":
      return () => camera.pan(0, -camera.height * 0.85);
    case "PageUp":
      return () => camera.pan(0, camera.height * 0.85);
    case "Home":
      return () => pickNode(state, firstVisible(state, 0, 1));
    case "End":
      return () => pickNode(state, firstVisible(state, state.graph.count - 1, -1));
    case "Enter":
    case " ":
      return () => enter(view);
    case "Backspace":
      return () => outwards(state);
    case "Escape":
      return () => void (targets.tidy?.cancel() || escape(state));
    case "+":
    case "=":
      return () => camera.zoom(1.25);
    case "-":
    case "_":
      return () => camera.zoom(0.8);
    case "0":
      return () => view.fit();
    case "1":
      return () => view.home();
    case "e":
      return () => state.expandAll();
    case "c":
      return () => state.collapseAll();
    case "f":
    case "/":
      return () => targets.search();
    case "o":
      return () => edgeStep(view, "out");
    case "i":
      return () => edgeStep(view, "in");
    // While two graphs are compared these keys go through their differences, which is not the canvas's work.
    case "n":
      return state.compare ? null : () => state.nextMatch(1);
    case "p":
      return state.compare ? null : () => state.nextMatch(-1);
    case "h":
      return () => state.setShowHidden(!state.showHidden);
    case "t":
      return targets.tidy ? () => targets.tidy?.press() : null;
    case "?":
      return () => targets.help();
    default:
      return null;
  }
}

function pickNode(state: ExplorerState, node: number): void {
  if (node >= 0) state.select([node], { reveal: true });
}

function firstVisible(state: ExplorerState, from: number, by: 1 | -1): number {
  for (let node = from; node >= 0 && node < state.graph.count; node += by) if (!state.graph.hidden[node] || state.showHidden) return node;
  return -1;
}

/** To the next node of the printout. */
function along(state: ExplorerState, by: 1 | -1): void {
  const at = state.selection[0];
  pickNode(state, at === undefined ? firstVisible(state, by === 1 ? 0 : state.graph.count - 1, by) : firstVisible(state, at + by, by));
}

/** The box that is picked, -1 for none. */
function pickedBox(view: GraphCanvas): number {
  const { state } = view;
  if (state.selectedGroup !== null) return view.boxOfContainer(state.selectedGroup);
  const node = state.selection[0];
  return node === undefined ? -1 : view.boxOf(node);
}

/** Picks the box that is nearest in a direction: along edges up and down, beside it left and right. */
function step(view: GraphCanvas, way: "up" | "down" | "left" | "right"): void {
  const scene = view.picture?.scene;
  if (!scene) return;
  const ends = view.state.selectedEdge?.pairs[0];
  if (ends) return way === "up" || way === "down" ? pickBox(view, view.boxOf(ends[way === "up" ? 0 : 1])) : undefined;
  const from = pickedBox(view);
  if (from <= 0) return pickBox(view, firstLeaf(view));
  const joined = scene.kind[from] === OPEN ? insideOf(view, from, way) : neighbours(view, from, way);
  const best = nearest(view, from, joined);
  if (best > 0) pickBox(view, best);
}

/** Picks the next edge that leaves what is picked, or comes into it; of an edge, what it comes from, or leads to. */
function edgeStep(view: GraphCanvas, way: "out" | "in"): void {
  const scene = view.picture?.scene;
  const { state } = view;
  if (!scene) return;
  const ends = state.selectedEdge?.pairs[0];
  const box = ends ? view.boxOf(ends[way === "out" ? 0 : 1]) : pickedBox(view);
  if (box <= 0) return;
  const edges = edgesOf(scene, box, way);
  if (edges.length === 0) return view.say(way === "out" ? "No edge leaves it." : "No edge comes into it.");
  const now = ends ? edges.findIndex(({ source, readers }) => source === view.boxOf(ends[0]) && readers[0] === view.boxOf(ends[1])) : -1;
  const edge = edges[(now + 1) % edges.length] as Edge;
  const pick = view.pick(edge);
  if (!pick) return;
  view.say(null);
  state.selectEdge(pick);
  view.bringEdge(edge);
}

function firstLeaf(view: GraphCanvas): number {
  const scene = view.picture?.scene;
  for (let box = 1; scene && box < scene.count; box += 1) if (scene.kind[box] !== OPEN) return box;
  return -1;
}

function insideOf(view: GraphCanvas, box: number, way: string): number[] {
  const scene = view.picture?.scene;
  if (!scene || way !== "down") return neighbours(view, box, way);
  return box + 1 < (scene.end[box] as number) ? [box + 1] : [];
}

function neighbours(view: GraphCanvas, from: number, way: string): number[] {
  const scene = view.picture?.scene;
  if (!scene) return [];
  const found: number[] = [];
  if (way === "down" && scene.kind[from] !== OPEN) {
    for (let at = scene.readerOffsets[from] as number; at < (scene.readerOffsets[from + 1] as number); at += 1) found.push(scene.readers[at] as number);
  } else if (way === "up" && scene.kind[from] !== OPEN) {
    for (let source = 1; source < scene.count; source += 1)
      for (let at = scene.readerOffsets[source] as number; at < (scene.readerOffsets[source + 1] as number); at += 1) if (scene.readers[at] === from) found.push(source);
    for (let at = scene.tagOffsets[from] as number; found.length === 0 && at < (scene.tagOffsets[from + 1] as number); at += 1) found.push(scene.leafOf[scene.tags[at] as number] as number);
  }
  if (found.length > 0) return found.filter((box) => box > 0);
  return besides(view, from, way);
}

/** Boxes in a direction on the plane, in the same frame. */
function besides(view: GraphCanvas, from: number, way: string): number[] {
  const scene = view.picture?.scene;
  if (!scene) return [];
  const found: number[] = [];
  const { x, y, width, height, parent, end } = scene;
  const around = parent[from] as number;
  for (let box = around + 1; box < (end[around] as number); box = end[box] as number) {
    if (box === from) continue;
    const left = (x[box] as number) + (width[box] as number) <= (x[from] as number) + 1;
    const right = (x[box] as number) >= (x[from] as number) + (width[from] as number) - 1;
    const above = (y[box] as number) + (height[box] as number) <= (y[from] as number) + 1;
    const below = (y[box] as number) >= (y[from] as number) + (height[from] as number) - 1;
    if ((way === "left" && left && !above && !below) || (way === "right" && right && !above && !below) || (way === "up" && above) || (way === "down" && below)) found.push(box);
  }
  return found;
}

function nearest(view: GraphCanvas, from: number, boxes: readonly number[]): number {
  const scene = view.picture?.scene;
  if (!scene) return -1;
  const middle = (box: number): [number, number] => [(scene.x[box] as number) + (scene.width[box] as number) / 2, (scene.y[box] as number) + (scene.height[box] as number) / 2];
  const [x, y] = middle(from);
  let best = -1;
  let least = Infinity;
  for (const box of boxes) {
    const [otherX, otherY] = middle(box);
    const away = Math.hypot(otherX - x, otherY - y);
    if (away < least) {
      least = away;
      best = box;
    }
  }
  return best;
}

/** Picks what a box shows. */
export function pickBox(view: GraphCanvas, box: number): void {
  const scene = view.picture?.scene;
  if (!scene || box <= 0) return;
  if (scene.kind[box] === NODE) view.state.select([scene.ref[box] as number]);
  else view.state.selectGroup(view.tree.path(scene.ref[box] as number));
  view.bring(box);
}

function enter(view: GraphCanvas): void {
  const { state } = view;
  if (state.selectedGroup !== null) {
    view.hold(state.selectedGroup);
    state.toggle(state.selectedGroup);
    return;
  }
  const node = state.selection[0];
  if (node !== undefined) state.select([node], { reveal: true });
  else pickBox(view, firstLeaf(view));
}

function outwards(state: ExplorerState): void {
  const { tree, graph } = state;
  const node = state.selection[0];
  const from = state.selectedGroup !== null ? tree.parent[tree.at(state.selectedGroup) ?? 0] : node === undefined ? 0 : graph.group[node];
  if (from !== undefined && from !== 0) state.selectGroup(tree.path(from));
}

function escape(state: ExplorerState): void {
  if (state.query !== "") state.search("");
  else state.select([]);
}
