// What differs between two graphs, as a list to walk through: n goes to the next, p to the one before.

import { fill, h, newId, type Child } from "../dom.ts";
import { count, whole } from "../format.ts";
import { LongList } from "../long_list.ts";
import { shortTarget } from "./words.ts";
import type { Comparison, Difference, DifferenceKind, ExplorerState } from "./state.ts";

const ROW_PX = 40;
const SIGN: Record<DifferenceKind, string> = { added: "+", removed: "−", changed: "~" };
const KINDS: DifferenceKind[] = ["changed", "added", "removed"];

/** The list; empty where nothing is compared. `walk` goes one difference on or back, from anywhere in the explorer. */
export function differences(state: ExplorerState, signal: AbortSignal): { element: HTMLElement; walk: (step: 1 | -1) => void } {
  const view = new DifferencesView(state, signal);
  return { element: view.element, walk: (step) => view.walk(step) };
}

class DifferencesView {
  readonly element: HTMLElement;
  private readonly list: HTMLElement;
  private readonly body = h("div", { class: "difference-rows", role: "presentation" });
  private readonly head = h("div", { class: "difference-head" });
  private kinds = new Set<DifferenceKind>(KINDS);
  private rows: Difference[] = [];
  private readonly lines: LongList;
  private active = -1;

  constructor(
    private readonly state: ExplorerState,
    signal: AbortSignal,
  ) {
    this.list = h(
      "div",
      { class: "difference-list", role: "listbox", tabindex: 0, "aria-label": "Differences; n and p walk through them", onkeydown: (event) => this.key(event as KeyboardEvent), onclick: (event) => this.click(event as MouseEvent) },
      this.body,
    );
    this.element = h("section", { class: "differences", "aria-label": "Differences" }, this.head, this.list);
    this.lines = new LongList(
      {
        scroller: this.list,
        body: this.body,
        px: ROW_PX,
        id: newId("difference"),
        count: () => this.rows.length,
        active: () => this.active,
        state: (place) => String(place === this.active),
        make: (place) => this.line(place),
      },
      signal,
    );
    for (const event of ["compare", "graph"] as const) state.on(event, () => this.another(), signal);
    this.another();
  }

  /** One difference on or back; from the last to the first and back. */
  walk(step: 1 | -1): void {
    if (this.rows.length === 0) return;
    const from = this.active < 0 && step === -1 ? 0 : this.active;
    this.go((from + step + this.rows.length) % this.rows.length);
  }

  private another(): void {
    const { compare } = this.state;
    this.element.hidden = compare === null;
    this.active = -1;
    this.list.scrollTop = 0;
    this.refresh();
  }

  private refresh(): void {
    const all = this.state.compare?.differences ?? [];
    this.rows = all.filter(({ kind }) => this.kinds.has(kind));
    fill(this.head, ...this.face(all));
    this.lines.renew();
  }

  private face(all: readonly Difference[]): Child[] {
    const { compare, graph } = this.state;
    if (!compare) return [];
    const toggle = (kind: DifferenceKind): void => {
      if (!this.kinds.delete(kind)) this.kinds.add(kind);
      this.active = -1;
      this.refresh();
    };
    return [
      h("p", {}, "From ", h("code", {}, `${compare.graph.compileId} ${compare.graph.stage}`), " to ", h("code", {}, `${graph.compileId} ${graph.stage}`), `: ${all.length === 0 ? "no difference" : count(all.length, "difference")}`),
      all.length > 0 &&
        h(
          "div",
          { class: "difference-kinds" },
          ...KINDS.map((kind) => h("button", { type: "button", class: `choose ${kind}`, "aria-pressed": String(this.kinds.has(kind)), onclick: () => toggle(kind) }, `${SIGN[kind]} ${kind} `, h("span", { class: "count" }, whole(all.filter((row) => row.kind === kind).length)))),
          h("button", { type: "button", class: "way", title: "Difference before (p)", "aria-label": "Difference before", onclick: () => this.walk(-1) }, "↑"),
          h("button", { type: "button", class: "way", title: "Next difference (n)", "aria-label": "Next difference", onclick: () => this.walk(1) }, "↓"),
        ),
    ];
  }

  private line(place: number): HTMLElement {
    const row = this.rows[place] as Difference;
    const { graph } = this.state;
    const compare = this.state.compare as Comparison;
    const side = row.right !== null ? { graph, node: row.right } : row.left !== null ? { graph: compare.graph, node: row.left } : null;
    return h(
      "div",
      { class: `difference ${row.kind}${place === this.active ? " active" : ""}`, role: "option", "aria-selected": String(place === this.active), "aria-setsize": this.rows.length, "aria-posinset": place + 1, "data-place": place },
      h("span", { class: "sign", title: row.kind }, SIGN[row.kind]),
      h("span", { class: "difference-name" }, h("code", {}, side?.graph.text("name", side.node) ?? "the graph"), " ", h("span", { class: "dim" }, side ? shortTarget(side.graph.text("target", side.node) ?? "") : "")),
      h("span", { class: "difference-what" }, ...what(row)),
    );
  }

  private click(event: MouseEvent): void {
    const line = (event.target as Element).closest<HTMLElement>("[data-place]");
    if (line) this.go(Number(line.dataset["place"]));
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowDown: 1, n: 1, ArrowUp: -1, p: -1 }[event.key];
    if (step === 1 || step === -1) this.walk(step);
    else if (event.key === "Home") this.go(0);
    else if (event.key === "End") this.go(this.rows.length - 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private go(place: number): void {
    const row = this.rows[place];
    if (!row) return;
    this.active = place;
    this.lines.reveal(place);
    this.lines.paint();
    const node = row.right ?? this.near(row);
    if (node !== null) this.state.select([node], { reveal: true });
  }

  /** For a node that is gone: a node beside it that is still there. */
  private near({ left }: Difference): number | null {
    const { compare } = this.state;
    if (left === null || !compare) return null;
    const { graph, pairs } = compare;
    const beside = new Set([...graph.inputs(left), ...graph.users(left)]);
    for (let at = 0; at + 1 < pairs.length; at += 2) if (beside.has(pairs[at] ?? -1)) return pairs[at + 1] ?? null;
    return null;
  }
}

function what({ kind, what: changed, was, is }: Difference): Child[] {
  if (kind !== "changed") return [h("span", { class: "dim" }, was ?? is ?? "")];
  return [h("span", { class: "dim" }, changed ?? ""), " ", h("code", { class: "value was" }, was ?? "none"), " → ", h("code", { class: "value now" }, is ?? "none")];
}
