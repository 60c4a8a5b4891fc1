// What differs between two graphs, as a list to walk through: n goes to the next, p to the one before.

import { fill, h, type Child } from "../dom.ts";
import { count, whole } from "../format.ts";
import { shortTarget } from "./words.ts";
import type { Difference, DifferenceKind, ExplorerState } from "./state.ts";

const ROW_PX = 40;
const OVERSCAN = 8;
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
  private active = -1;
  private frame = 0;

  constructor(
    private readonly state: ExplorerState,
    signal: AbortSignal,
  ) {
    this.list = h(
      "div",
      { class: "difference-list", role: "listbox", tabindex: 0, "aria-label": "Differences; n and p walk through them", onscroll: () => this.soon(), onkeydown: (event) => this.key(event as KeyboardEvent), onclick: (event) => this.click(event as MouseEvent) },
      this.body,
    );
    this.element = h("section", { class: "differences", "aria-label": "Differences" }, this.head, this.list);
    const resized = new ResizeObserver(() => this.soon());
    resized.observe(this.list);
    signal.addEventListener("abort", () => {
      resized.disconnect();
      cancelAnimationFrame(this.frame);
    });
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
    this.body.style.height = `${this.rows.length * ROW_PX}px`;
    fill(this.head, ...this.face(all));
    this.paint();
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

  private soon(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.paint());
  }

  private paint(): void {
    const height = this.list.clientHeight || 200;
    const first = Math.max(Math.floor(this.list.scrollTop / ROW_PX) - OVERSCAN, 0);
    const last = Math.min(first + Math.ceil(height / ROW_PX) + 2 * OVERSCAN, this.rows.length);
    const lines: Child[] = [];
    for (let place = first; place < last; place += 1) lines.push(this.line(place));
    fill(this.body, ...lines);
  }

  private line(place: number): Child {
    const row = this.rows[place];
    const { compare, graph } = this.state;
    if (!row || !compare) return null;
    const side = row.right !== null ? { graph, node: row.right } : row.left !== null ? { graph: compare.graph, node: row.left } : null;
    const line = h(
      "div",
      { class: `difference ${row.kind}${place === this.active ? " active" : ""}`, role: "option", "aria-selected": String(place === this.active), "aria-setsize": this.rows.length, "aria-posinset": place + 1, "data-place": place },
      h("span", { class: "sign", title: row.kind }, SIGN[row.kind]),
      h("span", { class: "difference-name" }, h("code", {}, side?.graph.text("name", side.node) ?? "the graph"), " ", h("span", { class: "dim" }, side ? shortTarget(side.graph.text("target", side.node) ?? "") : "")),
      h("span", { class: "difference-what" }, ...what(row)),
    );
    line.style.transform = `translateY(${place * ROW_PX}px)`;
    return line;
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
    const top = place * ROW_PX;
    if (top < this.list.scrollTop) this.list.scrollTop = top;
    else if (top + ROW_PX > this.list.scrollTop + this.list.clientHeight) this.list.scrollTop = top + ROW_PX - this.list.clientHeight;
    this.paint();
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
