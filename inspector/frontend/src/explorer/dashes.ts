// The dashed border of an open run, as far as it is on the screen: the dashes of all of a graph that is a hundred thousand pixels long
// would take the browser longer than everything else in a frame.

import type { Rect } from "./camera.ts";

const ON = 6;
const OFF = 4;

/** How long dashes and gaps are, in the world: as long on the screen from afar. */
export function dashAt(scale: number): [number, number] {
  const grown = 1 / Math.min(1, scale / 0.7);
  return [ON * grown, OFF * grown];
}

/** The straight parts of a rounded border that are in sight: x, y, x, y of each. Each begins at a dash of its whole side, so that the
 * dashes stand still while the picture moves. */
export function sidesInSight(border: Rect, radius: number, sight: Rect, period: number): number[] {
  const { x, y, width, height } = border;
  const parts: number[] = [];
  const part = (from: number, to: number, least: number, most: number): [number, number] | null => {
    const begin = from + Math.max(0, Math.floor((least - from) / period)) * period;
    const end = Math.min(to, most);
    return end > begin ? [begin, end] : null;
  };
  for (const across of [y, y + height]) {
    const seen = across >= sight.y && across <= sight.y + sight.height ? part(x + radius, x + width - radius, sight.x, sight.x + sight.width) : null;
    if (seen) parts.push(seen[0], across, seen[1], across);
  }
  for (const down of [x, x + width]) {
    const seen = down >= sight.x && down <= sight.x + sight.width ? part(y + radius, y + height - radius, sight.y, sight.y + sight.height) : null;
    if (seen) parts.push(down, seen[0], down, seen[1]);
  }
  return parts;
}
