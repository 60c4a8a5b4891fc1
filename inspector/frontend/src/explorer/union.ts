// Two graphs laid over each other: all of the later graph, and what the earlier one has besides, where it stood.

import { ABSENT, GraphModel, GROUP_TEXT_COLUMNS, TEXT_COLUMNS, type GraphData, type Numbers } from "./model.ts";

/** The union of two graphs. Nodes of `right` keep their numbers; those of `left` that have no partner follow. */
export interface Union {
  readonly graph: GraphModel;
  /** By node from `right.count` on: the node of `left` that it is. */
  readonly removed: Uint32Array;
}

/** Lays two graphs over each other; `pairs` are nodes that correspond: left, right, left, right. */
export function unionOf(left: GraphModel, right: GraphModel, pairs: Uint32Array): Union {
  const partner = new Int32Array(left.count).fill(-1);
  for (let at = 0; at + 1 < pairs.length; at += 2) if ((partner[pairs[at] as number] as number) < 0) partner[pairs[at] as number] = pairs[at + 1] as number;
  const removed = Uint32Array.from([...partner.keys()].filter((node) => (partner[node] as number) < 0 && !(left.hidden[node] && left.users(node).every((user) => (partner[user] as number) >= 0))));
  removed.forEach((node, at) => (partner[node] = right.count + at));
  const shift = right.strings.length;
  const moved = (code: number): number => (code === ABSENT ? ABSENT : code + shift);
  const arrays = new Map<string, Numbers>();
  for (const column of TEXT_COLUMNS) arrays.set(column, joined(right.codes(column), Uint32Array.from(removed, (node) => moved(left.codes(column)[node] as number))));
  const { groups, groupArrays } = joinedGroups(left, right, removed, moved);
  for (const [name, values] of groupArrays) arrays.set(name, values);
  arrays.set("op", joined(right.op, Uint8Array.from(removed, (node) => left.op[node] as number)));
  arrays.set("hidden", joined(right.hidden, Uint8Array.from(removed, (node) => left.hidden[node] as number)));
  arrays.set("stub", joined(right.stub, Uint8Array.from(removed, (node) => left.stub[node] as number)));
  arrays.set("group", joined(right.group, Uint32Array.from(removed, (node) => groups[left.group[node] as number] as number)));
  arrays.set("bytes", joined(right.bytes, Float64Array.from(removed, (node) => left.bytes[node] as number)));
  for (const [name, of] of [["line", "line"], ["partition", "partition"], ["text_line", "textLine"]] as const) arrays.set(name, joined(right[of], Int32Array.from(removed, (node) => left[of][node] as number)));
  const { offsets, items } = right.inputLists;
  const inOffsets = [...offsets];
  const inNodes = [...items];
  for (const node of removed) {
    for (const input of left.inputs(node)) if ((partner[input] as number) >= 0) inNodes.push(partner[input] as number);
    inOffsets.push(inNodes.length);
  }
  arrays.set("call_from", right.calls.filter((_, at) => at % 2 === 0));
  arrays.set("call_to", right.calls.filter((_, at) => at % 2 === 1));
  arrays.set("in_offsets", Uint32Array.from(inOffsets));
  arrays.set("in_nodes", Uint32Array.from(inNodes));
  for (const [list, offsetsName, itemsName] of [["kernel", "kernel_offsets", "kernel_ids"], ["symbol", "symbol_offsets", "symbol_ids"], ["guard", "guard_offsets", "guard_rows"]] as const) {
    const own = right.listOf(list);
    const end = own.offsets[right.count] as number;
    arrays.set(offsetsName, joined(own.offsets, new Uint32Array(removed.length).fill(end)));
    arrays.set(itemsName, own.items);
  }
  const marks = new Uint8Array(right.count + removed.length);
  marks.fill(1, right.count);
  arrays.set("removed", marks);
  const data: GraphData = {
    header: {
      version: 1,
      compile_id: right.compileId,
      stage: right.stage,
      name: right.name,
      count: right.count + removed.length,
      problem: right.problem ?? left.problem,
      strings: [...right.strings, ...left.strings],
      kernels: [...right.kernels],
      symbols: [...right.symbols],
      stages: [...right.stages],
    },
    arrays,
  };
  return { graph: new GraphModel(data), removed };
}

function joined<T extends Numbers>(first: T, second: T): T {
  const made = new (first.constructor as new (length: number) => T)(first.length + second.length);
  made.set(first);
  made.set(second, first.length);
  return made;
}

/** The groups of the right graph, and those of the left one that removed nodes lie in. */
function joinedGroups(left: GraphModel, right: GraphModel, removed: Uint32Array, moved: (code: number) => number): { groups: Uint32Array; groupArrays: Map<string, Numbers> } {
  const needed = new Uint8Array(left.groupCount);
  for (const node of removed) for (let group = left.group[node] as number; group !== 0 && !needed[group]; group = left.groupParent[group] as number) needed[group] = 1;
  const groups = new Uint32Array(left.groupCount);
  const added: number[] = [];
  for (let group = 1; group < left.groupCount; group += 1) {
    if (!needed[group]) continue;
    const known = right.groupOf(left.groupText("g_path", group) ?? "");
    groups[group] = known ?? right.groupCount + added.length;
    if (known === undefined) added.push(group);
  }
  const arrays = new Map<string, Numbers>();
  for (const column of GROUP_TEXT_COLUMNS) arrays.set(column, joined(right.codes(column), Uint32Array.from(added, (group) => moved(left.codes(column)[group] as number))));
  arrays.set("g_parent", joined(right.groupParent, Uint32Array.from(added, (group) => groups[left.groupParent[group] as number] as number)));
  arrays.set("g_kind", joined(right.groupKind, Uint8Array.from(added, (group) => left.groupKind[group] as number)));
  arrays.set("g_run", joined(right.groupRun, Uint32Array.from(added, (group) => groups[group] as number)));
  arrays.set("g_signature", joined(right.groupSignature, new Uint32Array(added.length).fill(ABSENT)));
  arrays.set("g_differs", joined(right.groupDiffers, Uint8Array.from(added, (group) => left.groupDiffers[group] as number)));
  arrays.set("g_line", joined(right.groupLine, Int32Array.from(added, (group) => left.groupLine[group] as number)));
  return { groups, groupArrays: arrays };
}
