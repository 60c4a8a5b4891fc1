// Recompiles as cards: who called, which earlier entries there were, and every guard of them that failed.

import { badge } from "./badge.ts";
import { Table } from "./data.ts";
import { h, add, type Child } from "./dom.ts";
import { count, shortPlace } from "./format.ts";
import { Grid } from "./grid.ts";
import { recompileTimeline } from "./recompile_timeline.ts";
import { nothing, type Panel } from "./tables.ts";
import type { Session } from "./session.ts";
import { guardRow, linkButton, nodesOfLine } from "./links.ts";
import { whyOnDemand } from "./why.ts";
import type { WireEntry, WireRecompile } from "./wire.ts";

const AT_ONCE = 40;
const PLAIN_ROWS = 60;

/** The panel of recompiles. */
export function recompilesPanel(session: Session): Panel {
  const all = session.wire.recompiles;
  if (all.length === 0) return { element: nothing(session.table("recompiles"), "Nothing recompiled: every call after the first found code that fits.") };
  const list = h("div", { class: "cards" });
  const more = h("button", { type: "button", class: "more", onclick: () => show() });
  const cards = new Map<number, HTMLElement>();
  let shown = 0;
  const show = (until = shown + AT_ONCE): void => {
    for (; shown < Math.min(until, all.length); shown += 1) {
      const recompile = all[shown];
      if (!recompile) continue;
      const made = card(session, recompile, shown);
      cards.set(shown, made);
      list.appendChild(made);
    }
    more.hidden = shown >= all.length;
    more.textContent = `Show more: ${count(all.length - shown, "recompile")} left`;
  };
  show();
  let chosen = -1;
  const choose = (row: number): void => {
    if (row >= shown) show(row + 1);
    chosen = row;
    for (const [other, card] of cards) card.classList.toggle("chosen", other === row);
  };
  const reveal = (row: number): void => {
    choose(row);
    cards.get(row)?.scrollIntoView({ block: "nearest" });
  };
  const along = recompileTimeline(session, choose);
  return {
    element: h("div", { class: "prose", tabindex: 0, role: "region", "aria-label": "Recompiles" }, along, list, more),
    place: () => (chosen < 0 ? {} : { row: chosen }),
    reveal,
    filter: (compile) => {
      const row = all.findIndex(({ compile_id }) => compile_id === compile);
      if (row >= 0) reveal(row);
    },
  };
}

function card(session: Session, recompile: WireRecompile, row: number): HTMLElement {
  const nearest = recompile.entries.find((entry) => entry.nearest);
  const others = recompile.entries.filter((entry) => entry !== nearest);
  return h(
    "article",
    { class: "card", "aria-label": `Recompile ${recompile.compile_id}` },
    h(
      "header",
      {},
      h("h3", {}, h("button", { type: "button", class: "link id", title: "Show this compile", onclick: () => session.go({ tab: "compiles", compile: recompile.compile_id }) }, recompile.compile_id), recompile.function !== null && h("code", {}, recompile.function)),
      recompile.trigger !== null && h("span", { class: "call" }, "called from ", h("code", { title: recompile.trigger }, shortPlace(recompile.trigger))),
      recompile.trigger_code !== null && h("code", { class: "quoted" }, recompile.trigger_code),
    ),
    nearest ? entry(session, nearest) : h("p", { class: "dim" }, "Which guards failed is not recorded."),
    whyOnDemand(session, "recompiles", row),
    others.length > 0 &&
      h("details", {}, h("summary", {}, `${count(others.length, "other earlier entry", "other earlier entries")}`), ...others.map((other) => entry(session, other))),
  );
}

function entry(session: Session, held: WireEntry): HTMLElement {
  const failing = new Table(held.failing);
  const unevaluated = new Table(held.unevaluated);
  const torch = held.torch_reason !== null && (failing.count === 0 || !held.complete);
  return h(
    "section",
    { class: "entry" },
    h(
      "h4",
      {},
      "does not fit ",
      h("button", { type: "button", class: "link id", title: "Show its guards", onclick: () => session.go({ tab: "guards", compile: held.entry_id }) }, held.entry_id),
      held.nearest && badge("nearest entry", "info"),
      h("span", { class: "dim" }, failing.count > 0 ? `${count(failing.count, "guard")} ${failing.count === 1 ? "fails" : "fail"}` : ""),
      !held.complete && badge("only torch's first reason is known", "warning"),
    ),
    torch && h("p", {}, h("span", { class: "dim" }, "torch says: "), h("code", {}, held.torch_reason ?? "")),
    failing.count > 0 && failingTable(session, failing, held.entry_id),
    unevaluated.count > 0 &&
      h("details", {}, h("summary", {}, `${count(unevaluated.count, "guard")} could not be evaluated`), unevaluatedTable(session, unevaluated)),
  );
}

function failingTable(session: Session, table: Table, entry: string): Child {
  if (table.count > PLAIN_ROWS) return new Grid(table, { noun: "guards" }, session.signal).element;
  const body = h("tbody");
  for (let row = 0; row < table.count; row += 1) body.appendChild(failingRow(session, table, row, entry));
  return h("div", { class: "wide" }, h("table", { class: "even" }, h("thead", {}, h("tr", {}, ...["Guard", "Compiled for", "This call", "Your line"].map((title) => h("th", { scope: "col" }, title)))), body));
}

function failingRow(session: Session, table: Table, row: number, entry: string): HTMLElement {
  const expected = table.text("expected", row);
  const actual = table.text("actual", row);
  const place = table.text("location", row);
  const check = table.text("expr", row);
  const at = nodesOfLine(session, entry, place, "its nodes", table.text("source", row));
  const line = h("tr", {}, h("td", {}, source(session, table, row, entry), " ", h("span", { class: "kind" }, table.text("kind", row))));
  if (expected === "" && actual === "") add(line, [h("td", { colspan: 2 }, h("code", {}, check))]);
  else add(line, [h("td", {}, value(expected, "was")), h("td", {}, value(actual, "now"))]);
  add(line, [h("td", {}, place !== "" && h("code", { class: "place", title: place }, shortPlace(place)), h("code", { class: "quoted" }, table.text("code", row)), at && linkButton(session, at))]);
  return line;
}

/** What failed, as a link to the entry's guard where that is recorded. */
function source(session: Session, table: Table, row: number, entry: string): HTMLElement {
  const code = h("code", { title: table.text("expr", row) }, table.text("source", row));
  const guard = guardRow(session, entry, table.text("source", row), table.text("expr", row));
  return guard < 0 ? code : h("button", { type: "button", class: "link", "aria-label": `Show the guard on ${table.text("source", row)}`, onclick: () => session.go(session.to("guards", { row: guard })) }, code);
}

function value(text: string, tone: string): HTMLElement {
  return text === "" ? h("span", { class: "dim" }, "not known") : h("code", { class: `value ${tone}` }, text);
}

function unevaluatedTable(session: Session, table: Table): Child {
  if (table.count > PLAIN_ROWS) return new Grid(table, { noun: "guards" }, session.signal).element;
  const body = h("tbody");
  for (let row = 0; row < table.count; row += 1) {
    body.appendChild(h("tr", {}, h("td", {}, h("code", { title: table.text("expr", row) }, table.text("source", row))), h("td", {}, table.text("reason", row))));
  }
  return h("div", { class: "wide" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Guard"), h("th", { scope: "col" }, "Why not"))), body));
}
