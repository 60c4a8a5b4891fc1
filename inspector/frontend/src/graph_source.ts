// Where the explorer has its graphs from: parts of the session, decoded once.

import { Table } from "./data.ts";
import { decodeGraph, type GraphModel } from "./explorer/model.ts";
import type { Correspondence, Difference, DifferenceKind, GraphSource, SymbolRole } from "./explorer/state.ts";
import type { Parts } from "./host.ts";

const KEPT = 6;

/** Graphs by their row in the session, of which one that came in another way can be kept too. */
export interface KeptGraphs extends GraphSource {
  keep(row: number, graph: GraphModel): void;
}

/** The graphs of a session. The last few that were shown are kept. */
export function graphSource(parts: Parts): KeptGraphs {
  const kept = new Map<number, Promise<GraphModel>>();
  const graph = (row: number): Promise<GraphModel> => {
    const before = kept.get(row);
    kept.delete(row);
    const made = before ?? parts.bytes(`explore:${row}`).then(decodeGraph);
    kept.set(row, made);
    made.catch(() => kept.get(row) === made && kept.delete(row));
    const [oldest] = kept.keys();
    if (kept.size > KEPT && oldest !== undefined) kept.delete(oldest);
    return made;
  };
  return {
    graph,
    keep: (row, graph) => void kept.set(row, Promise.resolve(graph)),
    guards: async (of, row) => of.adopt(await parts.bytes(`guards_of:${row}`)),
    correspondence: async (left, right): Promise<Correspondence> => {
      const part = await parts.get(`correspond:${Math.min(left, right)}:${Math.max(left, right)}`);
      if (!part.pairs) throw new Error(part.problem ?? "Which nodes correspond is not known.");
      const pairs = Uint32Array.from(part.pairs);
      return { left, right, pairs: left > right ? turned(pairs) : pairs, told: part.text };
    },
    differences: async (left, right) => {
      const part = await parts.get(`graphdiff:${left}:${right}`);
      if (!part.pairs || !part.table) throw new Error(part.problem ?? "What changed is not known.");
      return { pairs: Uint32Array.from(part.pairs), differences: differences(new Table(part.table)) };
    },
    flow: async (row, symbol) => {
      const part = await parts.get(`symbol:${row}:${symbol}`);
      if (!part.table) throw new Error(part.problem ?? "The way of this symbol is not known.");
      return { symbol, roles: byNode(new Table(part.table), "role") as Map<number, SymbolRole>, told: part.text };
    },
    verdicts: async (row) => {
      const part = await parts.get(`verdicts:${row}`);
      if (!part.table) throw new Error(part.problem ?? "No verdict is known.");
      return byNode(new Table(part.table), "verdict");
    },
  };
}

/** Pairs with their sides changed over: a page holds them one way round. */
function turned(pairs: Uint32Array): Uint32Array {
  return pairs.map((_, at) => pairs[at ^ 1] as number);
}

function byNode(table: Table, key: string): Map<number, string> {
  const words = new Map<number, string>();
  for (let row = 0; row < table.count; row += 1) {
    const node = table.column("node")?.value(row);
    if (typeof node === "number") words.set(node, table.text(key, row));
  }
  return words;
}

function differences(table: Table): Difference[] {
  const number = (key: string, row: number): number | null => {
    const value = table.column(key)?.value(row);
    return typeof value === "number" ? value : null;
  };
  const word = (key: string, row: number): string | null => table.text(key, row) || null;
  return Array.from({ length: table.count }, (_, row) => ({
    kind: table.text("kind", row) as DifferenceKind,
    left: number("left", row),
    right: number("right", row),
    what: word("what", row),
    was: word("was", row),
    is: word("is", row),
  }));
}
