// Paints a picture: what the camera sees of it, with as much detail as can be read at its scale.

import type { Camera, Rect } from "./camera.ts";
import { dashAt, sidesInSight } from "./dashes.ts";
import { leadsTo, type Reads } from "./edges.ts";
import { WORD_PX } from "./labels.ts";
import { HEADER, TAG_HEIGHT, TAGS_SHOWN } from "./layout.ts";
import type { Brush } from "./svg_brush.ts";
import { CLOSED, lump, NODE, OPEN, type Marks, type Picture } from "./picture.ts";

/** Scales from which words of nodes, and then their second lines, are drawn. */
const WORDS_FROM = 0.42;
const DETAILS_FROM = 0.58;
const CURVES_FROM = 0.12;
const OUTLINES_FROM = 0.28;
/** The kind of edges that lead into and out of called graphs, after the three widths of all others. */
const CALLS = 3;

/** What a frame took to draw, for measurements. */
export interface Drawn {
  readonly boxes: number;
  readonly edges: number;
}

/** Paints what the camera sees. `ratio` is the number of the canvas's pixels to one of the page. */
export function paint(context: CanvasRenderingContext2D, picture: Picture, camera: Camera, marks: Marks, ratio: number): Drawn {
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = picture.palette.colour("--bg");
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  const { scale } = camera;
  context.setTransform(ratio * scale, 0, 0, ratio * scale, -camera.left * scale * ratio, -camera.top * scale * ratio);
  context.textBaseline = "middle";
  context.lineJoin = "round";
  return new Pass(context, picture, camera.view, scale, marks).run();
}

/** Paints all of a picture at a scale, with a brush that stands at its left upper corner. */
export function paintWhole(brush: Brush, picture: Picture, marks: Marks, scale: number): void {
  brush.textBaseline = "middle";
  brush.lineJoin = "round";
  const far = 1e7;
  new Pass(brush, picture, { x: -far, y: -far, width: 2 * far, height: 2 * far }, scale, marks).run();
}

class Pass {
  private readonly frames: number[] = [];
  private readonly leaves: number[] = [];
  private readonly lumps: number[] = [];
  private edges = 0;

  constructor(
    private readonly context: Brush,
    private readonly picture: Picture,
    private readonly view: Rect,
    private readonly scale: number,
    private readonly marks: Marks,
  ) {}

  run(): Drawn {
    this.collect();
    for (const box of this.frames) this.frame(box);
    this.plainEdges();
    for (const box of this.lumps) this.lump(box);
    for (const box of this.leaves) this.leaf(box);
    for (const box of this.frames) this.header(box);
    this.strongEdges();
    this.markedEdges();
    this.rings();
    return { boxes: this.frames.length + this.leaves.length + this.lumps.length, edges: this.edges };
  }

  /** Sorts what is on the screen into frames, areas too small to open, and leaves. */
  private collect(): void {
    const { scene } = this.picture;
    const { x, y, width, height } = this.view;
    for (let box = 1; box < scene.count; ) {
      const left = scene.x[box] as number;
      const top = scene.y[box] as number;
      if (left > x + width || top > y + height || left + (scene.width[box] as number) < x || top + (scene.height[box] as number) < y) {
        box = scene.end[box] as number;
        continue;
      }
      if (scene.kind[box] !== OPEN) this.leaves.push(box);
      else if (lump(scene, box, this.scale)) {
        this.lumps.push(box);
        box = scene.end[box] as number;
        continue;
      } else this.frames.push(box);
      box += 1;
    }
  }

  private frame(box: number): void {
    const { scene, palette, tree } = this.picture;
    const { context } = this;
    const depth = (scene.depth[box] as number) % 2;
    this.round(box, 0, 9);
    context.fillStyle = palette.colour(depth ? "--frame-0" : "--frame-1");
    context.fill();
    const run = tree.isRun(scene.ref[box] as number);
    context.lineWidth = 1 / Math.max(this.scale, 0.6);
    context.strokeStyle = palette.colour("--line");
    if (run) this.dashed(box, 9);
    else context.stroke();
  }

  private dashed(box: number, radius: number): void {
    const { scene } = this.picture;
    const { context } = this;
    const border = { x: scene.x[box] as number, y: scene.y[box] as number, width: scene.width[box] as number, height: scene.height[box] as number };
    const { x: left, y: top } = border;
    const [right, bottom] = [left + border.width, top + border.height];
    const dash = dashAt(this.scale);
    const parts = sidesInSight(border, radius, this.view, dash[0] + dash[1]);
    context.setLineDash(dash);
    context.beginPath();
    for (let at = 0; at < parts.length; at += 4) {
      context.moveTo(parts[at] as number, parts[at + 1] as number);
      context.lineTo(parts[at + 2] as number, parts[at + 3] as number);
    }
    context.stroke();
    context.setLineDash([]);
    context.beginPath();
    for (const [x, y, aside, down] of [[left, top, 1, 1], [right, top, -1, 1], [right, bottom, -1, -1], [left, bottom, 1, -1]] as const) {
      context.moveTo(x + aside * radius, y);
      context.bezierCurveTo(x + aside * radius * 0.45, y, x, y + down * radius * 0.45, x, y + down * radius);
    }
    context.stroke();
  }

  /** The name of an open container, at a size that can be read from afar as well. */
  private header(box: number): void {
    const { scene, palette, fonts } = this.picture;
    const { context, scale } = this;
    const width = (scene.width[box] as number) * scale;
    if (width < 46 || (scene.height[box] as number) * scale < 30) return;
    const label = this.picture.container(scene.ref[box] as number);
    const zoom = scale < 0.75 ? Math.min(0.85 / scale, width / scale / 90) : 1;
    const x = (scene.x[box] as number) + 10;
    const y = (scene.y[box] as number) + (HEADER / 2 + 1) * Math.min(zoom, 1.15);
    context.save();
    context.translate(x, y);
    context.scale(zoom, zoom);
    const room = (scene.width[box] as number) / zoom - 20;
    const name = this.picture.fit(`− ${label.name}`, fonts.word, room);
    const across = this.picture.ruler.width(name, fonts.word);
    const ground = (left: number, wide: number): void => {
      context.fillStyle = palette.colour((scene.depth[box] as number) % 2 ? "--frame-0" : "--frame-1");
      context.globalAlpha = 0.86;
      context.fillRect(left - 3, -9, wide + 6, 18);
      context.globalAlpha = 1;
    };
    ground(0, across);
    context.textAlign = "left";
    context.font = fonts.word;
    context.fillStyle = palette.colour("--text");
    context.fillText(name, 0, 0);
    const left = room - across - 10;
    if (left > 40 && zoom <= 1.15) {
      const more = [label.detail, label.times > 1 ? `× ${label.times}` : ""].filter(Boolean).join(" · ");
      const shown = this.picture.fit(more, fonts.detail, left);
      ground(across + 10, this.picture.ruler.width(shown, fonts.detail));
      context.font = fonts.detail;
      context.fillStyle = palette.colour("--dim");
      context.fillText(shown, across + 10, 0.5);
      if (label.flag !== "") this.flag(label.flag, across + 18 + this.picture.ruler.width(shown, fonts.detail), 0, left - this.picture.ruler.width(shown, fonts.detail) - 10);
    }
    context.restore();
  }

  private flag(text: string, x: number, y: number, room: number): number {
    const { palette, fonts, ruler } = this.picture;
    const { context } = this;
    const width = ruler.width(text, fonts.tag) + 16;
    if (width > room) return 0;
    context.beginPath();
    context.roundRect(x, y - 7, width, 14, 7);
    context.fillStyle = palette.tint("--changed", 0.2);
    context.fill();
    context.lineWidth = 0.8;
    context.strokeStyle = palette.colour("--changed");
    context.stroke();
    context.font = fonts.tag;
    context.fillStyle = palette.colour("--text");
    context.textAlign = "left";
    context.fillText(`≠ ${text}`.slice(0, 2), x + 3, y + 0.5);
    context.fillText(text, x + 12, y + 0.5);
    return width;
  }

  private lump(box: number): void {
    const { scene, palette, painting } = this.picture;
    const { context } = this;
    const category = this.category(box);
    context.fillStyle = category < 0 ? palette.colour("--line") : palette.tint(painting.categories[category]?.colour ?? "--line", 0.5);
    context.fillRect(scene.x[box] as number, scene.y[box] as number, scene.width[box] as number, scene.height[box] as number);
  }

  private category(box: number): number {
    return this.picture.category(box);
  }

  private leaf(box: number): void {
    const { scene, palette, painting } = this.picture;
    const { context, scale } = this;
    const category = this.category(box);
    const colour = painting.categories[category]?.colour ?? "--line";
    const inset = scene.inset[box] as number;
    const x = (scene.x[box] as number) + inset;
    const y = scene.y[box] as number;
    const width = (scene.width[box] as number) - inset;
    const height = scene.height[box] as number;
    const closed = scene.kind[box] === CLOSED;
    const faded = this.marks.matches !== null && !this.marks.matches[box];
    if (faded) context.globalAlpha = 0.38;
    if (scale < OUTLINES_FROM) {
      context.fillStyle = closed ? palette.tint("--dim", 0.3) : palette.tint(colour, category < 0 ? 1 : 0.65);
      context.fillRect(x, y, width, height);
      if (closed && height * scale > 7) this.closedFar(box, x, y, width, height);
    } else {
      if (inset > 0) this.tags(box, x);
      if (closed) this.closed(box, x, y, width, height);
      else this.node(box, x, y, width, height, colour, category);
    }
    if (faded) context.globalAlpha = 1;
  }

  private node(box: number, x: number, y: number, width: number, height: number, colour: string, category: number): void {
    const { scene, palette, painting, fonts, tree } = this.picture;
    const { context, scale } = this;
    const node = scene.ref[box] as number;
    const { op, stub } = tree.graph;
    const ends = op[node] === 0 || op[node] === 5;
    const radius = ends ? height / 2 : 5;
    context.beginPath();
    context.roundRect(x, y, width, height, radius);
    context.fillStyle = category < 0 ? palette.colour("--bg") : palette.tint(colour, palette.dark ? 0.2 : 0.11);
    context.fill();
    context.lineWidth = ends ? 1.6 : 1;
    context.strokeStyle = category < 0 ? palette.colour("--line") : palette.line(colour, 0.75);
    context.stroke();
    if (!ends && category >= 0) {
      context.beginPath();
      context.roundRect(x, y, 4.5, height, [radius, 0, 0, radius]);
      context.fillStyle = palette.colour(colour);
      context.fill();
    }
    if (stub[node]) {
      context.beginPath();
      context.arc(x + width / 2, y + height + 5, 3, 0, 7);
      context.fillStyle = palette.colour(colour);
      context.fill();
    }
    if (scale < WORDS_FROM) return;
    const { lead, word, tail, detail } = this.picture.node(node);
    const sign = painting.kind === "family" || category < 0 ? "" : (painting.categories[category]?.sign ?? "");
    const signWidth = sign === "" ? 0 : this.picture.ruler.width(sign, fonts.tag) + 8;
    const two = detail !== "" && scale >= DETAILS_FROM;
    const middle = y + height / 2;
    const room = width - 18;
    context.textAlign = "left";
    let at = x + 11;
    const line = two ? middle - 7 : middle + 0.5;
    const start = this.picture.fit(lead, fonts.dim, room * 0.5);
    const leadWidth = start === "" ? 0 : this.picture.ruler.width(start, fonts.dim);
    if (start !== "") {
      context.font = fonts.dim;
      context.fillStyle = palette.colour("--dim");
      context.fillText(start, at, line);
      at += leadWidth;
    }
    const shown = this.picture.fit(word, fonts.word, room - leadWidth);
    context.font = fonts.word;
    context.fillStyle = palette.colour("--text");
    context.fillText(shown, at, line);
    if (tail !== "") {
      at += this.picture.ruler.width(shown, fonts.word);
      const rest = this.picture.fit(tail, fonts.dim, x + width - 6 - at);
      context.font = fonts.dim;
      context.fillStyle = palette.colour("--dim");
      context.fillText(rest, at, line);
    }
    if (two) {
      context.font = fonts.detail;
      context.fillStyle = palette.colour("--dim");
      context.fillText(this.picture.fit(detail, fonts.detail, room), x + 11, middle + 8);
    }
    if (signWidth > 0) this.sign(sign, colour, x + width - signWidth + 4, y, signWidth);
  }

  /** A category's sign on the corner of a box, so that its colour is not all that tells it. */
  private sign(text: string, colour: string, x: number, y: number, width: number): void {
    const { palette, fonts } = this.picture;
    const { context } = this;
    context.beginPath();
    context.roundRect(x, y - 6, width, 13, 6.5);
    context.fillStyle = palette.colour(colour);
    context.fill();
    if (palette.forced) {
      context.strokeStyle = palette.colour("--text");
      context.stroke();
    }
    context.font = fonts.tag;
    context.textAlign = "center";
    context.fillStyle = palette.colour("--bg");
    context.fillText(text, x + width / 2, y + 1);
    context.textAlign = "left";
  }

  private closed(box: number, x: number, y: number, width: number, height: number): void {
    const { scene, palette, fonts, ruler } = this.picture;
    const { context, scale } = this;
    const container = scene.ref[box] as number;
    const label = this.picture.container(container);
    const fill = palette.colour("--bg");
    context.lineWidth = 1.2;
    context.strokeStyle = palette.line("--dim", palette.dark ? 0.75 : 0.6);
    for (let card = label.times > 1 ? 2 : 0; card >= 0; card -= 1) {
      context.beginPath();
      context.roundRect(x + card * 3.5, y + card * 3.5, width, height, 8);
      context.fillStyle = card > 0 ? palette.colour("--frame-1") : fill;
      context.fill();
      context.stroke();
    }
    this.composition(container, x + 1, y + height - 6, width - 2);
    if (scale < WORDS_FROM * 0.8) return;
    const two = scale >= DETAILS_FROM;
    let room = width - 24;
    if (label.times > 1) room -= this.badge(`× ${label.times}`, x + width - 8, y + 15) + 6;
    if (label.flag !== "") {
      const flagWidth = ruler.width(label.flag, fonts.tag) + 16;
      this.flag(label.flag, x + 12 + room - flagWidth, y + 15, room);
      room -= flagWidth + 6;
    }
    context.textAlign = "left";
    context.font = fonts.word;
    context.fillStyle = palette.colour("--text");
    context.fillText(this.picture.fit(`+ ${label.name}`, fonts.word, room), x + 11, two ? y + 15 : y + height / 2 - 2);
    if (two) {
      context.font = fonts.detail;
      context.fillStyle = palette.colour("--dim");
      context.fillText(this.picture.fit(label.detail, fonts.detail, width - 22), x + 12, y + 30);
    }
  }

  private badge(text: string, right: number, y: number): number {
    const { palette, fonts, ruler } = this.picture;
    const { context } = this;
    const width = ruler.width(text, fonts.word) + 12;
    context.beginPath();
    context.roundRect(right - width, y - 9, width, 18, 9);
    context.fillStyle = palette.tint("--accent", palette.dark ? 0.3 : 0.14);
    context.fill();
    context.font = fonts.word;
    context.textAlign = "center";
    context.fillStyle = palette.colour("--text");
    context.fillText(text, right - width / 2, y + 0.5);
    context.textAlign = "left";
    return width;
  }

  /** A bar of the categories of what a closed container holds. */
  private composition(container: number, x: number, y: number, width: number): void {
    const { palette, painting } = this.picture;
    const share = this.picture.share(container);
    const total = this.picture.tree.nodeCount[container] as number;
    if (!share || total === 0) return;
    const { context } = this;
    const inner = width - 12;
    let at = x + 6;
    share.forEach((count, kind) => {
      if (count === 0) return;
      const part = (count / total) * inner;
      context.fillStyle = palette.colour(painting.categories[kind]?.colour ?? "--line");
      context.fillRect(at, y, Math.max(part - 0.6, 0.4), 2.6);
      at += part;
    });
  }

  /** A closed container from afar: its name at a size that can still be read. */
  private closedFar(box: number, x: number, y: number, width: number, height: number): void {
    const { scene, palette, fonts } = this.picture;
    const { context, scale } = this;
    const zoom = Math.min(0.8 / scale, (height * 0.9) / WORD_PX);
    if (zoom * WORD_PX * scale < 7) return;
    context.save();
    context.translate(x + width / 2, y + height / 2);
    context.scale(zoom, zoom);
    context.font = fonts.word;
    context.textAlign = "center";
    context.fillStyle = palette.colour("--text");
    context.fillText(this.picture.fit(this.picture.container(scene.ref[box] as number).name, fonts.word, width / zoom - 4), 0, 0);
    context.restore();
  }

  /** The long-lived values that a box reads. */
  private tags(box: number, right: number): void {
    const { scene, palette, painting, fonts, tree } = this.picture;
    const { context, scale } = this;
    const first = scene.tagOffsets[box] as number;
    const total = (scene.tagOffsets[box + 1] as number) - first;
    const shown = Math.min(total, TAGS_SHOWN);
    const left = scene.x[box] as number;
    const width = right - left - 6;
    const top = (scene.y[box] as number) + ((scene.height[box] as number) - shown * TAG_HEIGHT) / 2;
    for (let row = 0; row < shown; row += 1) {
      const node = scene.tags[first + row] as number;
      const y = top + row * TAG_HEIGHT + 1;
      const colour = painting.categories[painting.of[node] as number]?.colour ?? "--dim";
      const strong = this.marks.strong.has(scene.leafOf[node] as number);
      context.beginPath();
      context.roundRect(left, y, width, TAG_HEIGHT - 2, 6.5);
      context.fillStyle = palette.tint(colour, strong ? 0.5 : 0.16);
      context.fill();
      context.lineWidth = strong ? 1.8 : 0.9;
      context.strokeStyle = strong ? palette.colour("--accent") : palette.line(colour, 0.7);
      context.stroke();
      context.beginPath();
      context.moveTo(left + width, y + TAG_HEIGHT / 2 - 1);
      context.lineTo(right, y + TAG_HEIGHT / 2 - 1);
      context.stroke();
      if (scale < DETAILS_FROM) continue;
      const more = row === shown - 1 && total > shown ? ` +${total - shown}` : "";
      context.font = fonts.tag;
      context.textAlign = "left";
      context.fillStyle = palette.colour("--text");
      context.fillText(this.picture.fit((tree.graph.text("name", node) ?? "") + more, fonts.tag, width - 8), left + 5, y + TAG_HEIGHT / 2 - 0.5);
    }
  }

  private plainEdges(): void {
    const { scene, palette, callPieces } = this.picture;
    const { context, scale } = this;
    const containers = [0, ...this.frames];
    const curved = scale >= CURVES_FROM;
    const heads = scale >= OUTLINES_FROM;
    const levels: number[][] = [[], [], [], []];
    for (const box of containers) {
      for (let edge = scene.edgeOffsets[box] as number; edge < (scene.edgeOffsets[box + 1] as number); edge += 1) {
        if (!this.edgeSeen(edge)) continue;
        const values = scene.edgeValues[edge] as number;
        (levels[callPieces?.[edge] ? CALLS : values === 1 ? 0 : values < 6 ? 1 : 2] as number[]).push(edge);
      }
    }
    context.strokeStyle = palette.colour("--edge");
    context.fillStyle = palette.colour("--edge");
    levels.forEach((edges, level) => {
      if (edges.length === 0) return;
      const wide = level === CALLS ? 0.4 : level;
      if (level === CALLS) context.setLineDash(dashAt(scale));
      context.lineWidth = Math.max((1.1 + wide * 0.9) * Math.min(1, scale * 1.6 + 0.3), 0.55 / scale);
      context.beginPath();
      for (const edge of edges) this.trace(edge, curved);
      context.stroke();
      context.setLineDash([]);
      if (!heads) return;
      context.beginPath();
      for (const edge of edges) this.arrow(edge, 4 + wide);
      context.fill();
      this.edges += edges.length;
    });
  }

  private edgeSeen(edge: number): boolean {
    const { edgeBounds } = this.picture;
    const { x, y, width, height } = this.view;
    const at = edge * 4;
    const least = 1.5 / this.scale;
    const [left, top, right, bottom] = [edgeBounds[at] as number, edgeBounds[at + 1] as number, edgeBounds[at + 2] as number, edgeBounds[at + 3] as number];
    return right >= x && left <= x + width && bottom >= y && top <= y + height && (right - left > least || bottom - top > least);
  }

  /** The edges of what is picked and of what the pointer is on, over everything else. */
  private strongEdges(): void {
    const { strong } = this.marks;
    if (strong.size === 0) return;
    const { scene, palette } = this.picture;
    const outgoing: number[] = [];
    const incoming: number[] = [];
    const read = new Map<number, Reads>();
    for (let source = 0; source < scene.count; source += 1) {
      for (let at = scene.readerOffsets[source] as number; at < (scene.readerOffsets[source + 1] as number); at += 1) {
        const reader = scene.readers[at] as number;
        if (!strong.has(reader)) continue;
        const known = read.get(source) ?? { readers: [], around: new Set<number>() };
        known.readers.push(reader);
        for (let up = reader; up > 0; up = scene.parent[up] as number) known.around.add(up);
        read.set(source, known);
      }
    }
    const drawnFrames = new Set([0, ...this.frames]);
    for (const box of drawnFrames) {
      for (let edge = scene.edgeOffsets[box] as number; edge < (scene.edgeOffsets[box + 1] as number); edge += 1) {
        const source = scene.edgeSource[edge] as number;
        if (strong.has(source)) outgoing.push(edge);
        else if (leadsTo(scene, edge, read.get(source))) incoming.push(edge);
      }
    }
    this.bold(incoming, palette.colour("--series-5"), 2.2);
    this.bold(outgoing, palette.colour("--accent"), 2.2);
    this.unrouted();
  }

  /** The edges that are picked and under the pointer, over all others. */
  private markedEdges(): void {
    const { scene, palette } = this.picture;
    const { edge: picked, hoverEdge } = this.marks;
    for (const [marked, colour, wide] of [[hoverEdge, "--text", 2], [picked, "--accent", 3]] as const) {
      if (marked.size === 0) continue;
      const edges: number[] = [];
      for (const box of [0, ...this.frames]) {
        for (let edge = scene.edgeOffsets[box] as number; edge < (scene.edgeOffsets[box + 1] as number); edge += 1) {
          if (leadsTo(scene, edge, marked.get(scene.edgeSource[edge] as number))) edges.push(edge);
        }
      }
      this.bold(edges, palette.colour(colour), wide);
    }
  }

  private bold(edges: readonly number[], colour: string, wide: number): void {
    if (edges.length === 0) return;
    const { context, scale } = this;
    context.strokeStyle = colour;
    context.fillStyle = colour;
    context.lineWidth = Math.max(wide, (wide - 0.6) / scale);
    context.beginPath();
    for (const edge of edges) if (this.edgeSeen(edge)) this.trace(edge, true);
    context.stroke();
    context.beginPath();
    for (const edge of edges) this.arrow(edge, Math.max(wide + 3.3, (wide + 1.8) / scale));
    context.fill();
  }

  private unrouted(): void {
    const { scene, palette } = this.picture;
    const { context, scale } = this;
    if (scene.unrouted.length === 0) return;
    context.strokeStyle = palette.colour("--accent");
    context.lineWidth = Math.max(1.4, 1.2 / scale);
    context.setLineDash([5 / scale, 4 / scale]);
    context.beginPath();
    for (let at = 0; at < scene.unrouted.length; at += 2) {
      const from = scene.unrouted[at] as number;
      const to = scene.unrouted[at + 1] as number;
      if (!this.marks.strong.has(from) && !this.marks.strong.has(to)) continue;
      context.moveTo((scene.x[from] as number) + (scene.width[from] as number) / 2, (scene.y[from] as number) + (scene.height[from] as number));
      context.lineTo((scene.x[to] as number) + (scene.width[to] as number) / 2, scene.y[to] as number);
    }
    context.stroke();
    context.setLineDash([]);
  }

  private trace(edge: number, curved: boolean): void {
    const { pointOffsets, points } = this.picture.scene;
    const { context } = this;
    const first = pointOffsets[edge] as number;
    let x = points[first] as number;
    let y = points[first + 1] as number;
    context.moveTo(x, y);
    for (let at = first + 2; at < (pointOffsets[edge + 1] as number); at += 2) {
      const nextX = points[at] as number;
      const nextY = points[at + 1] as number;
      if (!curved || Math.abs(nextX - x) < 0.75) context.lineTo(nextX, nextY);
      else {
        const half = (nextY - y) / 2;
        context.bezierCurveTo(x, y + half, nextX, nextY - half, nextX, nextY);
      }
      x = nextX;
      y = nextY;
    }
  }

  private arrow(edge: number, size: number): void {
    const { scene } = this.picture;
    if (scene.edgeOut[edge] || scene.kind[scene.edgeTarget[edge] as number] === OPEN) return;
    const last = (scene.pointOffsets[edge + 1] as number) - 2;
    const x = scene.points[last] as number;
    const y = scene.points[last + 1] as number;
    const back = (scene.points[last - 1] as number) > y ? 1 : -1;
    const { context } = this;
    context.moveTo(x, y);
    context.lineTo(x - size * 0.8, y + back * size * 1.5);
    context.lineTo(x + size * 0.8, y + back * size * 1.5);
    context.closePath();
  }

  /** Rings around what is picked, found, or under the pointer. */
  private rings(): void {
    const { scene, palette } = this.picture;
    const { context, scale } = this;
    const { picked, matches, hover } = this.marks;
    const width = Math.max(2, 1.6 / scale);
    for (const boxes of [this.frames, this.leaves, this.lumps]) {
      for (const box of boxes) {
        const leaf = scene.kind[box] !== OPEN || boxes === this.lumps;
        const found = leaf && matches !== null && (matches[box] as number) > 0;
        if (found) this.ring(box, palette.colour("--match"), width, 2.5, []);
        if (found && scene.kind[box] === CLOSED && scale >= WORDS_FROM) this.count(box, matches?.[box] as number);
        const state = picked[box];
        if (state === 2) this.ring(box, palette.colour("--accent"), width * 1.3, 4, []);
        else if (state === 1 && leaf) this.ring(box, palette.colour("--accent"), width, 4, [5 / scale, 3 / scale]);
      }
    }
    if (hover > 0 && hover < scene.count) this.ring(hover, palette.colour("--text"), Math.max(1, 1 / scale), 1, []);
    context.setLineDash([]);
  }

  private count(box: number, count: number): void {
    const { scene } = this.picture;
    const text = `${count} found`;
    const width = this.picture.ruler.width(text, this.picture.fonts.tag) + 10;
    this.sign(text, "--match", (scene.x[box] as number) + (scene.inset[box] as number) + 8, (scene.y[box] as number) - 1, width);
  }

  private ring(box: number, colour: string, width: number, away: number, dash: number[]): void {
    const { context } = this;
    this.round(box, Math.max(away, 1.5 / this.scale), this.picture.scene.kind[box] === NODE ? 7 : 11);
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.setLineDash(dash);
    context.stroke();
  }

  private round(box: number, away: number, radius: number): void {
    const { x, y, width, height, inset } = this.picture.scene;
    const left = (x[box] as number) + (away > 0 ? (inset[box] as number) : 0);
    this.context.beginPath();
    this.context.roundRect(left - away, (y[box] as number) - away, (x[box] as number) + (width[box] as number) - left + 2 * away, (height[box] as number) + 2 * away, radius);
  }
}
