// A brush that writes SVG: it understands what painting uses of a canvas's context, so that one description of the picture makes
// both. Every text is escaped.

/** What painting uses of a canvas's context. */
export type Brush = Pick<
  CanvasRenderingContext2D,
  | "fillStyle"
  | "strokeStyle"
  | "lineWidth"
  | "lineJoin"
  | "globalAlpha"
  | "font"
  | "textAlign"
  | "textBaseline"
  | "beginPath"
  | "closePath"
  | "moveTo"
  | "lineTo"
  | "bezierCurveTo"
  | "roundRect"
  | "arc"
  | "fill"
  | "stroke"
  | "fillRect"
  | "fillText"
  | "setLineDash"
  | "save"
  | "restore"
  | "translate"
  | "scale"
>;

interface Pose {
  x: number;
  y: number;
  scale: number;
}

/** A brush whose strokes can be read as SVG elements. */
export class SvgBrush implements Brush {
  fillStyle: string | CanvasGradient | CanvasPattern = "#000";
  strokeStyle: string | CanvasGradient | CanvasPattern = "#000";
  lineWidth = 1;
  lineJoin: CanvasLineJoin = "round";
  globalAlpha = 1;
  font = "12px sans-serif";
  textAlign: CanvasTextAlign = "left";
  textBaseline: CanvasTextBaseline = "middle";
  private readonly elements: string[] = [];
  private readonly poses: Pose[] = [];
  private pose: Pose = { x: 0, y: 0, scale: 1 };
  private path: string[] = [];
  private dash: number[] = [];

  /** The picture as the text of an SVG file. */
  document(width: number, height: number, background: string, title: string): string {
    return (
      `<svg xmlns="http://www.w3.org/2000/svg" width="${round(width)}" height="${round(height)}" viewBox="0 0 ${round(width)} ${round(height)}" role="img">` +
      `<title>${escaped(title)}</title><rect width="100%" height="100%" fill="${escaped(background)}"/>${this.elements.join("")}</svg>\n`
    );
  }

  save(): void {
    this.poses.push({ ...this.pose });
  }

  restore(): void {
    this.pose = this.poses.pop() ?? this.pose;
  }

  translate(x: number, y: number): void {
    this.pose.x += x * this.pose.scale;
    this.pose.y += y * this.pose.scale;
  }

  scale(x: number): void {
    this.pose.scale *= x;
  }

  beginPath(): void {
    this.path = [];
  }

  closePath(): void {
    this.path.push("Z");
  }

  moveTo(x: number, y: number): void {
    this.path.push(`M${this.at(x, y)}`);
  }

  lineTo(x: number, y: number): void {
    this.path.push(`L${this.at(x, y)}`);
  }

  bezierCurveTo(x1: number, y1: number, x2: number, y2: number, x: number, y: number): void {
    this.path.push(`C${this.at(x1, y1)} ${this.at(x2, y2)} ${this.at(x, y)}`);
  }

  roundRect(x: number, y: number, width: number, height: number, radii?: number | DOMPointInit | Iterable<number | DOMPointInit>): void {
    const all = typeof radii === "number" ? [radii, radii, radii, radii] : [...((radii ?? [0]) as Iterable<number>)];
    const most = Math.min(width, height) / 2;
    const [a = 0, b = a, c = a, d = b] = all.map((radius) => Math.max(Math.min(radius, most), 0));
    const curve = (radius: number, toX: number, toY: number): string => (radius === 0 ? "" : `A${round(radius * this.pose.scale)} ${round(radius * this.pose.scale)} 0 0 1 ${this.at(toX, toY)}`);
    this.path.push(
      `M${this.at(x + a, y)}L${this.at(x + width - b, y)}${curve(b, x + width, y + b)}L${this.at(x + width, y + height - c)}${curve(c, x + width - c, y + height)}` +
        `L${this.at(x + d, y + height)}${curve(d, x, y + height - d)}L${this.at(x, y + a)}${curve(a, x + a, y)}Z`,
    );
  }

  /** A whole circle, whatever the angles: no other is painted. */
  arc(x: number, y: number, radius: number): void {
    const size = round(radius * this.pose.scale);
    this.path.push(`M${this.at(x - radius, y)}A${size} ${size} 0 1 0 ${this.at(x + radius, y)}A${size} ${size} 0 1 0 ${this.at(x - radius, y)}Z`);
  }

  fill(): void {
    this.elements.push(`<path d="${this.path.join("")}" fill="${escaped(String(this.fillStyle))}"${this.opacity()}/>`);
  }

  stroke(): void {
    const dash = this.dash.length > 0 ? ` stroke-dasharray="${this.dash.map((part) => round(part * this.pose.scale)).join(" ")}"` : "";
    this.elements.push(`<path d="${this.path.join("")}" fill="none" stroke="${escaped(String(this.strokeStyle))}" stroke-width="${round(this.lineWidth * this.pose.scale)}" stroke-linejoin="round"${dash}${this.opacity()}/>`);
  }

  fillRect(x: number, y: number, width: number, height: number): void {
    const [left, top] = this.at(x, y).split(" ");
    this.elements.push(`<rect x="${left}" y="${top}" width="${round(width * this.pose.scale)}" height="${round(height * this.pose.scale)}" fill="${escaped(String(this.fillStyle))}"${this.opacity()}/>`);
  }

  fillText(text: string, x: number, y: number): void {
    const [, weight = "400", size = "12", family = "sans-serif"] = this.font.match(/^(\d+)\s+([\d.]+)px\s+(.*)$/) ?? [];
    const anchor = this.textAlign === "center" ? ' text-anchor="middle"' : "";
    const [left, top] = this.at(x, y).split(" ");
    this.elements.push(
      `<text x="${left}" y="${top}" dominant-baseline="central" font-family="${escaped(family)}" font-size="${round(Number(size) * this.pose.scale)}" font-weight="${weight}"${anchor} fill="${escaped(String(this.fillStyle))}"${this.opacity()}>${escaped(text)}</text>`,
    );
  }

  setLineDash(segments: Iterable<number>): void {
    this.dash = [...segments];
  }

  private opacity(): string {
    return this.globalAlpha < 1 ? ` opacity="${round(this.globalAlpha)}"` : "";
  }

  private at(x: number, y: number): string {
    return `${round(this.pose.x + x * this.pose.scale)} ${round(this.pose.y + y * this.pose.scale)}`;
  }
}

function round(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** Text that is text in XML as well; what XML has no place for is shown as a replacement character. */
export function escaped(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd").replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}
