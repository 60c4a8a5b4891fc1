// Panels that are one or several plain tables.

import { h, fill, type Child } from "./dom.ts";
import { Grid, type GridOptions } from "./grid.ts";
import { flame, spans, strip } from "./timeline.ts";
import { Table } from "./data.ts";
import { GeneratedCode } from "./explorer/generated_code.ts";
import { languageOf, tokens, type Language, type State } from "./explorer/highlight.ts";
import { linkButton, linkOf, linksOf } from "./links.ts";
import { whyBlock } from "./why.ts";
import type { Session, Target } from "./session.ts";

/** A panel that links can lead into. */
export interface Panel {
  element: HTMLElement;
  /** Shows what a link asks for; without it `filter` and `reveal` are called. */
  show?: (target: Target) => void;
  filter?: (compile: string) => void;
  reveal?: (row: number) => void;
  /** Where a reader is in it, to come back to. */
  place?: () => Omit<Target, "tab">;
}

/** Leads into a panel. */
export function show(panel: Panel, target: Target): void {
  if (panel.show) {
    panel.show(target);
    return;
  }
  if (target.compile !== undefined) panel.filter?.(target.compile);
  if (target.row !== undefined) panel.reveal?.(target.row);
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
  const { details } = options;
  const grid = new Grid(
    table,
    {
      ...options,
      link: (column, text) => linkOf(session, column.key, text),
      follow: session.go,
      details: (row) => [linksLine(session, name, row), ...many(details?.(row)), whyBlock(session, name, row)],
    },
    session.signal,
  );
  const id = table.column("id") ? "id" : table.column("compile_id") ? "compile_id" : "compile_ids";
  return {
    element: grid.element,
    place: () => grid.place(),
    show: ({ compile, row, where, search }) => {
      const only = [...(compile === undefined || (row !== undefined && name === "compiles") ? [] : [{ key: id, word: compile }]), ...(where ? [where] : [])];
      if (name === "compiles" && compile !== undefined && row === undefined) grid.reveal(table.find("id", compile));
      else if (only.length > 0 || search !== undefined) grid.only(only, search);
      if (row !== undefined) grid.reveal(row);
    },
  };
}

function many(child: Child | Child[]): Child[] {
  return Array.isArray(child) ? child : [child];
}

/** The links of a row, on one line; null where it has none. */
function linksLine(session: Session, name: string, row: number): Child {
  const found = linksOf(session, name, row);
  if (found.length === 0) return null;
  return h("nav", { class: "links", "aria-label": "Related" }, ...found.map((link) => linkButton(session, link)));
}

/** Several panels of which one is shown, chosen by buttons above. */
export function switched(choices: { table: string; title: string; count: number; make: () => Panel }[]): Panel {
  const made: (Panel | undefined)[] = [];
  const holder = h("div", { class: "switched" });
  const buttons = choices.map(({ title, count }, index) =>
    h("button", { type: "button", class: "choose", onclick: () => choose(index) }, `${title} `, h("span", { class: "count" }, count)),
  );
  let chosen = 0;
  const choose = (index: number): Panel | undefined => {
    chosen = index;
    const panel = (made[index] ??= choices[index]?.make());
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at === index)));
    if (panel) fill(holder, panel.element);
    return panel;
  };
  choose(Math.max(choices.findIndex(({ count }) => count > 0), 0));
  return {
    element: h("div", { class: "stack" }, h("div", { class: "switch", role: "group", "aria-label": "Table" }, ...buttons), holder),
    show: (target) => {
      const index = choices.findIndex(({ table }) => table === target.table);
      const panel = choose(index < 0 ? (target.row === undefined && target.compile === undefined ? chosen : 0) : index);
      if (panel) show(panel, target);
    },
    place: () => ({ ...made[chosen]?.place?.(), table: choices[chosen]?.table ?? "" }),
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
      details: (row) => (times[row]?.length ? h("div", { class: "beside" }, flame(times[row] ?? [])) : null),
    },
    "Nothing was compiled.",
  );
}

/** A table whose rows have a text that is fetched when one is opened. */
export function sourcePanel(session: Session, name: string, options: GridOptions, none: string): Panel {
  return tablePanel(session, name, { ...options, details: (row) => source(session, `${name}:${row}`, "Source", session.table(name).text("language", row)) }, none);
}

/** A text of the session, put in when it has come; `named` tells its language where its text does not. */
export function source(session: Session, key: string, title: string, named = ""): HTMLElement {
  const body = h("div", { class: "waiting" }, "Reading…");
  void session.parts.get(key).then((part) => {
    body.className = "";
    fill(body, part.problem !== null && h("p", { class: "note" }, part.problem), part.text !== null && code(part.text, title, languageOf(named, part.text)));
  });
  return h("section", { class: "beside block" }, h("h3", {}, title), body);
}

/** Lines that are coloured at once; a longer text stays plain. */
const COLOURED = 3_000;

/** Text of a program, coloured, with a place to scroll. */
export function code(text: string, title: string, language: Language = "text"): HTMLElement {
  const lines = text.split("\n");
  const element = h("pre", { class: "code", tabindex: 0, role: "region", "aria-label": title });
  if (language === "text" || lines.length > COLOURED) element.textContent = text;
  else fill(element, ...coloured(lines, language));
  return element;
}

function* coloured(lines: readonly string[], language: Language): Generator<Child> {
  const { definitions } = new GeneratedCode(lines, []);
  let state: State = "";
  let outer: State = "";
  let own = language;
  for (const [at, line] of lines.entries()) {
    if (definitions.some(({ to }) => to === at)) [state, own] = [outer, language];
    const found = tokens(line, own, state);
    for (const { kind, text } of found.tokens) yield kind === "plain" ? text : h("span", { class: `t-${kind}` }, text);
    if (at < lines.length - 1) yield "\n";
    state = found.state;
    const definition = definitions.find(({ from }) => from === at);
    if (definition) [outer, state, own] = [state, "", definition.language];
  }
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
