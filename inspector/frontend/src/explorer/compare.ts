// Holding a graph against another: which one, side by side or one over the other, and the list of what differs.

import { fill, h, type Child } from "../dom.ts";
import { differences } from "./differences.ts";
import type { StageEntry } from "./model.ts";
import type { ExplorerState } from "./state.ts";

/** The panel of comparison, and what walks through the differences. */
export function comparing(state: ExplorerState, signal: AbortSignal): { element: HTMLElement; walk: (step: 1 | -1) => void } {
  const list = differences(state, signal);
  const choice = h("select", { "aria-label": "Compare with", onchange: () => chose() });
  const modes = h("span", { class: "modes", role: "group", "aria-label": "How the two are shown" });
  const busy = h("p", { class: "dim", role: "status" });
  const chose = (): void => {
    if (choice.value === "") {
      state.stopComparing();
      return;
    }
    busy.textContent = "Comparing…";
    void state.compareWith(Number(choice.value), state.compare?.mode ?? "over").finally(() => (busy.textContent = ""));
  };
  const show = (): void => {
    const { compare, row, graph } = state;
    // Python may hold a graph against itself; that is no choice here otherwise.
    const others = graph.stages.filter((stage) => stage.row !== row || compare?.row === row);
    fill(choice, h("option", { value: "" }, others.length === 0 ? "there is no other graph" : "nothing"), ...grouped(others, graph.compileId));
    choice.disabled = others.length === 0;
    choice.value = compare ? String(compare.row) : "";
    const mode = (word: "over" | "side", title: string): HTMLElement => h("button", { type: "button", class: "choose", "aria-pressed": String(compare?.mode === word), onclick: () => state.setCompareMode(word) }, title);
    fill(modes, ...(compare ? [mode("over", "one over the other"), mode("side", "side by side")] : []));
  };
  for (const event of ["graph", "compare"] as const) state.on(event, show, signal);
  show();
  return {
    element: h("section", { class: "comparing", "aria-label": "Compare" }, h("label", { class: "compare-with" }, "Compare with ", choice), modes, busy, list.element),
    walk: list.walk,
  };
}

/** Other graphs by compile: those of the same compile first. */
function grouped(stages: readonly StageEntry[], own: string): Child[] {
  const by = new Map<string, StageEntry[]>([[own, []]]);
  for (const stage of stages) by.set(stage.compile_id, [...(by.get(stage.compile_id) ?? []), stage]);
  return [...by].filter(([, held]) => held.length > 0).map(([compile, held]) => h("optgroup", { label: compile === own ? `this compile, ${compile}` : compile }, ...held.map((stage) => h("option", { value: stage.row }, `${compile} ${stageTitle(stage, held)}`))));
}

/** `post grad, backward`: a stage by words that tell it apart from its neighbours. */
export function stageTitle(stage: StageEntry, among: readonly StageEntry[]): string {
  const alike = among.filter((other) => other.stage === stage.stage && other.compile_id === stage.compile_id);
  const direction = stage.direction !== null && stage.direction !== stage.stage && alike.length > 1 ? `, ${stage.direction}` : "";
  const same = alike.filter((other) => other.direction === stage.direction);
  return `${stage.stage.replace(/_/g, " ")}${direction}${same.length > 1 ? ` (${stage.name.replace(/_/g, " ")})` : ""}`;
}
