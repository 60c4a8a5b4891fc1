// A text of a program, of any length: only the lines in sight are in the document. Lines are numbered, coloured, marked, and chosen.

import { h, newId } from "../dom.ts";
import { LongList } from "../long_list.ts";
import { carried, tokens, type Language, type State } from "./highlight.ts";

const LINE_PX = 18;
/** Characters of a line that are drawn; a marker tells of the rest. */
const DRAWN = 2_000;

/** Lines within a string that are a program of their own: those after `from` and before `to`. */
export interface Embedded {
  readonly from: number;
  readonly to: number;
  readonly language: Language;
}

/** One text. `numbers` are its lines' numbers where they are not 1, 2, 3… */
export interface CodeText {
  readonly lines: readonly string[];
  readonly language: Language;
  readonly numbers?: readonly number[];
  readonly embedded?: readonly Embedded[];
}

/** A pane of code. */
export class CodeView {
  readonly element: HTMLElement;
  private readonly body: HTMLElement;
  private readonly list: LongList;
  private text: CodeText = { lines: [], language: "text" };
  private states: State[] = [];
  /** By line: the embedded program that it begins or lies in. */
  private blocks: (Embedded | undefined)[] = [];
  private outer: State = "";
  private marked: ReadonlySet<number> = new Set();
  private active = 0;

  constructor(
    label: string,
    /** Called with the index of a line that a reader chooses. */
    private readonly chosen: (line: number, extend: boolean) => void,
    signal: AbortSignal,
  ) {
    this.body = h("div", { class: "code-lines", role: "presentation" });
    this.element = h(
      "div",
      {
        class: "code-view",
        role: "listbox",
        tabindex: 0,
        "aria-label": label,
        "aria-multiselectable": "true",
        onclick: (event) => this.click(event as MouseEvent),
        onkeydown: (event) => this.key(event as KeyboardEvent),
      },
      this.body,
    );
    this.list = new LongList(
      {
        scroller: this.element,
        body: this.body,
        px: LINE_PX,
        id: newId("code"),
        count: () => this.text.lines.length,
        active: () => this.active,
        state: (at) => `${this.marked.has(at)} ${at === this.active}`,
        make: (at) => this.line(at),
      },
      signal,
    );
  }

  /** Shows another text, from its top. */
  show(text: CodeText): void {
    this.text = text;
    this.states = [""];
    this.blocks = [];
    for (const block of text.embedded ?? []) for (let at = block.from; at < block.to; at += 1) this.blocks[at] = block;
    this.marked = new Set();
    this.active = 0;
    const widest = text.lines.reduce((most, line) => Math.max(most, Math.min(line.length, DRAWN)), 0);
    this.body.style.minWidth = `${widest + 8}ch`;
    const largest = text.numbers ? (text.numbers[text.numbers.length - 1] ?? 1) : text.lines.length;
    this.body.style.setProperty("--gutter", `${String(largest).length + 1}ch`);
    this.element.scrollTop = 0;
    this.list.renew();
  }

  /** Marks lines, and brings the first into sight unless one of them is. */
  mark(lines: ReadonlySet<number>, reveal = true): void {
    this.marked = lines;
    const first = lines.size === 0 ? -1 : Math.min(...[...lines].slice(0, 10_000));
    const top = Math.floor(this.element.scrollTop / LINE_PX);
    const last = top + Math.floor(this.element.clientHeight / LINE_PX) - 1;
    if (first >= 0) this.active = first;
    if (reveal && first >= 0 && ![...lines].some((line) => line >= top && line < last)) this.element.scrollTop = Math.max(first - 3, 0) * LINE_PX;
    this.list.paint();
  }

  /** The state that a line begins in, and its language; told from the top down once. */
  private begin(line: number): { state: State; language: Language } {
    const { lines } = this.text;
    for (let at = this.states.length; at <= line; at += 1) {
      const before = this.blocks[at - 1];
      if (before?.to === at) this.states.push(this.outer);
      else if (before && before.from === at - 1) {
        this.outer = carried(lines[at - 1] ?? "", this.text.language, this.states[at - 1] ?? "");
        this.states.push("");
      } else this.states.push(carried(lines[at - 1] ?? "", this.language(at - 1), this.states[at - 1] ?? ""));
    }
    return { state: this.states[line] ?? "", language: this.language(line) };
  }

  private language(line: number): Language {
    const block = this.blocks[line];
    return block && line > block.from ? block.language : this.text.language;
  }

  private line(at: number): HTMLElement {
    const text = this.text.lines[at] ?? "";
    const { state, language } = this.begin(at);
    const { tokens: found } = tokens(text.slice(0, DRAWN), language, state);
    const marked = this.marked.has(at);
    return h(
      "div",
      {
        class: `code-line${marked ? " marked" : ""}${at === this.active ? " active" : ""}`,
        role: "option",
        "aria-selected": String(marked),
        "aria-setsize": this.text.lines.length,
        "aria-posinset": at + 1,
        "data-line": at,
      },
      h("span", { class: "gutter", "aria-hidden": "true" }, this.text.numbers?.[at] ?? at + 1),
      ...found.map(({ kind, text: word }) => (kind === "plain" ? word : h("span", { class: `t-${kind}` }, word))),
      text.trim() === "" && h("span", { class: "unseen" }, "empty line"),
      text.length > DRAWN && h("span", { class: "dim" }, ` … ${(text.length - DRAWN).toLocaleString("en-US")} more characters`),
    );
  }

  private click(event: MouseEvent): void {
    const line = (event.target as Element).closest<HTMLElement>("[data-line]");
    if (!line || String(getSelection() ?? "") !== "") return;
    this.active = Number(line.dataset["line"]);
    this.chosen(this.active, event.shiftKey || event.ctrlKey || event.metaKey);
    this.list.paint();
  }

  private key(event: KeyboardEvent): void {
    const page = Math.max(Math.floor(this.element.clientHeight / LINE_PX) - 1, 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (step !== undefined) this.move(this.active + step);
    else if (event.key === "Enter" || event.key === " ") this.chosen(this.active, event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private move(line: number): void {
    this.active = Math.min(Math.max(line, 0), Math.max(this.text.lines.length - 1, 0));
    this.list.reveal(this.active);
    this.list.paint();
  }
}
