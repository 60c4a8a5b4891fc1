// The inspector: a head with what counts, a rail of tabs, a panel each, and the way back after a link.

import { h } from "./dom.ts";
import { enlarger } from "./enlarge.ts";
import { Tabs, type Tab, type TabGroup, type Tone } from "./tabs.ts";
import { TAB_OF, Session, type Target } from "./session.ts";
import { Trail } from "./trail.ts";
import { overviewPanel } from "./overview.ts";
import { recompilesPanel } from "./recompiles.ts";
import { graphPanel } from "./graph.ts";
import { cachesPanel } from "./caches.ts";
import { capturesPanel } from "./captures.ts";
import { compilesPanel, environmentPanel, show, sourcePanel, switched, tablePanel, type Panel } from "./tables.ts";
import type { Parts } from "./host.ts";
import type { Wire } from "./wire.ts";

/** All of it, for one session; opened at a target where one is given. */
export function inspector(wire: Wire, parts: Parts, signal: AbortSignal, target?: Target): HTMLElement {
  const panels = new Map<string, Panel>();
  const session = new Session(wire, parts, signal, (target) => go(target));
  const trail = new Trail<Target>();
  const here = (): Target => ({ ...panels.get(tabs.chosen)?.place?.(), tab: tabs.chosen });
  const leave = (): void => {
    trail.leave(here());
    told();
  };
  const tabs: Tabs = new Tabs(groups(session, panels), "Parts of the recording", leave);
  const arrive = (target: Target): void => {
    tabs.select(target.tab);
    tabs.focus(target.tab);
    const panel = panels.get(target.tab);
    if (panel) show(panel, target);
    told();
  };
  const go = (target: Target): void => {
    if (!tabs.has(target.tab)) return;
    leave();
    arrive(target);
  };
  const retrace = (way: "back" | "forward"): void => {
    const place = trail[way](here());
    if (place) arrive(place);
  };
  const way = (title: string, word: string, to: "back" | "forward"): HTMLButtonElement => h("button", { type: "button", class: "way", title, "aria-label": title, onclick: () => retrace(to) }, word);
  const back = way("Back", "←", "back");
  const forward = way("Forward", "→", "forward");
  const told = (): void => {
    back.disabled = !trail.hasBefore;
    forward.disabled = !trail.hasAfter;
  };
  told();
  if (tabs.has(wire.view ?? "")) tabs.select(wire.view ?? "");
  const root = h("div", { class: "inspector" });
  root.append(head(session, [back, forward], enlarger(root, signal)), h("div", { class: "body" }, tabs.nav, tabs.panels));
  root.addEventListener("keydown", (event) => {
    if (!event.altKey || (event.key !== "ArrowLeft" && event.key !== "ArrowRight")) return;
    const to = event.key === "ArrowLeft" ? "back" : "forward";
    if (to === "back" ? !trail.hasBefore : !trail.hasAfter) return;
    retrace(to);
    event.preventDefault();
  });
  if (target && tabs.has(target.tab)) arrive(target);
  return root;
}

/** Every tab, in the order in which a reader asks: what is wrong, what compiled, for which inputs, into what code, how it was recorded. */
function groups(session: Session, panels: Map<string, Panel>): TabGroup[] {
  const tab = (key: string, title: string, tables: string[], make: () => Panel, tone?: Tone): Tab => {
    const held = tables.map((name) => session.table(name));
    const [first] = held;
    const total = held.find((table) => table.total > 0)?.total ?? 0;
    return {
      key,
      title,
      count: first ? total : null,
      ...(tone && { tone }),
      ...(first && total === 0 && first.absent !== null && { absent: `${first.absent}` }),
      make: () => {
        const panel = make();
        panels.set(key, panel);
        return panel.element;
      },
    };
  };
  const table = (key: string, title: string, name: string, noun: string, choices: string[], none: string, tone?: Tone): Tab =>
    tab(key, title, [name], () => tablePanel(session, name, { noun, choices: choices.map((choice) => ({ key: choice })) }, none), tone);
  return [
    {
      title: "",
      tabs: [
        tab("overview", "Overview", [], () => overviewPanel(session)),
        table("findings", "Findings", "findings", "findings", ["severity", "kind"], "Nothing was found that costs compiles or speed.", worst(session)),
      ],
    },
    {
      title: "Compilation",
      tabs: [
        tab("compiles", "Compiles", ["compiles"], () => compilesPanel(session)),
        tab("recompiles", "Recompiles", ["recompiles"], () => recompilesPanel(session), "warn"),
        table("breaks", "Breaks", "graph_breaks", "graph breaks", ["compile_id"], "No graph break: each function became one graph.", "warn"),
        tab("graph", "Graphs", ["graphs"], () => graphPanel(session)),
      ],
    },
    {
      title: "Shapes",
      tabs: [
        tab("guards", "Guards", ["guards"], () => guards(session)),
        tab("dims", "Dims", ["dims"], () => tablePanel(session, "dims", { noun: "dimensions", choices: [{ key: "compile_id" }, { key: "verdict" }, { key: "role", first: "input" }] }, "No tensor came in.")),
        tab("symbols", "Symbols", ["symbols", "specializations"], () => symbols(session)),
      ],
    },
    {
      title: "Code",
      tabs: [
        table("files", "Files", "traced_files", "files", [], "No traced file was recorded."),
        tab("kernels", "Kernels", ["kernels", "output_code"], () => kernels(session)),
      ],
    },
    {
      title: "Decorator",
      tabs: [
        table("applied", "Applied", "applied", "modules", ["how"], "No module was given to the compile decorator."),
        table("violations", "Violations", "violations", "violations", ["category", "action"], "No call failed a check that the compile decorator makes.", "warn"),
        table("partitions", "Partitions", "partitions", "pieces", ["compile_id", "by", "kind"], "No graph was partitioned."),
        table("ranges", "Ranges", "ranges", "entries", ["compile_id", "outcome"], "No piece was compiled for a range of sizes."),
        tab("captures", "Captures", ["captures"], () => capturesPanel(session)),
      ],
    },
    {
      title: "Recording",
      tabs: [
        tab("caches", "Caches", ["caches", "artifacts"], () => cachesPanel(session)),
        tab("environment", "Environment", [], () => environmentPanel(session)),
        table("losses", "Losses", "losses", "losses", [], "Nothing was lost: all of the recording could be read.", "bad"),
      ],
    },
  ];
}

function worst(session: Session): Tone {
  const words = session.table("findings").column("severity")?.words ?? [];
  return words.includes("error") ? "bad" : words.includes("warning") ? "warn" : "plain";
}

function guards(session: Session): Panel {
  const make = (): Panel => tablePanel(session, "guards", { noun: "guards", choices: [{ key: "compile_id" }, { key: "kind" }, { key: "category" }] }, "No guard was recorded.");
  if (session.table("guard_costs").total === 0) return make();
  return switched([
    { table: "guards", title: "Guards", count: session.table("guards").total, make },
    { table: "guard_costs", title: "Costs", count: session.table("guard_costs").total, make: () => tablePanel(session, "guard_costs", { noun: "compiles" }, "No guard was timed.") },
    { table: "guard_filters", title: "Filters", count: session.table("guard_filters").total, make: () => tablePanel(session, "guard_filters", { noun: "filters", choices: [{ key: "compile_id" }] }, "No filter was asked.") },
  ]);
}

function symbols(session: Session): Panel {
  return switched([
    { table: "symbols", title: "Symbols", count: session.table("symbols").total, make: () => tablePanel(session, "symbols", { noun: "symbols", choices: [{ key: "compile_id" }] }, "No size became a symbol.") },
    { table: "specializations", title: "Specializations", count: session.table("specializations").total, make: () => tablePanel(session, "specializations", { noun: "specializations" }, "No symbol was pinned to one value.") },
  ]);
}

function kernels(session: Session): Panel {
  const none = "No kernel was generated: this backend makes none, or all came from a cache.";
  return switched([
    { table: "kernels", title: "Kernels", count: session.table("kernels").total, make: () => sourcePanel(session, "kernels", { noun: "kernels", choices: [{ key: "compile_id" }, { key: "language" }] }, none) },
    { table: "output_code", title: "Generated code", count: session.table("output_code").total, make: () => sourcePanel(session, "output_code", { noun: "files", choices: [{ key: "compile_id" }] }, "No code was generated.") },
  ]);
}

function head(session: Session, ways: HTMLElement[], enlarge: HTMLElement): HTMLElement {
  const { facts, name, headline } = session.wire;
  const chips = facts.map((fact) => {
    const tab = fact.table === null ? undefined : TAB_OF[fact.table];
    const inner = [h("strong", { class: fact.tone }, fact.value), h("span", {}, fact.label)];
    return tab === undefined ? h("span", { class: "fact" }, ...inner) : h("button", { type: "button", class: "fact", onclick: () => session.go({ tab }) }, ...inner);
  });
  return h(
    "div",
    { class: "head" },
    h("h2", { title: headline }, name ?? "torch.compile"),
    h("div", { class: "facts", role: "group", "aria-label": "In short" }, ...chips),
    h("div", { class: "ways" }, ...ways, enlarge),
  );
}
