"""A graph as a tree of groups: modules, the graphs that higher-order operators call, and runs of loose nodes by function.

One conditioning serves every drawing: which nodes fold into what reads them, which values live so long that no edge is drawn for them,
which groups compute the same. Takes time in proportion to nodes and edges, and does not recurse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from compile_inspector.analyze.graph_signatures import mark_alike
from compile_inspector.analyze.loose_nodes import bundle_loose
from compile_inspector.model.graph import Graph
from compile_inspector.model.graph_types import RawNode
from compile_inspector.model.module_paths import is_parameter

GroupKind = Literal["root", "module", "body", "run"]

LONG_LIFE = 40
"""A value is long-lived where so many items of a group lie between the node that makes it and one that reads it."""
MANY_READERS = 8
_FEW_COPIES = 3
_ENDS = frozenset(("placeholder", "get_attr", "output"))
_DEEPEST = 100
"""Modules nested deeper than this are one group: a path says them all."""


class TreeGroup(msgspec.Struct):
    """A part of the graph that can be drawn as one box.

    Attributes:
        parent: Index of the group around it; its own for the root.
        name: The last component of its path.
        path: Names it among the groups of the graph, and of later stages: the module's path, a called graph's name in brackets, a run's
            function.
        kind: ``module``, ``body`` (the graph that a higher-order operator calls) or ``run`` (loose nodes); ``root`` for the whole graph.
        items: What lies directly in it, in order of appearance: a node's index, or ``~index`` of a group.
        depth: 0 for the root.
        module_class: The class of the module, where known.
        first: Its first node, -1 where it has none.
        signature: Equal for groups of one graph that compute the same.
        run: Index of the first of the neighbouring numbered groups that compute the same; its own where it stands alone.
        differs: Whether most of its numbered neighbours are alike and it is not one of them.
        start: Where its nodes begin in `GraphTree.order`.
        end: Behind its last node there.
    """

    parent: int
    name: str
    path: str
    kind: GroupKind
    depth: int
    items: list[int] = []
    module_class: str | None = None
    first: int = -1
    signature: int = -1
    run: int = -1
    differs: bool = False
    start: int = 0
    end: int = 0


class GraphTree(msgspec.Struct):
    """A graph with its groups.

    Attributes:
        nodes: In the order of the printout.
        types: By node: a number, the same for nodes of the same type.
        at: Where a node is, by name.
        sources: By node: the nodes it reads.
        readers: By node: the nodes that read it.
        groups: Parents before children; the first is the root.
        group_of: By node: the innermost group it lies in.
        hidden: By node: whether it folds into what reads it: parameters, constants, sizes, ends of called graphs.
        stubs: By node: whether its value lives so long that its name is written where it is read.
        returned: By value that a called graph returns: the nodes that call that graph.
        order: The drawn nodes, group by group.
    """

    nodes: Sequence[RawNode]
    types: list[int]
    at: Mapping[str, int]
    sources: Sequence[list[int]]
    readers: Sequence[list[int]]
    groups: list[TreeGroup]
    group_of: list[int]
    hidden: bytearray
    stubs: bytearray
    returned: dict[int, list[int]]
    order: list[int]


def graph_tree(graph: Graph, *, most_loose: int = 150) -> GraphTree:
    """The tree of a graph.

    Args:
        graph: Any stage's.
        most_loose: More nodes than this directly in one group are bundled by function.
    """
    nodes = graph.raw
    hidden = hidden_nodes(graph)
    tree = GraphTree(
        nodes,
        _type_numbers(graph),
        graph.at,
        graph.sources,
        graph.readers,
        [TreeGroup(0, "", "", "root", 0, [])],
        [],
        hidden,
        bytearray(len(nodes)),
        {},
        [],
    )
    _Planting(tree).plant()
    bundle_loose(tree, max(1, most_loose), TreeGroup)
    _settle(tree)
    mark_alike(tree)
    _mark_stubs(tree)
    return tree


def _type_numbers(graph: Graph) -> list[int]:
    types = [node.annotation for node in graph.raw]
    keys = list(map(id, types))
    known = dict(zip(keys, types, strict=True))
    first = {type_: number for number, type_ in enumerate(dict.fromkeys(known.values()))}
    numbers = {key: first[type_] for key, type_ in known.items()}
    return list(map(numbers.__getitem__, keys))


def hidden_nodes(graph: Graph) -> bytearray:
    """By node: 1 where it folds into what reads it, as in `GraphTree.hidden`."""
    return bytearray([node.op in _ENDS and _is_hidden(node) for node in graph.raw])


def _is_hidden(node: RawNode) -> bool:
    """Whether an end is a constant, a size that is an input, or an end of a graph that an operator calls."""
    if node.op == "get_attr" or "." in node.name:
        return True
    if node.op == "output":
        return False
    return bool(node.module_path) or is_parameter(node.target) or (node.value or "").startswith("Sym(")


class _Planting:
    """Puts every node into the tree of modules."""

    def __init__(self, tree: GraphTree) -> None:
        self.tree = tree
        self.children: dict[tuple[int, str], int] = {}
        self.known: dict[str | None, int] = {None: 0, "": 0}
        self.bodies: dict[str, int] = {}

    def plant(self) -> None:
        tree = self.tree
        group_of = tree.group_of
        groups = tree.groups
        known = self.known
        hidden = tree.hidden
        later: list[int] = []
        ends = ("placeholder", "output")
        for index, node in enumerate(tree.nodes):
            name, path, hides = node.name, node.module_path, hidden[index]
            if "." in name:
                group = self._body(name.rpartition(".")[0])
            elif node.op in ends:
                group = 0
                if hides and path:
                    later.append(index)
            else:
                group = known.get(path, -1)
                if group < 0:
                    group = self._module(path)
                if not hides and node.module_class is not None and groups[group].module_class is None:
                    groups[group].module_class = node.module_class
            group_of.append(group)
            if not hides:
                groups[group].items.append(index)
        for index in later:
            group_of[index] = self._nearest(tree.nodes[index].module_path or "")
        self._return_values()

    def _module(self, path: str | None) -> int:
        """The group of a module's path, made with those around it where there is none."""
        assert path is not None
        parts = path.split(".")
        if len(parts) > _DEEPEST:
            parts = [*parts[: _DEEPEST - 1], ".".join(parts[_DEEPEST - 1 :])]
        group = 0
        children = self.children
        for part in parts:
            inner = children.get((group, part), -1)
            group = inner if inner >= 0 else self._child(group, part, "body" if part[:1] == "[" else "module")
        self.known[path] = group
        return group

    def _child(self, parent: int, name: str, kind: GroupKind) -> int:
        found = self.children.get((parent, name))
        if found is not None:
            return found
        groups = self.tree.groups
        above = groups[parent]
        path = f"{above.path}.{name}" if above.path else name
        index = len(groups)
        groups.append(TreeGroup(parent, name, path, kind, above.depth + 1, []))
        above.items.append(~index)
        self.children[parent, name] = index
        return index

    def _nearest(self, path: str) -> int:
        """The innermost group around a path, without making one."""
        group = 0
        for part in path.split(".")[:_DEEPEST]:
            inner = self.children.get((group, part))
            if inner is None:
                break
            group = inner
        return group

    def _body(self, prefix: str) -> int:
        """The group of a called graph: below the module of the node that calls it."""
        found = self.bodies.get(prefix)
        if found is not None:
            return found
        tree = self.tree
        missing = [prefix]
        outer = 0
        while missing:
            prefix = missing[-1]
            holder = tree.at.get(prefix)
            users = tree.readers[holder] if holder is not None else ()
            around = tree.nodes[users[0]].name.rpartition(".")[0] if users else ""
            if around and around not in self.bodies and around not in missing:
                missing.append(around)
                continue
            missing.pop()
            path = tree.nodes[users[0]].module_path if users and not around else None
            if around:
                outer = self.bodies.get(around, 0)
            else:
                outer = self.known[path] if path in self.known else self._module(path)
            if tree.groups[outer].depth >= _DEEPEST:
                outer = tree.groups[outer].parent
            name = prefix if holder is None else tree.nodes[holder].target
            self.bodies[prefix] = self._child(outer, f"[{name}]", "body")
        return self.bodies[prefix]

    def _return_values(self) -> None:
        """Notes which values a called graph returns, and to whom."""
        tree = self.tree
        for index, node in enumerate(tree.nodes):
            if node.op != "output" or "." not in node.name:
                continue
            holder = tree.at.get(node.name.rpartition(".")[0])
            callers = tree.readers[holder] if holder is not None else []
            for value in tree.sources[index] if callers else ():
                tree.returned.setdefault(value, []).extend(callers)


def _settle(tree: GraphTree) -> None:
    """Orders the nodes group by group, and says where each group begins and ends."""
    order = tree.order
    groups = tree.groups
    stack: list[int] = [~0]
    while stack:
        item = stack.pop()
        if item >= 0:
            order.append(item)
            continue
        group = groups[~item]
        if group.end < 0:
            group.end = len(order)
            continue
        group.start = len(order)
        group.end = -1
        stack.append(item)
        stack.extend(reversed(group.items))
    for group in groups:
        group.first = order[group.start] if group.start < group.end else -1


def _mark_stubs(tree: GraphTree) -> None:
    """Marks the values whose edges would cross the drawing."""
    lives: _Lives | None = None
    for index, readers in enumerate(tree.readers):
        if not readers or tree.hidden[index]:
            continue
        if len(readers) > MANY_READERS or readers[-1] - index > LONG_LIFE:
            lives = lives or _Lives(tree)
            tree.stubs[index] = lives.long(index)


class _Lives:
    """How far values travel: measured in the innermost group that holds both ends."""

    def __init__(self, tree: GraphTree) -> None:
        self.tree = tree
        self.node_place = [0] * len(tree.nodes)
        self.group_place = [0] * len(tree.groups)
        for group in tree.groups:
            for place, item in enumerate(group.items):
                if item >= 0:
                    self.node_place[item] = place
                else:
                    self.group_place[~item] = place

    def long(self, index: int) -> bool:
        """Whether a value is read far off, in several of numbered groups, or by many."""
        tree, groups = self.tree, self.tree.groups
        own_place = self._places_around(index)
        copies: dict[int, set[int]] = {}
        far = 0
        readers = [reader for reader in tree.readers[index] if not tree.hidden[reader]]
        for reader in readers:
            group, place = tree.group_of[reader], self.node_place[reader]
            while group not in own_place:
                parent = groups[group].parent
                if groups[group].name.isdecimal():
                    members = copies.setdefault(parent, set())
                    members.add(group)
                    if len(members) >= _FEW_COPIES:
                        return True
                group, place = parent, self.group_place[group]
            far = max(far, place - own_place[group])
            if far > LONG_LIFE:
                return True
        return len(readers) > MANY_READERS and far > 3

    def _places_around(self, index: int) -> dict[int, int]:
        """By group around a node: where the node, or the group it lies in, stands there."""
        groups = self.tree.groups
        group, place = self.tree.group_of[index], self.node_place[index]
        found = {group: place}
        while group:
            place = self.group_place[group]
            group = groups[group].parent
            found[group] = place
        return found
