// Panels that are one or several plain tables.

import { h, fill, type Child } from "./dom.ts";
import { Grid, type GridOptions } from "./grid.ts";
import { flame, spans, strip } from "./timeline.ts";
import { Table } from "./data.ts";
import type { Session } from "./session.ts";

/** A panel whose grids other views can point at. */
export interface Panel {
  element: HTMLElement;
  filter?: (compile: string) => void;
  reveal?: (row: number) => void;
}

/** What stands in place of a table without rows. */
export function nothing(table: Table, words: string): HTMLElement {
  if (table.absent !== null) {
    return h("div", { class: "nothing" }, h("strong", {}, `${table.title} are not in this recording`), h("p", {}, `${table.absent}.`));
  }
  return h("div", { class: "nothing" }, h("p", {}, words));
}

/** One table as a panel. */
export function tablePanel(session: Session, name: string, options: GridOptions, none: string): Panel {
  const table = session.table(name);
  if (table.count === 0) return { element: nothing(table, none) };
  const grid = new Grid(table, options, session.signal);
  return { element: grid.element, filter: (compile) => (name === "compiles" ? grid.reveal(table.find("id", compile)) : grid.filter("compile_id", compile)), reveal: (row) => grid.reveal(row) };
}

/** Several panels of which one is shown, chosen by buttons above. */
export function switched(choices: { title: string; count: number; make: () => Panel }[]): Panel {
  const made: (Panel | undefined)[] = [];
  const holder = h("div", { class: "switched" });
  const buttons = choices.map(({ title, count }, index) =>
    h("button", { type: "button", class: "choose", onclick: () => choose(index) }, `${title} `, h("span", { class: "count" }, count)),
  );
  const choose = (index: number): Panel | undefined => {
    const panel = (made[index] ??= choices[index]?.make());
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at === index)));
    if (panel) fill(holder, panel.element);
    return panel;
  };
  choose(0);
  return {
    element: h("div", { class: "stack" }, h("div", { class: "switch", role: "group", "aria-label": "Table" }, ...buttons), holder),
    filter: (compile) => choose(0)?.filter?.(compile),
    reveal: (row) => choose(0)?.reveal?.(row),
  };
}

/** Compiles, each with its phases. */
export function compilesPanel(session: Session): Panel {
  const times = session.wire.timelines.map((timeline) => spans(new Table(timeline.phases)));
  const longest = times.reduce((most, found) => Math.max(most, found.reduce((sum, span) => sum + span.self, 0)), 0);
  const some = times.some((found) => found.length > 0);
  return tablePanel(
    session,
    "compiles",
    {
      noun: "compiles",
      choices: [{ key: "status" }],
      ...(some && { extra: { title: "Phases", after: "elapsed_ns", width: 180, draw: (row: number) => strip(times[row] ?? [], longest) } }),
      details: (row) => h("div", { class: "beside" }, times[row]?.length ? flame(times[row] ?? []) : null, links(session, session.table("compiles").text("id", row))),
    },
    "Nothing was compiled.",
  );
}

function links(session: Session, compile: string): HTMLElement {
  const link = (title: string, tab: string): HTMLElement =>
    h("button", { type: "button", class: "link", onclick: () => session.go({ tab, compile }) }, title);
  return h("p", { class: "links" }, "Of this compile: ", link("guards", "guards"), " ", link("dimensions", "dims"), " ", link("graphs", "graph"));
}

/** A table whose rows have a text that is fetched when one is opened. */
export function sourcePanel(session: Session, name: string, noun: string, none: string): Panel {
  return tablePanel(session, name, { noun, details: (row) => source(session, `${name}:${row}`, "Source") }, none);
}

/** A text of the session, put in when it has come. */
export function source(session: Session, key: string, title: string): HTMLElement {
  const body = h("div", { class: "waiting" }, "Reading…");
  void session.parts.get(key).then((part) => {
    body.className = "";
    fill(body, part.problem !== null && h("p", { class: "note" }, part.problem), part.text !== null && code(part.text, title));
  });
  return h("section", { class: "beside block" }, h("h3", {}, title), body);
}

/** Text of a program, with a place to scroll. */
export function code(text: string, title: string): HTMLElement {
  return h("pre", { class: "code", tabindex: 0, role: "region", "aria-label": title }, text);
}

/** Name and value pairs. */
export function pairs(title: string, rows: { name: string; value: string }[], none: Child = null): HTMLElement {
  const list = h("dl", { class: "pairs" }, ...rows.flatMap(({ name, value }) => [h("dt", {}, name), h("dd", {}, value)]));
  return h("section", { class: "block" }, h("h3", {}, title), rows.length > 0 ? list : none);
}

/** Where the recording was made, and what it cannot show. */
export function environmentPanel(session: Session): Panel {
  const { environment, not_recorded: missing } = session.wire;
  return {
    element: h(
      "div",
      { class: "prose columns" },
      pairs("Versions", [...environment.versions, ...environment.packages], h("p", { class: "dim" }, "The recording does not say.")),
      pairs("Settings that are not at their default", environment.config, h("p", { class: "dim" }, "None.")),
      pairs("Not recorded", missing.map(({ name, reason }) => ({ name, value: reason })), h("p", { class: "dim" }, "Everything was.")),
    ),
  };
}
