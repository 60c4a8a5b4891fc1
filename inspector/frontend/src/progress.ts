// One line that says how far a compile is: while it runs, and what it came to when it is done.

import { h, fill } from "./dom.ts";
import { count, duration } from "./format.ts";
import type { Model } from "./host.ts";
import { followTheme } from "./theme.ts";
import sheet from "./progress.css";

/** What Python last said. */
interface Status {
  compiles: number;
  active: string | null;
  phase: string | null;
  elapsed_ns: number;
  done: boolean;
  text: string | null;
  /** How much is done, of work that is counted. */
  value: number;
  total: number;
}

const TICK_MS = 100;

/** Shows the model's `status` in `el`; the time runs on between messages. */
function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const gone = new AbortController();
  const host = h("div", { class: "ci-host" });
  const shadow = host.attachShadow({ mode: "open" });
  const style = new CSSStyleSheet();
  style.replaceSync(sheet);
  shadow.adoptedStyleSheets = [style];
  const spinner = h("span", { class: "spinner", "aria-hidden": "true" });
  const words = h("span", { class: "words" });
  const time = h("span", { class: "time", "aria-hidden": "true" });
  const root = h("div", { class: "root", role: "status" }, spinner, words, time);
  shadow.appendChild(root);
  el.classList.add("ci-progress");
  el.appendChild(host);
  followTheme(root, el, gone.signal);

  let status = read(model);
  let since = performance.now();
  const tick = (): void => {
    if (!status.done && status.text === null) time.textContent = duration(status.elapsed_ns + (performance.now() - since) * 1e6);
  };
  const show = (): void => {
    root.classList.toggle("done", status.done);
    fill(words, ...sentence(status));
    time.textContent = status.done || status.text !== null ? "" : duration(status.elapsed_ns);
    el.dataset["done"] = String(status.done);
  };
  const changed = (): void => {
    status = read(model);
    since = performance.now();
    show();
  };
  const timer = setInterval(tick, TICK_MS);
  model.on("change:status", changed);
  show();
  return () => {
    gone.abort();
    clearInterval(timer);
    model.off("change:status", changed);
    host.remove();
  };
}

function read(model: Model): Status {
  const none: Status = { compiles: 0, active: null, phase: null, elapsed_ns: 0, done: false, text: null, value: 0, total: 0 };
  return { ...none, ...(model.get("status") as Partial<Status> | undefined) };
}

function sentence({ compiles, active, phase, done, text, elapsed_ns: ns, value, total }: Status): (Node | string)[] {
  if (!done && text !== null) return [h("progress", { value, max: Math.max(total, 1), "aria-label": text }), " ", text];
  if (done) return [text ?? (compiles === 0 ? "Nothing was compiled." : `${count(compiles, "compile")} in ${duration(ns)}`)];
  const before = compiles > 0 ? `, ${count(compiles, "compile")} done` : "";
  if (active === null) return [`Running${before}`];
  return ["Compiling ", h("code", {}, active), phase === null ? "" : `: ${phase.replace(/_/g, " ")}`, before];
}

export default { render };
