// The picture as a file: SVG, PNG. All of what is open is in it, not only what is on the screen.

import { paintWhole } from "./paint.ts";
import { NO_MARKS, type Marks, type Picture } from "./picture.ts";
import { SvgBrush } from "./svg_brush.ts";

/** Boxes that an SVG file holds at most: more make it too large for what opens such files. */
export const SVG_BOXES = 20_000;
const MARGIN = 24;
const PNG_SCALE = 2;
const PNG_SIDE = 16_000;
const PNG_PIXELS = 60_000_000;

/** The picture as the text of an SVG file. Throws an Error with a reason where it is too large. */
export function toSvg(picture: Picture, marks: Marks = NO_MARKS): string {
  const { scene, palette, tree } = picture;
  if (scene.count > SVG_BOXES) throw new Error(`${scene.count.toLocaleString("en-US")} boxes are open, an SVG file holds ${SVG_BOXES.toLocaleString("en-US")} at most: fold some groups, or save as PNG.`);
  const brush = new SvgBrush();
  brush.save();
  brush.translate(MARGIN, MARGIN);
  paintWhole(brush, picture, marks, 1);
  brush.restore();
  const { graph } = tree;
  return brush.document((scene.width[0] as number) + 2 * MARGIN, (scene.height[0] as number) + 2 * MARGIN, palette.colour("--bg"), `Compile ${graph.compileId}, ${graph.stage}: ${graph.count} nodes`);
}

/** The scale at which a picture becomes a PNG file: twice its size, less where that would be too large to open. */
export function pngScale(width: number, height: number): number {
  return Math.min(PNG_SCALE, PNG_SIDE / width, PNG_SIDE / height, Math.sqrt(PNG_PIXELS / (width * height)));
}

/** The picture as a PNG file, and the scale it has. Rejected with an Error with a reason. */
export async function toPng(picture: Picture, marks: Marks = NO_MARKS): Promise<{ blob: Blob; scale: number }> {
  const { scene, palette } = picture;
  const width = (scene.width[0] as number) + 2 * MARGIN;
  const height = (scene.height[0] as number) + 2 * MARGIN;
  const scale = pngScale(width, height);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(Math.floor(width * scale), 1);
  canvas.height = Math.max(Math.floor(height * scale), 1);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser has no canvas of that size.");
  context.fillStyle = palette.colour("--bg");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.setTransform(scale, 0, 0, scale, MARGIN * scale, MARGIN * scale);
  paintWhole(context, picture, marks, scale);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("This browser cannot write a PNG file of that size.");
  return { blob, scale };
}

/** The page that this script is in, as it was before anything was drawn in it; null where it is no page of ours. */
export function pageHtml(): string | null {
  const root = document.documentElement.cloneNode(true) as HTMLElement;
  const main = root.querySelector<HTMLElement>("[data-compile-inspector][data-place=page]");
  if (!main) return null;
  for (const drawn of main.querySelectorAll(".ci-host")) drawn.remove();
  main.classList.remove("ci-root");
  main.removeAttribute("data-ready");
  return `<!doctype html>\n${root.outerHTML}\n`;
}

/** Hands a file to the reader. */
export function download(content: Blob | string, name: string, type: string): void {
  const blob = typeof content === "string" ? new Blob([content], { type }) : content;
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** "graph-0-1-post_grad.svg": a name for a file, of characters that every file system takes. */
export function fileName(compileId: string, stage: string, ending: string): string {
  const safe = (text: string): string => text.replace(/[^\w.-]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 60);
  return `graph-${safe(compileId)}-${safe(stage)}.${ending}`;
}
