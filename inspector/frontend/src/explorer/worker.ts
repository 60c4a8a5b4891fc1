// The layout's own thread. It is told of a graph once, then of what is open; the newest wish is the one that counts.

import { drive } from "./drive.ts";
import type { Layered } from "./layering.ts";
import { Layouts, type LayoutInput, type Scene } from "./layout.ts";

export type ToWorker = { type: "graph"; input: LayoutInput } | { type: "prefer"; key: string; layout: Layered | null } | { type: "layout"; id: number; open: Uint8Array; showHidden: boolean };
export type FromWorker = { type: "ready" } | { type: "scene"; id: number; scene: Scene } | { type: "failed"; id: number; message: string };

interface Scope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
}

const scope = globalThis as unknown as Scope;
let layouts: Layouts | null = null;
let newest = -1;

scope.onmessage = ({ data }) => {
  if (data.type === "graph") {
    layouts = new Layouts(data.input);
    return;
  }
  if (data.type === "prefer") {
    layouts?.prefer(data.key, data.layout);
    return;
  }
  const { id, open, showHidden } = data;
  newest = id;
  if (!layouts) return scope.postMessage({ type: "failed", id, message: "no graph was sent" });
  drive(
    layouts.compute(open, showHidden),
    40,
    () => newest !== id,
    (scene) => scope.postMessage({ type: "scene", id, scene }, buffers(scene)),
    (error) => scope.postMessage({ type: "failed", id, message: String(error) }),
  );
};

function buffers(scene: Scene): Transferable[] {
  return [...new Set(Object.values(scene).flatMap((value) => (ArrayBuffer.isView(value) ? [value.buffer as ArrayBuffer] : [])))];
}

scope.postMessage({ type: "ready" });
