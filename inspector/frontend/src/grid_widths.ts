// How wide a table's columns are.

import type { Column, Table } from "./data.ts";

const SAMPLE = 400;
const MOST: Record<Column["kind"], number> = { text: 60, code: 44, number: 12, duration: 12, location: 28, list: 40, id: 10, badge: 34 };

/** The room that a column needs, and its share of what is left. */
export function width(table: Table, column: Column): { px: number; grow: number } {
  const step = Math.max(Math.floor(table.count / SAMPLE), 1);
  const wide = column.kind === "text" || column.kind === "code" || column.kind === "list";
  const lengths: number[] = [];
  for (let row = 0; row < table.count; row += step) lengths.push(column.brief(row).length);
  lengths.sort((a, b) => a - b);
  // One long text must not take the room of a whole column: wide ones go by what nine in ten rows need.
  const typical = lengths[Math.floor((lengths.length - 1) * (wide && lengths.length > 10 ? 0.9 : 1))] ?? 0;
  const letters = Math.min(Math.max(typical, column.title.length + 2), MOST[column.kind]);
  const mono = column.kind === "code" || column.kind === "location" || column.kind === "id";
  const px = Math.round(letters * (mono ? 7.3 : 6.9)) + (column.kind === "badge" ? 34 : 20);
  return { px: wide ? Math.min(px, 220) : px, grow: wide && letters > 16 ? letters : 0 };
}

/** A column's track in CSS. */
export function track({ px, grow }: { px: number; grow: number }): string {
  return grow > 0 ? `minmax(${px}px, ${grow}fr)` : `${px}px`;
}
