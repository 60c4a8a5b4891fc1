// The session as views read it: tables by name, parts on request, and the way from one tab to another.

import { Table } from "./data.ts";
import type { Parts } from "./host.ts";
import type { Wire } from "./wire.ts";

/** Where a link leads: a tab, and there one compile or one row. */
export interface Target {
  tab: string;
  compile?: string;
  row?: number;
}

/** The session, read once. */
export class Session {
  private readonly tables = new Map<string, Table>();

  constructor(
    readonly wire: Wire,
    readonly parts: Parts,
    readonly signal: AbortSignal,
    readonly go: (target: Target) => void,
  ) {
    for (const table of wire.tables) this.tables.set(table.name, new Table(table));
  }

  /** A table; one that was not sent is empty. */
  table(name: string): Table {
    const found = this.tables.get(name);
    if (found) return found;
    return new Table({ name, title: name, count: 0, total: 0, columns: [], note: null, absent: "it was not sent" });
  }
}

/** Which tab shows a table. */
export const TAB_OF: Record<string, string> = {
  findings: "findings",
  compiles: "compiles",
  recompiles: "recompiles",
  graph_breaks: "breaks",
  applied: "applied",
  violations: "violations",
  partitions: "partitions",
  ranges: "ranges",
  dims: "dims",
  symbols: "symbols",
  specializations: "symbols",
  guards: "guards",
  guard_costs: "guards",
  guard_filters: "guards",
  graphs: "graph",
  kernels: "kernels",
  output_code: "kernels",
  caches: "caches",
  traced_files: "files",
  losses: "losses",
};
