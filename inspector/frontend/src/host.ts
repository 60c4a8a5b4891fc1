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
}

export type Bytes = DataView | Uint8Array | ArrayBuffer;

const BRACE = 0x7b;

/** The value that `pack` of the Python side packed: JSON as it is, or compressed with zlib. */
export async function unpack<T>(packed: Bytes): Promise<T> {
  const bytes =
    packed instanceof ArrayBuffer
      ? new Uint8Array(packed)
      : new Uint8Array(packed.buffer as ArrayBuffer, packed.byteOffset, packed.byteLength);
  if (bytes[0] === BRACE) return JSON.parse(new TextDecoder().decode(bytes)) as T;
  if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot inflate (it has no DecompressionStream)");
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return (await new Response(stream).json()) as T;
}

const PATIENCE_MS = 20_000;

/** Asks for parts of the session and keeps the answers. */
export class Parts {
  private readonly asked = new Map<string, Promise<WirePart>>();
  private readonly waiting = new Map<string, (part: WirePart) => void>();

  constructor(
    private readonly model: Model,
    private readonly leftOut: Record<string, string>,
    signal: AbortSignal,
  ) {
    const listen = (content: { type?: string; key?: string }, buffers?: Bytes[]): void => {
      if (content.type === "part" && content.key !== undefined) void this.take(content.key, buffers?.[0]);
    };
    model.on("msg:custom", listen);
    signal.addEventListener("abort", () => model.off("msg:custom", listen));
  }

  /** The part of a key; one that cannot be had says why in `problem`. */
  get(key: string): Promise<WirePart> {
    let asked = this.asked.get(key);
    if (!asked) {
      asked = this.ask(key);
      this.asked.set(key, asked);
    }
    return asked;
  }

  private ask(key: string): Promise<WirePart> {
    const left = this.leftOut[key];
    if (left !== undefined) return Promise.resolve(without(key, left));
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        this.asked.delete(key);
        settle(without(key, "Python does not answer: its kernel is gone or busy. Choose this again to ask again."));
      }, PATIENCE_MS);
      const settle = (part: WirePart): void => {
        clearTimeout(late);
        this.waiting.delete(key);
        resolve(part);
      };
      this.waiting.set(key, settle);
      this.model.send({ type: "part", key });
    });
  }

  private async take(key: string, packed: Bytes | undefined): Promise<void> {
    const settle = this.waiting.get(key);
    if (!settle) return;
    try {
      settle(packed ? await unpack<WirePart>(packed) : without(key, this.leftOut[key.split(":")[0] ?? ""] ?? "The answer is empty."));
    } catch (error) {
      settle(without(key, `The answer cannot be read: ${String(error)}`));
    }
  }
}

function without(key: string, problem: string): WirePart {
  return { key, table: null, drawing: null, chain: null, text: null, problem };
}
