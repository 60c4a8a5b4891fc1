// A list of any length: only the lines in sight are in the document. A line stays the same element as long as it shows the same, so that a
// press which begins on it also ends on it, and text that is selected stays so while the list scrolls.

/** Lines drawn beyond what is in sight, on either side. */
const OVERSCAN = 10;
/** The height taken before the list has been laid out. */
const UNKNOWN_PX = 400;

export interface Lines {
  /** What scrolls; `body` within it has the height of all lines. */
  readonly scroller: HTMLElement;
  readonly body: HTMLElement;
  /** The height of a line. */
  readonly px: number;
  /** Line `at` has the element id `${id}-${at}`. */
  readonly id: string;
  readonly count: () => number;
  /** The line that the keyboard is on. */
  readonly active: () => number;
  /** What can change of a line between two calls of `renew`. */
  readonly state: (at: number) => string;
  readonly make: (at: number) => HTMLElement;
}

export class LongList {
  private readonly drawn = new Map<number, { state: string; element: HTMLElement }>();
  private frame = 0;

  constructor(
    private readonly lines: Lines,
    signal: AbortSignal,
  ) {
    const { scroller } = lines;
    scroller.addEventListener("scroll", () => this.soon(), { signal });
    const resized = new ResizeObserver(() => this.soon());
    resized.observe(scroller);
    signal.addEventListener("abort", () => {
      resized.disconnect();
      cancelAnimationFrame(this.frame);
    });
  }

  /** Draws other lines. */
  renew(): void {
    for (const { element } of this.drawn.values()) element.remove();
    this.drawn.clear();
    this.lines.body.style.height = `${Math.max(this.lines.count(), 1) * this.lines.px}px`;
    this.paint();
  }

  /** Brings a line into sight; `below` is the height that something covers at the top. */
  reveal(at: number, covered = 0): void {
    const { scroller, px } = this.lines;
    const top = at * px;
    const view = scroller.clientHeight - covered;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + px > scroller.scrollTop + view) scroller.scrollTop = top + px - view;
  }

  /** Draws in the next frame. */
  soon(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.paint());
  }

  /** Draws the lines that came into sight or changed, and takes those away that left it. */
  paint(): void {
    const { scroller, body, px, id, count, active } = this.lines;
    const height = scroller.clientHeight || UNKNOWN_PX;
    const first = Math.max(Math.floor(scroller.scrollTop / px) - OVERSCAN, 0);
    const last = Math.min(first + Math.ceil(height / px) + 2 * OVERSCAN, count());
    for (const [at, { element }] of this.drawn) {
      if (at >= first && at < last) continue;
      element.remove();
      this.drawn.delete(at);
    }
    let before: Element | null = null;
    for (let at = first; at < last; at += 1) {
      const element = this.line(at);
      if (element.parentNode !== body) {
        if (before) before.after(element);
        else body.prepend(element);
      }
      before = element;
    }
    const on = active();
    if (on >= first && on < last) scroller.setAttribute("aria-activedescendant", `${id}-${on}`);
    else scroller.removeAttribute("aria-activedescendant");
  }

  private line(at: number): HTMLElement {
    const { px, id, state: stateOf, make } = this.lines;
    const state = stateOf(at);
    const found = this.drawn.get(at);
    if (found?.state === state) return found.element;
    const element = make(at);
    element.id = `${id}-${at}`;
    element.style.transform = `translateY(${at * px}px)`;
    found?.element.replaceWith(element);
    this.drawn.set(at, { state, element });
    return element;
  }
}
