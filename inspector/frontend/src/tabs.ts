// Tabs after the ARIA pattern: one is in the tab order, arrows move, a panel is made when it is first shown.

import { h, newId, type Child } from "./dom.ts";
import { whole } from "./format.ts";

/** One tab. */
export interface Tab {
  key: string;
  title: string;
  /** How many rows it has; null for one that counts nothing. */
  count: number | null;
  /** Makes its panel's content. */
  make: () => Child;
}

/** A row of tabs and the panels below it. */
export class Tabs {
  readonly list: HTMLElement;
  readonly panels: HTMLElement;
  private readonly buttons = new Map<string, HTMLButtonElement>();
  private readonly made = new Map<string, HTMLElement>();
  private readonly id = newId("tab");

  constructor(
    private readonly tabs: Tab[],
    label: string,
  ) {
    this.list = h("div", { class: "tabs", role: "tablist", "aria-label": label, onkeydown: (event) => this.key(event as KeyboardEvent) });
    this.panels = h("div", { class: "panels" });
    for (const tab of tabs) this.addTab(tab);
    this.select(tabs[0]?.key ?? "");
  }

  private addTab(tab: Tab): void {
    const none = tab.count === 0;
    const button = h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `${this.id}-${tab.key}`,
        class: none ? "tab none" : "tab",
        "data-tab": tab.key,
        onclick: () => this.select(tab.key),
      },
      tab.title,
      tab.count !== null && h("span", { class: "count" }, whole(tab.count)),
    );
    const panel = h("div", {
      role: "tabpanel",
      class: "panel",
      id: `${this.id}-${tab.key}-panel`,
      "aria-labelledby": button.id,
      "data-panel": tab.key,
      hidden: true,
    });
    button.setAttribute("aria-controls", panel.id);
    this.buttons.set(tab.key, button);
    this.list.appendChild(button);
    this.panels.appendChild(panel);
    this.made.set(tab.key, panel);
  }

  /** Shows a tab. */
  select(key: string): void {
    for (const tab of this.tabs) {
      const chosen = tab.key === key;
      const button = this.buttons.get(tab.key);
      const panel = this.made.get(tab.key);
      if (!button || !panel) continue;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      panel.hidden = !chosen;
      if (chosen && !panel.hasChildNodes()) {
        const content = tab.make();
        if (content instanceof Node) panel.appendChild(content);
      }
    }
  }

  /** Moves the focus to a tab. */
  focus(key: string): void {
    this.buttons.get(key)?.focus();
  }

  private key(event: KeyboardEvent): void {
    const keys = this.tabs.map((tab) => tab.key);
    const at = keys.findIndex((key) => this.buttons.get(key) === event.target);
    const to = {
      ArrowRight: (at + 1) % keys.length,
      ArrowLeft: (at + keys.length - 1) % keys.length,
      Home: 0,
      End: keys.length - 1,
    }[event.key];
    const key = to === undefined || at < 0 ? undefined : keys[to];
    if (key === undefined) return;
    this.select(key);
    this.buttons.get(key)?.focus();
    event.preventDefault();
    event.stopPropagation();
  }
}
