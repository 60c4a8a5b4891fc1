// A word in a pill, coloured by what it means; the word itself always says it too.

import { h } from "./dom.ts";

const TONES: Record<string, string> = {
  ok: "good",
  hit: "good",
  dynamic: "good",
  checked: "plain",
  miss: "warning",
  bypass: "warning",
  skipped: "warning",
  unfinished: "warning",
  specialized: "warning",
  "zero-one": "warning",
  dropped: "warning",
  recompiled: "warning",
  "ran uncompiled": "warning",
  raised: "error",
  splitting: "info",
  reused: "good",
  loaded: "good",
  warning: "warning",
  error: "error",
  note: "info",
  failed: "error",
  marked: "info",
  "duck-shared": "info",
  unbacked: "info",
};

/** A word of few as a pill. */
export function badge(word: string, tone = TONES[word] ?? "plain"): HTMLElement {
  return h("span", { class: `badge ${tone}` }, word);
}
