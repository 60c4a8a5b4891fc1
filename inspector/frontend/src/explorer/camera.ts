// Where the reader looks: what part of the graph is on the screen, and how large.

export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const SMALLEST = 0.002;
const LARGEST = 4;

/** A view of the world: world (x, y) is at screen ((x - left) * scale, (y - top) * scale). */
export class Camera {
  left = 0;
  top = 0;
  scale = 1;
  /** Of the screen, in CSS pixels. */
  width = 1;
  height = 1;
  private goal: { left: number; top: number; scale: number; from: { left: number; top: number; scale: number }; start: number } | null = null;

  constructor(private readonly changed: () => void) {}

  toWorld(x: number, y: number): { x: number; y: number } {
    return { x: this.left + x / this.scale, y: this.top + y / this.scale };
  }

  /** Whether it is on its way somewhere. */
  get moving(): boolean {
    return this.goal !== null;
  }

  get view(): Rect {
    return { x: this.left, y: this.top, width: this.width / this.scale, height: this.height / this.scale };
  }

  /** What is in view once a movement that is under way has ended. */
  get ahead(): Rect {
    const { left, top, scale } = this.goal ?? this;
    return { x: left, y: top, width: this.width / scale, height: this.height / scale };
  }

  /** What is in the middle stays in the middle, from left to right; what is at the top stays at the top. */
  resize(width: number, height: number): void {
    if (this.width > 1) {
      this.left += (this.width - width) / 2 / this.scale;
      if (this.goal) this.goal.left += (this.width - width) / 2 / this.goal.scale;
    }
    this.width = Math.max(width, 1);
    this.height = Math.max(height, 1);
    this.changed();
  }

  /** Moves by screen pixels. */
  pan(dx: number, dy: number): void {
    this.goal = null;
    this.left -= dx / this.scale;
    this.top -= dy / this.scale;
    this.changed();
  }

  /** Moves by world pixels, also where a movement is under way: what is under the reader's eye stays there. */
  shift(dx: number, dy: number): void {
    this.left += dx;
    this.top += dy;
    if (this.goal) {
      this.goal.left += dx;
      this.goal.top += dy;
      this.goal.from.left += dx;
      this.goal.from.top += dy;
    }
    this.changed();
  }

  /** Takes the scale of another camera, and puts a point of the world at a place of the screen. */
  put(scale: number, world: { x: number; y: number }, x: number, y: number): void {
    this.goal = null;
    this.scale = scale;
    this.left = world.x - x / scale;
    this.top = world.y - y / scale;
    this.changed();
  }

  /** Grows the picture around a place of the screen, its middle by default. */
  zoom(factor: number, x = this.width / 2, y = this.height / 2): void {
    this.goal = null;
    const scale = Math.min(Math.max(this.scale * factor, SMALLEST), LARGEST);
    const at = this.toWorld(x, y);
    this.scale = scale;
    this.left = at.x - x / scale;
    this.top = at.y - y / scale;
    this.changed();
  }

  /** Goes to where a rectangle fills the screen, at most at `most`; smoothly where asked. */
  show(rect: Rect, { most = 1, least = 0, margin = 24, smooth = false, align = "middle" }: { most?: number; least?: number; margin?: number; smooth?: boolean; align?: "middle" | "top" } = {}): void {
    const room = { width: Math.max(this.width - 2 * margin, 10), height: Math.max(this.height - 2 * margin, 10) };
    const fitting = Math.min(room.width / Math.max(rect.width, 1), room.height / Math.max(rect.height, 1));
    const scale = Math.min(Math.max(Math.min(fitting, most), least, SMALLEST), LARGEST);
    const left = rect.x + rect.width / 2 - this.width / 2 / scale;
    const tall = rect.height * scale > room.height;
    const top = align === "top" && tall ? rect.y - margin / scale : rect.y + rect.height / 2 - this.height / 2 / scale;
    this.go({ left, top, scale }, smooth);
  }

  /** Moves as little as brings a rectangle onto the screen, and grows it where it is too small to read. */
  bring(rect: Rect, { smooth = false, readable = 0.6 }: { smooth?: boolean; readable?: number } = {}): void {
    const now = this.goal ?? this;
    const scale = Math.max(now.scale, readable);
    const view = { width: this.width / scale, height: this.height / scale };
    const room = Math.min(48 / scale, view.width / 5, view.height / 5);
    if (scale !== now.scale) {
      this.go({ left: rect.x + rect.width / 2 - view.width / 2, top: rect.y + rect.height / 2 - view.height / 2, scale }, smooth);
      return;
    }
    const left = nearest(now.left, rect.x - room, rect.x + rect.width + room, view.width);
    const top = nearest(now.top, rect.y - room, rect.y + rect.height + room, view.height);
    if (left !== now.left || top !== now.top) this.go({ left, top, scale }, smooth);
  }

  /** Advances a movement; true while there is one. */
  step(now: number): boolean {
    if (!this.goal) return false;
    const { from, start } = this.goal;
    const part = Math.min((now - start) / 180, 1);
    const eased = 1 - (1 - part) ** 3;
    const scale = from.scale * (this.goal.scale / from.scale) ** eased;
    this.scale = scale;
    this.left = from.left + (this.goal.left - from.left) * eased;
    this.top = from.top + (this.goal.top - from.top) * eased;
    if (part === 1) this.goal = null;
    return this.goal !== null;
  }

  private go(to: { left: number; top: number; scale: number }, smooth: boolean): void {
    if (smooth) this.goal = { ...to, from: { left: this.left, top: this.top, scale: this.scale }, start: performance.now() };
    else {
      this.goal = null;
      Object.assign(this, to);
    }
    this.changed();
  }
}

function nearest(now: number, low: number, high: number, room: number): number {
  if (high - low > room) return low;
  if (low < now) return low;
  return high > now + room ? high - room : now;
}
