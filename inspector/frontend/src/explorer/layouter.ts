// Lays out what is visible: at once where it is little, else in a worker, else, where none may run, on the page's thread in slices.

import { drive, finish } from "./drive.ts";
import { fold } from "./fold.ts";
import type { Sizes } from "./labels.ts";
import type { Layered } from "./layering.ts";
import { Layouts, type LaidContainer, type Scene } from "./layout.ts";
import workerSource from "./worker.ts?text";
import type { FromWorker, ToWorker } from "./worker.ts";

/** Boxes that are laid out at once: some milliseconds of work. */
const AT_ONCE = 500;
const SLICE_MS = 16;

type Done = (scene: Scene) => void;
type Failed = (message: string) => void;

/** The layouts of one graph. */
export class Layouter {
  private readonly layouts: Layouts;
  private readonly given = new Map<string, Layered>();
  private worker: Worker | null = null;
  private tier: "untried" | "measuring" | "worker" | "page" = "untried";
  private id = 0;
  private pending: { id: number; open: Uint8Array; showHidden: boolean; done: Done; failed: Failed } | null = null;

  constructor(
    private readonly sizes: Sizes,
    private readonly signal: AbortSignal,
  ) {
    this.layouts = new Layouts(sizes.input);
    signal.addEventListener("abort", () => this.stop(), { once: true });
  }

  /** Calls `done` with what is visible; only for the newest wish, and at once where that takes a moment only. */
  layout(open: Uint8Array, showHidden: boolean, done: Done, failed: Failed): void {
    const id = (this.id += 1);
    this.pending = null;
    const folded = fold(this.sizes.input, open, showHidden);
    if (folded.count <= AT_ONCE) {
      this.sizes.visible(folded);
      done(finish(this.layouts.place(folded)));
      return;
    }
    this.pending = { id, open, showHidden, done, failed };
    if (this.tier === "untried") this.measure();
    else this.begin();
  }

  /** Measures everything, then starts what lays it out. */
  private measure(): void {
    this.tier = "measuring";
    const ready = (): void => {
      this.start(["blob", "data"]);
      this.begin();
    };
    drive(this.sizes.all(), SLICE_MS, () => this.signal.aborted, ready, (error) => this.pending?.failed(String(error)));
  }

  private begin(): void {
    if (this.tier === "page") this.onPage();
    else this.ask();
  }

  /** Calls `done` with what is laid out with these containers open, from the inside out, if these layouts were in place; never once
   * `stale` says so. */
  containers(open: Uint8Array, showHidden: boolean, trial: ReadonlyMap<string, Layered>, stale: () => boolean, done: (containers: LaidContainer[]) => void, failed: Failed): void {
    const found: LaidContainer[] = [];
    const folded = fold(this.sizes.input, open, showHidden);
    this.sizes.visible(folded);
    drive(
      this.layouts.lay(folded, (container) => found.push(container), trial),
      SLICE_MS,
      () => stale() || this.signal.aborted,
      () => done(found),
      (error) => failed(String(error)),
    );
  }

  /** Takes a layout of one container that was made elsewhere, or lets it go again. */
  prefer(key: string, layout: Layered | null): void {
    this.layouts.prefer(key, layout);
    if (layout) this.given.set(key, layout);
    else this.given.delete(key);
    this.worker?.postMessage({ type: "prefer", key, layout } satisfies ToWorker);
  }

  /** Whether such a layout is in place. */
  prefers(key: string): boolean {
    return this.layouts.prefers(key);
  }

  private ask(): void {
    if (!this.pending || !this.worker) return;
    const { id, open, showHidden } = this.pending;
    this.worker.postMessage({ type: "layout", id, open, showHidden } satisfies ToWorker);
  }

  private onPage(): void {
    if (!this.pending) return;
    const { id, open, showHidden, done, failed } = this.pending;
    drive(
      this.layouts.compute(open, showHidden),
      SLICE_MS,
      () => this.id !== id || this.signal.aborted,
      done,
      (error) => failed(String(error)),
    );
  }

  /** Starts a worker from the first kind of address that is allowed here. */
  private start(kinds: readonly ("blob" | "data")[]): void {
    const [kind, ...others] = kinds;
    if (kind === undefined || typeof Worker === "undefined") {
      this.tier = "page";
      return;
    }
    this.tier = "worker";
    const address = kind === "blob" ? URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" })) : `data:text/javascript;charset=utf-8,${encodeURIComponent(workerSource)}`;
    const next = (): void => {
      this.stop();
      this.start(others);
      this.begin();
    };
    let worker: Worker;
    try {
      worker = new Worker(address);
    } catch {
      return next();
    }
    let alive = false;
    worker.onerror = (event) => {
      event.preventDefault();
      if (!alive || this.worker === worker) next();
    };
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      alive = true;
      if (data.type === "ready") {
        if (kind === "blob") URL.revokeObjectURL(address);
        return;
      }
      if (data.id !== this.pending?.id) return;
      const { done, failed } = this.pending;
      this.pending = null;
      if (data.type === "scene") done(data.scene);
      else failed(data.message);
    };
    this.worker = worker;
    worker.postMessage({ type: "graph", input: this.sizes.input } satisfies ToWorker);
    for (const [key, layout] of this.given) worker.postMessage({ type: "prefer", key, layout } satisfies ToWorker);
  }

  private stop(): void {
    this.worker?.terminate();
    this.worker = null;
  }
}
