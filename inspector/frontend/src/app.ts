// The inspector: a head with what counts, tabs, a panel each.

import { h } from "./dom.ts";
import { Tabs, type Tab } from "./tabs.ts";
import { TAB_OF, Session, type Target } from "./session.ts";
import { overviewPanel } from "./overview.ts";
import { recompilesPanel } from "./recompiles.ts";
import { graphPanel } from "./graph.ts";
import { compilesPanel, environmentPanel, sourcePanel, switched, tablePanel, type Panel } from "./tables.ts";
import type { Parts } from "./host.ts";
import type { Wire } from "./wire.ts";

/** All of it, for one session. */
export function inspector(wire: Wire, parts: Parts, signal: AbortSignal): HTMLElement {
  const panels = new Map<string, Panel>();
  const session = new Session(wire, parts, signal, (target) => go(target));
  const tab = (key: string, title: string, count: number | null, make: () => Panel): Tab => ({
    key,
    title,
    count,
    make: () => {
      const panel = make();
      panels.set(key, panel);
      return panel.element;
    },
  });
  const total = (name: string): number => session.table(name).total;
  const all = [
    tab("overview", "Overview", null, () => overviewPanel(session)),
    tab("findings", "Findings", total("findings"), () => tablePanel(session, "findings", { noun: "findings", choices: [{ key: "severity" }, { key: "kind" }] }, "Nothing was found that costs compiles or speed.")),
    tab("compiles", "Compiles", total("compiles"), () => compilesPanel(session)),
    tab("recompiles", "Recompiles", total("recompiles"), () => recompilesPanel(session)),
    tab("graph", "Graphs", total("graphs"), () => graphPanel(session)),
    ...decorator(session, tab),
    tab("partitions", "Partitions", total("partitions"), () => tablePanel(session, "partitions", { noun: "pieces", choices: [{ key: "compile_id" }, { key: "by" }, { key: "kind" }] }, "No graph was partitioned.")),
    tab("guards", "Guards", total("guards"), () => guards(session)),
    tab("dims", "Dims", total("dims"), () => tablePanel(session, "dims", { noun: "dimensions", choices: [{ key: "compile_id" }, { key: "verdict" }, { key: "role", first: "input" }] }, "No tensor came in.")),
    tab("symbols", "Symbols", total("symbols") || total("specializations"), () => symbols(session)),
    tab("breaks", "Breaks", total("graph_breaks"), () => tablePanel(session, "graph_breaks", { noun: "graph breaks" }, "No graph break: each function became one graph.")),
    tab("files", "Files", total("traced_files"), () => tablePanel(session, "traced_files", { noun: "files" }, "No traced file was recorded.")),
    tab("kernels", "Kernels", total("kernels") || total("output_code"), () => kernels(session)),
    tab("caches", "Caches", total("caches"), () => tablePanel(session, "caches", { noun: "lookups", choices: [{ key: "compile_id" }, { key: "outcome" }] }, "No cache was asked.")),
    tab("environment", "Environment", null, () => environmentPanel(session)),
    tab("losses", "Losses", total("losses"), () => tablePanel(session, "losses", { noun: "losses" }, "Nothing was lost: all of the recording could be read.")),
  ];
  const tabs = new Tabs(all, "Tables of the recording");
  const go = (target: Target): void => {
    tabs.select(target.tab);
    const panel = panels.get(target.tab);
    if (target.compile !== undefined) panel?.filter?.(target.compile);
    if (target.row !== undefined) panel?.reveal?.(target.row);
    tabs.focus(target.tab);
  };
  if (all.some(({ key }) => key === wire.view)) tabs.select(wire.view ?? "");
  return h("div", { class: "inspector" }, head(session), tabs.list, tabs.panels);
}

type MakeTab = (key: string, title: string, count: number | null, make: () => Panel) => Tab;

/** What only the compile decorator fills: a tab for each such table that has rows. */
function decorator(session: Session, tab: MakeTab): Tab[] {
  const tables = [
    { name: "applied", title: "Applied", options: { noun: "modules", choices: [{ key: "how" }] } },
    { name: "violations", title: "Violations", options: { noun: "violations", choices: [{ key: "category" }, { key: "action" }] } },
    { name: "ranges", title: "Ranges", options: { noun: "entries", choices: [{ key: "compile_id" }, { key: "outcome" }] } },
  ];
  return tables.flatMap(({ name, title, options }) => {
    const { total } = session.table(name);
    return total > 0 ? [tab(name, title, total, () => tablePanel(session, name, options, ""))] : [];
  });
}

function guards(session: Session): Panel {
  const all = (): Panel => tablePanel(session, "guards", { noun: "guards", choices: [{ key: "compile_id" }, { key: "kind" }, { key: "category" }] }, "No guard was recorded.");
  if (session.table("guard_costs").total === 0) return all();
  return switched([
    { title: "Guards", count: session.table("guards").total, make: all },
    { title: "Costs", count: session.table("guard_costs").total, make: () => tablePanel(session, "guard_costs", { noun: "compiles" }, "No guard was timed.") },
    { title: "Filters", count: session.table("guard_filters").total, make: () => tablePanel(session, "guard_filters", { noun: "filters", choices: [{ key: "compile_id" }] }, "No filter was asked.") },
  ]);
}

function symbols(session: Session): Panel {
  return switched([
    { title: "Symbols", count: session.table("symbols").total, make: () => tablePanel(session, "symbols", { noun: "symbols", choices: [{ key: "compile_id" }] }, "No size became a symbol.") },
    { title: "Specializations", count: session.table("specializations").total, make: () => tablePanel(session, "specializations", { noun: "specializations" }, "No symbol was pinned to one value.") },
  ]);
}

function kernels(session: Session): Panel {
  const none = "No kernel was generated: this backend makes none, or all came from a cache.";
  return switched([
    { title: "Kernels", count: session.table("kernels").total, make: () => sourcePanel(session, "kernels", "kernels", none) },
    { title: "Generated code", count: session.table("output_code").total, make: () => sourcePanel(session, "output_code", "files", "No code was generated.") },
  ]);
}

function head(session: Session): HTMLElement {
  const { facts, name, headline } = session.wire;
  const chips = facts.map((fact) => {
    const tab = fact.table === null ? undefined : TAB_OF[fact.table];
    const inner = [h("strong", { class: fact.tone }, fact.value), h("span", {}, fact.label)];
    return tab === undefined ? h("span", { class: "fact" }, ...inner) : h("button", { type: "button", class: "fact", onclick: () => session.go({ tab }) }, ...inner);
  });
  return h("div", { class: "head" }, h("h2", { title: headline }, name ?? "torch.compile"), h("div", { class: "facts", role: "group", "aria-label": "In short" }, ...chips));
}
