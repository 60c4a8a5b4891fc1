// Leads into a graph from elsewhere: the graph that is meant, and in it the nodes.

import { shortPlace } from "../format.ts";
import { PLACEHOLDER, type GraphModel, type StageEntry } from "./model.ts";
import type { Pick, Target } from "../session.ts";
import type { ExplorerState } from "./state.ts";

/** Shows what a link asks for. */
export async function follow(state: ExplorerState, target: Target): Promise<void> {
  const row = target.row ?? rowOf(state.graph.stages, target, state.graph.stage);
  if (row === null) {
    state.say(`There is no graph of ${target.compile ?? "this compile"}${target.stages ? ` at ${target.stages.map((stage) => stage.replace(/_/g, " ")).join(", ")}` : ""}.`);
    return;
  }
  if (row !== state.row) await state.showStage(row);
  if (row !== state.row || !target.pick) return;
  const { symbol } = target.pick;
  if (symbol !== undefined) state.setOverlay("symbol", symbol);
  else if (state.overlay.argument !== null) state.setOverlay("family");
  const nodes = picked(state.graph, target.pick);
  if (nodes.length > 0) {
    const { names, place, source } = target.pick;
    const instead = names === undefined && place !== undefined && source !== undefined && ofPlace(state.graph, place).length === 0;
    state.say(instead ? `No node of this graph belongs to ${shortPlace(place)}; the input for ${source} is picked.` : null);
    state.select(nodes, { reveal: true });
  } else if (symbol === undefined) state.say(`No node of this graph belongs to ${words(target.pick)}.`);
}

/** The graph of a target's compile and pass, of the first of its stages that there is; null where there is none. */
export function rowOf(all: readonly StageEntry[], { compile, stages, direction }: Target, current: string | null = null): number | null {
  const own = all.filter((entry) => compile === undefined || entry.compile_id === compile);
  const asked = stages ?? [...(current === null ? [] : [current]), ...own.map(({ stage }) => stage)];
  for (const wanted of asked) {
    const found = own.filter(({ stage }) => stage === wanted);
    const pass = found.filter((entry) => direction === undefined || entry.direction === direction);
    // Of several printouts of one stage the last is the one that was lowered; of several passes the first is the forward one.
    const among = pass.length > 0 ? pass : found;
    const best = among.filter((entry) => entry.direction === among[0]?.direction).slice(-1)[0];
    if (best) return best.row;
  }
  return null;
}

/** The nodes that a link means. */
export function picked(graph: GraphModel, { names, place, source }: Pick): number[] {
  const named = (names ?? []).map((name) => graph.nodeOf(name)).filter((node): node is number => node !== undefined);
  if (named.length > 0) return named;
  const placed = place === undefined ? [] : ofPlace(graph, place);
  return placed.length > 0 || source === undefined ? placed : inputs(graph, source);
}

function ofPlace(graph: GraphModel, place: string): number[] {
  const [, file = place, line] = /^(.*):(\d+)$/s.exec(place) ?? [];
  const found: number[] = [];
  for (let node = 0; node < graph.count; node += 1) if (graph.text("file", node) === file && (line === undefined || graph.line[node] === Number(line))) found.push(node);
  return found;
}

/** The inputs of Dynamo's graph that stand for a source: `L_x_` for `L['x']`. */
function inputs(graph: GraphModel, source: string): number[] {
  const flat = (text: string): string => text.replace(/[^A-Za-z0-9]+/g, "_").replace(/^_+|_+$/g, "").toLowerCase();
  const wanted = flat(source.replace(/\.(?:size|stride)\(\)\[\d+\]$/, ""));
  const found: number[] = [];
  for (let node = 0; node < graph.count; node += 1) if (graph.op[node] === PLACEHOLDER && [graph.text("target", node), graph.text("name", node)].some((name) => name !== null && flat(name) === wanted)) found.push(node);
  return found;
}

function words({ names, place, source }: Pick): string {
  return [place === undefined ? null : shortPlace(place), source ?? null, names === undefined ? null : names.slice(0, 3).join(", ")].filter((word) => word !== null).join(" or ");
}
