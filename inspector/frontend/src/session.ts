// The session as views read it: tables by name, parts on request, and the way from one place to another.

import { Table, type Choice } from "./data.ts";
import type { Parts } from "./host.ts";
import type { Wire } from "./wire.ts";

/** What to pick in a graph: the nodes of the first field that finds any. */
export interface Pick {
  /** Names of nodes. */
  names?: string[];
  /** A user's line, `path/file.py:12`, or a file without one. */
  place?: string;
  /** An input, as Dynamo names it: `L['x']`. */
  source?: string;
  /** A symbol: colours the graph by it. */
  symbol?: string;
}

/** Where a link leads: a tab, and there a table, one row, the rows of a word, or nodes of a graph. */
export interface Target {
  tab: string;
  /** The table, of a tab that has several. */
  table?: string;
  /** A compile's id. */
  compile?: string;
  row?: number;
  /** Only the rows whose column says this word. */
  where?: Choice;
  search?: string;
  /** The stages of a graph that will do, the best first. */
  stages?: string[];
  /** The pass that the graph computes, where a stage has one a pass. */
  direction?: string;
  pick?: Pick;
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

  /** A table; one that was not sent is empty, with its reason where the recording gives one. */
  table(name: string): Table {
    const found = this.tables.get(name);
    if (found) return found;
    const title = `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`.replace(/_/g, " ");
    const absent = this.wire.not_recorded.find((absence) => absence.name === title)?.reason ?? "they were not sent";
    return new Table({ name, title, count: 0, total: 0, columns: [], note: null, absent });
  }

  /** A target in the tab that shows a table. */
  to(table: string, rest: Omit<Target, "tab" | "table"> = {}): Target {
    return { tab: TAB_OF[table] ?? table, table, ...rest };
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
  captures: "captures",
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
  artifacts: "caches",
  traced_files: "files",
  losses: "losses",
};
