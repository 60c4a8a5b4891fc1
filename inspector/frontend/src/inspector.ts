// `render` shows a session in an element and returns what takes it away again.

import { inspector } from "./app.ts";
import { afterPaint, fill, h } from "./dom.ts";
import { Parts, unpack, type Bytes, type Model } from "./host.ts";
import { showGraph } from "./graph_host.ts";
import { followTheme } from "./theme.ts";
import explorer from "./explorer/explorer.css";
import panels from "./explorer/panels.css";
import sheet from "./style.css";
import type { Wire } from "./wire.ts";

/** Shows the model's session in `el`; the return value removes it. `data-ready` is set when it has been painted. */
export function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const gone = new AbortController();
  const host = h("div", { class: "ci-host" });
  const shadow = host.attachShadow({ mode: "open" });
  const style = new CSSStyleSheet();
  style.replaceSync([sheet, explorer, panels].join("\n"));
  shadow.adoptedStyleSheets = [style];
  const root = h("div", { class: "root" }, h("p", { class: "waiting" }, "Reading the recording…"));
  shadow.appendChild(root);
  el.classList.add("ci-root");
  // Keys inside come to JupyterLab as if typed into `host`: there it looks for this mark, and would take "dd" as "delete the cell".
  host.dataset["lmSuppressShortcuts"] = "true";
  if (el.dataset["place"] === "page") root.classList.add("page");
  el.appendChild(host);
  followTheme(root, el, gone.signal);
  void show(model, root, gone.signal).then(() => {
    if (!gone.signal.aborted) afterPaint(() => (el.dataset["ready"] = "1"));
  });
  const twin = plainTwin(el);
  if (twin) twin.hidden = true;
  return () => {
    gone.abort();
    if (twin) twin.hidden = false;
    host.remove();
    el.classList.remove("ci-root");
    delete el.dataset["ready"];
  };
}

/** The static view that was shown before `el` for readers without this widget; none in a page. */
function plainTwin(el: HTMLElement): HTMLElement | null {
  if (el.dataset["place"] === "page") return null;
  const before = [...document.querySelectorAll<HTMLElement>(".ci-static, .ci-root")].filter(
    (other) => other !== el && el.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_PRECEDING,
  );
  const last = before[before.length - 1];
  return last?.classList.contains("ci-static") ? last : null;
}

async function show(model: Model, root: HTMLElement, signal: AbortSignal): Promise<void> {
  try {
    if (holds(model.get("graph")) || model.get("row") !== undefined) {
      await showGraph(model, root, signal);
      return;
    }
    const wire = await unpack<Wire>(model.get("payload") as Bytes);
    if (!signal.aborted) fill(root, inspector(wire, new Parts(model, wire.left_out, signal), signal));
  } catch (error) {
    fill(root, h("p", { class: "note", role: "alert" }, `The recording cannot be shown: ${String(error)}`));
  }
}

function holds(value: unknown): boolean {
  return value !== undefined && value !== null && (value as Bytes).byteLength > 0;
}
