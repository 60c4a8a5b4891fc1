// The button that gives a view the whole screen, or the height of the window where a page may not have the screen.

import { h } from "./dom.ts";

/** A button that enlarges `root`, and makes it small again; Escape does the latter too. */
export function enlarger(root: HTMLElement, signal: AbortSignal): HTMLButtonElement {
  const button = h("button", { type: "button", class: "way enlarge", "aria-pressed": "false", onclick: () => toggle() }, h("span", { "aria-hidden": "true" }, "⤢"));
  const host = (): HTMLElement => root.closest<HTMLElement>(".root") ?? root;
  const full = (): boolean => (host().getRootNode() as Document | ShadowRoot).fullscreenElement === host();
  const told = (): void => {
    const large = full() || host().classList.contains("tall");
    button.setAttribute("aria-pressed", String(large));
    button.title = large ? "Back to its place (Escape)" : "Fill the screen";
    button.setAttribute("aria-label", button.title);
  };
  const toggle = (): void => {
    if (full()) void document.exitFullscreen();
    else if (host().classList.contains("tall")) host().classList.remove("tall");
    else void enlarge();
    told();
  };
  const enlarge = async (): Promise<void> => {
    try {
      await host().requestFullscreen();
    } catch {
      // A frame without the permission: as tall as the window is what is left.
      host().classList.add("tall");
      host().scrollIntoView({ block: "start" });
    }
    told();
  };
  document.addEventListener("fullscreenchange", told, { signal });
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !host().classList.contains("tall")) return;
    host().classList.remove("tall");
    told();
  });
  told();
  return button;
}
