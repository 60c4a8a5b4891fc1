// What a page loads: the same `render`, with a model whose payload and parts stand in the page itself.

import { render } from "./inspector.ts";
import type { Bytes, Model } from "./host.ts";

type Callback = (content: unknown, buffers: Bytes[]) => void;

const BINARY = ["payload", "graph"];

/** The model of a page: blocks of base64 by key, read when they are asked for. */
function pageModel(blocks: (key: string) => string | undefined): Model {
  const listeners = new Set<Callback>();
  const answer = (key: string): void => {
    const text = blocks(key);
    const buffers = text === undefined ? [] : [bytes(text)];
    for (const listener of listeners) listener({ type: "part", key }, buffers);
  };
  return {
    still: true,
    get: (name) => {
      const text = blocks(name);
      if (BINARY.includes(name)) return bytes(text ?? "");
      return text === undefined ? undefined : (JSON.parse(new TextDecoder().decode(bytes(text))) as unknown);
    },
    set: () => undefined,
    save_changes: () => undefined,
    on: (event, callback) => void (event === "msg:custom" && listeners.add(callback as unknown as Callback)),
    off: (_event, callback) => void (callback ? listeners.delete(callback as unknown as Callback) : listeners.clear()),
    send: (content) => void setTimeout(() => answer((content as { key: string }).key)),
  };
}

function bytes(base64: string): Uint8Array {
  const binary = atob(base64.trim());
  const found = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index += 1) found[index] = binary.charCodeAt(index);
  return found;
}

for (const el of document.querySelectorAll<HTMLElement>("[data-compile-inspector]")) {
  const blocks = new Map([...el.querySelectorAll<HTMLElement>("script[data-key]")].map((block) => [block.dataset["key"] ?? "", block]));
  render({ model: pageModel((key) => blocks.get(key)?.textContent ?? undefined), el });
}
