// What this front end needs of its surroundings, and how it reads what they hold.

import type { WirePart } from "./wire.ts";

/** The part of anywidget's model that is used; a page brings its own. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, callback: (...values: never[]) => void): void;
  off(event: string, callback?: ((...values: never[]) => void) | null): void;
  send(content: unknown): void;
  /** True for a page: there is no Python behind it, only what it was written with. */
  readonly still?: boolean;
}

export type Bytes = DataView | Uint8Array | ArrayBuffer;

const BRACE = 0x7b;

/** The value that `pack` of the Python side packed: JSON as it is, or compressed with zlib. */
export async function unpack<T>(packed: Bytes): Promise<T> {
  const bytes = asBytes(packed);
  if (bytes[0] === BRACE) return JSON.parse(new TextDecoder().decode(bytes)) as T;
  if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot inflate (it has no DecompressionStream)");
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return (await new Response(stream).json()) as T;
}

function asBytes(packed: Bytes): Uint8Array<ArrayBuffer> {
  return packed instanceof ArrayBuffer ? new Uint8Array(packed) : new Uint8Array(packed.buffer as ArrayBuffer, packed.byteOffset, packed.byteLength);
}

const PATIENCE_MS = 20_000;

/** Asks for parts of the session and keeps the answers. */
export class Parts {
  private readonly asked = new Map<string, Promise<WirePart>>();
  private readonly waiting = new Map<string, (answer: Answer) => void>();

  constructor(
    private readonly model: Model,
    private readonly leftOut: Record<string, string>,
    signal: AbortSignal,
  ) {
    const listen = (content: { type?: string; key?: string }, buffers?: Bytes[]): void => {
      if (content.type === "part" && content.key !== undefined) this.waiting.get(content.key)?.({ packed: buffers?.[0] ?? null, problem: this.why(content.key) });
    };
    model.on("msg:custom", listen);
    signal.addEventListener("abort", () => model.off("msg:custom", listen));
  }

  /** Whether Python is behind this, which can be asked for more than parts. */
  get live(): boolean {
    return this.model.still !== true;
  }

  /** Sends a message that is no request for a part. */
  send(content: { readonly type: string }): void {
    this.model.send(content);
  }

  /** Hears the messages of a type until `signal` is aborted. */
  hear(type: string, heard: (content: unknown) => void, signal: AbortSignal): void {
    const listen = (content: { type?: string } | null): void => {
      if (content?.type === type) heard(content);
    };
    this.model.on("msg:custom", listen);
    signal.addEventListener("abort", () => this.model.off("msg:custom", listen), { once: true });
  }

  /** The part of a key; one that cannot be had says why in `problem`. */
  get(key: string): Promise<WirePart> {
    let asked = this.asked.get(key);
    if (!asked) {
      asked = this.read(key);
      this.asked.set(key, asked);
    }
    return asked;
  }

  /** The bytes of a part that is no JSON, as they came. Rejected with an Error that a reader can be shown; asked for anew each time. */
  async bytes(key: string): Promise<Uint8Array> {
    const { packed, problem } = await this.ask(key);
    if (!packed) throw new Error(problem);
    const bytes = asBytes(packed);
    if (bytes[0] !== BRACE) return bytes;
    const part = await unpack<WirePart>(bytes);
    throw new Error(part.problem ?? "The answer cannot be read.");
  }

  private async read(key: string): Promise<WirePart> {
    const { packed, problem, late } = await this.ask(key);
    if (late) this.asked.delete(key);
    if (!packed) return without(key, problem);
    try {
      return await unpack<WirePart>(packed);
    } catch (error) {
      return without(key, `The answer cannot be read: ${String(error)}`);
    }
  }

  private why(key: string): string {
    return this.leftOut[key] ?? this.leftOut[key.split(":")[0] ?? ""] ?? "This page does not hold it; the session's own view does.";
  }

  private ask(key: string): Promise<Answer> {
    const left = this.leftOut[key];
    if (left !== undefined) return Promise.resolve({ packed: null, problem: left });
    return new Promise((resolve) => {
      const before = this.waiting.get(key);
      const settle = (answer: Answer): void => {
        clearTimeout(late);
        if (this.waiting.get(key) === settle) this.waiting.delete(key);
        before?.(answer);
        resolve(answer);
      };
      const late = setTimeout(() => settle({ packed: null, problem: "Python does not answer: its kernel is gone or busy. Choose this again to ask again.", late: true }), PATIENCE_MS);
      this.waiting.set(key, settle);
      this.model.send({ type: "part", key });
    });
  }
}

interface Answer {
  packed: Bytes | null;
  /** Why there are no bytes, where there are none. */
  problem: string;
  late?: boolean;
}

function without(key: string, problem: string): WirePart {
  return { key, table: null, chain: null, pairs: null, text: null, problem };
}
