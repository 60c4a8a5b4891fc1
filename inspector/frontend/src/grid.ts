// A table of any length: only the rows in sight are in the document. Sorted by its heads, searched by its box, read with the keyboard.

import type { Choice, Column, Direction, Table } from "./data.ts";
import { h, add, fill, newId, type Child } from "./dom.ts";
import { badge } from "./badge.ts";
import { fields } from "./fields.ts";
import { track, width } from "./grid_widths.ts";
import { LongList } from "./long_list.ts";
import type { Target } from "./session.ts";
import { count, shortPlace, whole } from "./format.ts";

const ROW_PX = 26;

/** What a view adds to a grid. */
export interface GridOptions {
  /** A narrower word for what the rows are: "guards". */
  noun: string;
  /** A column of the view's own. */
  extra?: ExtraColumn;
  /** More for a row's details, below its fields. */
  details?: (row: number) => Child | Child[];
  /** Where a word of a row's details leads, null where it leads nowhere. */
  link?: (column: Column, text: string) => Target | null;
  /** Goes there. */
  follow?: (target: Target) => void;
  /** Columns whose words can be chosen from, with the word that is chosen at first. */
  choices?: { key: string; first?: string }[];
  /** Called when a row's details are shown, or hidden (-1). */
  chosen?: (row: number) => void;
}

/** A column that the view draws. */
export interface ExtraColumn {
  title: string;
  /** The key of the column before it. */
  after: string;
  width: number;
  draw: (row: number) => Child;
}

/** A table with its search box and its details. */
export class Grid {
  readonly element: HTMLElement;
  private readonly search: HTMLInputElement;
  private readonly choices: Map<string, HTMLSelectElement>;
  private readonly tally: HTMLElement;
  private readonly scroller: HTMLElement;
  private readonly body: HTMLElement;
  private readonly pane: HTMLElement;
  private readonly shown: Column[];
  private readonly heads = new Map<string, HTMLElement>();
  private readonly list: LongList;
  private readonly nothing = h("div", { role: "row", class: "nothing" }, h("div", { role: "gridcell" }, "No row matches."));
  private rows: Uint32Array;
  private sorted: { key: string; direction: Direction } | null = null;
  private active = 0;
  private open = -1;
  private terms: string[] = [];
  private kept: Choice[] = [];
  private readonly chips = h("span", { class: "chips" });
  private pause = 0;

  constructor(
    private readonly table: Table,
    private readonly options: GridOptions,
    signal: AbortSignal,
  ) {
    this.rows = table.select("");
    this.shown = table.columns.filter((column) => !column.detail && !column.empty);
    if (this.shown.length === 0) this.shown = table.columns.slice(0, 1);
    this.search = h("input", {
      type: "search",
      class: "search",
      placeholder: `Search ${options.noun}`,
      "aria-label": `Search ${options.noun}`,
      spellcheck: "false",
      oninput: () => this.later(),
      onkeydown: (event) => this.fromSearch(event as KeyboardEvent),
    });
    this.choices = this.makeChoices();
    this.tally = h("span", { class: "tally", role: "status" });
    this.body = h("div", { class: "grid-body", role: "rowgroup" });
    this.scroller = this.makeScroller();
    this.pane = h("section", { class: "pane", "aria-label": "Details", hidden: true, onkeydown: (event) => this.inPane(event as KeyboardEvent) });
    this.element = h(
      "div",
      { class: "table" },
      h("div", { class: "bar" }, this.search, ...this.choices.values(), this.chips, this.tally),
      table.note && h("p", { class: "note" }, table.note),
      h("div", { class: "split" }, this.scroller, this.pane),
    );
    this.list = new LongList(
      {
        scroller: this.scroller,
        body: this.body,
        px: ROW_PX,
        id: newId("grid"),
        count: () => this.rows.length,
        active: () => this.active,
        state: (place) => `${place === this.active} ${this.rows[place] === this.open}`,
        make: (place) => this.line(place),
      },
      signal,
    );
    signal.addEventListener("abort", () => clearTimeout(this.pause));
    this.refresh();
  }

  /** Shows only the rows that say these words, and find this text. */
  only(words: Choice[], search = ""): void {
    this.clear();
    this.search.value = search;
    for (const word of words) {
      const choice = this.choices.get(word.key);
      if (choice) choice.value = word.word;
      if (choice?.value !== word.word) {
        if (choice) choice.value = "";
        this.kept.push(word);
      }
    }
    this.refresh();
  }

  /** Where the reader is: what narrows the rows, and the row that is open. */
  place(): Omit<Target, "tab"> {
    const chosen = [...this.choices].filter(([, { value }]) => value !== "").map(([key, { value }]) => ({ key, word: value }));
    const [where] = [...this.kept, ...chosen];
    return { search: this.search.value, ...(where && { where }), ...(this.open >= 0 && { row: this.open }) };
  }

  private clear(): void {
    this.search.value = "";
    this.kept = [];
    for (const choice of this.choices.values()) choice.value = "";
  }

  private showChips(): void {
    const drop = (choice: Choice): void => {
      this.kept = this.kept.filter((other) => other !== choice);
      this.refresh();
    };
    const chips = this.kept.map((choice) => {
      const title = this.table.column(choice.key)?.title ?? choice.key;
      const shown = this.table.column(choice.key)?.kind === "location" ? shortPlace(choice.word) : choice.word;
      return h("button", { type: "button", class: "chip", title: `${title}: ${choice.word}`, "aria-label": `No longer only ${title} ${choice.word}`, onclick: () => drop(choice) }, `${title}: ${shown}`, h("span", { "aria-hidden": "true" }, "×"));
    });
    fill(this.chips, ...chips);
  }

  /** Opens the details of a row and brings it into view; clears the search where it hides the row. */
  reveal(row: number): void {
    if (row < 0) return;
    let place = this.rows.indexOf(row);
    if (place < 0) {
      this.clear();
      this.refresh();
      place = this.rows.indexOf(row);
    }
    if (place < 0) return;
    this.activate(place);
    this.show(row);
  }

  private makeChoices(): Map<string, HTMLSelectElement> {
    const made = new Map<string, HTMLSelectElement>();
    for (const { key, first } of this.options.choices ?? []) {
      const column = this.table.column(key);
      const words = column?.words ?? [];
      if (!column || words.length < 2 || words.length > 500) continue;
      const title = column.title.toLowerCase();
      const choice = h(
        "select",
        { class: "choice", "aria-label": `Only one ${title}`, onchange: () => this.refresh() },
        h("option", { value: "" }, `every ${title}`),
        ...words.map((word) => h("option", { value: word }, word)),
      );
      if (first !== undefined && words.includes(first)) choice.value = first;
      made.set(key, choice);
    }
    return made;
  }

  private makeScroller(): HTMLElement {
    const { extra } = this.options;
    const head = h("div", { class: "grid-row grid-head", role: "row", "aria-rowindex": 1 });
    for (const column of this.shown) {
      const cell = h(
        "div",
        { role: "columnheader", class: `cell ${align(column)}`, "aria-sort": "none" },
        h("button", { type: "button", class: "sort", tabindex: -1, onclick: () => this.sortBy(column) }, column.title, h("span", { class: "arrow", "aria-hidden": "true" })),
      );
      this.heads.set(column.key, cell);
      head.appendChild(cell);
      if (extra?.after === column.key) head.appendChild(h("div", { role: "columnheader", class: "cell" }, extra.title));
    }
    const first = head.querySelector("button");
    if (first) first.tabIndex = 0;
    head.addEventListener("keydown", (event) => this.inHead(event));
    const scroller = h(
      "div",
      {
        class: "grid",
        role: "grid",
        tabindex: 0,
        "aria-label": this.table.title,
        "aria-colcount": head.childElementCount,
        onkeydown: (event) => this.inGrid(event as KeyboardEvent),
        onclick: (event) => this.click(event as MouseEvent),
      },
      h("div", { role: "rowgroup", class: "grid-top" }, head),
      this.body,
    );
    const widths = this.shown.flatMap((column) => [width(this.table, column), ...(extra?.after === column.key ? [{ px: extra.width, grow: 0 }] : [])]);
    scroller.style.setProperty("--columns", widths.map(track).join(" "));
    const least = widths.reduce((sum, { px }) => sum + px, 0);
    scroller.style.setProperty("--least", `${least + 16}px`);
    return scroller;
  }

  private later(): void {
    clearTimeout(this.pause);
    this.pause = window.setTimeout(() => this.refresh(), this.table.count > 5_000 ? 90 : 0);
  }

  private refresh(): void {
    this.terms = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    this.rows = this.table.select(
      this.search.value,
      [...this.kept, ...[...this.choices].filter(([, { value }]) => value !== "").map(([key, { value }]) => ({ key, word: value }))],
    );
    this.showChips();
    if (this.sorted) this.rows = this.table.sort(this.rows, this.sorted.key, this.sorted.direction);
    const { count: all } = this.table;
    this.tally.textContent = this.rows.length === all ? count(all, singular(this.options.noun), this.options.noun) : `${whole(this.rows.length)} of ${whole(all)}`;
    this.scroller.setAttribute("aria-rowcount", String(this.rows.length + 1));
    this.active = Math.min(this.active, Math.max(this.rows.length - 1, 0));
    this.scroller.scrollTop = 0;
    this.active = 0;
    this.list.renew();
    if (this.rows.length === 0) this.body.appendChild(this.nothing);
    else this.nothing.remove();
  }

  private line(place: number): HTMLElement {
    const row = this.rows[place] ?? 0;
    const line = h("div", {
      role: "row",
      class: `grid-row${place === this.active ? " active" : ""}${row === this.open ? " open" : ""}${place % 2 ? " odd" : ""}`,
      "aria-rowindex": place + 2,
      "aria-selected": String(place === this.active),
      "data-place": place,
    });
    const { extra } = this.options;
    for (const column of this.shown) {
      line.appendChild(this.cell(column, row));
      if (extra?.after === column.key) line.appendChild(h("div", { role: "gridcell", class: "cell" }, extra.draw(row)));
    }
    return line;
  }

  private cell(column: Column, row: number): HTMLElement {
    const text = column.brief(row);
    const cell = h("div", { role: "gridcell", class: `cell ${align(column)} k-${column.kind}` });
    if (text === "") return cell;
    const full = column.text(row);
    if (full !== text || text.length > 24) cell.title = full.length > 600 ? `${full.slice(0, 600)}…` : full;
    if (column.kind === "badge") cell.appendChild(badge(text));
    else this.marked(cell, text.length > 400 ? text.slice(0, 400) : text);
    return cell;
  }

  private marked(cell: HTMLElement, text: string): void {
    let rest = text;
    let lower = text.toLowerCase();
    while (this.terms.length > 0 && lower.length === rest.length) {
      const hits = this.terms.map((term) => ({ at: lower.indexOf(term), term })).filter(({ at }) => at >= 0);
      const hit = hits.reduce<{ at: number; term: string } | null>((best, next) => (best && best.at <= next.at ? best : next), null);
      if (!hit) break;
      const end = hit.at + hit.term.length;
      add(cell, [rest.slice(0, hit.at), h("mark", {}, rest.slice(hit.at, end))]);
      rest = rest.slice(end);
      lower = lower.slice(end);
    }
    cell.appendChild(document.createTextNode(rest));
  }

  private sortBy(column: Column): void {
    const numeric = column.kind === "number" || column.kind === "duration";
    const first: Direction = numeric ? "descending" : "ascending";
    if (this.sorted?.key !== column.key) this.sorted = { key: column.key, direction: first };
    else if (this.sorted.direction === first) this.sorted = { key: column.key, direction: first === "ascending" ? "descending" : "ascending" };
    else this.sorted = null;
    for (const [key, head] of this.heads) head.setAttribute("aria-sort", this.sorted?.key === key ? this.sorted.direction : "none");
    this.refresh();
  }

  private click(event: MouseEvent): void {
    const line = (event.target as Element).closest<HTMLElement>("[data-place]");
    if (!line || String(getSelection() ?? "") !== "") return;
    const place = Number(line.dataset["place"]);
    const row = this.rows[place] ?? -1;
    this.activate(place);
    if (this.open === row) this.hide();
    else this.show(row);
  }

  private activate(place: number): void {
    this.active = Math.min(Math.max(place, 0), Math.max(this.rows.length - 1, 0));
    this.list.reveal(this.active, ROW_PX);
    this.list.paint();
  }

  private inGrid(event: KeyboardEvent): void {
    if (event.target !== this.scroller) return;
    const page = Math.max(Math.floor(this.scroller.clientHeight / ROW_PX) - 2, 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step !== undefined) {
      this.activate(this.active + step);
      if (this.open >= 0) this.show(this.rows[this.active] ?? -1);
    } else if (event.key === "Enter" || event.key === " ") {
      const row = this.rows[this.active] ?? -1;
      if (row >= 0 && row === this.open) this.hide();
      else if (row >= 0) this.show(row);
    } else if (event.key === "Escape" && this.open >= 0) this.hide();
    else if (event.key === "/") this.search.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private inHead(event: KeyboardEvent): void {
    const buttons = [...this.scroller.querySelectorAll<HTMLButtonElement>(".sort")];
    const at = buttons.indexOf(event.target as HTMLButtonElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    const next = to === undefined ? undefined : buttons[to];
    if (at < 0 || !next) return;
    for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
    next.focus();
    event.preventDefault();
  }

  private inPane(event: KeyboardEvent): void {
    if (event.key !== "Escape") return;
    this.hide();
    event.stopPropagation();
  }

  private fromSearch(event: KeyboardEvent): void {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      this.scroller.focus();
      event.preventDefault();
    } else if (event.key === "Escape" && this.search.value !== "") {
      this.search.value = "";
      this.refresh();
      event.preventDefault();
    }
  }

  private show(row: number): void {
    if (row < 0) return;
    this.open = row;
    const close = h("button", { type: "button", class: "close", "aria-label": "Close the details", onclick: () => this.hide() }, "×");
    const more = this.options.details?.(row);
    const { link, follow } = this.options;
    fill(this.pane, close, fields(this.table, row, link && follow && { link, follow }), ...(Array.isArray(more) ? more : [more]));
    this.pane.hidden = false;
    this.pane.scrollTop = 0;
    this.list.paint();
    this.options.chosen?.(row);
  }

  private hide(): void {
    const inside = this.pane.contains((this.pane.getRootNode() as Document | ShadowRoot).activeElement);
    this.open = -1;
    this.pane.hidden = true;
    if (inside) this.scroller.focus();
    this.list.paint();
    this.options.chosen?.(-1);
  }
}

function align(column: Column): string {
  return column.kind === "number" || column.kind === "duration" ? "end" : "";
}

function singular(noun: string): string {
  return noun.endsWith("es") && noun.startsWith("match") ? noun.slice(0, -2) : noun.replace(/s$/, "");
}
