// What the canvas and the panels share: one graph, what is open, picked, searched and coloured. Each side changes it through its
// commands and hears of changes by event; nothing here touches the page.

import { count } from "../format.ts";
import type { EdgePick } from "./edges.ts";
import type { GraphModel } from "./model.ts";
import { openingPaths } from "./fold.ts";
import { search } from "./search.ts";
import { Tree } from "./tree.ts";

export type OverlayKind = "family" | "dtype" | "device" | "partition" | "kernels" | "symbol" | "guards" | "dims" | "memory" | "changed";

/** What the graph is coloured by; `argument` is the symbol or kernel picked, null for all. */
export interface Overlay {
  readonly kind: OverlayKind;
  readonly argument: string | null;
}

/** Nodes of two graphs that correspond: `pairs` holds left, right, left, right. */
export interface Correspondence {
  readonly left: number;
  readonly right: number;
  readonly pairs: Uint32Array;
  /** In a sentence: how it is known; null where the nodes correspond one to one. */
  readonly told: string | null;
}

export type DifferenceKind = "added" | "removed" | "changed";

/** One difference: of a node in the left graph, of one in the right, or both; null where it is in one only. */
export interface Difference {
  readonly kind: DifferenceKind;
  readonly left: number | null;
  readonly right: number | null;
  readonly what: string | null;
  readonly was: string | null;
  readonly is: string | null;
}

/** Two graphs compared: the state's graph is the right one, what it is held against the left one. */
export interface Comparison {
  readonly row: number;
  readonly graph: GraphModel;
  readonly pairs: Uint32Array;
  readonly differences: readonly Difference[];
  readonly mode: "side" | "over";
}

export type SymbolRole = "enters" | "carries" | "computes" | "pinned" | "guarded";

/** The way of one symbol through a graph, as the recording tells it. */
export interface SymbolFlow {
  readonly symbol: string;
  readonly roles: ReadonlyMap<number, SymbolRole>;
  /** In a sentence: what it stands for, what guards or pins it. */
  readonly told: string | null;
}

/** What the recording knows of the nodes of a graph besides the graph; null until it was asked for and came. */
export interface Told {
  readonly flow: SymbolFlow | null;
  /** By node, what became of its dimensions: static, marked, specialized, … */
  readonly verdicts: ReadonlyMap<number, string> | null;
}

const UNTOLD: Told = { flow: null, verdicts: null };

/** Where graphs come from. Each promise is rejected with an Error whose message a reader can be shown. */
export interface GraphSource {
  graph(row: number): Promise<GraphModel>;
  /** Fills in the lists of guards of a graph that came without. */
  guards(graph: GraphModel, row: number): Promise<void>;
  correspondence(left: number, right: number): Promise<Correspondence>;
  differences(left: number, right: number): Promise<{ pairs: Uint32Array; differences: readonly Difference[] }>;
  /** The way of a symbol through a graph; left out where only graphs are there. */
  flow?(row: number, symbol: string): Promise<SymbolFlow>;
  /** By node, what became of its dimensions. */
  verdicts?(row: number): Promise<ReadonlyMap<number, string>>;
}

/** Events, and what each says:
 * - graph: another graph is shown, everything else was reset with it;
 * - expanded: `expanded` or `showHidden` changed;
 * - selection: `selection`, `selectedGroup` or `selectedEdge` changed;
 * - hover: `hover` changed;
 * - matches: `query` and `matches` changed;
 * - overlay: `overlay` changed, or what it colours by came in;
 * - compare: `compare` changed;
 * - reveal: the views should bring the node `revealed` into sight;
 * - problem: `problem` changed (what could not be done, in words, or null).
 */
export type ExplorerEvent = "graph" | "expanded" | "selection" | "hover" | "matches" | "overlay" | "compare" | "reveal" | "problem";

/** The state of one explorer. */
export class ExplorerState {
  graph: GraphModel;
  tree: Tree;
  row: number;
  /** Paths of open groups and of runs that are spread. Replaced, never changed in place. */
  expanded: ReadonlySet<string>;
  /** Whether parameters, constants and sizes are drawn as nodes of their own. */
  showHidden = false;
  selection: readonly number[] = [];
  selectedGroup: string | null = null;
  /** What of another graph the picked nodes correspond to and how that is known; null where they were picked here. */
  carried: string | null = null;
  selectedEdge: EdgePick | null = null;
  /** What the pointer is on: a node, or a group by its path. */
  hover: { node: number } | { group: string } | null = null;
  query = "";
  matches: readonly number[] = [];
  overlay: Overlay = { kind: "family", argument: null };
  compare: Comparison | null = null;
  /** What the overlay needs besides the graph. */
  told: Told = UNTOLD;
  revealed = -1;
  problem: string | null = null;
  private readonly listeners = new Map<ExplorerEvent, Set<() => void>>();
  private generation = 0;

  constructor(
    row: number,
    graph: GraphModel,
    private readonly source: GraphSource,
  ) {
    this.row = row;
    this.graph = graph;
    this.tree = new Tree(graph);
    this.expanded = openingPaths(this.tree);
    this.complete();
  }

  /** Calls `act` after each event of this kind until `signal` is aborted. */
  on(event: ExplorerEvent, act: () => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    const found = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, found);
    found.add(act);
    signal.addEventListener("abort", () => found.delete(act), { once: true });
  }

  /** Picks nodes; with `reveal` opens the groups around the first one and brings it into sight. `carried` tells what they were picked for. */
  select(nodes: readonly number[], { reveal = false, extend = false, carried = null }: { reveal?: boolean; extend?: boolean; carried?: string | null } = {}): void {
    const sound = [...new Set(extend ? [...this.selection, ...nodes] : nodes)].filter((node) => node >= 0 && node < this.graph.count);
    this.selection = sound;
    this.selectedGroup = null;
    this.carried = carried;
    this.selectedEdge = null;
    this.emit("selection");
    if (reveal && sound[0] !== undefined) this.reveal(sound[0]);
  }

  /** Picks a group or a run by its path; its nodes are not in `selection`. */
  selectGroup(path: string | null): void {
    this.selection = [];
    this.carried = null;
    this.selectedGroup = path !== null && this.tree.at(path) !== undefined ? path : null;
    this.selectedEdge = null;
    this.emit("selection");
  }

  /** Picks an edge by what flows along it; its nodes are not in `selection`. */
  selectEdge(edge: EdgePick): void {
    const pairs = edge.pairs.filter((pair) => pair.every((node) => node >= 0 && node < this.graph.count));
    this.selection = [];
    this.carried = null;
    this.selectedGroup = null;
    this.selectedEdge = pairs.length > 0 ? { pairs } : null;
    this.emit("selection");
  }

  /** Has what tells of the selection do so anew: more is known now. */
  retell(): void {
    this.emit("selection");
  }

  setHover(hover: { node: number } | { group: string } | null): void {
    if (same(hover, this.hover)) return;
    this.hover = hover;
    this.emit("hover");
  }

  /** Opens a group, or spreads a run; what holds it is opened as well, and so is a group that is alone in it. */
  expand(path: string): void {
    const container = this.tree.at(path);
    if (container === undefined || container === 0) return;
    const wanted = this.tree.ancestors(container, true);
    for (let at = container; ; ) {
      const inside = this.tree.children(at);
      if (inside.length !== 1 || this.tree.nodes(at).length > 0 || this.tree.isRun(inside[0] as number)) break;
      at = inside[0] as number;
      wanted.push(at);
    }
    this.setExpanded([...this.expanded, ...wanted.map((each) => this.tree.path(each))]);
  }

  /** Closes a group or merges a run; what is open inside stays open for the next time. */
  collapse(path: string): void {
    if (!this.expanded.has(path)) return;
    this.setExpanded([...this.expanded].filter((each) => each !== path));
  }

  toggle(path: string): void {
    if (this.expanded.has(path)) this.collapse(path);
    else this.expand(path);
  }

  expandAll(): void {
    this.setExpanded(Array.from({ length: this.tree.count }, (_, container) => this.tree.path(container)));
  }

  /** Back to how the graph opened. */
  collapseAll(): void {
    this.setExpanded([...openingPaths(this.tree)]);
  }

  /** Opens what lies less deep than `depth` below the root, closes the rest; runs count as a level. */
  expandTo(depth: number): void {
    const open: string[] = [];
    for (let container = 0; container < this.tree.count; container += 1) if ((this.tree.depth[container] as number) < depth) open.push(this.tree.path(container));
    this.setExpanded(open);
  }

  /** Opens just these groups and runs. */
  open(paths: ReadonlySet<string>): void {
    this.setExpanded([...paths]);
  }

  setShowHidden(shown: boolean): void {
    this.showHidden = shown;
    this.emit("expanded");
  }

  /** Finds nodes; `matches` has them in the order of the printout. */
  search(query: string): void {
    this.query = query;
    this.matches = search(this.graph, query);
    this.emit("matches");
  }

  /** Picks the next match after the one that is picked, or the one before it. */
  nextMatch(step: 1 | -1 = 1): void {
    if (this.matches.length === 0) return;
    const at = this.matches.indexOf(this.selection[0] ?? -1);
    const next = at < 0 ? (step === 1 ? 0 : this.matches.length - 1) : (at + step + this.matches.length) % this.matches.length;
    this.select([this.matches[next] as number], { reveal: true });
  }

  setOverlay(kind: OverlayKind, argument: string | null = null): void {
    this.overlay = { kind, argument };
    this.emit("overlay");
    this.ask();
  }

  /** Asks for what the overlay needs besides the graph. Where that cannot be had, the overlay shows what the graph itself says. */
  private ask(): void {
    const { graph, row, source, overlay, told } = this;
    const take = (more: Partial<Told>): void => {
      if (this.graph !== graph) return;
      this.told = { ...this.told, ...more };
      this.emit("overlay");
    };
    const without = (): void => undefined;
    const { kind, argument } = overlay;
    if (kind === "symbol" && argument !== null && told.flow?.symbol !== argument) void source.flow?.(row, argument).then((flow) => this.overlay.argument === argument && take({ flow }), without);
    if (kind === "dims" && told.verdicts === null) void source.verdicts?.(row).then((verdicts) => take({ verdicts }), without);
  }

  /** Opens the groups around a node and asks the views to bring it into sight. */
  reveal(node: number): void {
    if (node < 0 || node >= this.graph.count) return;
    const around = this.tree.ancestors(this.graph.group[node] as number, true).map((container) => this.tree.path(container));
    if (!around.every((path) => this.expanded.has(path))) this.setExpanded([...this.expanded, ...around]);
    this.revealed = node;
    this.emit("reveal");
  }

  /** Shows another graph of the session. What is picked stays picked where the other graph has it; open groups stay open. */
  async showStage(row: number): Promise<void> {
    if (row === this.row) return;
    const mine = (this.generation += 1);
    try {
      const [graph, kept] = await Promise.all([this.source.graph(row), this.corresponding(row)]);
      if (mine !== this.generation) return;
      this.begin(row, graph);
      this.say(null);
      if (kept.nodes.length > 0 || kept.told !== null) this.select(kept.nodes, { reveal: true, carried: kept.told });
    } catch (error) {
      if (mine === this.generation) this.say(String(error instanceof Error ? error.message : error));
    }
  }

  /** Holds the graph that is shown against another one, which is then the left, earlier one. */
  async compareWith(row: number, mode: "side" | "over" = "over"): Promise<void> {
    const mine = (this.generation += 1);
    try {
      const [graph, { pairs, differences }] = await Promise.all([this.source.graph(row), row === this.row ? itself(this.graph) : this.source.differences(row, this.row)]);
      if (mine !== this.generation) return;
      this.compare = { row, graph, pairs, differences, mode };
      this.say(null);
      this.emit("compare");
      this.setOverlay("changed");
    } catch (error) {
      if (mine === this.generation) this.say(String(error instanceof Error ? error.message : error));
    }
  }

  setCompareMode(mode: "side" | "over"): void {
    if (!this.compare || this.compare.mode === mode) return;
    this.compare = { ...this.compare, mode };
    this.emit("compare");
  }

  stopComparing(): void {
    if (!this.compare) return;
    this.generation += 1;
    this.compare = null;
    this.emit("compare");
    if (this.overlay.kind === "changed") this.setOverlay("family");
  }

  /** Says what could not be done; null takes it back. */
  say(problem: string | null): void {
    if (problem === this.problem) return;
    this.problem = problem;
    this.emit("problem");
  }

  /** What of another graph corresponds to the nodes that are picked, and how that is known. */
  private async corresponding(row: number): Promise<{ nodes: number[]; told: string | null }> {
    if (this.selection.length === 0) return { nodes: [], told: null };
    const picked = new Set(this.selection);
    const from = `${count(picked.size, "node")} of ${this.graph.stage.replace(/_/g, " ")}`;
    try {
      const { pairs, told } = await this.source.correspondence(this.row, row);
      const found = new Set<number>();
      for (let at = 0; at + 1 < pairs.length; at += 2) if (picked.has(pairs[at] as number)) found.add(pairs[at + 1] as number);
      if (found.size === 0) return { nodes: [], told: `Nothing here corresponds to the ${from} that ${picked.size === 1 ? "was" : "were"} picked.` };
      return { nodes: [...found], told: told === null ? null : `Corresponds to ${from}. ${told}` };
    } catch {
      return { nodes: [], told: null };
    }
  }

  /** Shows a graph that is at hand; nothing is picked in it. */
  begin(row: number, graph: GraphModel): void {
    const open = this.expanded;
    this.row = row;
    this.graph = graph;
    this.tree = new Tree(graph);
    this.expanded = new Set([...openingPaths(this.tree), ...[...open].filter((path) => this.tree.at(path) !== undefined)]);
    this.selection = [];
    this.selectedGroup = null;
    this.carried = null;
    this.selectedEdge = null;
    this.hover = null;
    this.compare = null;
    this.told = UNTOLD;
    this.matches = search(graph, this.query);
    if (this.overlay.kind === "changed") this.overlay = { kind: "family", argument: null };
    this.emit("graph");
    this.ask();
    this.complete();
  }

  /** Has what a large graph came without sent after it. */
  private complete(): void {
    const { graph, row } = this;
    if (!graph.later.has("guards")) return;
    const done = (): void => {
      if (this.graph !== graph) return;
      this.emit("selection");
      if (this.overlay.kind === "guards" || this.overlay.kind === "symbol") this.emit("overlay");
    };
    setTimeout(() => void this.source.guards(graph, row).then(done, (error: unknown) => this.graph === graph && this.say(`The guards of this graph: ${error instanceof Error ? error.message : String(error)}`)), 500);
  }

  private setExpanded(paths: readonly string[]): void {
    this.expanded = new Set(paths);
    this.emit("expanded");
  }

  private emit(event: ExplorerEvent): void {
    for (const act of [...(this.listeners.get(event) ?? [])]) act();
  }
}

/** What a graph held against itself comes to. */
function itself({ count: nodes }: GraphModel): { pairs: Uint32Array; differences: readonly Difference[] } {
  return { pairs: Uint32Array.from({ length: 2 * nodes }, (_, at) => at >> 1), differences: [] };
}

function same(a: ExplorerState["hover"], b: ExplorerState["hover"]): boolean {
  if (a === null || b === null) return a === b;
  return "node" in a ? "node" in b && a.node === b.node : "group" in b && a.group === b.group;
}
