// "Tidy": the reader has what is open, or the open group that is picked, laid out by Graphviz, from the inside out; again, and it is as
// it was. Nothing moves before all of it is there.

import { count } from "../format.ts";
import { refusal, Silence, type Graphviz } from "./graphviz.ts";
import type { Layered } from "./layering.ts";
import type { LaidContainer } from "./layout.ts";
import type { GraphCanvas } from "./view.ts";

/** Requests that wait in Python at a time. */
const AT_A_TIME = 12;

/** What the button and the key do. */
export class Tidy {
  /** Called when it begins and ends. */
  changed: (() => void) | null = null;
  private running: AbortController | null = null;
  /** Why groups stay as they are, by the key of their content. */
  private readonly refused = new Map<string, string>();

  constructor(
    private readonly view: GraphCanvas,
    private readonly graphviz: Graphviz,
    signal: AbortSignal,
  ) {
    for (const event of ["graph", "expanded", "compare"] as const) view.state.on(event, () => this.stop(), signal);
    signal.addEventListener("abort", () => this.stop(), { once: true });
  }

  get busy(): boolean {
    return this.running !== null;
  }

  /** Begins, or ends what has begun, or takes the layouts away again where all are in place. */
  press(): void {
    if (!this.cancel()) void this.begin();
  }

  /** Ends what has begun, with nothing changed; false where nothing had begun. */
  cancel(): boolean {
    if (!this.running) return false;
    this.stop();
    this.view.say("Cancelled: nothing was changed.");
    return true;
  }

  private stop(): void {
    this.running?.abort();
    this.running = null;
    this.changed?.();
  }

  private async begin(): Promise<void> {
    const gone = new AbortController();
    this.running = gone;
    this.changed?.();
    const run = new Run(this.view, this.graphviz, this.refused, gone.signal);
    let said: Said;
    try {
      said = await run.all();
    } catch (error) {
      said = { words: error instanceof Error ? error.message : String(error), problem: true };
    }
    if (gone.signal.aborted) return;
    // What is still asked for is dropped; what is there is put in place.
    gone.abort();
    this.running = null;
    this.changed?.();
    if (!run.put()) this.view.say(said.words, said.problem);
    else this.view.relayout(() => this.view.say(said.words, said.problem));
  }
}

interface Said {
  readonly words: string;
  readonly problem: boolean;
}

/** One press of the button. */
class Run {
  private readonly made = new Map<string, Layered | null>();
  private readonly trial = new Map<string, Layered>();
  private engine = "Graphviz";
  private readonly start = performance.now();
  private readonly scope: string | null;
  /** By box, the box around it, of everything that is open. */
  private parents = new Map<number, number>();

  constructor(
    private readonly view: GraphCanvas,
    private readonly graphviz: Graphviz,
    private readonly refused: Map<string, string>,
    private readonly signal: AbortSignal,
  ) {
    const { selectedGroup, expanded } = view.state;
    this.scope = selectedGroup !== null && expanded.has(selectedGroup) ? selectedGroup : null;
  }

  async all(): Promise<Said> {
    let inside = await this.inside();
    if (inside.length === 0) return { words: "Nothing that is open holds more than one box.", problem: false };
    if (inside.every((container) => this.settled(container)) && inside.some(({ key }) => this.view.prefers(key))) return this.back(inside);
    this.refused.clear();
    for (let wave = this.ready(inside); wave.length > 0; wave = this.ready(inside)) {
      await this.ask(wave, inside);
      inside = await this.inside();
    }
    return this.summary(inside);
  }

  /** Puts in place what was made; false where nothing was. */
  put(): boolean {
    for (const [key, layout] of this.made) this.view.prefer(key, layout);
    return this.made.size > 0;
  }

  private back(inside: readonly LaidContainer[]): Said {
    for (const { key } of inside) this.made.set(key, null);
    this.refused.clear();
    return { words: "As it was before Graphviz.", problem: false };
  }

  /** What is to be laid out, from the inside out: open containers in the scope with more than one box. */
  private async inside(): Promise<LaidContainer[]> {
    const all = await this.view.containers(this.trial, this.signal);
    const { tree } = this.view;
    this.parents = new Map(all.map(({ box, parent }) => [box, parent]));
    const root = this.scope === null ? 0 : (tree.at(this.scope) ?? 0);
    const within = new Set<number>();
    // Boxes come from the inside out, so what holds a box comes after it.
    for (const { box, parent, ref } of [...all].reverse()) if (ref === root || within.has(parent)) within.add(box);
    return all.filter(({ box, input }) => within.has(box) && input.port.filter((side) => side === 0).length > 1);
  }

  private settled({ key }: LaidContainer): boolean {
    return this.trial.has(key) || this.view.prefers(key) || this.refused.has(key);
  }

  /** What can be asked for now: what holds nothing that is still to come, each content once. */
  private ready(inside: readonly LaidContainer[]): LaidContainer[] {
    const waiting = new Set<number>();
    const found = new Map<string, LaidContainer>();
    for (const container of inside) {
      if (this.settled(container)) continue;
      if (!waiting.has(container.box)) found.set(container.key, container);
      for (let up: number | undefined = container.parent; up !== undefined && !waiting.has(up); up = this.parents.get(up)) waiting.add(up);
    }
    return [...found.values()];
  }

  private async ask(wave: readonly LaidContainer[], inside: readonly LaidContainer[]): Promise<void> {
    for (let first = 0; first < wave.length; first += AT_A_TIME) {
      const done = inside.filter((container) => this.settled(container)).length;
      this.view.say(`Graphviz lays out ${count(inside.length, "group")}, ${done} done…`);
      await Promise.all(wave.slice(first, first + AT_A_TIME).map((container) => this.one(container)));
    }
  }

  private async one({ key, input }: LaidContainer): Promise<void> {
    const why = refusal(input);
    if (why !== null) return void this.refused.set(key, why);
    try {
      const { layout, engine } = await this.graphviz.ask(input, this.signal);
      if (this.signal.aborted) return;
      this.engine = engine;
      this.trial.set(key, layout);
      this.made.set(key, layout);
    } catch (error) {
      if (error instanceof Silence || this.signal.aborted) throw error;
      this.refused.set(key, error instanceof Error ? error.message : String(error));
    }
  }

  private summary(inside: readonly LaidContainer[]): Said {
    const left = inside.filter(({ key }) => this.refused.has(key));
    const reasons = [...new Set(left.map(({ key }) => this.refused.get(key) as string))];
    const why = reasons.length > 1 ? `${reasons[0]}; ${count(reasons.length - 1, "other reason")}` : reasons[0];
    if (this.made.size === 0) return { words: `Graphviz laid out nothing: ${why}`, problem: true };
    const seconds = ((performance.now() - this.start) / 1000).toFixed(1);
    const whole = inside.length === 1 && inside[0]?.ref === 0;
    const done = `Laid out by ${this.engine} in ${seconds} s: ${whole ? "the graph" : count(inside.length - left.length, "group")}`;
    return left.length === 0 ? { words: `${done}.`, problem: false } : { words: `${done}. Left as before: ${left.length} (${why}).`, problem: true };
  }
}
