// The first step of a layered layout: which boxes stand in which rank. Iterative, linear but for the cap on a rank's width.

/** Boxes and nets to lay out. A net is one value: it leaves a box once and goes to some others; edge e is the e-th target. */
export interface LayerInput {
  readonly count: number;
  readonly width: Float32Array;
  readonly height: Float32Array;
  /** By box: how much of its left side no edge meets. */
  readonly inset: Float32Array;
  /** By box: 1 for an open container, which stands in line by its middle, wherever edges meet it. */
  readonly open: Uint8Array;
  /** By box: -1 for a point of the upper border, 1 for one of the lower border, 0 for a box. */
  readonly port: Int8Array;
  readonly source: Uint32Array;
  /** By net: how far from its source's left side it leaves. */
  readonly exit: Float32Array;
  readonly offsets: Uint32Array;
  readonly targets: Uint32Array;
  /** By edge: how far from its target's left side it arrives, NaN where that is free. */
  readonly entry: Float32Array;
  /** Pairs of boxes of which the first must stand above the second, though no edge is drawn between them. */
  readonly above: Uint32Array;
}

export interface Ranked {
  /** By box, without gaps. */
  readonly rank: Int32Array;
  readonly ranks: number;
  /** By edge: its source's box. */
  readonly from: Uint32Array;
  /** By edge: 1 where it leads upwards, to break a cycle. */
  readonly reversed: Uint8Array;
}

const RANK_WIDTH = 6000;

/** Longest paths from the top; boxes that nothing leads to stand right above what they lead to. */
export function rankBoxes(input: LayerInput): Ranked {
  const { count, source, offsets, above } = input;
  const drawn = input.targets.length;
  const edges = drawn + above.length / 2;
  const from = new Uint32Array(edges);
  const targets = new Uint32Array(edges);
  targets.set(input.targets);
  for (let net = 0; net < source.length; net += 1) from.fill(source[net] as number, offsets[net], offsets[net + 1]);
  for (let pair = 0; drawn + pair < edges; pair += 1) {
    from[drawn + pair] = above[2 * pair] as number;
    targets[drawn + pair] = above[2 * pair + 1] as number;
  }
  const reversed = backEdges(count, from, targets, edgesBy(from, count));
  const upper = (edge: number): number => (reversed[edge] ? targets[edge] : from[edge]) as number;
  const lower = (edge: number): number => (reversed[edge] ? from[edge] : targets[edge]) as number;
  const down = edgesBy(Uint32Array.from({ length: edges }, (_, edge) => upper(edge)), count);
  const order = topological(count, edges, down, lower);
  const rank = longestPaths(input, order, down, lower);
  settleSources(input, order, down, lower, rank);
  return { rank, ranks: packed(input, rank), from: from.subarray(0, drawn), reversed: reversed.subarray(0, drawn) };
}

export interface Lists {
  readonly offsets: Uint32Array;
  readonly items: Uint32Array;
}

/** Indices by key, in order. */
export function edgesBy(keys: ArrayLike<number>, count: number): Lists {
  const offsets = new Uint32Array(count + 1);
  for (let at = 0; at < keys.length; at += 1) offsets[(keys[at] as number) + 1] = (offsets[(keys[at] as number) + 1] as number) + 1;
  for (let key = 0; key < count; key += 1) offsets[key + 1] = (offsets[key + 1] as number) + (offsets[key] as number);
  const next = offsets.slice();
  const items = new Uint32Array(keys.length);
  for (let at = 0; at < keys.length; at += 1) {
    const key = keys[at] as number;
    items[next[key] as number] = at;
    next[key] = (next[key] as number) + 1;
  }
  return { offsets, items };
}

/** By edge: 1 where it closes a cycle in a walk that follows the order of the boxes. */
function backEdges(count: number, from: Uint32Array, targets: Uint32Array, out: Lists): Uint8Array {
  const reversed = new Uint8Array(targets.length);
  if (targets.every((target, edge) => target > (from[edge] as number))) return reversed;
  const state = new Uint8Array(count);
  const next = out.offsets.slice(0, count);
  for (let start = 0; start < count; start += 1) {
    if (state[start]) continue;
    const stack = [start];
    state[start] = 1;
    while (stack.length > 0) {
      const box = stack[stack.length - 1] as number;
      if (next[box] === out.offsets[box + 1]) {
        state[box] = 2;
        stack.pop();
        continue;
      }
      const edge = out.items[next[box] as number] as number;
      next[box] = (next[box] as number) + 1;
      const target = targets[edge] as number;
      if (state[target] === 1) reversed[edge] = 1;
      else if (state[target] === 0) {
        state[target] = 1;
        stack.push(target);
      }
    }
  }
  return reversed;
}

function topological(count: number, edges: number, down: Lists, lower: (edge: number) => number): Uint32Array {
  const waiting = new Uint32Array(count);
  for (let edge = 0; edge < edges; edge += 1) waiting[lower(edge)] = (waiting[lower(edge)] as number) + 1;
  const order = new Uint32Array(count);
  let filled = 0;
  for (let box = 0; box < count; box += 1) if (waiting[box] === 0) order[filled++] = box;
  for (let at = 0; at < filled; at += 1) {
    const box = order[at] as number;
    for (let next = down.offsets[box] as number; next < (down.offsets[box + 1] as number); next += 1) {
      const target = lower(down.items[next] as number);
      waiting[target] = (waiting[target] as number) - 1;
      if (waiting[target] === 0) order[filled++] = target;
    }
  }
  return order;
}

function longestPaths(input: LayerInput, order: Uint32Array, down: Lists, lower: (edge: number) => number): Int32Array {
  const rank = new Int32Array(input.count);
  const used: number[] = [];
  // Ranks are filled from the top, so the first one with room is remembered: thousands of readers of one value stay linear.
  const room = new Map<number, number>();
  for (const box of order) {
    const least = rank[box] as number;
    let at = room.get(least) ?? least;
    while ((used[at] ?? 0) + (input.width[box] as number) > RANK_WIDTH && (used[at] ?? 0) > 0) at += 1;
    if (at > least) room.set(least, at);
    rank[box] = at;
    used[at] = (used[at] ?? 0) + (input.width[box] as number) + 16;
    for (let next = down.offsets[box] as number; next < (down.offsets[box + 1] as number); next += 1) {
      const target = lower(down.items[next] as number);
      rank[target] = Math.max(rank[target] as number, at + 1);
    }
  }
  return rank;
}

function settleSources(input: LayerInput, order: Uint32Array, down: Lists, lower: (edge: number) => number, rank: Int32Array): void {
  const led = new Uint8Array(input.count);
  for (let at = 0; at < down.items.length; at += 1) led[lower(down.items[at] as number)] = 1;
  const used: number[] = [];
  for (const box of order) used[rank[box] as number] = (used[rank[box] as number] ?? 0) + (input.width[box] as number) + 16;
  for (const box of order) {
    const first = down.offsets[box] as number;
    const end = down.offsets[box + 1] as number;
    if (led[box] || input.port[box] !== 0 || first === end) continue;
    let at = Infinity;
    for (let next = first; next < end; next += 1) at = Math.min(at, (rank[lower(down.items[next] as number)] as number) - 1);
    const width = (input.width[box] as number) + 16;
    while (at > (rank[box] as number) && (used[at] ?? 0) + width > RANK_WIDTH) at -= 1;
    used[rank[box] as number] = (used[rank[box] as number] as number) - width;
    rank[box] = at;
    used[at] = (used[at] ?? 0) + width;
  }
}

/** Ranks without gaps: points of the upper border alone at the top, those of the lower border alone at the bottom. */
function packed({ count, port }: LayerInput, rank: Int32Array): number {
  const used = new Set<number>();
  let tops = 0;
  let bottoms = 0;
  for (let box = 0; box < count; box += 1) {
    if (port[box] === 0) used.add(rank[box] as number);
    else if (port[box] === -1) tops = 1;
    else bottoms = 1;
  }
  const packedRank = new Map([...used].sort((a, b) => a - b).map((old, at) => [old, at + tops]));
  const ranks = used.size + tops + bottoms;
  for (let box = 0; box < count; box += 1) rank[box] = port[box] === 0 ? (packedRank.get(rank[box] as number) as number) : port[box] === -1 ? 0 : ranks - 1;
  return ranks;
}
