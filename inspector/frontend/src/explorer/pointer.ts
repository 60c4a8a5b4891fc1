// What the pointer and the wheel do on a canvas: pick, open, move, zoom.

import type { EdgePick } from "./edges.ts";
import type { Hit } from "./picture.ts";
import { NODE } from "./fold.ts";
import type { GraphCanvas } from "./view.ts";

const CLICK_PX = 4;

/** Listens to the pointer on a canvas until `signal` is aborted. */
export function followPointer(view: GraphCanvas, signal: AbortSignal): void {
  const { canvas, camera, state } = view;
  const down = new Map<number, { x: number; y: number }>();
  let moved = 0;
  let spread = 0;
  const place = (event: MouseEvent): { x: number; y: number } => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const pathOf = (hit: Hit): string => view.tree.path(view.picture?.scene.ref[hit.box] as number);
  const nodeOf = (hit: Hit): number | null => (hit.tag >= 0 ? hit.tag : view.picture?.scene.kind[hit.box] === NODE ? (view.picture.scene.ref[hit.box] as number) : null);

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    if (event.pointerType === "touch") canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    view.pointAt(null, 0, 0);
    down.set(event.pointerId, place(event));
    moved = down.size > 1 ? Infinity : 0;
    spread = distance([...down.values()]);
  }, { signal });

  canvas.addEventListener("pointermove", (event) => {
    const at = place(event);
    const before = down.get(event.pointerId);
    if (!before) {
      const hit = view.hitAt(at.x, at.y);
      const node = hit ? nodeOf(hit) : null;
      const edge = view.edgeAt(at.x, at.y);
      view.pointAt(edge, at.x, at.y);
      state.setHover(hit === null || edge ? null : node !== null ? { node } : { group: pathOf(hit) });
      canvas.classList.toggle("over", edge !== null || hit !== null && (node !== null || hit.header || view.picture?.scene.kind[hit.box] !== 0));
      return;
    }
    down.set(event.pointerId, at);
    if (down.size === 1) {
      moved += Math.abs(at.x - before.x) + Math.abs(at.y - before.y);
      if (moved <= CLICK_PX) return;
      canvas.classList.add("dragging");
      camera.pan(at.x - before.x, at.y - before.y);
    } else {
      const points = [...down.values()];
      const now = distance(points);
      const middle = { x: points.reduce((sum, point) => sum + point.x, 0) / points.length, y: points.reduce((sum, point) => sum + point.y, 0) / points.length };
      camera.pan((at.x - before.x) / down.size, (at.y - before.y) / down.size);
      if (spread > 0 && now > 0) camera.zoom(now / spread, middle.x, middle.y);
      spread = now;
    }
  }, { signal });

  const up = (event: PointerEvent): void => {
    const was = down.delete(event.pointerId);
    canvas.classList.remove("dragging");
    spread = distance([...down.values()]);
    if (!was || event.type !== "pointerup" || moved > CLICK_PX || event.button !== 0) return;
    const { x, y } = place(event);
    const hit = view.hitAt(x, y);
    const node = hit ? nodeOf(hit) : null;
    const removed = node === null ? null : view.removedName(node);
    view.say(removed === null ? null : `${removed} is in the earlier graph only.`);
    const edge = view.edgeAt(x, y);
    if (edge) pickEdge(edge);
    else if (hit === null || removed !== null) state.select([]);
    else if (node !== null) state.select([node], { extend: event.shiftKey || event.ctrlKey || event.metaKey, reveal: hit.tag >= 0 });
    else state.selectGroup(pathOf(hit));
  };
  const pickEdge = (edge: EdgePick): void => {
    state.selectEdge(edge);
    if (!state.selectedEdge) view.say("This edge is in the earlier graph only.");
  };
  for (const kind of ["pointerup", "pointercancel"] as const) canvas.addEventListener(kind, up, { signal });
  canvas.addEventListener("pointerleave", () => {
    view.pointAt(null, 0, 0);
    state.setHover(null);
  }, { signal });

  canvas.addEventListener("dblclick", (event) => {
    const { x, y } = place(event);
    const hit = view.hitAt(x, y);
    if (view.edgeAt(x, y)) return;
    if (hit === null) return view.fit();
    if (nodeOf(hit) !== null) return;
    view.hold(pathOf(hit));
    state.toggle(pathOf(hit));
  }, { signal });

  canvas.addEventListener("wheel", (event) => {
    const root = canvas.getRootNode() as Document | ShadowRoot;
    const zooming = event.ctrlKey || event.metaKey;
    if (!zooming && root.activeElement !== canvas) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? camera.height : 1;
    const { x, y } = place(event);
    if (zooming) camera.zoom(Math.exp(-event.deltaY * unit * (event.deltaMode === 0 && Math.abs(event.deltaY) < 40 ? 0.01 : 0.0022)), x, y);
    else camera.pan(-(event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX) * unit, event.shiftKey && event.deltaX === 0 ? 0 : -event.deltaY * unit);
  }, { signal, passive: false });
}

function distance(points: readonly { x: number; y: number }[]): number {
  const [a, b] = points;
  return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
}
