// What the calls of graphs join, where inputs and outputs of called graphs are not drawn: the node that computes an argument and those
// that read it there, and the values that come back with the node that calls.

/** What following calls needs of a graph. */
export interface CallInput {
  readonly nodes: number;
  readonly hidden: Uint8Array;
  readonly inOffsets: Uint32Array;
  readonly inNodes: Uint32Array;
  /** Pairs of nodes that a call joins. */
  readonly calls: Uint32Array;
}

/** Pairs of drawn nodes, each once, in an array of their own: who computes a value, and who reads it through a call. */
export function throughCalls({ nodes, hidden, inOffsets, inNodes, calls }: CallInput, showHidden: boolean): Uint32Array {
  if (calls.length === 0) return new Uint32Array(0);
  const drawn = (node: number): boolean => showHidden || !hidden[node];
  const ends = new Set(calls);
  const users = new Map<number, number[]>();
  const makers = new Map<number, number[]>();
  const note = (lists: Map<number, number[]>, key: number, node: number): void => void lists.set(key, [...(lists.get(key) ?? []), node]);
  for (let node = 0; node < nodes; node += 1) {
    for (let at = inOffsets[node] as number; at < (inOffsets[node + 1] as number); at += 1) {
      const value = inNodes[at] as number;
      if (ends.has(value) && !drawn(value)) note(users, value, node);
      if (ends.has(node) && !drawn(node)) note(makers, node, value);
    }
  }
  for (let at = 0; at < calls.length; at += 2) {
    const [from, to] = [calls[at] as number, calls[at + 1] as number];
    if (!drawn(to)) note(makers, to, from);
  }
  const found = new Set<number>();
  for (let at = 0; at < calls.length; at += 2) {
    const readers = reached(calls[at + 1] as number, users, drawn);
    for (const value of reached(calls[at] as number, makers, drawn)) for (const reader of readers) if (value !== reader) found.add(value * nodes + reader);
  }
  return Uint32Array.from([...found].sort((a, b) => a - b).flatMap((pair) => [Math.floor(pair / nodes), pair % nodes]));
}

/** The drawn nodes that a node stands for: itself, or those behind it. */
function reached(node: number, behind: Map<number, number[]>, drawn: (node: number) => boolean): number[] {
  const found: number[] = [];
  const seen = new Set([node]);
  const stack = [node];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (drawn(at)) {
      found.push(at);
      continue;
    }
    for (const next of behind.get(at) ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      stack.push(next);
    }
  }
  return found;
}
