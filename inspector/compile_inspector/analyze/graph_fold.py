"""Folds a graph to a bounded number of boxes: modules collapse, repeated layers become one, constants go into what reads them.

A graph with few enough nodes is only cleared of constants. In a larger one, runs of modules in a list that compute the same
(``layers.0`` … ``layers.31``) are shown once, and modules stay closed, the deepest first, where opening them would show too much.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import groupby

from compile_inspector.analyze.folded_graph import Box, Edge, FoldedGraph, Group, Kind
from compile_inspector.model.graph import Graph
from compile_inspector.model.module_paths import is_parameter
from compile_inspector.model.nodes import GraphNode

MAX_BOXES = 150
LONG_EDGE = 40
MANY_READERS = 8


class _Module:
    """A module, or a part of the graph treated as one."""

    def __init__(self, name: str, parent: _Module | None, kind: Kind = "module") -> None:
        self.name = name
        self.parent = parent
        self.kind: Kind = kind
        self.children: dict[str, _Module] = {}
        self.items: list[int | _Module] = []
        self.nodes: list[int] = []
        self.copies: list[_Module] = []
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.group: int | None = None
        self.prefix = ""

    @property
    def path(self) -> str:
        """Its path from the root's children on."""
        parts: list[str] = []
        module = self
        while module.parent is not None:
            parts.append(module.name)
            module = module.parent
        return ".".join(reversed(parts))


def fold_graph(graph: Graph, *, max_boxes: int = MAX_BOXES) -> FoldedGraph:
    """The graph in at most ``max_boxes`` boxes.

    Args:
        graph: Any stage's.
        max_boxes: At least 1.
    """
    return _Fold(graph.nodes, max(1, max_boxes)).folded()


class _Fold:
    def __init__(self, nodes: Sequence[GraphNode], limit: int) -> None:
        self.nodes = nodes
        self.limit = limit
        self.at = {node.name: index for index, node in enumerate(nodes)}
        self.hidden = [_is_hidden(node) for node in nodes]
        self.root = _Module("", None)
        self.differing: list[str] = []
        self.groups: list[Group] = []
        self.box_of: dict[int, int] = {}
        self.copy_of: dict[int, int] = {}
        self.group_of: dict[int, int | None] = {}
        self.within: dict[int, str] = {}
        self.callers: dict[str, int] = {}
        self.starts: dict[int, int] = {}

    def folded(self) -> FoldedGraph:
        self._plant()
        if len(self.root.nodes) > self.limit:
            self._merge_repeats()
            self._bundle_loose()
        opened = self._open()
        visible = list(self._visible(opened))
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
        hidden = sum(self.hidden)
        return FoldedGraph(boxes, edges, tuple(self.groups), len(self.nodes), hidden, tuple(self.differing))

    def _plant(self) -> None:
        """Puts every drawn node into the tree of modules."""
        bodies = self._bodies()
        for index, node in enumerate(self.nodes):
            if self.hidden[index]:
                continue
            prefix = node.name.rpartition(".")[0]
            path = bodies.get(prefix, prefix and f"[{prefix}]") if prefix else node.module_path
            module = self.root
            module.nodes.append(index)
            for part in path.split(".") if path and node.op not in ("placeholder", "output") else ():
                child = module.children.get(part)
                if child is None:
                    kind: Kind = "body" if part.startswith("[") else "module"
                    child = module.children[part] = _Module(part, module, kind)
                    module.items.append(child)
                module = child
                module.nodes.append(index)
            module.items.append(index)

    def _bodies(self) -> dict[str, str]:
        """Where the graphs of higher-order operators belong: below the module of the node that calls them."""
        paths: dict[str, str] = {}
        for node in self.nodes:
            if node.op == "get_attr" and node.users:
                caller = self.nodes[self.at[node.users[0]]]
                outer_caller = self.callers.get(caller.name.rpartition(".")[0])
                self.callers[node.name] = self.at[caller.name] if outer_caller is None else outer_caller
                outer = paths.get(caller.name.rpartition(".")[0]) or caller.module_path
                paths[node.name] = f"{outer}.[{node.target}]" if outer else f"[{node.target}]"
        return paths

    def _modules(self) -> Iterator[_Module]:
        """All modules, parents first."""
        stack = [self.root]
        while stack:
            module = stack.pop()
            yield module
            stack.extend(reversed(module.children.values()))

    def _merge_repeats(self) -> None:
        for module in list(self._modules()):
            numbered = [child for child in module.children.values() if child.name.isdecimal()]
            if len(numbered) < 2:
                continue
            runs = [list(run) for _, run in groupby(numbered, key=self._signature)]
            if len(runs) > 1 and max(map(len, runs)) > 1:
                longest = max(runs, key=len)
                self.differing.extend(child.path for run in runs if run is not longest for child in run)
            for first, *others in runs:
                if others:
                    self._merge(module, first, others)

    def _merge(self, module: _Module, first: _Module, others: list[_Module]) -> None:
        first.copies = others
        gone = set(map(id, others))
        module.items = [item for item in module.items if id(item) not in gone]
        for other in others:
            del module.children[other.name]
            self.copy_of.update(zip(other.nodes, first.nodes, strict=True))

    def _signature(self, module: _Module) -> tuple[object, ...]:
        """What a module computes: operations, types and wiring; equal for modules that differ in nothing but parameters' values."""
        inside = {index: place for place, index in enumerate(module.nodes)}
        outside: dict[str, int] = {}
        rows: list[object] = []
        depth = module.depth
        for index in module.nodes:
            node = self.nodes[index]
            wires: list[object] = []
            for name in node.inputs:
                source = self.at[name]
                if source in inside:
                    wires.append(inside[source])
                elif self.hidden[source]:
                    wires.append((self.nodes[source].dtype, self.nodes[source].shape))
                else:
                    wires.append(-1 - outside.setdefault(name, len(outside)))
            below = tuple((node.module_path or "").split(".")[depth:])
            rows.append((node.op, node.target, node.dtype, node.shape, below, tuple(wires)))
        return tuple(rows)

    def _bundle_loose(self) -> None:
        """Bundles nodes that lie in no module, where there are too many: by function, else by place."""
        root = self.root
        if sum(1 for item in root.items if isinstance(item, int)) <= self.limit // 2:
            return
        runs = [(key, list(run)) for key, run in groupby(root.items, key=self._function)]
        room = max(1, self.limit // 2)
        loose = sum(1 for key, _ in runs if key is not None)
        if loose > room:
            runs = list(_joined(runs, -(-loose // room)))
        root.items = []
        for number, (key, run) in enumerate(runs):
            if key is None or len(run) == 1:
                root.items.extend(run)
                continue
            bundle = _Module(f"{key}#{number}", root, "run")
            bundle.items = list(run)
            bundle.nodes = [item for item in run if isinstance(item, int)]
            root.children[bundle.name] = bundle
            root.items.append(bundle)

    def _function(self, item: int | _Module) -> str | None:
        if isinstance(item, _Module) or self.nodes[item].op in ("placeholder", "output"):
            return None
        place = self.nodes[item].location
        return (
            "no source line"
            if place is None
            else f"{place.function or '?'} in {place.file.rsplit('/', 1)[-1]}"
        )

    def _open(self) -> set[int]:
        """Which modules are shown open: from the outermost on, as long as there is room."""
        opened = {id(self.root)}
        shown = len(self.root.items)
        waiting = [
            (module.depth, -len(module.nodes), number, module)
            for number, module in enumerate(_inner(self.root))
        ]
        heapq.heapify(waiting)
        number = len(waiting)
        while waiting:
            _, _, _, module = heapq.heappop(waiting)
            if shown - 1 + len(module.items) > self.limit:
                continue
            opened.add(id(module))
            shown += len(module.items) - 1
            for child in _inner(module):
                number += 1
                heapq.heappush(waiting, (child.depth, -len(child.nodes), number, child))
        return opened

    def _visible(self, opened: set[int]) -> Iterator[int | _Module]:
        """The items that are drawn; groups are made for the open modules on the way."""
        stack: list[tuple[_Module, str]] = [(self.root, "")]
        while stack:
            module, prefix = stack.pop()
            inner = list(_inner(module))
            alone = (
                len(module.items) == 1 and len(inner) == 1 and not module.copies and module.kind == "module"
            )
            label = f"{prefix}{module.name}"
            single = len(module.items) == 1 and not inner and not module.copies
            if single:
                self.within[module.nodes[0]] = label
            elif module is not self.root and not alone:
                parent = module.group
                module.group = len(self.groups)
                self.groups.append(
                    Group(
                        module.group,
                        self._title(module, label),
                        1 + len(module.copies),
                        parent,
                        self._class(module),
                    )
                )
                label = ""
            for item in module.items:
                if isinstance(item, _Module):
                    item.group = module.group
                    item.prefix = f"{label}." if label else ""
                    if id(item) in opened:
                        stack.append((item, item.prefix))
                        continue
                else:
                    self.group_of[item] = module.group
                yield item

    def _title(self, module: _Module, label: str) -> str:
        if module.kind == "run":
            return label.rpartition("#")[0]
        return f"{label} … {module.copies[-1].name}" if module.copies else label

    def _class(self, module: _Module) -> str | None:
        path = module.path
        for index in module.nodes:
            node = self.nodes[index]
            if node.module_path == path:
                return node.module_class
        return None

    def _rank(self, index: int) -> tuple[int, int]:
        """Where a box stands whose first node this is: an input before what first reads it, an operator's graph before the operator."""
        node, count = self.nodes[index], len(self.nodes)
        if node.op == "placeholder" and node.users:
            return (min(self._start(self.at[user]) for user in node.users), index - 2 * count)
        caller = self.callers.get(node.name.rpartition(".")[0])
        return (index, 0) if caller is None else (self._start(caller), index - count)

    def _start(self, index: int) -> int:
        """The first node of the box that this node lies in."""
        first = self._first(index)
        return self.starts.get(first, first)

    def _members(self, item: int | _Module) -> list[int]:
        return [item] if isinstance(item, int) else item.nodes

    def _box(self, box: int, item: int | _Module, members: list[int], reads: tuple[str, ...]) -> Box:
        first, last = self.nodes[members[0]], self.nodes[members[-1]]
        if isinstance(item, int):
            kind: Kind = (
                "input" if first.op == "placeholder" else "output" if first.op == "output" else "node"
            )
            label = first.name if kind == "input" else first.target
            group, repeats = self.group_of[item], 1
            path, module_class = first.module_path, first.module_class
        else:
            kind, label, group = item.kind, self._title(item, item.prefix + item.name), item.group
            repeats = 1 + len(item.copies)
            path = item.path if kind == "module" else None
            module_class = self._class(item)
        constants = {
            name for index in members for name in self.nodes[index].inputs if self.hidden[self.at[name]]
        }
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
            within=self.within.get(item, "") if isinstance(item, int) else "",
            group=group,
            reads=reads,
            constants=len(constants),
        )

    def _edges(self, count: int) -> tuple[tuple[Edge, ...], dict[int, tuple[str, ...]]]:
        values: dict[tuple[int, int], dict[str, None]] = {}
        carried: set[tuple[int, int]] = set()
        for index, node in enumerate(self.nodes):
            target = self._place(index)
            for name in node.inputs:
                source = self._place(self.at[name])
                if source is None or target is None or source == target:
                    continue
                first = self.nodes[self._first(self.at[name])].name
                values.setdefault((source, target), {})[first] = None
                if source > target:
                    carried.add((source, target))
        calls = self._call_bodies(values)
        readers: dict[int, int] = {}
        for source, _ in values:
            readers[source] = readers.get(source, 0) + 1
        edges: list[Edge] = []
        reads: dict[int, dict[str, None]] = {}
        for (source, target), names in values.items():
            far = abs(target - source) > LONG_EDGE or (readers[source] > MANY_READERS and target - source > 3)
            if (
                far
                and count > LONG_EDGE
                and (source, target) not in carried
                and (source, target) not in calls
            ):
                reads.setdefault(target, {}).update(names)
            else:
                edges.append(Edge(source, target, tuple(names), (source, target) in carried))
        return tuple(edges), {box: tuple(names) for box, names in reads.items()}

    def _place(self, index: int) -> int | None:
        return self.box_of.get(self._first(index))

    def _first(self, index: int) -> int:
        """The node that stands for this one in the first of repeated modules."""
        while index in self.copy_of:
            index = self.copy_of[index]
        return index

    def _call_bodies(self, values: dict[tuple[int, int], dict[str, None]]) -> set[tuple[int, int]]:
        """Adds edges from what a higher-order operator's graph returns to the node that calls it, and says which they are."""
        calls: set[tuple[int, int]] = set()
        for node in self.nodes:
            if node.op != "output" or "." not in node.name:
                continue
            prefix = node.name.rpartition(".")[0]
            holder = self.at.get(prefix)
            for user in self.nodes[holder].users if holder is not None else ():
                target = self._place(self.at[user])
                for name in node.inputs:
                    source = self._place(self.at[name])
                    if source is not None and target is not None and source != target:
                        values.setdefault((source, target), {})[name] = None
                        calls.add((source, target))
        return calls


def _inner(module: _Module) -> Iterator[_Module]:
    return (item for item in module.items if isinstance(item, _Module))


def _joined(
    runs: list[tuple[str | None, list[int | _Module]]], size: int
) -> Iterator[tuple[str | None, list[int | _Module]]]:
    """Puts each ``size`` neighbouring runs of loose nodes together."""
    pending: list[tuple[str | None, list[int | _Module]]] = []

    def flushed() -> Iterator[tuple[str | None, list[int | _Module]]]:
        if pending:
            keys = dict.fromkeys(str(key) for key, _ in pending)
            label = next(iter(keys)) if len(keys) == 1 else f"{next(iter(keys))} and {len(keys) - 1} more"
            yield label, [item for _, run in pending for item in run]
            pending.clear()

    for key, run in runs:
        if key is None:
            yield from flushed()
            yield key, run
            continue
        pending.append((key, run))
        if len(pending) == size:
            yield from flushed()
    yield from flushed()


def _is_hidden(node: GraphNode) -> bool:
    """Constants, sizes that are inputs, and the ends of graphs that operators call."""
    if node.op == "get_attr":
        return True
    if "." in node.name and node.op in ("placeholder", "output"):
        return True
    if node.op != "placeholder":
        return False
    return is_parameter(node.target) or bool(node.module_path) or (node.value or "").startswith("Sym(")
