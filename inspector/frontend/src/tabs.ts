// Tabs after the ARIA pattern, in groups: a rail beside the panels where there is room, a menu above them where there is not.
// One tab is in the tab order, arrows move, a panel is made when it is first shown.

import { fill, h, newId, type Child } from "./dom.ts";
import { whole } from "./format.ts";

export type Tone = "plain" | "good" | "warn" | "bad";

/** One tab. */
export interface Tab {
  key: string;
  title: string;
  /** How many rows it has; null for one that counts nothing. */
  count: number | null;
  /** How welcome its rows are. */
  tone?: Tone;
  /** Why it can have no rows; undefined where it can. */
  absent?: string;
  /** Makes its panel's content. */
  make: () => Child;
}

/** Tabs under one heading; "" for none. */
export interface TabGroup {
  title: string;
  tabs: Tab[];
}

/** The tabs and their panels. */
export class Tabs {
  /** The rail, with the button that opens it as a menu. */
  readonly nav: HTMLElement;
  readonly panels: HTMLElement;
  /** The key of the tab that is shown. */
  chosen = "";
  private readonly tabs: Tab[];
  private readonly buttons = new Map<string, HTMLButtonElement>();
  private readonly made = new Map<string, HTMLElement>();
  private readonly menu: HTMLButtonElement;
  private readonly id = newId("tab");

  constructor(
    groups: TabGroup[],
    label: string,
    /** Called when a reader chooses a tab, before it is shown. */
    private readonly leaving: () => void,
  ) {
    this.tabs = groups.flatMap(({ tabs }) => tabs);
    const list = h(
      "div",
      { class: "tabs", role: "tablist", id: `${this.id}-list`, "aria-label": label, "aria-orientation": "vertical", onkeydown: (event) => this.key(event as KeyboardEvent) },
      ...groups.map((group) => this.group(group)),
    );
    this.menu = h("button", { type: "button", class: "menu", "aria-expanded": "false", "aria-controls": list.id, onclick: () => this.open(!this.opened, true) });
    this.nav = h("div", { class: "nav", onfocusout: (event) => this.left(event as FocusEvent) }, this.menu, list);
    this.panels = h("div", { class: "panels" });
    for (const tab of this.tabs) this.addPanel(tab);
    this.select(this.tabs[0]?.key ?? "");
  }

  private group({ title, tabs }: TabGroup): HTMLElement {
    const none = tabs.every(({ count }) => count === 0);
    return h(
      "div",
      { class: none ? "tab-group none" : "tab-group", role: "presentation" },
      title !== "" && h("div", { class: "tab-head", role: "presentation" }, title),
      ...tabs.map((tab) => this.button(tab)),
    );
  }

  private button(tab: Tab): HTMLElement {
    const button = h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `${this.id}-${tab.key}`,
        class: tab.count === 0 ? "tab none" : "tab",
        "data-tab": tab.key,
        "aria-controls": `${this.id}-${tab.key}-panel`,
        title: tab.absent,
        onclick: () => this.choose(tab.key),
      },
      ...face(tab),
    );
    this.buttons.set(tab.key, button);
    return button;
  }

  private addPanel(tab: Tab): void {
    const panel = h("div", {
      role: "tabpanel",
      class: "panel",
      id: `${this.id}-${tab.key}-panel`,
      "aria-labelledby": `${this.id}-${tab.key}`,
      "data-panel": tab.key,
      hidden: true,
    });
    this.panels.appendChild(panel);
    this.made.set(tab.key, panel);
  }

  private choose(key: string): void {
    if (key !== this.chosen) this.leaving();
    this.select(key);
    if (this.opened) {
      this.open(false);
      this.menu.focus();
    }
  }

  /** Shows a tab. */
  select(key: string): void {
    if (!this.buttons.has(key)) return;
    this.chosen = key;
    for (const tab of this.tabs) this.mark(tab, tab.key === key);
  }

  private mark(tab: Tab, chosen: boolean): void {
    const button = this.buttons.get(tab.key);
    const panel = this.made.get(tab.key);
    if (!button || !panel) return;
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
    panel.hidden = !chosen;
    if (!chosen) return;
    fill(this.menu, ...face(tab));
    this.menu.setAttribute("aria-label", `${this.menu.textContent ?? ""}: show another part`);
    if (panel.hasChildNodes()) return;
    const content = tab.make();
    if (content instanceof Node) panel.appendChild(content);
  }

  /** True where there is such a tab. */
  has(key: string): boolean {
    return this.buttons.has(key);
  }

  /** Moves the focus to a tab, or to the menu that stands for all of them. */
  focus(key: string): void {
    const button = this.buttons.get(key);
    if (button && button.offsetParent !== null) button.focus({ preventScroll: true });
    else this.menu.focus({ preventScroll: true });
  }

  private get opened(): boolean {
    return this.nav.classList.contains("open");
  }

  private open(open: boolean, focus = false): void {
    this.nav.classList.toggle("open", open);
    this.menu.setAttribute("aria-expanded", String(open));
    if (open && focus) this.buttons.get(this.chosen)?.focus();
  }

  private left(event: FocusEvent): void {
    if (this.opened && !this.nav.contains(event.relatedTarget as Node | null)) this.open(false);
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = this.tabs.map((tab) => tab.key);
    const at = keys.findIndex((key) => this.buttons.get(key) === event.target);
    if (event.key === "Escape" && this.opened) {
      this.open(false);
      this.menu.focus();
    } else {
      const next = (at + 1) % keys.length;
      const last = (at + keys.length - 1) % keys.length;
      const to = { ArrowRight: next, ArrowDown: next, ArrowLeft: last, ArrowUp: last, Home: 0, End: keys.length - 1 }[event.key];
      const key = to === undefined || at < 0 ? undefined : keys[to];
      if (key === undefined) return;
      if (key !== this.chosen) this.leaving();
      this.select(key);
      this.buttons.get(key)?.focus();
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

function face({ title, count, tone, absent }: Tab): Child[] {
  const number = count === null ? null : absent !== undefined ? "–" : whole(count);
  return [h("span", { class: "tab-title" }, title), number !== null && " ", number !== null && h("span", { class: `count ${count === 0 ? "" : (tone ?? "")}` }, number)];
}
