// The whole graph in a corner, with the part that is on the screen; a press there goes there.

import type { Camera } from "./camera.ts";
import { h } from "../dom.ts";
import { CLOSED, OPEN, type Picture } from "./picture.ts";

const WIDEST = 150;
const HIGHEST = 190;
const THINNEST = 46;

/** The minimap of one canvas. */
export class Minimap {
  readonly element = h("canvas", { class: "minimap", "aria-hidden": "true", title: "The whole graph: press to go there" });
  private readonly ground = document.createElement("canvas");
  private scaleX = 1;
  private scaleY = 1;

  constructor(
    private readonly camera: Camera,
    signal: AbortSignal,
  ) {
    const go = (event: PointerEvent): void => {
      const box = this.element.getBoundingClientRect();
      const x = (event.clientX - box.left - 1) / this.scaleX;
      const y = (event.clientY - box.top - 1) / this.scaleY;
      const { view } = this.camera;
      this.camera.shift(x - view.x - view.width / 2, y - view.y - view.height / 2);
    };
    this.element.addEventListener("pointerdown", (event) => {
      this.element.setPointerCapture(event.pointerId);
      event.preventDefault();
      go(event);
    }, { signal });
    this.element.addEventListener("pointermove", (event) => this.element.hasPointerCapture(event.pointerId) && go(event), { signal });
  }

  /** Draws the whole graph anew; a very long one is squeezed to what fits. */
  render(picture: Picture, ratio: number): void {
    const { scene, palette, painting } = picture;
    const worldWidth = Math.max(scene.width[0] as number, 1);
    const worldHeight = Math.max(scene.height[0] as number, 1);
    const even = Math.min(WIDEST / worldWidth, HIGHEST / worldHeight);
    const width = Math.round(Math.max(worldWidth * even, THINNEST));
    const height = Math.round(Math.max(worldHeight * even, THINNEST));
    this.scaleX = width / worldWidth;
    this.scaleY = height / worldHeight;
    for (const canvas of [this.element, this.ground]) {
      canvas.width = width * ratio;
      canvas.height = height * ratio;
    }
    this.element.style.width = `${width}px`;
    this.element.style.height = `${height}px`;
    const context = this.ground.getContext("2d");
    if (!context) return;
    context.fillStyle = palette.colour("--bg");
    context.fillRect(0, 0, this.ground.width, this.ground.height);
    context.setTransform(this.scaleX * ratio, 0, 0, this.scaleY * ratio, 0, 0);
    for (let box = 1; box < scene.count; ) {
      const wide = (scene.width[box] as number) * this.scaleX;
      const high = (scene.height[box] as number) * this.scaleY;
      const small = high < 1.2 || wide < 1.2;
      const open = scene.kind[box] === OPEN && !small && high > 5;
      const category = open ? -1 : picture.category(box);
      const name = painting.categories[category]?.colour;
      context.fillStyle = open ? palette.colour((scene.depth[box] as number) % 2 ? "--frame-0" : "--frame-1") : name === undefined ? palette.colour("--line") : palette.tint(name, scene.kind[box] === CLOSED ? 0.55 : 0.8);
      context.fillRect(scene.x[box] as number, scene.y[box] as number, Math.max(scene.width[box] as number, 1 / this.scaleX), Math.max(scene.height[box] as number, 0.8 / this.scaleY));
      box = open ? box + 1 : (scene.end[box] as number);
    }
  }

  /** Draws what the camera sees over it; hides the map where all of the graph is on the screen. */
  show(picture: Picture, ratio: number): void {
    const { view } = this.camera;
    const { scene } = picture;
    const all = view.x <= 8 && view.y <= 8 && view.x + view.width >= (scene.width[0] as number) - 8 && view.y + view.height >= (scene.height[0] as number) - 8;
    this.element.hidden = all || this.camera.width < 520 || this.camera.height < 240;
    if (this.element.hidden) return;
    const context = this.element.getContext("2d");
    if (!context) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.element.width, this.element.height);
    context.drawImage(this.ground, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.strokeStyle = picture.palette.colour("--accent");
    context.fillStyle = picture.palette.colour("--accent");
    const left = view.x * this.scaleX;
    const top = view.y * this.scaleY;
    const width = Math.max(view.width * this.scaleX, 4);
    const height = Math.max(view.height * this.scaleY, 3);
    context.globalAlpha = 0.14;
    context.fillRect(left, top, width, height);
    context.globalAlpha = 1;
    context.lineWidth = 1.5;
    context.strokeRect(left, top, width, height);
  }
}
