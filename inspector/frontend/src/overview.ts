// What to know first: the story in sentences, the compiles as bars, what recompiled and why, where graphs break.

import { badge } from "./badge.ts";
import { Table } from "./data.ts";
import { h, type Child } from "./dom.ts";
import { findingsBlock } from "./findings.ts";
import { count, duration, shortPlace } from "./format.ts";
import { TAB_OF, type Session } from "./session.ts";
import { spans, strip } from "./timeline.ts";
import type { Panel } from "./tables.ts";
import type { WireRecompile } from "./wire.ts";

const MOST = 8;
const MARKS: Record<string, string> = { plain: "·", good: "✓", warn: "!", bad: "×" };

/** The first panel. */
export function overviewPanel(session: Session): Panel {
  return {
    element: h(
      "div",
      { class: "prose overview", tabindex: 0, role: "region", "aria-label": "Overview" },
      findingsBlock(session),
      story(session),
      h("div", { class: "columns" }, compiles(session), recompiles(session), breaks(session), verdicts(session), missing(session)),
    ),
  };
}

function story(session: Session): HTMLElement {
  const lines = session.wire.sentences.map((sentence) => {
    const tab = sentence.table === null ? undefined : TAB_OF[sentence.table];
    const table = sentence.table ?? "";
    return h(
      "li",
      { class: sentence.tone },
      h("span", { class: "mark", "aria-hidden": "true" }, MARKS[sentence.tone] ?? "·"),
      h("span", {}, sentence.text, tab !== undefined && " ", tab !== undefined && h("button", { type: "button", class: "link", "aria-label": `Show: ${sentence.text}`, title: "Show", onclick: () => session.go({ tab, table }) }, "›")),
    );
  });
  return h("section", {}, h("h3", { class: "unseen" }, "What happened"), h("ul", { class: "story" }, ...lines));
}

function block(title: string, session: Session, tab: string, more: number, ...content: Child[]): HTMLElement {
  return h(
    "section",
    { class: "block" },
    h("h3", {}, title),
    ...content,
    more > 0 && h("button", { type: "button", class: "link", onclick: () => session.go({ tab }) }, `${count(more, "more", "more")}`),
  );
}

function compiles(session: Session): Child {
  const table = session.table("compiles");
  if (table.count === 0) return null;
  const times = table.column("elapsed_ns");
  const most = Math.max(...session.wire.timelines.map(({ elapsed_ns: ns }) => ns ?? 0), 1);
  const here = [...table.sort(table.select(""), "elapsed_ns", "descending")].filter((row) => table.text("recovered", row) === "live");
  if (here.length === 0) return null;
  const rows = here.slice(0, MOST);
  const lines = rows.map((row) => {
    const timeline = session.wire.timelines[row];
    const ns = Number(times?.value(row) ?? 0);
    const status = table.text("status", row);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, h("button", { type: "button", class: "link id", onclick: () => session.go(session.to("compiles", { row })) }, table.text("id", row))),
      h("td", { class: "name" }, h("code", { title: table.text("location", row) }, table.text("function", row)), status !== "ok" && badge(status)),
      h("td", { class: "bar-cell" }, timeline ? bar(new Table(timeline.phases), ns, most) : null),
      h("td", { class: "end" }, ns > 0 ? duration(ns) : h("span", { class: "dim" }, "unknown")),
    );
  });
  return block("Compiles, the longest first", session, "compiles", here.length - rows.length, h("table", { class: "lines" }, h("tbody", {}, ...lines)));
}

function bar(phases: Table, ns: number, most: number): HTMLElement {
  const found = spans(phases);
  const sum = found.reduce((total, span) => total + span.self, 0);
  return strip(found, ns > 0 ? (sum * most) / ns : most);
}

function recompiles(session: Session): Child {
  const all = session.wire.recompiles;
  if (all.length === 0) return null;
  const lines = all.slice(0, MOST).map((recompile, row) =>
    h("li", {}, h("button", { type: "button", class: "link id", onclick: () => session.go({ tab: "recompiles", row }) }, recompile.compile_id), h("div", {}, ...reasons(recompile))),
  );
  return block("Recompiles, and why", session, "recompiles", all.length - lines.length, h("ul", { class: "facts-list" }, ...lines));
}

/** The first guards that failed, with what they were and are. */
export function reasons(recompile: WireRecompile): Child[] {
  const entry = recompile.entries.find(({ nearest }) => nearest);
  if (!entry) return [h("span", { class: "dim" }, "the reason is not recorded")];
  const failing = new Table(entry.failing);
  if (failing.count === 0) return [h("code", {}, entry.torch_reason ?? "the reason is not recorded")];
  const lines: Child[] = [];
  for (let row = 0; row < Math.min(failing.count, 3); row += 1) {
    const expected = failing.text("expected", row);
    const actual = failing.text("actual", row);
    const place = failing.text("location", row);
    lines.push(
      h(
        "div",
        { class: "reason" },
        h("code", {}, failing.text("source", row)),
        expected !== "" && h("code", { class: "value was" }, expected),
        expected !== "" && h("span", { class: "dim" }, "→"),
        h("code", { class: "value now" }, actual !== "" ? actual : expected !== "" ? "?" : failing.text("expr", row)),
        place !== "" && h("span", { class: "dim", title: failing.text("code", row) }, shortPlace(place)),
      ),
    );
  }
  if (failing.count > 3) lines.push(h("div", { class: "dim" }, `and ${count(failing.count - 3, "more guard")}`));
  return lines;
}

function breaks(session: Session): Child {
  const table = session.table("graph_breaks");
  if (table.count === 0) return null;
  const lines: HTMLElement[] = [];
  for (let row = 0; row < Math.min(table.count, MOST); row += 1) {
    const hint = table.column("hints")?.value(row);
    lines.push(
      h(
        "li",
        {},
        h("button", { type: "button", class: "link", onclick: () => session.go({ tab: "breaks", row }) }, shortPlace(table.text("location", row)) || "somewhere"),
        h(
          "div",
          {},
          h("code", { class: "quoted" }, table.text("code", row)),
          h("div", {}, table.text("reason", row)),
          Array.isArray(hint) && hint.length > 0 && h("div", { class: "dim" }, hint[0] ?? ""),
        ),
      ),
    );
  }
  return block("Graph breaks", session, "breaks", table.count - lines.length, h("ul", { class: "facts-list" }, ...lines));
}

function verdicts(session: Session): Child {
  const table = session.table("dims");
  const newest = new Map<string, number>();
  for (let row = 0; row < table.count; row += 1) {
    if (table.text("role", row) !== "parameter") newest.set(`${table.text("source", row)} ${table.text("dim", row)}`, row);
  }
  const rows = [...newest.values()].filter((row) => table.text("verdict", row) !== "static");
  if (rows.length === 0) return null;
  const lines = rows.slice(0, MOST).map((row) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("button", { type: "button", class: "link", onclick: () => session.go(session.to("dims", { row })) }, h("code", {}, `${table.text("source", row)} dim ${table.text("dim", row)}`))),
      h("td", { class: "word" }, badge(table.text("verdict", row))),
      h("td", {}, table.text("why", row)),
    ),
  );
  return block("Input dimensions that are not static", session, "dims", rows.length - lines.length, h("table", { class: "lines" }, h("tbody", {}, ...lines)));
}

function missing(session: Session): Child {
  const { not_recorded: all } = session.wire;
  if (all.length === 0) return null;
  return h("section", { class: "block" }, h("h3", {}, "Not recorded"), h("p", { class: "dim" }, `${all.map(({ name }) => name).join(", ")}. `, h("button", { type: "button", class: "link", onclick: () => session.go({ tab: "environment" }) }, "why")));
}
