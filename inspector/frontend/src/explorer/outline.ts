// The graph as a tree of names: modules, repeated layers, nodes. Follows what is picked, and picks; only the rows in sight are elements.

import { h, newId, type Child } from "../dom.ts";
import { whole } from "../format.ts";
import { LongList } from "../long_list.ts";
import { PLACEHOLDER } from "./model.ts";
import { Outline, type OutlineRow } from "./outline_rows.ts";
import { shortClass, shortTarget } from "./words.ts";
import type { ExplorerState } from "./state.ts";

const ROW_PX = 22;
const PAUSE_MS = 700;

/** The outline of a state's graph. */
export function outline(state: ExplorerState, signal: AbortSignal): HTMLElement {
  return new OutlineView(state, signal).element;
}

class OutlineView {
  readonly element: HTMLElement;
  private readonly body = h("div", { class: "outline-rows", role: "presentation" });
  private readonly list: LongList;
  private outline: Outline;
  private open = new Set<number>();
  private rows: OutlineRow[] = [];
  private placeOf = new Map<number, number>();
  private active = 0;
  private picked: ReadonlySet<number> = new Set();
  private found: ReadonlySet<number> = new Set();
  private mine = false;
  private typed = "";
  private typedAt = 0;

  constructor(
    private readonly state: ExplorerState,
    signal: AbortSignal,
  ) {
    this.outline = new Outline(state.tree);
    this.element = h(
      "div",
      {
        class: "outline",
        role: "tree",
        tabindex: 0,
        "aria-label": "Outline of the graph",
        "aria-multiselectable": "true",
        onclick: (event) => this.click(event as MouseEvent),
        ondblclick: (event) => this.double(event as MouseEvent),
        onkeydown: (event) => this.key(event as KeyboardEvent),
      },
      this.body,
    );
    this.list = new LongList(
      {
        scroller: this.element,
        body: this.body,
        px: ROW_PX,
        id: newId("outline"),
        count: () => this.rows.length,
        active: () => this.active,
        state: (at) => `${this.chosen(at)} ${this.matches(at)} ${at === this.active}`,
        make: (at) => this.line(at),
      },
      signal,
    );
    state.on("graph", () => this.another(), signal);
    state.on("selection", () => this.follow(), signal);
    state.on("matches", () => this.paint(), signal);
    this.another();
  }

  private another(): void {
    const paths = [...this.open].map((container) => this.outline.tree.path(container));
    this.outline = new Outline(this.state.tree);
    const kept = paths.map((path) => this.state.tree.at(path)).filter((container): container is number => container !== undefined);
    this.open = new Set(kept.length > 0 ? kept : this.small());
    this.active = 0;
    this.refresh();
    this.follow();
  }

  /** What is open at first: the way down to the first place where there is a choice. */
  private small(): number[] {
    const open: number[] = [];
    for (let at = 0; ; ) {
      const inside = [...this.state.tree.children(at)];
      const [only] = inside;
      if (only === undefined || inside.length > 2) return open;
      const largest = inside.reduce((most, each) => ((this.state.tree.nodeCount[each] ?? 0) > (this.state.tree.nodeCount[most] ?? 0) ? each : most), only);
      open.push(largest);
      at = largest;
    }
  }

  private refresh(): void {
    this.rows = this.outline.rows(this.open);
    this.placeOf = new Map(this.rows.map(({ container, node }, place) => [key(container, node), place]));
    this.active = Math.min(this.active, Math.max(this.rows.length - 1, 0));
    this.look();
    this.list.renew();
  }

  /** Opens the way to what was picked elsewhere, and brings it into sight. */
  private follow(): void {
    if (this.mine) {
      this.paint();
      return;
    }
    const { tree, graph, selection, selectedGroup } = this.state;
    const [node] = selection;
    const container = selectedGroup === null ? undefined : tree.at(selectedGroup);
    if (node === undefined && container === undefined) {
      this.paint();
      return;
    }
    const around = node === undefined ? tree.ancestors(container ?? 0) : tree.ancestors(graph.group[node] ?? 0, true);
    if (!around.every((each) => this.open.has(each))) {
      for (const each of around) this.open.add(each);
      this.refresh();
    }
    const place = this.placeOf.get(node === undefined ? key(container ?? 0, -1) : key(-1, node));
    if (place !== undefined) this.activate(place);
  }

  private paint(): void {
    this.look();
    this.list.paint();
  }

  private look(): void {
    this.picked = new Set(this.state.selection);
    this.found = new Set(this.state.matches);
  }

  private chosen(place: number): boolean {
    const { container, node } = this.row(place);
    return container >= 0 ? this.state.selectedGroup === this.state.tree.path(container) : this.picked.has(node);
  }

  private matches(place: number): boolean {
    const { container, node } = this.row(place);
    return container < 0 && this.found.has(node);
  }

  private row(place: number): OutlineRow {
    return this.rows[place] as OutlineRow;
  }

  private line(place: number): HTMLElement {
    const row = this.row(place);
    const { container, node, level } = row;
    const group = container >= 0;
    const chosen = this.chosen(place);
    const line = h(
      "div",
      {
        class: `outline-row${place === this.active ? " active" : ""}${chosen ? " chosen" : ""}${this.matches(place) ? " match" : ""}`,
        role: "treeitem",
        "aria-level": level,
        "aria-posinset": row.place,
        "aria-setsize": row.siblings,
        "aria-selected": String(chosen),
        "aria-expanded": group ? String(this.open.has(container)) : null,
        "data-place": place,
        title: group ? [this.state.tree.path(container), this.state.tree.className(container)].filter(Boolean).join("\n") : ["name", "target", "shape", "code"].map((column) => this.state.graph.text(column as "name", node)).filter(Boolean).join("\n"),
      },
      h("span", { class: "twist", "aria-hidden": "true" }, group ? (this.open.has(container) ? "▾" : "▸") : ""),
      ...(group ? this.groupFace(container) : this.nodeFace(node)),
    );
    line.style.paddingLeft = `${(level - 1) * 12 + 4}px`;
    return line;
  }

  private groupFace(container: number): Child[] {
    const { tree } = this.state;
    const { groupDiffers } = this.state.graph;
    const members = tree.membersOf(container);
    const inside = [...tree.children(container)].filter((child) => groupDiffers[child]).length;
    const differs = tree.isRun(container) ? null : groupDiffers[container] ? "differs" : inside > 0 ? `${inside} ${inside === 1 ? "differs" : "differ"}` : null;
    return [
      h("strong", {}, tree.name(container) || tree.path(container)),
      tree.isRun(container) && h("span", { class: "times" }, `× ${members.length}`),
      h("span", { class: "dim" }, shortClass(tree.className(container) ?? "")),
      differs !== null && h("span", { class: "differs", title: "Of numbered neighbours, not like the others" }, differs),
      h("span", { class: "outline-count whole" }, whole(tree.nodeCount[container] ?? 0)),
    ];
  }

  private nodeFace(node: number): Child[] {
    const { graph } = this.state;
    const target = shortTarget(graph.text("target", node) ?? "");
    const name = graph.text("name", node) ?? "";
    return [
      h("span", { class: graph.hidden[node] ? "outline-name dim" : "outline-name" }, name),
      h("span", { class: "dim" }, graph.op[node] === PLACEHOLDER ? "input" : target === name ? "" : target),
      h("span", { class: "outline-count" }, graph.text("shape", node) ?? ""),
    ];
  }

  private at(event: Event): OutlineRow | undefined {
    const line = (event.target as Element).closest<HTMLElement>("[data-place]");
    if (!line) return undefined;
    this.active = Number(line.dataset["place"]);
    return this.rows[this.active];
  }

  private click(event: MouseEvent): void {
    const row = this.at(event);
    if (!row) return;
    if (row.container >= 0 && (event.target as Element).closest(".twist")) this.toggle(row.container);
    else this.pick(row, event.ctrlKey || event.metaKey || event.shiftKey);
  }

  private double(event: MouseEvent): void {
    const row = this.at(event);
    if (row && row.container >= 0 && !(event.target as Element).closest(".twist")) this.toggle(row.container);
  }

  private pick({ container, node }: OutlineRow, extend: boolean): void {
    this.mine = true;
    if (node >= 0) this.state.select([node], { reveal: !extend, extend });
    else {
      const { tree } = this.state;
      const parent = tree.parent[container] ?? 0;
      if (parent !== 0 && !this.state.expanded.has(tree.path(parent))) this.state.expand(tree.path(parent));
      this.state.selectGroup(tree.path(container));
    }
    this.mine = false;
    this.paint();
  }

  private toggle(container: number): void {
    if (!this.open.delete(container)) this.open.add(container);
    this.refresh();
  }

  private activate(place: number): void {
    this.active = Math.min(Math.max(place, 0), Math.max(this.rows.length - 1, 0));
    this.list.reveal(this.active);
    this.paint();
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = this.rows[this.active];
    if (!row) return;
    const page = Math.max(Math.floor(this.element.clientHeight / ROW_PX) - 1, 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step !== undefined) this.activate(this.active + step);
    else if (event.key === "ArrowRight") this.inward(row);
    else if (event.key === "ArrowLeft") this.outward(row);
    else if (event.key === "Enter" || event.key === " ") this.pick(row, event.shiftKey);
    else if (event.key === "*") this.openAlike(row);
    else if (event.key.length === 1 && event.key !== "/") this.type(event.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private inward({ container }: OutlineRow): void {
    if (container < 0) return;
    if (this.open.has(container)) this.activate(this.active + 1);
    else this.toggle(container);
  }

  private outward({ container, level }: OutlineRow): void {
    if (container >= 0 && this.open.has(container)) {
      this.toggle(container);
      return;
    }
    for (let place = this.active - 1; place >= 0; place -= 1) {
      if ((this.rows[place]?.level ?? 0) < level) {
        this.activate(place);
        return;
      }
    }
  }

  /** Opens every container beside this one. */
  private openAlike({ level }: OutlineRow): void {
    const edge = (step: 1 | -1): number => {
      let place = this.active;
      while ((this.rows[place + step]?.level ?? 0) >= level) place += step;
      return place;
    };
    for (const row of this.rows.slice(edge(-1), edge(1) + 1)) if (row.level === level && row.container >= 0) this.open.add(row.container);
    this.refresh();
  }

  /** Goes to the next row whose name begins with what was typed. */
  private type(letter: string): void {
    const now = performance.now();
    this.typed = now - this.typedAt < PAUSE_MS ? this.typed + letter.toLowerCase() : letter.toLowerCase();
    this.typedAt = now;
    const { tree, graph } = this.state;
    const name = ({ container, node }: OutlineRow): string => (container >= 0 ? tree.name(container) : (graph.text("name", node) ?? "")).toLowerCase();
    for (let step = this.typed.length > 1 ? 0 : 1; step <= this.rows.length; step += 1) {
      const place = (this.active + step) % this.rows.length;
      const row = this.rows[place];
      if (row && name(row).startsWith(this.typed)) {
        this.activate(place);
        return;
      }
    }
  }
}

function key(container: number, node: number): number {
  return node >= 0 ? node : -1 - container;
}
