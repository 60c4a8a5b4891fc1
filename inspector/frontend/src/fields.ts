// Every field of one row, with links where a word leads somewhere.

import { badge } from "./badge.ts";
import type { Column, Table } from "./data.ts";
import { add, h, type Child } from "./dom.ts";
import type { Target } from "./session.ts";

/** Where words lead, and how to go there. */
export interface Follow {
  link: (column: Column, text: string) => Target | null;
  follow: (target: Target) => void;
}

/** Every field of a row that says something. */
export function fields(table: Table, row: number, leads?: Follow): HTMLElement {
  const list = h("dl", { class: "fields" });
  for (const column of table.columns) {
    const value = column.value(row);
    if (value === null || value === "") continue;
    const code = column.kind === "code" || column.kind === "location" || column.key === "stack";
    const body = Array.isArray(value)
      ? h("ul", { class: code ? "codes" : "" }, ...value.map((item) => h("li", {}, word(column, item, false, leads))))
      : column.kind === "badge"
        ? badge(String(value))
        : word(column, column.text(row), code, leads);
    add(list, [h("dt", {}, column.title), h("dd", {}, body)]);
  }
  return list;
}

function word(column: Column, text: string, code: boolean, leads?: Follow): Child {
  const target = leads?.link(column, text) ?? null;
  if (target !== null) return h("button", { type: "button", class: "link", onclick: () => leads?.follow(target) }, h(column.kind === "list" ? "span" : "code", {}, text));
  return h(code ? "code" : "span", {}, text);
}
