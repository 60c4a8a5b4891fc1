// The chain behind a row: from the input through the operations, with their lines, to the guard or the constant that came of it.

import { fill, h, type Child } from "./dom.ts";
import { shortPlace } from "./format.ts";
import { linkButton, linkOf, nodesOfLine, type Link } from "./links.ts";
import type { Session } from "./session.ts";
import type { WireChain, WireStep } from "./wire.ts";

const TABLES = new Set(["findings", "recompiles", "specializations", "dims", "symbols", "guards"]);

const WORDS: Record<WireStep["kind"], string> = {
  input: "Input",
  symbol: "Symbol",
  operation: "Operation",
  decision: "Decision",
  guard: "Guard",
  recompile: "Recompile",
  finding: "Finding",
};

/** The chain of a row as a section that fills when it has come; null for a table whose rows have none. */
export function whyBlock(session: Session, table: string, row: number): Child {
  if (!TABLES.has(table)) return null;
  const body = h("div", { class: "waiting" }, "Reading…");
  ask(session, table, row, body);
  return h("section", { class: "beside block why" }, h("h3", {}, "Why"), body);
}

/** The same, asked for when a reader opens it. */
export function whyOnDemand(session: Session, table: string, row: number): HTMLElement {
  const body = h("div", { class: "waiting" }, "Reading…");
  let asked = false;
  const opened = (event: Event): void => {
    if (asked || !(event.target as HTMLDetailsElement).open) return;
    asked = true;
    ask(session, table, row, body);
  };
  return h("details", { class: "why", ontoggle: opened }, h("summary", {}, "Why, step by step"), body);
}

function ask(session: Session, table: string, row: number, body: HTMLElement): void {
  void session.parts.get(`why:${table}:${row}`).then(({ chain, problem }) => {
    if (session.signal.aborted) return;
    body.className = "";
    fill(body, problem !== null && h("p", { class: "dim" }, problem), chain && steps(session, chain));
  });
}

function steps(session: Session, chain: WireChain): HTMLElement {
  const { compile_id: id } = chain;
  return h(
    "div",
    { class: "chain" },
    h("p", { class: "verdict" }, h("code", {}, chain.subject), id !== null && h("span", { class: "dim" }, ` in ${id}`), ": ", chain.verdict),
    h("ol", { "aria-label": `How ${chain.subject} became what it is` }, ...chain.steps.map((step) => h("li", { class: `step ${step.kind}` }, ...line(session, id ?? "", step)))),
  );
}

function line(session: Session, id: string, step: WireStep): Child[] {
  const links = stepLinks(session, id, step);
  return [
    h("span", { class: "step-kind" }, WORDS[step.kind]),
    h(
      "div",
      { class: "step-body" },
      h("span", {}, step.text),
      step.location !== null && h("div", { class: "step-line" }, place(session, step.location), step.code !== null && h("code", { class: "quoted" }, step.code)),
      links.length > 0 && h("div", { class: "step-links links" }, ...links.map((link) => linkButton(session, link))),
    ),
  ];
}

function place(session: Session, location: string): HTMLElement {
  const target = linkOf(session, "location", location);
  const words = shortPlace(location);
  if (target === null) return h("code", { class: "place", title: location }, words);
  return linkButton(session, { title: words, target });
}

/** What a step speaks of, as rows and nodes. */
export function stepLinks(session: Session, id: string, step: WireStep): Link[] {
  const { kind, text, location } = step;
  const found: (Link | null)[] = [];
  if (kind === "operation" && location !== null) found.push(nodesOfLine(session, id, location, "its nodes"));
  if (kind === "guard" && location !== null && id !== "") {
    const rows = session.table("guards").rows({ key: "compile_id", word: id }, { key: "location", word: location });
    const kindOf = /^([A-Z_]+):/.exec(text)?.[1] ?? "";
    const same = rows.filter((row) => session.table("guards").text("kind", row) === kindOf);
    const [row] = same.length > 0 ? same : rows;
    if (row !== undefined) found.push({ title: "the guard", target: session.to("guards", { row }) });
  }
  if (kind === "symbol") {
    const name = /^it became (\w+)/.exec(text)?.[1] ?? "";
    const [row] = session.table("symbols").rows({ key: "compile_id", word: id }, { key: "name", word: name });
    if (row !== undefined) found.push({ title: `symbol ${name}`, target: session.to("symbols", { row }) }, { title: "in the graph", target: { tab: "graph", compile: id, stages: ["dynamo"], pick: { symbol: name } } });
  }
  if (kind === "recompile") {
    const row = session.table("recompiles").find("compile_id", /^\S+/.exec(text)?.[0] ?? "");
    if (row >= 0) found.push({ title: "the recompile", target: session.to("recompiles", { row }) });
  }
  if (kind === "finding") {
    const findings = session.table("findings");
    const row = findings.find("title", text.replace(/^[\w-]+: /, ""));
    if (row >= 0) found.push({ title: "the finding", target: session.to("findings", { row }) });
  }
  return found.filter((link): link is Link => link !== null);
}
