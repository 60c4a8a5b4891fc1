// Leads into a graph from elsewhere: the graph that is meant, and in it the nodes.

import { PLACEHOLDER, type GraphModel } from "./model.ts";
import type { Pick, Target } from "../session.ts";
import type { ExplorerState } from "./state.ts";

/** Shows what a link asks for. */
export async function follow(state: ExplorerState, target: Target): Promise<void> {
  const row = target.row ?? rowOf(state.graph, target);
  if (row === null) {
    state.say(`There is no graph of ${target.compile ?? "this compile"}${target.stages ? ` at ${target.stages.map((stage) => stage.replace(/_/g, " ")).join(", ")}` : ""}.`);
    return;
  }
  if (row !== state.row) await state.showStage(row);
  if (row !== state.row || !target.pick) return;
  if (target.pick.symbol !== undefined) state.setOverlay("symbol", target.pick.symbol);
  const nodes = picked(state.graph, target.pick);
  if (nodes.length > 0) {
    state.say(null);
    state.select(nodes, { reveal: true });
  } else if (target.pick.symbol === undefined) state.say(`No node of this graph belongs to ${words(target.pick)}.`);
}

/** The graph of a target's compile, of the first of its stages that there is; null where there is none. */
export function rowOf(graph: GraphModel, { compile, stages }: Target): number | null {
  const own = graph.stages.filter((stage) => compile === undefined || stage.compile_id === compile);
  for (const wanted of stages ?? [graph.stage, ...own.map(({ stage }) => stage)]) {
    const found = own.filter(({ stage }) => stage === wanted);
    // Of several printouts of one stage the last is the one that was lowered.
    const best = found[found.length - 1];
    if (best) return best.row;
  }
  return null;
}

/** The nodes that a link means. */
export function picked(graph: GraphModel, { names, place, source }: Pick): number[] {
  if (names !== undefined) return names.map((name) => graph.nodeOf(name)).filter((node): node is number => node !== undefined);
  if (source !== undefined) return inputs(graph, source);
  if (place === undefined) return [];
  const [, file = place, line] = /^(.*):(\d+)$/s.exec(place) ?? [];
  const found: number[] = [];
  for (let node = 0; node < graph.count; node += 1) if (graph.text("file", node) === file && (line === undefined || graph.line[node] === Number(line))) found.push(node);
  return found;
}

/** The inputs of Dynamo's graph that stand for a source: `L_x_` for `L['x']`. */
function inputs(graph: GraphModel, source: string): number[] {
  const flat = (text: string): string => text.replace(/[^A-Za-z0-9]+/g, "_").replace(/^_+|_+$/g, "").toLowerCase();
  const wanted = flat(source);
  const found: number[] = [];
  for (let node = 0; node < graph.count; node += 1) if (graph.op[node] === PLACEHOLDER && [graph.text("target", node), graph.text("name", node)].some((name) => name !== null && flat(name) === wanted)) found.push(node);
  return found;
}

function words({ names, place, source }: Pick): string {
  return place ?? source ?? (names ?? []).slice(0, 3).join(", ");
}
