// Making elements. Text goes in as text, never as markup.

export type Child = Node | string | number | null | undefined | false;

type Attributes = Record<string, string | number | boolean | null | undefined | EventListener>;

/** An element with attributes (`on…` are listeners, `true` is an empty attribute, null and false leave one out) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  add(element, children);
  return element;
}

/** Appends what is not nothing. */
export function add(parent: Node, children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Puts new children in place of the old ones. */
export function fill(parent: Element, ...children: Child[]): void {
  parent.textContent = "";
  add(parent, children);
}

let last = 0;

/** An id that no other element of this page has. */
export function newId(word: string): string {
  last += 1;
  return `ci-${word}-${last}`;
}

/** Calls `act` in two frames, when what was put in before has been painted. */
export function afterPaint(act: () => void): void {
  requestAnimationFrame(() => requestAnimationFrame(act));
}
