// Where kernels stand in the code that Inductor generated: their definitions, and the lines that call them.

import type { Embedded } from "./code_view.ts";
import type { Language } from "./highlight.ts";

/** A kernel's definition: from the line that names it to the line that ends its text. */
interface Definition extends Embedded {
  readonly kernel: string;
}

/** The kernels of one generated file by line, and the lines of each kernel. */
export class GeneratedCode {
  readonly definitions: readonly Definition[];
  private readonly calls = new Map<string, number[]>();
  private readonly called = new Map<number, string>();

  constructor(
    readonly lines: readonly string[],
    kernels: readonly string[],
  ) {
    this.definitions = defined(lines);
    const known = new Set([...kernels, ...this.definitions.map(({ kernel }) => kernel)]);
    const within = new Uint8Array(lines.length);
    for (const { from, to } of this.definitions) within.fill(1, from, to + 1);
    lines.forEach((line, at) => {
      if (within[at] || /^\s*#|^\S/.test(line)) return;
      for (const [word] of line.matchAll(/[A-Za-z_][\w.]*/g)) {
        const kernel = known.has(word) ? word : known.has(word.replace(/\.run$/, "")) ? word.replace(/\.run$/, "") : null;
        if (kernel === null || this.called.has(at)) continue;
        this.called.set(at, kernel);
        const found = this.calls.get(kernel);
        if (found) found.push(at);
        else this.calls.set(kernel, [at]);
      }
    });
  }

  /** The lines of a kernel: its definition, and those that call it. */
  linesOf(kernel: string): number[] {
    const definition = this.definitions.find((each) => each.kernel === kernel);
    const own = definition ? Array.from({ length: definition.to - definition.from + 1 }, (_, at) => definition.from + at) : [];
    return [...own, ...(this.calls.get(kernel) ?? [])];
  }

  /** The kernel that a line defines or calls; null where it does neither. Comments stand for the call below them. */
  kernelAt(line: number): string | null {
    const definition = this.definitions.find(({ from, to }) => line >= from && line <= to);
    if (definition) return definition.kernel;
    let at = line;
    while (/^\s*#/.test(this.lines[at] ?? "")) at += 1;
    return this.called.get(at) ?? null;
  }

  /** The names of nodes that the comment above a line lists; none where it lists none. */
  namesAt(line: number): string[] {
    let at = line;
    while (/^\s*#/.test(this.lines[at] ?? "")) at += 1;
    for (at -= 1; /^\s*#/.test(this.lines[at] ?? ""); at -= 1) {
      const named = /Source Nodes: \[([^\]]*)\]/.exec(this.lines[at] ?? "");
      if (named) return (named[1] ?? "").split(",").map((name) => name.trim()).filter(Boolean);
    }
    return [];
  }
}

const OPENS = /^(\w+) = async_compile\.(\w+)\(.*r?('''|""")\s*$/;

function defined(lines: readonly string[]): Definition[] {
  const found: Definition[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const [, kernel, how, quote] = OPENS.exec(lines[at] ?? "") ?? [];
    if (kernel === undefined || how === undefined || quote === undefined) continue;
    let to = at + 1;
    while (to < lines.length && !(lines[to] ?? "").startsWith(quote)) to += 1;
    const language: Language = /cpp|cuda|cutlass|rocm/.test(how) ? "cpp" : "python";
    found.push({ kernel, from: at, to: Math.min(to, lines.length - 1), language });
    at = to;
  }
  return found;
}
