// The colours of the canvas, read from the style sheet's variables, so that themes and forced colours reach it.

/** Colours by the name of their variable, resolved once. */
export class Palette {
  readonly dark: boolean;
  readonly forced: boolean;
  readonly family: string;
  private readonly resolved = new Map<string, string>();
  private readonly mixed = new Map<string, string>();
  private readonly style: CSSStyleDeclaration;

  /** Reads the colours that hold inside `element`; `context` is only asked what a colour's words mean. */
  constructor(
    element: HTMLElement,
    private readonly context: CanvasRenderingContext2D,
  ) {
    this.style = getComputedStyle(element);
    this.forced = matchMedia("(forced-colors: active)").matches;
    this.family = this.style.fontFamily || "sans-serif";
    this.dark = brightness(this.colour("--bg")) < 0.4;
  }

  /** The colour of a variable; grey where there is none. */
  colour(name: string): string {
    let found = this.resolved.get(name);
    if (found === undefined) {
      this.context.fillStyle = "#77828d";
      const said = this.style.getPropertyValue(name).trim();
      if (said !== "") this.context.fillStyle = said;
      found = String(this.context.fillStyle);
      this.resolved.set(name, found);
    }
    return found;
  }

  /** A colour for outlines: thinned with the background, and the text's own where colours are forced. */
  line(name: string, strength: number): string {
    return this.forced ? this.colour("--text") : this.tint(name, strength);
  }

  /** A variable's colour, thinned with the background; forced colours are left to themselves. */
  tint(name: string, strength: number): string {
    const key = `${name} ${strength}`;
    let made = this.mixed.get(key);
    if (made === undefined) {
      made = this.forced ? this.colour("--bg") : mix(this.colour(name), this.colour("--bg"), strength);
      this.mixed.set(key, made);
    }
    return made;
  }
}

function rgb(colour: string): [number, number, number] {
  if (colour.startsWith("#") && colour.length >= 7) return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)) as [number, number, number];
  const [red = 128, green = 128, blue = 128] = (colour.match(/[\d.]+/g) ?? []).map(Number);
  return [red, green, blue];
}

function brightness(colour: string): number {
  const [red, green, blue] = rgb(colour);
  return (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
}

function mix(colour: string, ground: string, part: number): string {
  const below = rgb(ground);
  return `rgb(${rgb(colour)
    .map((value, at) => Math.round(value * part + (below[at] as number) * (1 - part)))
    .join(",")})`;
}
