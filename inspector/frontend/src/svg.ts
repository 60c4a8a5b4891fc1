// A drawing's SVG, rebuilt from what is known to be harmless: shapes, text, and the look of them. Everything else is dropped.

const SVG = "http://www.w3.org/2000/svg";

const ELEMENTS = new Set(["svg", "g", "a", "path", "polygon", "polyline", "line", "rect", "circle", "ellipse", "text", "tspan", "title", "desc", "defs", "marker", "clipPath"]);

const ATTRIBUTES = new Set(
  (
    "id class d points x y x1 y1 x2 y2 cx cy r rx ry dx dy width height viewBox preserveAspectRatio transform fill stroke stroke-width stroke-dasharray " +
    "stroke-linecap stroke-linejoin opacity fill-opacity stroke-opacity font-family font-size font-weight font-style text-anchor dominant-baseline " +
    "textLength lengthAdjust marker-end marker-start markerWidth markerHeight refX refY orient markerUnits clip-path data-name data-node data-box data-kind"
  ).split(" "),
);

/** A drawing: its root and the sheet that it brought. */
export interface Drawn {
  svg: SVGSVGElement;
  sheet: string;
}

/** Reads SVG text. Throws where it is none. */
export function readSvg(text: string): Drawn {
  const sheets: string[] = [];
  // A page's policy would complain of a sheet that is merely parsed.
  const bare = text.slice(text.indexOf("<svg")).replace(/<style[^>]*>([^]*?)<\/style>/g, (_, css: string) => {
    sheets.push(css.replace(/^\s*<!\[CDATA\[|\]\]>\s*$/g, "").replace(/&gt;/g, ">").replace(/&lt;/g, "<").replace(/&amp;/g, "&"));
    return "";
  }).replace(/^(<svg[^>]*?) style="[^"]*"/, "$1");
  const root = new DOMParser().parseFromString(bare, "image/svg+xml").documentElement;
  if (root.localName !== "svg") throw new Error("the drawing is not SVG");
  return { svg: copy(root) as SVGSVGElement, sheet: sheets.filter(harmless).join("\n") };
}

/** True for a value that refers to nothing outside the drawing. */
export function harmless(value: string): boolean {
  return !/url\s*\(\s*(?!["']?#)|image-set|expression|javascript:|@import|\\/i.test(value);
}

function copy(from: Element): SVGElement {
  const made = document.createElementNS(SVG, from.localName === "a" ? "g" : from.localName) as SVGElement;
  for (const { name, value } of from.attributes) {
    if (name === "style" && harmless(value)) made.style.cssText = value;
    else if (ATTRIBUTES.has(name) && harmless(value)) made.setAttribute(name, value);
  }
  for (const child of from.childNodes) {
    if (child instanceof Element) {
      if (ELEMENTS.has(child.localName)) made.appendChild(copy(child));
    } else if (child.nodeType === Node.TEXT_NODE || child.nodeType === Node.CDATA_SECTION_NODE) {
      made.appendChild(document.createTextNode(child.nodeValue ?? ""));
    }
  }
  return made;
}
