// The tab of graphs: the explorer, opened on the graph that is asked for.

import { fill, h } from "./dom.ts";
import { explorer, type Explorer } from "./explorer/explorer.ts";
import { follow, rowOf } from "./explorer/follow.ts";
import type { ExplorerState } from "./explorer/state.ts";
import { graphSource } from "./graph_source.ts";
import { nothing, type Panel } from "./tables.ts";
import type { Session, Target } from "./session.ts";

/** Picked nodes that Back brings back, at most. */
const REMEMBERED = 500;

/** The panel of graphs. */
export function graphPanel(session: Session): Panel {
  const table = session.table("graphs");
  if (table.count === 0) return { element: nothing(table, "No graph was recorded.") };
  const source = graphSource(session.parts);
  const element = h("div", { class: "explorer-panel" });
  const stages = [...table.select("")].map((row) => ({ row, compile_id: table.text("compile_id", row), stage: table.text("stage", row), name: table.text("name", row), direction: table.text("direction", row) || null }));
  let state: ExplorerState | null = null;
  let shown: Promise<Explorer> | null = null;
  const open = (row: number): Promise<Explorer> => {
    fill(element, h("p", { class: "waiting" }, "Reading the graph…"));
    shown = source.graph(row).then((graph) => {
      const made = explorer(row, graph, source, { session, parts: session.parts, signal: session.signal });
      fill(element, made.element);
      state = made.state;
      return made;
    });
    shown.catch((error: unknown) => {
      shown = null;
      const again = h("button", { type: "button", class: "link", onclick: () => void open(row) }, "Try again");
      fill(element, h("p", { class: "note", role: "alert" }, error instanceof Error ? error.message : String(error), " ", again));
    });
    return shown;
  };
  const first = (target: Target): number => {
    if (target.row !== undefined) return target.row;
    return rowOf(stages, target) ?? rowOf(stages, { tab: "graph" }) ?? 0;
  };
  const show = (target: Target): void => {
    void (shown ?? open(first(target))).then(({ state }) => follow(state, target), () => undefined);
  };
  // A link that opens the tab says at once where it leads: then its graph is the first one read.
  queueMicrotask(() => shown ?? void open(0).catch(() => undefined));
  return { element, show, place: () => (state ? { row: state.row, ...(state.selection.length > 0 && { pick: { names: state.selection.slice(0, REMEMBERED).map((node) => state?.graph.text("name", node) ?? "") } }) } : {}) };
}
