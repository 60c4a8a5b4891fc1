"""Folds a graph to a bounded number of boxes: modules collapse, repeated layers become one, constants go into what reads them.

A graph with few enough nodes is only cleared of constants. In a larger one, runs of modules in a list that compute the same
(``layers.0`` … ``layers.31``) are shown once, and modules stay closed, the deepest first, where opening them would show too much.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from compile_inspector.analyze.folded_graph import Box, Edge, FoldedGraph, Group, Kind
from compile_inspector.analyze.graph_tree import LONG_LIFE, MANY_READERS, TreeGroup, graph_tree, hidden_nodes
from compile_inspector.model.graph import Graph

MAX_BOXES = 150


def fold_graph(graph: Graph, *, max_boxes: int = MAX_BOXES) -> FoldedGraph:
    """The graph in at most ``max_boxes`` boxes.

    Args:
        graph: Any stage's.
        max_boxes: At least 1.
    """
    return _Fold(graph, max(1, max_boxes)).folded()


class _Fold:
    """What is drawn of a tree: an item is a node's index, or ``~index`` of a group that is closed."""

    def __init__(self, graph: Graph, limit: int) -> None:
        self.limit = limit
        self.merged = len(graph.raw) - sum(hidden_nodes(graph)) > limit
        self.tree = graph_tree(graph, most_loose=limit // 2 if self.merged else len(graph.raw))
        self.nodes = self.tree.nodes
        self.groups: list[TreeGroup] = self.tree.groups
        self.copies: dict[int, list[int]] = {}
        self.copy_of: dict[int, int] = {}
        self.frames: list[Group] = []
        self.frame_of: dict[int, int | None] = {}
        self.prefix: dict[int, str] = {}
        self.within: dict[int, str] = {}
        self.box_of: dict[int, int] = {}
        self.starts: dict[int, int] = {}
        self.callers: dict[str, int | None] = {}

    def folded(self) -> FoldedGraph:
        if self.merged:
            self._merge()
        visible = list(self._visible(self._open()))
        members = [self._members(item) for item in visible]
        self.starts = {node: nodes[0] for nodes in members for node in nodes}
        order = sorted(range(len(visible)), key=lambda index: self._rank(members[index][0]))
        for box, index in enumerate(order):
            for node in members[index]:
                self.box_of[node] = box
        edges, reads = self._edges(len(order))
        boxes = tuple(
            self._box(box, visible[index], members[index], reads.get(box, ()))
            for box, index in enumerate(order)
        )
        differing = tuple(group.path for group in self.groups if self.merged and group.differs)
        hidden = sum(self.tree.hidden)
        return FoldedGraph(boxes, edges, tuple(self.frames), len(self.nodes), hidden, differing)

    def _merge(self) -> None:
        """Lets the first of each run of groups alike stand for all of them."""
        order = self.tree.order
        for index, group in enumerate(self.groups):
            if group.run == index:
                continue
            self.copies.setdefault(group.run, []).append(index)
            first = self.groups[group.run]
            own, others = order[group.start : group.end], order[first.start : first.end]
            self.copy_of.update(zip(own, others, strict=True))

    def _items(self, index: int) -> list[int]:
        """A group's items, without those that another stands for."""
        if not self.merged:
            return self.groups[index].items
        return [item for item in self.groups[index].items if item >= 0 or self.groups[~item].run == ~item]

    def _open(self) -> set[int]:
        """Which groups are shown open: from the outermost on, as long as there is room."""
        opened = {0}
        items = self._items(0)
        shown = len(items)
        waiting = self._inner(items)
        heapq.heapify(waiting)
        while waiting:
            index = heapq.heappop(waiting)[-1]
            items = self._items(index)
            if shown - 1 + len(items) > self.limit:
                continue
            opened.add(index)
            shown += len(items) - 1
            for inner in self._inner(items):
                heapq.heappush(waiting, inner)
        return opened

    def _inner(self, items: Sequence[int]) -> list[tuple[int, int, int]]:
        """The groups among items: outer ones and large ones first."""
        groups = self.groups
        return [
            (groups[~item].depth, groups[~item].start - groups[~item].end, ~item)
            for item in items
            if item < 0
        ]

    def _visible(self, opened: set[int]) -> Iterator[int]:
        """The items that are drawn; frames are made for the open groups on the way."""
        stack = [0]
        while stack:
            index = stack.pop()
            items = self._items(index)
            label = self._enter(index, items)
            for item in items:
                if item >= 0:
                    self.frame_of[item] = self.frame_of[~index]
                    yield item
                    continue
                self.frame_of[item] = self.frame_of[~index]
                self.prefix[~item] = f"{label}." if label else ""
                if ~item in opened:
                    stack.append(~item)
                else:
                    yield item

    def _enter(self, index: int, items: Sequence[int]) -> str:
        """Makes the frame of an open group where it needs one; gives what is put before the names of those in it."""
        group, copies = self.groups[index], self.copies.get(index, ())
        label = f"{self.prefix.get(index, '')}{group.name}"
        outer = self.frame_of.setdefault(~index, None)
        if len(items) == 1 and items[0] >= 0 and not copies:
            self.within[items[0]] = label
            return label
        if index == 0 or (len(items) == 1 and not copies and group.kind == "module"):
            return label
        self.frame_of[~index] = len(self.frames)
        title = self._title(index, label)
        self.frames.append(Group(len(self.frames), title, 1 + len(copies), outer, group.module_class))
        return ""

    def _title(self, index: int, label: str) -> str:
        if self.groups[index].kind == "run":
            return label.rsplit("#", 1)[0]
        copies = self.copies.get(index)
        return f"{label} … {self.groups[copies[-1]].name}" if copies else label

    def _rank(self, index: int) -> tuple[int, int]:
        """Where a box stands whose first node this is: an input before what first reads it, an operator's graph before the operator."""
        node, count = self.nodes[index], len(self.nodes)
        if node.op == "placeholder" and (readers := self.tree.readers[index]):
            return (min(map(self._start, readers)), index - 2 * count)
        caller = self._caller(node.name)
        return (index, 0) if caller is None else (self._start(caller), index - count)

    def _caller(self, name: str) -> int | None:
        """The node of the printed graph itself that calls the graph which a node lies in; None for a node of the printed graph."""
        passed: list[str] = []
        prefix = name.rpartition(".")[0]
        caller: int | None = None
        while prefix and prefix not in self.callers and prefix not in passed:
            passed.append(prefix)
            holder = self.tree.at.get(prefix)
            readers = self.tree.readers[holder] if holder is not None else ()
            caller = readers[0] if readers else None
            prefix = "" if caller is None else self.nodes[caller].name.rpartition(".")[0]
        if prefix in self.callers:
            caller = self.callers[prefix]
        self.callers.update(dict.fromkeys(passed, caller))
        return caller

    def _start(self, index: int) -> int:
        """The first node of the box that this node lies in."""
        first = self._first(index)
        return self.starts.get(first, first)

    def _members(self, item: int) -> list[int]:
        group = self.groups[~item] if item < 0 else None
        return [item] if group is None else sorted(self.tree.order[group.start : group.end])

    def _box(self, box: int, item: int, members: list[int], reads: tuple[str, ...]) -> Box:
        first, last = self.nodes[members[0]], self.nodes[members[-1]]
        repeats = 1
        if item >= 0:
            ends: dict[str, Kind] = {"placeholder": "input", "output": "output"}
            kind: Kind = ends.get(first.op, "node")
            label = first.name if kind == "input" else first.target
            path, module_class = first.module_path, first.module_class
        else:
            group = self.groups[~item]
            kind = "run" if group.kind == "run" else "body" if group.kind == "body" else "module"
            label = self._title(~item, self.prefix[~item] + group.name)
            repeats += len(self.copies.get(~item, ()))
            path, module_class = (group.path if kind == "module" else None), group.module_class
        hidden = self.tree.hidden
        constants = {source for index in members for source in self.tree.sources[index] if hidden[source]}
        return Box(
            id=box,
            kind=kind,
            label=label,
            names=tuple(self.nodes[index].name for index in members),
            count=len(members) * repeats,
            repeats=repeats,
            module_path=path,
            module_class=module_class,
            dtype=last.dtype,
            shape=last.shape,
            value=last.value,
            location=first.location,
            within=self.within.get(item, ""),
            group=self.frame_of[item],
            reads=reads,
            constants=len(constants),
        )

    def _edges(self, count: int) -> tuple[tuple[Edge, ...], dict[int, tuple[str, ...]]]:
        values: dict[tuple[int, int], dict[str, None]] = {}
        carried: set[tuple[int, int]] = set()
        for index, sources in enumerate(self.tree.sources):
            target = self._place(index)
            for origin in sources:
                source = self._place(origin)
                if source is None or target is None or source == target:
                    continue
                values.setdefault((source, target), {})[self.nodes[self._first(origin)].name] = None
                if source > target:
                    carried.add((source, target))
        calls = self._call_bodies(values)
        readers: dict[int, int] = {}
        for source, _ in values:
            readers[source] = readers.get(source, 0) + 1
        edges: list[Edge] = []
        reads: dict[int, dict[str, None]] = {}
        for (source, target), names in values.items():
            far = abs(target - source) > LONG_LIFE or (readers[source] > MANY_READERS and target - source > 3)
            kept = (source, target) in carried or (source, target) in calls
            if far and count > LONG_LIFE and not kept:
                reads.setdefault(target, {}).update(names)
            else:
                edges.append(Edge(source, target, tuple(names), (source, target) in carried))
        return tuple(edges), {box: tuple(names) for box, names in reads.items()}

    def _place(self, index: int) -> int | None:
        return self.box_of.get(self._first(index))

    def _first(self, index: int) -> int:
        """The node that stands for this one in the first of repeated groups."""
        while index in self.copy_of:
            index = self.copy_of[index]
        return index

    def _call_bodies(self, values: dict[tuple[int, int], dict[str, None]]) -> set[tuple[int, int]]:
        """Adds edges from what a higher-order operator's graph returns to the node that calls it, and says which they are."""
        calls: set[tuple[int, int]] = set()
        for value, callers in self.tree.returned.items():
            source = self._place(value)
            for target in map(self._place, callers):
                if source is not None and target is not None and source != target:
                    values.setdefault((source, target), {})[self.nodes[value].name] = None
                    calls.add((source, target))
        return calls
