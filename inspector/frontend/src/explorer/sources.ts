// Three texts of one graph side by side: the user's source, torch's printout, the code that was generated. What is picked in the graph
// is marked in each; a line chosen in one is picked in all.

import { fill, h, type Child } from "../dom.ts";
import { shortPlace, whole } from "../format.ts";
import { CodeView, type CodeText } from "./code_view.ts";
import { GeneratedCode } from "./generated_code.ts";
import { languageOf } from "./highlight.ts";
import type { Context } from "./context.ts";
import type { ExplorerState } from "./state.ts";

/** The panes. `visible` tells whether a reader sees them: what is out of sight is not fetched. */
export function sources(state: ExplorerState, context: Context): { element: HTMLElement; visible: (seen: boolean) => void } {
  const panes: Pane[] = [new UserPane(state, context), new PrintoutPane(state, context), new GeneratedPane(state, context)];
  let seen = false;
  const refresh = (): void => {
    if (seen) for (const pane of panes) pane.follow();
  };
  for (const event of ["graph", "selection"] as const) state.on(event, refresh, context.signal);
  return {
    element: h("div", { class: "sources" }, ...panes.map((pane) => pane.element)),
    visible: (now) => {
      seen = now;
      refresh();
    },
  };
}

abstract class Pane {
  readonly element: HTMLElement;
  protected readonly view: CodeView;
  protected readonly choice: HTMLSelectElement;
  private readonly note = h("p", { class: "note", hidden: true });
  private readonly empty = h("div", { class: "nothing", hidden: true });
  private shown = "";
  private asked = "";

  constructor(
    protected readonly state: ExplorerState,
    protected readonly context: Context,
    title: string,
  ) {
    this.view = new CodeView(title, (line, extend) => this.pick(line, extend), context.signal);
    this.choice = h("select", { "aria-label": `${title}: which`, onchange: () => this.chose() });
    this.element = h("section", { class: "source", "aria-label": title }, h("header", {}, h("h3", {}, title), this.choice), this.note, this.view.element, this.empty);
  }

  /** Shows what belongs to the selection. */
  abstract follow(): void;

  /** The nodes of a line. */
  protected abstract nodesAt(line: number): number[];

  /** The lines of what is picked. */
  protected abstract marks(): Set<number>;

  protected chose(): void {
    this.follow();
  }

  protected pick(line: number, extend: boolean): void {
    const nodes = this.nodesAt(line);
    if (nodes.length > 0) this.state.select(nodes, { reveal: true, extend });
  }

  /** Fetches and shows a text once; marks it every time. */
  protected load(key: string, make: () => Promise<{ text: CodeText | null; note: string | null }>): void {
    if (this.shown === key) {
      this.view.mark(this.marks());
      return;
    }
    if (this.asked === key) return;
    this.asked = key;
    this.say("Reading…");
    void make().then(({ text, note }) => {
      if (this.asked !== key || this.context.signal.aborted) return;
      this.asked = "";
      this.shown = key;
      this.note.hidden = note === null || text === null;
      this.note.textContent = note;
      if (text === null) {
        this.say(note ?? "There is no text.");
        return;
      }
      this.empty.hidden = true;
      this.view.element.hidden = false;
      this.view.show(text);
      this.view.mark(this.marks());
    });
  }

  /** Words in place of a text. */
  protected say(words: string): void {
    this.empty.textContent = words;
    this.empty.hidden = false;
    this.view.element.hidden = true;
  }

  /** Says why there is nothing to choose from. */
  protected nothing(words: string): void {
    this.shown = this.asked = "";
    this.note.hidden = true;
    this.choice.hidden = true;
    this.say(words);
  }

  protected offer(options: { value: string; title: string }[], value: string): void {
    this.choice.hidden = options.length === 0;
    const same = this.choice.options.length === options.length && options.every((option, at) => this.choice.options[at]?.value === option.value && this.choice.options[at]?.text === option.title);
    if (!same) fill(this.choice, ...options.map((option): Child => h("option", { value: option.value }, option.title)));
    this.choice.value = value;
  }
}

class UserPane extends Pane {
  private file: string | null = null;
  private numbers: readonly number[] | null = null;
  private lineNodes = new Map<number, number[]>();
  private followed: readonly number[] | null = null;

  constructor(state: ExplorerState, context: Context) {
    super(state, context, "Your source");
    state.on("graph", () => (this.file = null), context.signal);
  }

  protected override chose(): void {
    this.file = this.choice.value;
    this.open();
  }

  follow(): void {
    const { graph, selection } = this.state;
    const picked = selection.map((node) => graph.text("file", node)).find((file) => file !== null);
    if (picked !== undefined && selection !== this.followed) this.file = picked;
    this.followed = selection;
    this.open();
  }

  private open(): void {
    const { graph } = this.state;
    const counts = new Map<string, number>();
    for (let node = 0; node < graph.count; node += 1) {
      const file = graph.text("file", node);
      if (file !== null) counts.set(file, (counts.get(file) ?? 0) + 1);
    }
    const files = [...counts].sort((a, b) => b[1] - a[1]);
    if (this.file === null || !counts.has(this.file)) this.file = files[0]?.[0] ?? null;
    const { file } = this;
    if (file === null) {
      this.nothing("No node of this graph names a line of source.");
      return;
    }
    this.offer(files.map(([name, held]) => ({ value: name, title: `${shortPlace(name)} (${whole(held)})` })), file);
    this.choice.title = file;
    this.lineNodes = new Map();
    for (let node = 0; node < graph.count; node += 1) {
      if (graph.text("file", node) !== file) continue;
      const line = graph.line[node] ?? -1;
      const found = this.lineNodes.get(line);
      if (found) found.push(node);
      else this.lineNodes.set(line, [node]);
    }
    this.load(`${this.state.row} ${file}`, () => this.read(file));
  }

  private async read(file: string): Promise<{ text: CodeText | null; note: string | null }> {
    const { text, problem } = await this.context.parts.get(`source:${file}`);
    if (text !== null) {
      this.numbers = null;
      return { text: { lines: text.split("\n"), language: languageOf(file, text) }, note: problem };
    }
    const { graph } = this.state;
    const known = new Map<number, string>();
    for (const [line, [node]] of this.lineNodes) if (line > 0 && node !== undefined) known.set(line, graph.text("code", node) ?? "");
    const numbers = [...known.keys()].sort((a, b) => a - b);
    this.numbers = numbers;
    const why = problem ?? "The text of this file is not recorded.";
    return { text: { lines: numbers.map((line) => known.get(line) ?? ""), language: "python", numbers }, note: `${why} These are the lines that the graph names.` };
  }

  protected nodesAt(line: number): number[] {
    return this.lineNodes.get(this.numbers ? (this.numbers[line] ?? -1) : line + 1) ?? [];
  }

  protected marks(): Set<number> {
    const { graph, selection } = this.state;
    const found = new Set<number>();
    for (const node of selection) {
      if (graph.text("file", node) !== this.file) continue;
      const line = graph.line[node] ?? -1;
      const at = this.numbers ? this.numbers.indexOf(line) : line - 1;
      if (at >= 0) found.add(at);
    }
    return found;
  }
}

class PrintoutPane extends Pane {
  private lines: readonly string[] = [];
  private at = new Map<number, number[]>();

  constructor(state: ExplorerState, context: Context) {
    super(state, context, "FX printout");
    this.choice.hidden = true;
  }

  follow(): void {
    const { graph, row } = this.state;
    this.load(`${row}`, async () => {
      this.at = new Map();
      for (let node = 0; node < graph.count; node += 1) {
        const line = graph.textLine[node] ?? -1;
        const found = this.at.get(line);
        if (line >= 0 && found) found.push(node);
        else if (line >= 0) this.at.set(line, [node]);
      }
      const { text, problem } = await this.context.parts.get(`graphs:${row}`);
      this.lines = text?.split("\n") ?? [];
      return { text: text === null ? null : { lines: this.lines, language: "python" }, note: problem };
    });
  }

  /** Of a comment that names a line of source: the nodes below it. */
  protected nodesAt(line: number): number[] {
    const own = this.at.get(line);
    if (own || !/^\s*#/.test(this.lines[line] ?? "")) return own ?? [];
    const found: number[] = [];
    for (let at = line + 1; at < this.lines.length && !/^\s*(#|$)/.test(this.lines[at] ?? ""); at += 1) found.push(...(this.at.get(at) ?? []));
    return found;
  }

  protected marks(): Set<number> {
    return new Set(this.state.selection.map((node) => this.state.graph.textLine[node] ?? -1).filter((line) => line >= 0));
  }
}

class GeneratedPane extends Pane {
  private code: GeneratedCode | null = null;
  private chosen = "";

  constructor(state: ExplorerState, context: Context) {
    super(state, context, "Generated code");
    state.on("graph", () => (this.chosen = ""), context.signal);
  }

  protected override chose(): void {
    this.chosen = this.choice.value;
    this.open();
  }

  follow(): void {
    this.open();
  }

  private open(): void {
    const { context, state } = this;
    const table = context.session?.table("output_code");
    const rows = table?.rows({ key: "compile_id", word: state.graph.compileId }) ?? [];
    if (!table || rows.length === 0) {
      this.nothing(context.session ? (table?.absent ?? "No code was generated for this compile: its backend makes none, or it came from a cache.") : "This view holds graphs only; the session's own view has the generated code.");
      return;
    }
    const direction = state.graph.stages.find(({ row }) => row === state.row)?.direction ?? state.graph.stage;
    const own = rows.find((row) => table.text("direction", row) === direction) ?? rows[0] ?? 0;
    const row = rows.map(String).includes(this.chosen) ? Number(this.chosen) : own;
    this.offer(rows.map((each) => ({ value: String(each), title: table.text("direction", each) || "code" })), String(row));
    this.load(`${state.row} ${row}`, async () => {
      const { text, problem } = await context.parts.get(`output_code:${row}`);
      const lines = text?.split("\n") ?? [];
      this.code = new GeneratedCode(lines, state.graph.kernels);
      const blind = text !== null && state.graph.kernels.length === 0 ? "Which nodes a kernel computes is not recorded for this graph: record with provenance=True." : null;
      return { text: text === null ? null : { lines, language: "python", embedded: this.code.definitions }, note: problem ?? blind };
    });
  }

  protected nodesAt(line: number): number[] {
    const { graph } = this.state;
    const kernel = this.code?.kernelAt(line) ?? null;
    const id = kernel === null ? -1 : graph.kernels.indexOf(kernel);
    const names = new Set(this.code?.namesAt(line) ?? []);
    const all = Array.from({ length: graph.count }, (_, node) => node);
    const held = all.filter((node) => id >= 0 && graph.kernelsOf(node).includes(id));
    // A library's kernel stands for many calls: the comment above one says which nodes it is for.
    const named = held.filter((node) => names.has(graph.text("name", node) ?? ""));
    return named.length > 0 && held.length > named.length && kernel !== null && kernel.includes(".") ? named : held;
  }

  protected marks(): Set<number> {
    const { graph, selection } = this.state;
    const kernels = new Set(selection.flatMap((node) => [...graph.kernelsOf(node)]));
    return new Set([...kernels].flatMap((id) => this.code?.linesOf(graph.kernels[id] ?? "") ?? []));
  }
}
