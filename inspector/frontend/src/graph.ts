// The tab of graphs: the explorer, opened on the graph that is asked for.

import { fill, h } from "./dom.ts";
import { explorer, type Explorer } from "./explorer/explorer.ts";
import { follow } from "./explorer/follow.ts";
import { graphSource } from "./graph_source.ts";
import { nothing, type Panel } from "./tables.ts";
import type { Session, Target } from "./session.ts";

/** The panel of graphs. */
export function graphPanel(session: Session): Panel {
  const table = session.table("graphs");
  if (table.count === 0) return { element: nothing(table, "No graph was recorded.") };
  const source = graphSource(session.parts);
  const element = h("div", { class: "explorer-panel" });
  let shown: Promise<Explorer> | null = null;
  const open = (row: number): Promise<Explorer> => {
    fill(element, h("p", { class: "waiting" }, "Reading the graph…"));
    shown = source.graph(row).then((graph) => {
      const made = explorer(row, graph, source, { session, parts: session.parts, signal: session.signal });
      fill(element, made.element);
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
    const rows = [...table.select("")].filter((row) => target.compile === undefined || table.text("compile_id", row) === target.compile);
    const wanted = (target.stages ?? []).flatMap((stage) => rows.filter((row) => table.text("stage", row) === stage).slice(-1));
    return wanted[0] ?? rows[0] ?? 0;
  };
  const show = (target: Target): void => {
    void (shown ?? open(first(target))).then(({ state }) => follow(state, target), () => undefined);
  };
  // A link that opens the tab says at once where it leads: then its graph is the first one read.
  queueMicrotask(() => shown ?? void open(0).catch(() => undefined));
  return { element, show };
}
