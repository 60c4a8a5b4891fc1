// One canvas with one graph: its layout, its camera, what the pointer does, and what a reader without eyes hears of it.

import { h } from "../dom.ts";
import { Camera } from "./camera.ts";
import { edgeAt, edgeWords, pairsOf, piecesOf, type Edge, type EdgePick } from "./edges.ts";
import { fontsOf, Ruler, Sizes } from "./labels.ts";
import { Layouter } from "./layouter.ts";
import type { Layered } from "./layering.ts";
import type { LaidContainer, Scene } from "./layout.ts";
import { Minimap } from "./minimap.ts";
import { paintingOf } from "./overlays.ts";
import { paint } from "./paint.ts";
import { Palette } from "./palette.ts";
import { framesAt, hit, NODE, NO_MARKS, OPEN, Picture, type Hit, type Marks } from "./picture.ts";
import type { GraphModel } from "./model.ts";
import type { ExplorerState } from "./state.ts";
import { Tree } from "./tree.ts";
import { unionOf } from "./union.ts";

/** Below this scale a reader sees colours only; a graph opens no smaller. */
const READABLE = 0.6;

/** How long the parts of the last change took, milliseconds; kept for measurements. */
export interface Timing {
  layout_ms: number;
  frame_ms: number;
  frames: number;
}

/** A canvas that shows the graph of a state. */
export class GraphCanvas {
  readonly element: HTMLElement;
  readonly canvas = h("canvas", { class: "canvas", tabindex: 0, role: "application" });
  readonly camera = new Camera(() => this.request());
  readonly timing: Timing = { layout_ms: 0, frame_ms: 0, frames: 0 };
  picture: Picture | null = null;
  private readonly context: CanvasRenderingContext2D;
  private readonly minimap: Minimap;
  private readonly note = h("div", { class: "stage-note", hidden: true, role: "status" });
  private readonly trail = h("div", { class: "stage-title", "aria-hidden": "true", hidden: true });
  private readonly tip = h("div", { class: "edge-tip", hidden: true, "aria-hidden": "true" });
  private readonly ruler: Ruler;
  private layouter: Layouter | null = null;
  private graphGone = new AbortController();
  private palette: Palette;
  marks: Marks = NO_MARKS;
  private union: { left: GraphModel; removed: Uint32Array; tree: Tree } | null = null;
  private asked = 0;
  private sized = false;
  private placed = false;
  private anchor: Anchor | null = null;
  private waitingReveal = -1;
  /** Where the camera stood when the graph opened. */
  private begun: { left: number; top: number; scale: number } | null = null;
  private hoverEdge: EdgePick | null = null;
  /** Called after each change of the camera. */
  moved: (() => void) | null = null;
  /** Called when a new layout is in place, or the canvas has another size. */
  laidOut: (() => void) | null = null;
  /** Called when the first picture has been painted. */
  painted: (() => void) | null = null;

  constructor(
    readonly state: ExplorerState,
    private readonly signal: AbortSignal,
    title: string | null = null,
  ) {
    const context = this.canvas.getContext("2d");
    if (!context) throw new Error("this browser has no canvas to draw on");
    this.context = context;
    this.minimap = new Minimap(this.camera, signal);
    this.element = h("div", { class: "graph-stage" }, this.canvas, title !== null && h("div", { class: "stage-title which" }, title), this.trail, this.note, this.minimap.element, this.tip);
    this.palette = new Palette(this.canvas, context);
    this.ruler = new Ruler(
      (font) => (context.font = font),
      (text) => context.measureText(text).width,
    );
    this.listen();
  }

  /** What is on the screen as it should be exported: the picture, or null before the first layout. */
  get ratio(): number {
    return Math.min(globalThis.devicePixelRatio || 1, 3);
  }

  /** Shows all of the graph. */
  fit(smooth = true): void {
    const scene = this.picture?.scene;
    if (scene) this.camera.show(worldOf(scene), { most: 1.1, smooth: smooth && !this.calm });
  }

  /** Shows the graph at a size that can be read, from its top. */
  home(smooth = true): void {
    const scene = this.picture?.scene;
    if (!scene) return;
    this.camera.show(worldOf(scene), { most: 1.05, least: READABLE, smooth: smooth && !this.calm, align: "top" });
    const { left, top, scale } = this.camera;
    this.begun = smooth ? null : { left, top, scale };
  }

  /** Colours anew: the theme or the overlay changed. */
  recolour(): void {
    this.palette = new Palette(this.canvas, this.context);
    if (this.picture) this.take(this.picture.scene);
  }

  /** The box that shows a node: its own, or the closed container that holds it; -1 for a hidden node. */
  boxOf(node: number): number {
    return this.picture?.scene.leafOf[node] ?? -1;
  }

  /** The box of a container, -1 where it is not visible. */
  boxOfContainer(path: string): number {
    const scene = this.picture?.scene;
    const container = this.tree.at(path);
    if (!scene || container === undefined) return -1;
    for (let box = 1; box < scene.count; box += 1) if (scene.kind[box] !== NODE && scene.ref[box] === container) return box;
    return -1;
  }

  /** What is under a place of the canvas. */
  hitAt(x: number, y: number): Hit | null {
    if (!this.picture) return null;
    const at = this.camera.toWorld(x, y);
    return hit(this.picture.scene, at.x, at.y, this.camera.scale);
  }

  /** The edge under a place of the canvas, by what flows along it; boxes and names of groups go before edges. */
  edgeAt(x: number, y: number): EdgePick | null {
    const { picture, camera } = this;
    const met = this.hitAt(x, y);
    if (!picture || (met && (met.header || picture.scene.kind[met.box] !== OPEN))) return null;
    const at = camera.toWorld(x, y);
    const edge = edgeAt(picture, at.x, at.y, camera.scale, met?.box ?? 0);
    return edge && this.pick(edge);
  }

  /** What flows along an edge of the scene. */
  pick(edge: Edge): EdgePick | null {
    const { picture } = this;
    return picture && { pairs: pairsOf(this.tree.graph, picture.scene, edge, this.state.showHidden) };
  }

  /** Tells which edge the pointer is on, at a place of the canvas. */
  pointAt(edge: EdgePick | null, x: number, y: number): void {
    this.tip.hidden = edge === null;
    if (edge) {
      this.tip.textContent = edgeWords(this.tree.graph, edge);
      const { width, height } = this.camera;
      this.tip.style.left = `${Math.max(4, Math.min(x + 12, width - this.tip.offsetWidth - 4))}px`;
      this.tip.style.top = `${Math.min(y + 14, height - 34)}px`;
    }
    const same = edge?.pairs.length === this.hoverEdge?.pairs.length && (edge?.pairs ?? []).every(([a, b], at) => this.hoverEdge?.pairs[at]?.[0] === a && this.hoverEdge.pairs[at]?.[1] === b);
    this.hoverEdge = edge;
    if (!same) this.mark();
  }

  /** Brings an edge into sight, if all of it can be seen at this scale. */
  bringEdge({ source, readers }: Edge): void {
    const scene = this.picture?.scene;
    if (!scene) return;
    const boxes = [source, ...readers];
    const least = (of: (box: number) => number): number => Math.min(...boxes.map(of));
    const most = (of: (box: number) => number): number => Math.max(...boxes.map(of));
    const [x, y] = [least((box) => scene.x[box] as number), least((box) => scene.y[box] as number)];
    const width = most((box) => (scene.x[box] as number) + (scene.width[box] as number)) - x;
    const height = most((box) => (scene.y[box] as number) + (scene.height[box] as number)) - y;
    const { view, scale } = this.camera;
    if (width < view.width && height < view.height) this.camera.bring({ x, y, width, height }, { smooth: !this.calm, readable: scale });
  }

  /** Keeps a box where it is on the screen while the next layout takes its place. */
  hold(path: string): void {
    const box = this.boxOfContainer(path);
    const scene = this.picture?.scene;
    if (box > 0 && scene) this.anchor = { find: () => this.boxOfContainer(path), x: middleOf(scene, box), y: scene.y[box] as number };
  }

  /** What stays where it is when the layout changes: what is picked, if it is on the screen, else what is in the middle of it. */
  private anchors(scene: Scene): Anchor[] {
    const { tree } = this;
    const found: Anchor[] = [];
    for (let box = this.focusBox(); box > 0; box = scene.parent[box] as number) {
      const ref = scene.ref[box] as number;
      const path = tree.path(ref);
      const [x, y] = [middleOf(scene, box), scene.y[box] as number];
      if (scene.kind[box] !== NODE) found.push({ find: () => this.boxOfContainer(path), x, y });
      else found.push({ find: () => (this.picture?.scene.kind[this.boxOf(ref)] === NODE ? this.boxOf(ref) : -1), x, y });
    }
    return found;
  }

  /** The box that a reader looks at: what is picked, if it is on the screen, else the innermost one in the middle; -1 for none. */
  focusBox(): number {
    const scene = this.picture?.scene;
    if (!scene) return -1;
    const { selection, selectedGroup } = this.state;
    const picked = selectedGroup !== null ? this.boxOfContainer(selectedGroup) : selection[0] !== undefined ? (scene.leafOf[selection[0]] as number) : -1;
    if (picked > 0 && this.onScreen(scene, picked)) return picked;
    const { camera } = this;
    return this.hitAt(camera.width / 2, camera.height / 2)?.box ?? this.hitAt(camera.width / 2, 60)?.box ?? -1;
  }

  private onScreen(scene: Scene, box: number): boolean {
    const view = this.camera.ahead;
    const x = (scene.x[box] as number) + (scene.width[box] as number) / 2;
    const y = scene.y[box] as number;
    return x >= view.x && x <= view.x + view.width && y >= view.y && y <= view.y + view.height;
  }

  /** Brings a box into sight. */
  bring(box: number, smooth = !this.calm): void {
    const scene = this.picture?.scene;
    if (!scene || box < 0) return;
    this.camera.bring(
      { x: scene.x[box] as number, y: scene.y[box] as number, width: scene.width[box] as number, height: scene.height[box] as number },
      { smooth, readable: Math.min(READABLE + 0.1, 0.65) },
    );
  }

  say(text: string | null, problem = false): void {
    this.note.hidden = text === null;
    this.note.classList.toggle("problem", problem);
    this.note.textContent = text ?? "";
  }

  get calm(): boolean {
    return matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  private listen(): void {
    const { state, signal } = this;
    const observer = new ResizeObserver(() => this.resized());
    observer.observe(this.element);
    signal.addEventListener("abort", () => {
      observer.disconnect();
      this.graphGone.abort();
      if (this.asked) cancelAnimationFrame(this.asked);
    });
    state.on("graph", () => {
      this.placed = false;
      this.union = null;
      this.layouter = null;
      this.layout();
    }, signal);
    state.on("expanded", () => this.layout(), signal);
    state.on("selection", () => this.mark(), signal);
    state.on("hover", () => this.mark(), signal);
    state.on("matches", () => this.mark(), signal);
    state.on("overlay", () => this.recolour(), signal);
    state.on("compare", () => this.overlaid(), signal);
    state.on("reveal", () => this.reveal(), signal);
    for (const query of ["(forced-colors: active)", "(prefers-color-scheme: dark)"]) matchMedia(query).addEventListener("change", () => this.recolour(), { signal });
  }

  /** Lays the graph that is compared over the state's own, or takes it away again. */
  private overlaid(): void {
    const { compare, graph } = this.state;
    const before = this.union;
    if (compare?.mode !== "over" || graph === compare.graph) this.union = null;
    else if (before?.left !== compare.graph) {
      const { graph: both, removed } = unionOf(compare.graph, graph, compare.pairs);
      this.union = { left: compare.graph, removed, tree: new Tree(both) };
    }
    if (before === this.union) return this.recolour();
    this.layouter = null;
    this.layout();
  }

  /** What is drawn: the state's graph, or it and the one that it is compared with. */
  get tree(): Tree {
    return this.union?.tree ?? this.state.tree;
  }

  /** The name of a node that only the earlier of two graphs has; null for a node of the state's graph. */
  removedName(node: number): string | null {
    const old = this.union?.removed[node - this.state.graph.count];
    return old === undefined ? null : (this.union?.left.text("name", old) ?? "");
  }

  private newLayouter(): Layouter {
    this.graphGone.abort();
    this.graphGone = new AbortController();
    return new Layouter(new Sizes(this.tree, this.ruler, fontsOf(this.palette.family)), this.graphGone.signal);
  }

  private resized(): void {
    const { clientWidth, clientHeight } = this.element;
    if (clientWidth === 0 || clientHeight === 0) return;
    this.canvas.width = Math.round(clientWidth * this.ratio);
    this.canvas.height = Math.round(clientHeight * this.ratio);
    const first = !this.sized;
    const seen = this.focusBox();
    const kept = this.picture && seen > 0 && this.marks.picked[seen] ? seen : -1;
    this.sized = true;
    if (first) this.followRoot();
    const { camera, begun } = this;
    // A graph that nobody has moved yet opens anew in the room that it has now: panels come beside it.
    const opening = begun !== null && camera.left === begun.left && camera.top === begun.top && camera.scale === begun.scale;
    camera.resize(clientWidth, clientHeight);
    if (first) {
      this.layout();
      this.drawAtOnce();
    } else {
      if (opening && kept < 0) this.home(false);
      // What is picked and was in sight stays in sight, however small the canvas has become.
      if (kept > 0) this.bring(kept, false);
      this.draw();
      this.laidOut?.();
    }
  }

  /** Colours anew when the theme of what holds the canvas changes. */
  private followRoot(): void {
    const root = this.element.closest("[data-theme]");
    if (!root) return;
    const observer = new MutationObserver(() => this.recolour());
    observer.observe(root, { attributes: true, attributeFilter: ["data-theme"] });
    this.signal.addEventListener("abort", () => observer.disconnect());
    this.palette = new Palette(this.canvas, this.context);
  }

  /** By container: whether it is open. A group that only the earlier of two graphs has cannot be closed: the state does not know it. */
  private openNow(): Uint8Array {
    const { state, tree } = this;
    return Uint8Array.from({ length: tree.count }, (_, container) => Number(container === 0 || state.expanded.has(tree.path(container)) || (this.union !== null && state.tree.at(tree.path(container)) === undefined)));
  }

  /** What is laid out with what is open, from the inside out, if these layouts of containers, by key, were in place. */
  containers(trial: ReadonlyMap<string, Layered>, signal: AbortSignal): Promise<LaidContainer[]> {
    const { layouter } = this;
    return new Promise((resolve, reject) => {
      if (!layouter) return resolve([]);
      signal.addEventListener("abort", () => reject(new Error("It was cancelled.")), { once: true });
      layouter.containers(this.openNow(), this.state.showHidden, trial, () => signal.aborted, resolve, (message) => reject(new Error(message)));
    });
  }

  /** Puts a layout of one container, by the key of its content, in place of the own one; null takes it away. Seen with `relayout`. */
  prefer(key: string, layout: Layered | null): void {
    this.layouter?.prefer(key, layout);
  }

  prefers(key: string): boolean {
    return this.layouter?.prefers(key) ?? false;
  }

  /** Lays out anew what is open, and calls `then` when it is in place. */
  relayout(then: () => void): void {
    this.layout(then);
  }

  private layout(then?: () => void): void {
    if (!this.sized || this.signal.aborted) return;
    const { state } = this;
    const { tree } = this;
    const open = this.openNow();
    const start = performance.now();
    let waiting = setTimeout(() => this.say("Laying out…"), 250);
    this.canvas.setAttribute("aria-busy", "true");
    const over = (): void => {
      this.canvas.removeAttribute("aria-busy");
      clearTimeout(waiting);
      waiting = setTimeout(() => undefined);
      this.timing.layout_ms = performance.now() - start;
      this.say(this.state.graph.problem ?? (this.state.graph.count === 0 ? "This graph has no nodes." : null));
    };
    this.layouter ??= this.newLayouter();
    this.layouter.layout(
      open,
      state.showHidden,
      (scene) => {
        if (this.signal.aborted || this.tree !== tree) return clearTimeout(waiting);
        over();
        this.take(scene);
        then?.();
      },
      (message) => {
        over();
        this.say(`The graph could not be laid out: ${message}`, true);
      },
    );
  }

  private take(scene: Scene): void {
    const { state } = this;
    const before = this.picture?.scene;
    const changed = before !== scene;
    const anchors = changed && before && this.placed ? [...(this.anchor ? [this.anchor] : []), ...this.anchors(before)] : [];
    this.picture = new Picture(scene, this.tree, this.palette, paintingOf(this.tree.graph, state.overlay, state.compare, state.told), this.ruler);
    if (changed) {
      this.tip.hidden = true;
      this.hoverEdge = null;
      this.settle(scene, anchors);
    }
    this.minimap.render(this.picture, this.ratio);
    this.mark();
    if (changed) this.laidOut?.();
    if (this.waitingReveal >= 0) this.reveal();
  }

  private settle(scene: Scene, anchors: readonly Anchor[]): void {
    this.anchor = null;
    if (!this.placed) {
      this.placed = true;
      this.home(false);
      return;
    }
    for (const { find, x, y } of anchors) {
      const box = find();
      if (box <= 0) continue;
      this.camera.shift(middleOf(scene, box) - x, (scene.y[box] as number) - y);
      const { view } = this.camera;
      const left = scene.x[box] as number;
      // A box that has grown wider than the screen shows its left side, where its name is.
      if (left < view.x && (scene.width[box] as number) > view.width * 0.9) this.camera.shift(left - view.x - 12 / this.camera.scale, 0);
      return;
    }
    this.home(false);
  }

  private reveal(): void {
    const node = this.state.revealed;
    const box = this.boxOf(node);
    this.waitingReveal = box < 0 ? node : -1;
    if (box < 0) {
      const { graph } = this.state;
      // A hidden node has no box: what reads it has.
      for (const user of graph.hidden[node] ? graph.users(node) : []) {
        if (this.boxOf(user) < 0) continue;
        this.waitingReveal = -1;
        return this.bring(this.boxOf(user));
      }
      return;
    }
    const scene = this.picture?.scene;
    if (scene?.kind[box] !== NODE) this.waitingReveal = node;
    else this.bring(box);
  }

  /** Works out which boxes are picked, found and drawn strongly. */
  private mark(): void {
    const picture = this.picture;
    if (!picture) return;
    const { scene } = picture;
    const { state } = this;
    const picked = new Uint8Array(scene.count);
    const strong = new Set<number>();
    for (const node of state.selection) {
      const box = scene.leafOf[node] as number;
      if (box < 0) {
        for (const user of state.graph.users(node)) {
          const reader = scene.leafOf[user] as number;
          if (reader >= 0 && !picked[reader]) picked[reader] = 1;
        }
        continue;
      }
      picked[box] = scene.kind[box] === NODE ? 2 : 1;
      if (strong.size < 200) strong.add(box);
    }
    if (state.selectedGroup !== null) {
      const box = this.boxOfContainer(state.selectedGroup);
      if (box > 0) {
        picked[box] = 2;
        if (scene.kind[box] !== OPEN) strong.add(box);
      }
    }
    const { hover } = state;
    const hovered = hover === null ? -1 : "node" in hover ? (scene.leafOf[hover.node] ?? -1) : this.boxOfContainer(hover.group);
    if (hovered > 0 && scene.kind[hovered] !== OPEN) strong.add(hovered);
    let matches: Uint32Array | null = null;
    if (state.query.trim() !== "") {
      matches = new Uint32Array(scene.count);
      for (const node of state.matches) {
        const box = scene.leafOf[node] as number;
        if (box >= 0) matches[box] = (matches[box] as number) + 1;
      }
    }
    const edge = piecesOf(scene, state.selectedEdge?.pairs ?? []);
    for (const [source, { readers }] of edge) for (const box of [source, ...readers]) picked[box] = 1;
    this.marks = { picked, matches, strong, hover: hovered, edge, hoverEdge: piecesOf(scene, this.hoverEdge?.pairs ?? []) };
    this.request();
  }

  private request(): void {
    if (this.asked || this.signal.aborted) return;
    this.asked = requestAnimationFrame((now) => {
      this.asked = 0;
      const moving = this.camera.step(now);
      this.draw();
      this.moved?.();
      if (moving) this.request();
    });
  }

  /** Draws in the frame that is being made, where there is something to draw: the next one may be long in coming. */
  private drawAtOnce(): void {
    if (!this.picture || this.camera.moving) return;
    cancelAnimationFrame(this.asked);
    this.asked = 0;
    this.draw();
    this.moved?.();
  }

  private draw(): void {
    if (!this.picture || !this.sized) return;
    const start = performance.now();
    const drawn = paint(this.context, this.picture, this.camera, this.marks, this.ratio);
    this.timing.frame_ms = performance.now() - start;
    this.timing.frames += 1;
    this.canvas.dataset["boxes"] = String(drawn.boxes);
    this.minimap.show(this.picture, this.ratio);
    this.showTrail();
    if (this.painted) {
      this.painted();
      this.painted = null;
    }
  }

  /** Says in words which open groups fill the screen, where their headers are out of sight. */
  private showTrail(): void {
    const { picture, camera } = this;
    if (!picture) return;
    const frames = framesAt(picture.scene, camera).filter((box) => (picture.scene.y[box] as number) < camera.top);
    const text = frames.map((box) => picture.container(picture.scene.ref[box] as number).name).join(" › ");
    this.trail.hidden = text === "";
    if (this.trail.textContent !== text) this.trail.textContent = text;
  }
}

/** A box that keeps its place on the screen: how to find it in the next layout, and where it was in the last one. */
interface Anchor {
  readonly find: () => number;
  readonly x: number;
  readonly y: number;
}

function middleOf(scene: Scene, box: number): number {
  return (scene.x[box] as number) + (scene.width[box] as number) / 2;
}

function worldOf(scene: Scene): { x: number; y: number; width: number; height: number } {
  return { x: 0, y: 0, width: scene.width[0] as number, height: scene.height[0] as number };
}
