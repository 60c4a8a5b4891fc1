// Light or dark: what the surroundings say, else what lies behind the element, else what the reader's system prefers.

export type Theme = "light" | "dark";

/** Keeps `data-theme` of an element at what it should be. */
export function followTheme(element: HTMLElement, around: HTMLElement, signal: AbortSignal): void {
  const prefers = matchMedia("(prefers-color-scheme: dark)");
  const update = (): void => {
    element.dataset["theme"] = said() ?? behind(around) ?? (prefers.matches ? "dark" : "light");
  };
  const watch = new MutationObserver(() => {
    update();
    setTimeout(update, 400);
  });
  for (const node of [document.documentElement, document.body]) watch.observe(node, { attributes: true });
  prefers.addEventListener("change", update, { signal });
  signal.addEventListener("abort", () => watch.disconnect());
  update();
}

function said(): Theme | null {
  const { body, documentElement: root } = document;
  const jupyter = body.dataset["jpThemeLight"];
  if (jupyter !== undefined) return jupyter === "false" ? "dark" : "light";
  const code = body.dataset["vscodeThemeKind"];
  if (code !== undefined) return code.includes("dark") || code === "vscode-high-contrast" ? "dark" : "light";
  for (const node of [root, body]) {
    const word = node.dataset["theme"] ?? node.getAttribute("theme");
    if (word === "dark" || word === "light") return word;
    if (node.classList.contains("dark")) return "dark";
  }
  return null;
}

function behind(element: HTMLElement): Theme | null {
  for (let node: HTMLElement | null = element; node; node = node.parentElement) {
    const parts = getComputedStyle(node).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
    const [red = 0, green = 0, blue = 0, opacity = 1] = parts;
    if (parts.length >= 3 && opacity > 0.5) return 0.299 * red + 0.587 * green + 0.114 * blue < 128 ? "dark" : "light";
  }
  return null;
}
