// One module, or one run of alike modules.

import { h, type Child } from "../dom.ts";
import { count, shortPlace, whole } from "../format.ts";
import { memory, nodeButton, pair, tallied } from "./facts.ts";
import { ABSENT, GROUP_BODY, GROUP_LOOSE, OUTPUT } from "./model.ts";
import type { ExplorerState } from "./state.ts";

/** What the panel says of a group or a run, by its path. */
export function groupDetails(state: ExplorerState, path: string): Child[] {
  const { tree, graph } = state;
  const container = tree.at(path);
  if (container === undefined) return [h("p", { class: "dim" }, "It is not in this graph.")];
  const members = tree.membersOf(container);
  const [first = 0] = members;
  const nodes = within(state, container);
  const seen = nodes.filter((node) => !graph.hidden[node]);
  const file = graph.groupText("g_file", first);
  const open = state.expanded.has(path);
  return [
    h("h3", {}, tree.name(container) || path, tree.isRun(container) && h("span", { class: "times" }, ` × ${members.length}`)),
    h(
      "p",
      { class: "links" },
      h("button", { type: "button", class: "link", onclick: () => state.toggle(path) }, open ? "Collapse" : "Expand"),
      h("button", { type: "button", class: "link", onclick: () => state.select(seen, { reveal: true }) }, `Pick ${count(seen.length, "node")}`),
    ),
    h(
      "dl",
      { class: "fields" },
      ...pair("What", whatKind(state, first, members.length)),
      ...pair("Called by", ...callers(state, first)),
      ...pair("Path", h("code", {}, path)),
      ...pair("Class", tree.className(container) !== null && h("code", {}, tree.className(container))),
      ...pair("Nodes", whole(seen.length)),
      ...pair("Outputs", memory(state, seen)),
      ...pair("Line", file !== null && h("code", { title: file }, `${shortPlace(file)}${(graph.groupLine[first] ?? -1) > 0 ? `:${graph.groupLine[first]}` : ""}`)),
      ...pair("In", ...ancestors(state, container)),
      ...pair("Copies", ...copies(state, container)),
    ),
    tallied(state, "Operations", seen.map((node) => graph.text("target", node)), seen),
  ];
}

function whatKind(state: ExplorerState, group: number, members: number): string {
  if (members > 1) return `${members} neighbours of one kind`;
  const kind = state.graph.groupKind[group];
  return kind === GROUP_BODY ? "body of a higher-order operator" : kind === GROUP_LOOSE ? "nodes outside any module, by function" : "module";
}

/** The nodes that call a group's graph. */
function callers(state: ExplorerState, group: number): Child[] {
  const { graph } = state;
  const found: Child[] = [];
  if (graph.groupKind[group] !== GROUP_BODY) return found;
  for (let at = 0; at < graph.calls.length; at += 2) {
    const [from, to] = [graph.calls[at] as number, graph.calls[at + 1] as number];
    if (graph.group[from] === group && graph.op[from] === OUTPUT) found.push(nodeButton(state, to), " ");
  }
  return found;
}

/** The nodes in a container at any depth. */
function within({ tree }: ExplorerState, container: number): number[] {
  const found: number[] = [];
  const stack = [container];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    found.push(...tree.nodes(at));
    stack.push(...tree.children(at));
  }
  return found.sort((a, b) => a - b);
}

function ancestors(state: ExplorerState, container: number): Child[] {
  const { tree } = state;
  return tree
    .ancestors(container)
    .reverse()
    .map((each) => h("button", { type: "button", class: "link crumb", onclick: () => state.selectGroup(tree.path(each)) }, h("code", {}, tree.name(each) || tree.path(each))));
}

/** Of a run: its numbered neighbours that differ from it; of a group: whether it differs, and how many compute the same. */
function copies(state: ExplorerState, container: number): Child[] {
  const { tree, graph } = state;
  if (tree.isRun(container)) {
    const differ = [...tree.children(tree.parent[container] ?? 0)].filter((group) => graph.groupDiffers[group]);
    if (differ.length === 0) return ["all of its neighbours compute the same"];
    return ["not like it: ", ...differ.slice(0, 40).map((group) => h("button", { type: "button", class: "link", onclick: () => state.selectGroup(tree.path(group)) }, h("code", {}, tree.name(group)), " "))];
  }
  const signature = graph.groupSignature[container];
  const alike = graph.groupSignature.filter((other) => other === signature).length - 1;
  const same = alike > 0 && signature !== ABSENT ? `${count(alike, "other module")} ${alike === 1 ? "computes" : "compute"} the same` : "";
  return [[graph.groupDiffers[container] ? "it differs from its numbered neighbours" : "", same].filter(Boolean).join("; ")];
}
