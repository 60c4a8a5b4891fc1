// The explorer on its own: a widget or page that shows one session's graphs, and follows what Python asks of it.

import { inspector } from "./app.ts";
import { fill, h } from "./dom.ts";
import { openLater, type Explorer } from "./explorer/explorer.ts";
import { decodeGraph } from "./explorer/model.ts";
import type { Context } from "./explorer/context.ts";
import type { ExplorerState, OverlayKind } from "./explorer/state.ts";
import { graphSource } from "./graph_source.ts";
import { Parts, unpack, type Bytes, type Model } from "./host.ts";
import { Session, type Target } from "./session.ts";
import type { Wire } from "./wire.ts";

const SESSION_AFTER_MS = 600;

type Command = readonly [string, ...(string | number)[]];

/** Shows the graph of a model in `root`. */
export async function showGraph(model: Model, root: HTMLElement, signal: AbortSignal): Promise<void> {
  const parts = new Parts(model, (model.get("left_out") as Record<string, string> | undefined) ?? {}, signal);
  const row = asRow(model.get("row"));
  const waiting = h("p", { class: "waiting" }, "Reading the graph…");
  const source = graphSource(parts);
  const context: { -readonly [Key in keyof Context]: Context[Key] } = { session: null, parts, signal };
  const { element, open } = openLater(source, context);
  fill(root, waiting, element);
  const first = await decodeGraph(await arrived(model, signal));
  if (signal.aborted) return;
  // The graph that came along is the one that the view opened on first; by now another may be shown.
  const opened = first.stages.find((entry) => entry.compile_id === first.compileId && entry.stage === first.stage && entry.name === first.name)?.row ?? row;
  source.keep(opened, first);
  waiting.remove();
  const made = open(opened, first);
  follow(model, made, signal);
  setTimeout(() => void fetchSession(parts, signal, (target) => leave(target)).then((session) => {
    context.session = session;
    if (session) made.state.retell();
  }), SESSION_AFTER_MS);
  const leave = (target: Target): void => {
    const { session } = context;
    if (!session) return;
    const back = h("button", { type: "button", class: "link", onclick: () => fill(root, made.element) }, "← Back to the graph");
    fill(root, h("div", { class: "back-bar" }, back), inspector(session.wire, parts, signal, target));
  };
}

/** The graph of a model; the kernel may still be reading it. */
function arrived(model: Model, signal: AbortSignal): Promise<Bytes> {
  return new Promise((resolve) => {
    const look = (): void => {
      const packed = model.get("graph") as Bytes | undefined;
      if (!packed || packed.byteLength === 0) return;
      model.off("change:graph", look);
      resolve(packed);
    };
    model.on("change:graph", look);
    signal.addEventListener("abort", () => model.off("change:graph", look), { once: true });
    look();
  });
}

/** What the rest of the session says, for links out of the graph; null where it is not to be had. */
async function fetchSession(parts: Parts, signal: AbortSignal, go: (target: Target) => void): Promise<Session | null> {
  try {
    const wire = await unpack<Wire>(await parts.bytes("session"));
    return signal.aborted ? null : new Session(wire, parts, signal, go);
  } catch {
    return null;
  }
}

/** Keeps the view and Python's traits the same, both ways. */
function follow(model: Model, { state }: Explorer, signal: AbortSignal): void {
  let telling = false;
  const tell = (name: string, value: unknown): void => {
    if (telling) return;
    model.set(name, value);
    model.save_changes();
  };
  const quietly = (act: () => void): void => {
    telling = true;
    try {
      act();
    } finally {
      telling = false;
    }
  };
  // One thing after the other: another graph takes time to come, and what Python asks next is meant for that one.
  let last: Promise<void> = Promise.resolve();
  const next = (act: () => void | Promise<void>): void => {
    last = last.then(() => (signal.aborted ? undefined : act())).catch((error: unknown) => state.say(String(error)));
  };
  let done = 0;
  const script = async (): Promise<void> => {
    const commands = (model.get("script") as Command[] | undefined) ?? [];
    for (; done < commands.length; done += 1) await carryOut(state, commands[done] as Command);
  };
  const names = (): string[] => (model.get("selection") as string[] | undefined) ?? [];
  const picked = (): string[] => state.selection.map((node) => state.graph.text("name", node) ?? "");
  const pick = (): void => {
    const wanted = names();
    if (wanted.join("\n") === picked().join("\n")) return;
    const nodes = wanted.map((name) => state.graph.nodeOf(name)).filter((node): node is number => node !== undefined);
    quietly(() => state.select(nodes, { reveal: nodes.length > 0 }));
  };
  const turn = async (): Promise<void> => {
    const wanted = asRow(model.get("row"));
    if (wanted !== state.row) await state.showStage(wanted);
  };
  state.on("selection", () => tell("selection", picked()), signal);
  state.on("graph", () => tell("row", state.row), signal);
  const listen = (event: string, act: () => void): void => {
    const heard = (): void => {
      if (!signal.aborted) act();
    };
    model.on(event, heard);
    signal.addEventListener("abort", () => model.off(event, heard));
  };
  listen("change:selection", () => next(pick));
  listen("change:row", () => next(turn));
  listen("change:script", () => next(script));
  next(turn);
  next(script);
  next(pick);
}

/** One command of a script; one that is not known does nothing. */
async function carryOut(state: ExplorerState, [command, first, second]: Command): Promise<void> {
  const word = typeof first === "string" ? first : "";
  const commands: Record<string, () => void | Promise<void>> = {
    expand: () => state.expand(word),
    collapse: () => state.collapse(word),
    expand_all: () => state.expandAll(),
    collapse_all: () => state.collapseAll(),
    overlay: () => state.setOverlay(word as OverlayKind, typeof second === "string" && second !== "" ? second : null),
    compare: () => state.compareWith(asRow(first), second === "side" ? "side" : "over"),
    stop_comparing: () => state.stopComparing(),
  };
  await commands[command]?.();
}

function asRow(value: unknown): number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : 0;
}
