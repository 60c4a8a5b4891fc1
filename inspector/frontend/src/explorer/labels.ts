// What stands on boxes, and how large that makes them.

import { familyOf, operatorOf } from "./families.ts";
import { CALL_FUNCTION, CALL_METHOD, OUTPUT, PLACEHOLDER, type GraphModel } from "./model.ts";
import type { LayoutInput } from "./layout.ts";
import { count } from "../format.ts";
import { foldInput, NODE, type Folded } from "./fold.ts";
import { shortClass } from "./words.ts";
import type { Tree } from "./tree.ts";

/** A node's first line: a dim beginning, the word, a dim end; and its second line. */
export interface NodeLabel {
  readonly lead: string;
  readonly word: string;
  readonly tail: string;
  readonly detail: string;
}

/** A closed or open container's words. */
export interface ContainerLabel {
  readonly name: string;
  readonly detail: string;
  /** How many alike copies a run merges; 1 for a group. */
  readonly times: number;
  /** "differs", "3 differ", or empty. */
  readonly flag: string;
}

export const NODE_HEIGHT = 36;
export const NODE_HEIGHT_BARE = 25;
export const GROUP_HEIGHT = 46;
export const WORD_PX = 12;
export const DETAIL_PX = 10.5;
const WIDEST = 230;

/** What stands on a node. */
export function nodeLabel(graph: GraphModel, node: number): NodeLabel {
  const op = graph.op[node] as number;
  const name = graph.text("name", node) ?? "";
  const target = graph.text("target", node) ?? name;
  const detail = detailOf(graph, node);
  if (op === PLACEHOLDER) return { lead: "", word: name, tail: "", detail };
  if (op === OUTPUT) return { lead: "", word: "output", tail: "", detail: "" };
  if (op === CALL_METHOD) return { lead: ".", word: target, tail: "", detail };
  if (op !== CALL_FUNCTION) return { lead: "", word: target.split(".").slice(-2).join("."), tail: "", detail };
  const { space, word, overload } = operatorOf(target);
  return { lead: space === "" ? "" : `${space}.`, word: word || target, tail: overload === "" ? "" : `.${overload}`, detail };
}

/** Dtype and shape, or the value of what is no tensor; empty where neither is known. */
export function detailOf(graph: GraphModel, node: number): string {
  const shape = graph.text("shape", node);
  if (shape !== null && shape !== "") return `${shortDtype(graph.text("dtype", node) ?? "")}${shape}`;
  const value = graph.text("value", node);
  return value === null || value === "" ? (graph.text("dtype", node) ?? "") : `= ${value}`;
}

/** "bf16" for "torch.bfloat16", as torch's printout abbreviates. */
export function shortDtype(dtype: string): string {
  return dtype.replace(/^torch\./, "").replace(/^bfloat(?=\d)/, "bf").replace(/^float(?=\d)/, "f").replace(/^uint(?=\d)/, "u").replace(/^int(?=\d)/, "i").replace(/^complex(?=\d)/, "c").replace(/^bool$/, "b8");
}

/** What stands on a container. */
export function containerLabel(tree: Tree, container: number): ContainerLabel {
  const times = tree.membersOf(container).length;
  const nodes = tree.nodeCount[container] as number;
  const each = tree.isRun(container) && times > 0 ? nodes / times : nodes;
  const size = times > 1 && Number.isInteger(each) ? `${count(each, "node")} each` : count(nodes, "node");
  const full = tree.className(container);
  const className = full === null ? null : shortClass(full);
  return { name: tree.name(container) || className || "graph", detail: className === null || className === "" || className === tree.name(container) ? size : `${className} · ${size}`, times, flag: flagOf(tree, container) };
}

function flagOf(tree: Tree, container: number): string {
  const { groupDiffers, groupCount } = tree.graph;
  if (container < groupCount && groupDiffers[container]) return "differs";
  let odd = 0;
  for (const child of tree.children(container)) if (child < groupCount && groupDiffers[child]) odd += 1;
  return odd === 0 ? "" : odd === 1 ? "1 differs" : `${odd} differ`;
}

/** Widths of texts, from the widths of their characters. */
export class Ruler {
  private readonly advances = new Map<string, Float32Array>();

  /** `measure` gives the width of a text in a font; the font is set by `choose` before. */
  constructor(
    private readonly choose: (font: string) => void,
    private readonly measure: (text: string) => number,
  ) {}

  width(text: string, font: string): number {
    const table = this.table(font);
    let sum = 0;
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code >= 128) {
        this.choose(font);
        return this.measure(text);
      }
      const known = table[code] as number;
      sum += known >= 0 ? known : this.advance(table, code, font);
    }
    return sum;
  }

  /** The text, or as much of its beginning as fits, with an ellipsis. */
  fit(text: string, font: string, room: number): string {
    if (this.width(text, font) <= room) return text;
    let low = 0;
    let high = text.length;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.width(`${text.slice(0, middle)}…`, font) <= room) low = middle;
      else high = middle - 1;
    }
    return low === 0 ? "" : `${text.slice(0, low).replace(/[\ud800-\udbff]$/, "")}…`;
  }

  private advance(table: Float32Array, code: number, font: string): number {
    this.choose(font);
    const width = code < 32 ? 0 : this.measure(String.fromCharCode(code));
    table[code] = width;
    return width;
  }

  private table(font: string): Float32Array {
    let table = this.advances.get(font);
    if (!table) {
      table = new Float32Array(128).fill(-1);
      this.advances.set(font, table);
    }
    return table;
  }
}

export interface Fonts {
  readonly word: string;
  readonly dim: string;
  readonly detail: string;
  readonly tag: string;
}

export function fontsOf(family: string): Fonts {
  return { word: `600 ${WORD_PX}px ${family}`, dim: `400 ${WORD_PX}px ${family}`, detail: `400 ${DETAIL_PX}px ${family}`, tag: `500 9.5px ${family}` };
}

const MEASURED_AT_A_TIME = 250;

/** Sizes of what a graph may show, measured when they are needed: a graph opens with some dozens of boxes of ten thousand. */
export class Sizes {
  /** Filled by `visible` and `all`: 0 for what was not measured. */
  readonly input: LayoutInput;
  private readonly known: Uint8Array;
  private readonly widths = new Map<string, number>();

  constructor(
    private readonly tree: Tree,
    private readonly ruler: Ruler,
    private readonly fonts: Fonts,
  ) {
    const total = tree.count + tree.graph.count;
    this.known = new Uint8Array(total);
    this.input = { ...foldInput(tree), itemWidth: new Float32Array(total), itemHeight: new Float32Array(total), headerWidth: new Float32Array(tree.count), tagWidth: new Float32Array(tree.graph.count) };
  }

  /** Measures what is visible. */
  visible({ count, kind, ref, tags }: Folded): void {
    for (let box = 0; box < count; box += 1) this.measure((ref[box] as number) + (kind[box] === NODE ? this.tree.count : 0));
    for (const node of tags) this.measure(this.tree.count + node);
  }

  /** Measures everything, some of it at a time. */
  *all(): Generator<void, void> {
    for (let item = 0; item < this.known.length; item += 1) {
      this.measure(item);
      if (item % MEASURED_AT_A_TIME === 0) yield;
    }
  }

  private measure(item: number): void {
    if (this.known[item]) return;
    this.known[item] = 1;
    if (item < this.tree.count) this.container(item);
    else this.node(item - this.tree.count);
  }

  private container(container: number): void {
    const { ruler, fonts, input } = this;
    const { name, detail, times, flag } = containerLabel(this.tree, container);
    const badges = (times > 1 ? ruler.width(`× ${times}`, fonts.word) + 20 : 0) + (flag === "" ? 0 : ruler.width(flag, fonts.tag) + 22);
    const title = Math.min(ruler.width(`+ ${name}`, fonts.word), WIDEST) + badges;
    const line = Math.min(ruler.width(detail, fonts.detail), WIDEST + 20);
    input.itemWidth[container] = Math.max(96, Math.max(title, line) + 26);
    input.itemHeight[container] = GROUP_HEIGHT;
    input.headerWidth[container] = title + line + 54;
  }

  private node(node: number): void {
    const { fonts, input } = this;
    const { graph, count: containers } = this.tree;
    const { lead, word, tail, detail } = nodeLabel(graph, node);
    const first = this.across(lead + tail, fonts.dim) + this.across(word, fonts.word);
    input.itemWidth[containers + node] = Math.min(Math.max(58, Math.max(first, this.across(detail, fonts.detail)) + 22), WIDEST + 22);
    input.itemHeight[containers + node] = detail === "" ? NODE_HEIGHT_BARE : NODE_HEIGHT;
    if (graph.stub[node]) input.tagWidth[node] = Math.min(this.across(graph.text("name", node) ?? "", fonts.tag), 90) + 12;
  }

  private across(text: string, font: string): number {
    const key = font + text;
    let width = this.widths.get(key);
    if (width === undefined) {
      width = Math.min(this.ruler.width(text, font), WIDEST);
      this.widths.set(key, width);
    }
    return width;
  }
}

export { familyOf };
