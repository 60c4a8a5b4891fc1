// Pieces that the details of nodes, groups and graphs are made of.

import { h, type Child } from "../dom.ts";
import { count, whole } from "../format.ts";
import { size } from "./words.ts";
import type { ExplorerState } from "./state.ts";

const MOST = 8;

/** A line of a list of names and values; null leaves it out. */
export function pair(name: string, ...value: Child[]): Child[] {
  return value.every((child) => child === null || child === undefined || child === false || child === "") ? [] : [h("dt", {}, name), h("dd", {}, ...value)];
}

/** Names and how often each is there, the most frequent first; a click picks those nodes. */
export function tallied(state: ExplorerState, title: string, words: readonly (string | null)[], nodes: readonly number[]): Child {
  const by = new Map<string, number[]>();
  nodes.forEach((node, at) => {
    const word = words[at] ?? null;
    if (word === null) return;
    const found = by.get(word);
    if (found) found.push(node);
    else by.set(word, [node]);
  });
  if (by.size === 0) return null;
  const most = [...by].sort((a, b) => b[1].length - a[1].length);
  const shown = most.slice(0, MOST);
  return h(
    "div",
    { class: "tallied" },
    h("h4", {}, title),
    h(
      "ul",
      {},
      ...shown.map(([word, held]) => h("li", {}, h("button", { type: "button", class: "link", title: `Pick ${count(held.length, "node")}`, onclick: () => state.select(held, { reveal: true }) }, h("code", {}, word)), h("span", { class: "dim" }, whole(held.length)))),
      most.length > shown.length && h("li", { class: "dim" }, `${count(most.length - shown.length, "more", "more")}`),
    ),
  );
}

/** How much memory the outputs of nodes take, as far as it is known. */
export function memory(state: ExplorerState, nodes: readonly number[]): string {
  let sum = 0;
  let unknown = 0;
  for (const node of nodes) {
    const bytes = state.graph.bytes[node] ?? NaN;
    if (Number.isNaN(bytes)) unknown += 1;
    else sum += bytes;
  }
  if (unknown === nodes.length) return "";
  return `${size(sum)}${unknown > 0 ? `, and ${count(unknown, "node")} of unknown size` : ""}`;
}

/** A node by name, to pick. */
export function nodeButton(state: ExplorerState, node: number): HTMLElement {
  const pick = (): void => state.select([node], { reveal: true });
  const point = (hover: { node: number } | null) => (): void => state.setHover(hover);
  return h("button", { type: "button", class: "link", onclick: pick, onmouseenter: point({ node }), onmouseleave: point(null) }, h("code", {}, state.graph.text("name", node) ?? `node ${node}`));
}
