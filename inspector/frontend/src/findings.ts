// The findings at the top of the overview: what each is, the line, the fix to copy, the evidence on demand.

import { badge } from "./badge.ts";
import { h, type Child } from "./dom.ts";
import { count, shortPlace } from "./format.ts";
import { linkButton, linksOf } from "./links.ts";
import type { Session } from "./session.ts";
import { whyOnDemand } from "./why.ts";
import type { Table } from "./data.ts";

const MOST = 6;

/** A block with the worst findings; null where nothing was found. */
export function findingsBlock(session: Session): Child {
  const table = session.table("findings");
  if (table.count === 0) return null;
  const lines: HTMLElement[] = [];
  for (let row = 0; row < Math.min(table.count, MOST); row += 1) lines.push(h("li", {}, ...finding(session, table, row)));
  const rest = table.total - lines.length;
  return h(
    "section",
    { class: "block findings" },
    h("h3", {}, "Findings, worst first"),
    h("ol", { class: "findings-list" }, ...lines),
    rest > 0 && h("button", { type: "button", class: "link", onclick: () => session.go({ tab: "findings" }) }, count(rest, "more finding")),
  );
}

function finding(session: Session, table: Table, row: number): Child[] {
  const place = table.text("cause", row);
  const code = table.text("fix", row);
  const evidence = table.column("evidence")?.value(row);
  return [
    h("div", { class: "finding-head" }, badge(table.text("severity", row)), h("button", { type: "button", class: "link", onclick: () => session.go(session.to("findings", { row })) }, table.text("kind", row)), h("span", {}, table.text("title", row))),
    place !== "" && h("div", { class: "finding-line" }, h("span", { class: "dim", title: place }, shortPlace(place)), " ", h("code", { class: "quoted" }, table.text("code", row))),
    code !== "" && h("pre", { class: "fix", tabindex: 0, "aria-label": "Fix" }, code),
    h("div", { class: code === "" ? "" : "dim" }, table.text("note", row)),
    h(
      "div",
      { class: "finding-more" },
      whyOnDemand(session, "findings", row),
      Array.isArray(evidence) && evidence.length > 0 && h("details", {}, h("summary", {}, "Evidence"), h("ul", {}, ...evidence.map((line) => h("li", {}, line)))),
      ...linksOf(session, "findings", row).map((link) => linkButton(session, link)),
    ),
  ];
}
