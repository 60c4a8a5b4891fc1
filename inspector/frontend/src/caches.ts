// Caches: what torch and the decorator looked up, what each miss of the decorator differed in, and what is kept on disk.

import type { Table } from "./data.ts";
import { h, type Child } from "./dom.ts";
import { count } from "./format.ts";
import type { Session } from "./session.ts";
import { switched, tablePanel, type Panel } from "./tables.ts";

const MOST = 40;

/** A lookup of the decorator's that did not load, and why. */
export interface Miss {
  row: number;
  program: string;
  outcome: string;
  differs: string[];
  reason: string;
}

/** How often the decorator loaded a program, and the lookups that did not load. */
export function artifactsOf(table: Table): { hits: number; misses: Miss[] } {
  const rows = table.rows({ key: "cache", word: "artifact" });
  const misses = rows
    .filter((row) => table.text("outcome", row) !== "hit")
    .map((row) => ({
      row,
      program: table.text("module", row),
      outcome: table.text("outcome", row),
      differs: table.list("differs", row),
      reason: table.text("reason", row),
    }));
  return { hits: rows.length - misses.length, misses };
}

/** The tab. */
export function cachesPanel(session: Session): Panel {
  const stored = session.table("artifacts");
  return switched([
    { table: "caches", title: "Lookups", count: session.table("caches").total, make: () => lookups(session) },
    {
      table: "artifacts",
      title: "Kept on disk",
      count: stored.total,
      make: () => tablePanel(session, "artifacts", { noun: "artifacts", choices: [{ key: "backend" }] }, "Nothing is kept of these programs. CompilationConfig(use_aot_compile=True) keeps what the decorator compiles."),
    },
  ]);
}

function lookups(session: Session): Panel {
  const table = session.table("caches");
  const panel = tablePanel(session, "caches", { noun: "lookups", choices: [{ key: "compile_id" }, { key: "cache" }, { key: "outcome" }] }, "No cache was asked.");
  const { hits, misses } = artifactsOf(table);
  if (hits === 0 && misses.length === 0) return panel;
  const reveal = (row: number): void => panel.show?.({ tab: "caches", row });
  const above = h("section", { class: "cache-misses", "aria-label": "Programs kept on disk" }, summary(hits, misses.length), list(misses, reveal));
  return { ...panel, element: h("div", { class: "stack" }, above, panel.element) };
}

function summary(hits: number, misses: number): HTMLElement {
  const compiled = misses === 0 ? "" : `; ${count(misses, "lookup")} did not load`;
  return h("p", {}, h("strong", {}, count(hits, "program")), ` loaded from disk${compiled}.`);
}

function list(misses: Miss[], reveal: (row: number) => void): Child {
  if (misses.length === 0) return null;
  const lines = misses.slice(0, MOST).map((miss) =>
    h(
      "li",
      {},
      h("button", { type: "button", class: "link", onclick: () => reveal(miss.row) }, h("strong", {}, miss.program)),
      ` ${miss.outcome}`,
      miss.differs.length > 0 ? h("ul", {}, ...miss.differs.map((part) => h("li", {}, h("code", {}, part)))) : h("span", { class: "dim" }, ` ${miss.reason}`),
    ),
  );
  const more = misses.length > MOST && h("p", { class: "dim" }, `${count(misses.length - MOST, "more lookup")} in the table.`);
  return h("div", {}, h("ul", { class: "cache-miss-list" }, ...lines), more);
}
