// A table as it was sent, with what a view needs of it: cells as text, an order, a search.

import { duration, shortPlace, shortSource, whole } from "./format.ts";
import type { WireColumn, WireTable } from "./wire.ts";

export type Direction = "ascending" | "descending";

/** Rows whose column says this word, or has it in its list. */
export interface Choice {
  key: string;
  word: string;
}

/** One column of a table. */
export class Column {
  readonly key: string;
  readonly title: string;
  readonly kind: WireColumn["kind"];
  readonly detail: boolean;
  private ranks: Float64Array | null = null;
  private lower: string[] | null = null;

  constructor(private readonly wire: WireColumn) {
    this.key = wire.key;
    this.title = wire.title;
    this.kind = wire.kind;
    this.detail = wire.detail;
  }

  /** The value of a row, null where it says nothing. */
  value(row: number): number | string | string[] | null {
    if (this.wire.numbers) return this.wire.numbers[row] ?? null;
    const code = this.wire.codes?.[row] ?? -1;
    return code < 0 ? null : (this.wire.words?.[code] ?? null);
  }

  /** True where a row says this word, alone or in its list. */
  says(row: number, word: string): boolean {
    const value = this.value(row);
    return Array.isArray(value) ? value.includes(word) || this.text(row) === word : this.text(row) === word;
  }

  /** The value as one text. */
  text(row: number): string {
    const value = this.value(row);
    if (value === null) return "";
    if (typeof value === "number") return this.kind === "duration" ? duration(value) : whole(value);
    return typeof value === "string" ? value : value.join(", ");
  }

  /** What a cell shows: as `text`, a place without its folders, modules without the dictionaries they lie in. */
  brief(row: number): string {
    const text = this.text(row);
    return this.kind === "location" ? shortPlace(text) : this.kind === "code" ? shortSource(text) : text;
  }

  /** True where no row says anything. */
  get empty(): boolean {
    return this.wire.numbers ? this.wire.numbers.every((value) => value === null) : this.wire.words?.length === 0;
  }

  /** Numbers that order the rows as their values do; NaN where a row says nothing. */
  order(): Float64Array {
    if (this.ranks) return this.ranks;
    if (this.wire.numbers) {
      this.ranks = Float64Array.from(this.wire.numbers, (value) => value ?? NaN);
      return this.ranks;
    }
    const words = (this.wire.words ?? []).map((word) => (typeof word === "string" ? word : word.join(", ")));
    const rank = new Float64Array(words.length);
    words
      .map((_, index) => index)
      .sort((a, b) => natural(words[a] ?? "", words[b] ?? ""))
      .forEach((index, place) => (rank[index] = place));
    this.ranks = Float64Array.from(this.wire.codes ?? [], (code) => (code < 0 ? NaN : (rank[code] ?? NaN)));
    return this.ranks;
  }

  /** Marks the rows that contain a lower-case term. */
  mark(term: string, hits: Uint8Array): void {
    if (this.wire.numbers) {
      if (!/^[\d.,]+/.test(term)) return;
      for (let row = 0; row < hits.length; row += 1) if (!hits[row] && this.text(row).includes(term)) hits[row] = 1;
      return;
    }
    this.lower ??= (this.wire.words ?? []).map((word) => (typeof word === "string" ? word : word.join("\n")).toLowerCase());
    const found = Uint8Array.from(this.lower, (word) => (word.includes(term) ? 1 : 0));
    const codes = this.wire.codes ?? [];
    for (let row = 0; row < hits.length; row += 1) if (found[codes[row] ?? -1]) hits[row] = 1;
  }

  /** Its distinct words, for a choice. */
  get words(): string[] {
    return (this.wire.words ?? []).map((word) => (typeof word === "string" ? word : word.join(", "))).sort(natural);
  }
}

/** One table. */
export class Table {
  readonly name: string;
  readonly title: string;
  readonly count: number;
  readonly total: number;
  readonly note: string | null;
  readonly absent: string | null;
  readonly columns: Column[];

  constructor(wire: WireTable) {
    this.name = wire.name;
    this.title = wire.title;
    this.count = wire.count;
    this.total = wire.total;
    this.note = wire.note;
    this.absent = wire.absent;
    this.columns = wire.columns.map((column) => new Column(column));
  }

  /** The column of a key, undefined where there is none. */
  column(key: string): Column | undefined {
    return this.columns.find((column) => column.key === key);
  }

  /** The first row of which a column says this text; -1 where none does. */
  find(key: string, text: string): number {
    const column = this.column(key);
    for (let row = 0; column && row < this.count; row += 1) if (column.text(row) === text) return row;
    return -1;
  }

  /** The rows of which each given column says its word; none where there is no such column. */
  rows(...choices: Choice[]): number[] {
    return choices.every(({ key }) => this.column(key)) ? [...this.select("", choices)] : [];
  }

  /** The items of a list, the text itself where it is none; none where the row says nothing. */
  list(key: string, row: number): string[] {
    const value = this.column(key)?.value(row) ?? null;
    return value === null ? [] : Array.isArray(value) ? value : [String(value)];
  }

  /** A cell as text, "" where there is none. */
  text(key: string, row: number): string {
    return this.column(key)?.text(row) ?? "";
  }

  /** The rows that contain every term of a search and have the word of each choice. */
  select(search: string, choices: Choice[] = []): Uint32Array {
    const terms = search.toLowerCase().split(/\s+/).filter(Boolean);
    const misses = new Uint8Array(this.count);
    for (const term of terms) {
      const hits = new Uint8Array(this.count);
      for (const column of this.columns) column.mark(term, hits);
      for (let row = 0; row < misses.length; row += 1) if (!hits[row]) misses[row] = 1;
    }
    for (const { key, word } of choices) {
      const column = this.column(key);
      if (column) for (let row = 0; row < misses.length; row += 1) if (!column.says(row, word)) misses[row] = 1;
    }
    const rows = new Uint32Array(misses.reduce((sum, miss) => sum + 1 - miss, 0));
    for (let row = 0, place = 0; row < misses.length; row += 1) if (!misses[row]) rows[place++] = row;
    return rows;
  }

  /** Rows in the order of a column; those that say nothing come last either way. */
  sort(rows: Uint32Array, key: string, direction: Direction): Uint32Array {
    const ranks = this.column(key)?.order();
    if (!ranks) return rows;
    const sign = direction === "ascending" ? 1 : -1;
    return rows.slice().sort((a, b) => {
      const left = ranks[a] ?? NaN;
      const right = ranks[b] ?? NaN;
      if (Number.isNaN(left) || Number.isNaN(right)) return Number(Number.isNaN(left)) - Number(Number.isNaN(right)) || a - b;
      return sign * (left - right) || a - b;
    });
  }
}

/** Orders texts as readers do: `0/2` before `0/10`, `layers.9` before `layers.10`. */
export function natural(a: string, b: string): number {
  const left = a.match(/\d+|\D+/g) ?? [];
  const right = b.match(/\d+|\D+/g) ?? [];
  for (let index = 0; index < Math.min(left.length, right.length); index += 1) {
    const l = left[index] ?? "";
    const r = right[index] ?? "";
    if (l === r) continue;
    const difference = Number(l) - Number(r);
    return Number.isNaN(difference) || difference === 0 ? (l < r ? -1 : 1) : difference;
  }
  return left.length - right.length;
}
