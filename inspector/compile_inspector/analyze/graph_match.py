"""Which nodes of two graphs correspond: of two stages of one compile, two compiles, or two sessions.

Within a level (Dynamo's and pre-grad graphs; the graphs of ATen operators) nodes correspond one to one, by what they compute, where, and
of what. Between the levels one node becomes several (`graph_lowering`). Nearly linear in nodes and edges, and iterative.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence

from compile_inspector.analyze.graph_align import align, paired_by
from compile_inspector.analyze.graph_lowering import lowered_pairs
from compile_inspector.analyze.op_families import family_of
from compile_inspector.model.graph import Graph
from compile_inspector.model.nodes import GraphNode

PYTHON_LEVEL = ("dynamo", "pre_grad")
"""The stages whose graphs speak of the program's own operations; those of the others are ATen's."""
_WORD = re.compile(r"[A-Za-z_]\w*")


def same_level(left: Graph, right: Graph) -> bool:
    """Whether both graphs speak of the same kind of operations: those of the program, or ATen's."""
    return (left.stage in PYTHON_LEVEL) == (right.stage in PYTHON_LEVEL)


def noted_in(lowered: Graph, program: Graph) -> Mapping[str, tuple[str, ...]]:
    """By node of a lowered graph: the program's nodes that it was made of, as torch noted; empty where it was lowered from another one."""
    ancestor = lowered.ancestor
    if ancestor is None or lowered.lineage is None:
        return {}
    own = program.ancestor is ancestor or program == ancestor.graph
    return lowered.made_of if own else {}


def _printed_as(graph: Graph) -> tuple[str, str, str | None]:
    return graph.stage, graph.name, graph.direction


def match_graphs(left: Graph, right: Graph, *, forward: Graph | None = None) -> tuple[tuple[int, int], ...]:
    """Nodes that correspond, as pairs of places in ``nodes``; sorted.

    Between two levels a node may be in several pairs: an operation of the program with all that it was lowered to.

    Args:
        left: A graph.
        right: Another one.
        forward: The forward graph of the compile, if one of the two is its backward graph: the values that were saved are named after
            its nodes.
    """
    if same_level(left, right):
        return match_one_to_one(left, right)
    if left.stage in PYTHON_LEVEL:
        return tuple(sorted(_lowered(left, right, forward)))
    return tuple(sorted((one, other) for other, one in _lowered(right, left, forward)))


def _lowered(program: Graph, lowered: Graph, forward: Graph | None) -> set[tuple[int, int]]:
    saved: dict[str, int] = {}
    if forward is not None and lowered.direction == "backward":
        made = forward.nodes
        for one, other in sorted(lowered_pairs(program.nodes, made, noted_in(forward, program))):
            saved.setdefault(made[other].name, one)
    return lowered_pairs(program.nodes, lowered.nodes, noted_in(lowered, program), saved)


def match_one_to_one(left: Graph, right: Graph) -> tuple[tuple[int, int], ...]:
    """As `match_graphs`, but each node is in one pair at most: between two levels with the first of its own kind that it became."""
    if same_level(left, right):
        kept = left.compile_id == right.compile_id and _printed_as(left) != _printed_as(right)
        named = left.stage in PYTHON_LEVEL
        return _Matching(left.nodes, right.nodes, named=named).run(names_are_kept=kept)
    mine, theirs = left.nodes, right.nodes
    pairs = sorted(
        match_graphs(left, right),
        key=lambda pair: (family_of(mine[pair[0]].target) != family_of(theirs[pair[1]].target), pair),
    )
    taken: set[int] = set()
    found: dict[int, int] = {}
    for one, other in pairs:
        if one not in found and other not in taken:
            found[one] = other
            taken.add(other)
    return tuple(sorted(found.items()))


class Side:
    """One of two graphs that are matched.

    Args:
        nodes: Of the graph.
        side: Tells it from the other one.
        named: Whether its inputs have names of the program; those of ATen graphs are numbered, or named after values that were saved.

    Attributes:
        nodes: In order.
        at: Where a node is, by name.
        inputs: By node: the nodes it reads.
        users: By node: the nodes that read it.
        owner: By node: the module it lies in, within which it is looked for first.
        strict: By node: operation, the user's line, arguments but for the values read.
        plain: By node: operation and the user's line.
        loose: By node: the operation alone.
    """

    def __init__(self, nodes: Sequence[GraphNode], side: int, *, named: bool) -> None:
        self.nodes = nodes
        at = self.at = {node.name: index for index, node in enumerate(nodes)}
        self.inputs = [[at[name] for name in node.inputs if name in at] for node in nodes]
        self.users: list[list[int]] = [[] for _ in nodes]
        for index, sources in enumerate(self.inputs):
            for source in dict.fromkeys(sources):
                self.users[source].append(index)
        self.owner: list[Hashable] = [(node.name.rpartition(".")[0], node.module_path) for node in nodes]
        self.strict: list[Hashable] = []
        self.plain: list[Hashable] = []
        self.loose: list[Hashable] = []
        for index, node in enumerate(nodes):
            if node.op == "placeholder":
                self._input(node, (side, index), named=named)
            else:
                operation = (node.op, node.target)
                code = None if node.location is None else node.location.code
                self.strict.append((operation, code, skeleton(node)))
                self.plain.append((operation, code))
                self.loose.append(operation)

    def _input(self, node: GraphNode, none: Hashable, *, named: bool) -> None:
        """An input without a name of its own is known by its type."""
        if named:
            name = ("placeholder", node.target)
            self.strict.append(name)
            self.plain.append(name)
            self.loose.append(none)
            return
        self.strict.append(("placeholder", node.dtype, node.shape, node.value))
        self.plain.append(("placeholder", node.dtype, rank(node)))
        self.loose.append(none)


def rank(node: GraphNode) -> int | None:
    """How many dimensions a node's value has, None for what is no tensor."""
    return None if node.shape is None else len(node.shape)


def skeleton(node: GraphNode) -> str:
    """A node's arguments with ``%`` for each value it reads."""
    names = {local_name(name) for name in node.inputs}
    return _WORD.sub(lambda found: "%" if found[0] in names else found[0], node.args) if names else node.args


def local_name(name: str) -> str:
    """A node's name as the printout has it: without the called graph it stands in, and the mark of a repeat."""
    return name.rpartition(".")[2].partition("'")[0]


class _Matching:
    def __init__(self, left: Sequence[GraphNode], right: Sequence[GraphNode], *, named: bool) -> None:
        self.left, self.right = Side(left, 0, named=named), Side(right, 1, named=named)
        self.there: dict[int, int] = {}
        self.back: dict[int, int] = {}
        self.fresh: deque[tuple[int, int]] = deque()

    def run(self, *, names_are_kept: bool) -> tuple[tuple[int, int], ...]:
        if names_are_kept:
            self._by_name()
        self._by_owner()
        self._by_wiring()
        self._in_order()
        self._by_wiring()
        self._in_place()
        self._by_wiring()
        return tuple(sorted(self.there.items()))

    def _take(self, pairs: Iterable[tuple[int, int]]) -> None:
        for one, other in pairs:
            if one not in self.there and other not in self.back:
                self.there[one] = other
                self.back[other] = one
                self.fresh.append((one, other))

    def _left_over(self) -> tuple[list[int], list[int]]:
        return (
            [index for index in range(len(self.left.nodes)) if index not in self.there],
            [index for index in range(len(self.right.nodes)) if index not in self.back],
        )

    def _by_name(self) -> None:
        """Later stages of one compile keep names; a backward graph's inputs have those of the values that were saved."""
        for index, node in enumerate(self.left.nodes):
            place = self.right.at.get(node.name)
            if place is None:
                continue
            other = self.right.nodes[place]
            if (node.dtype, node.shape) != (other.dtype, other.shape):
                continue
            if "placeholder" in (node.op, other.op) or family_of(node.target) == family_of(other.target):
                self._take([(index, place)])

    def _by_owner(self) -> None:
        """What lies in the same module, in order."""
        mine, theirs = self._left_over()
        owned = _by(mine, self.left.owner)
        for owner, others in _by(theirs, self.right.owner).items():
            if owner in owned:
                self._take(align(owned[owner], others, self._levels()))

    def _in_order(self) -> None:
        """What is left, of the whole graph: modules may have other names."""
        mine, theirs = self._left_over()
        self._take(align(mine, theirs, self._levels()))
        mine, theirs = self._left_over()
        self._take(paired_by(mine, theirs, self.left.plain.__getitem__, self.right.plain.__getitem__))

    def _levels(self) -> list[tuple[Sequence[Hashable], Sequence[Hashable]]]:
        left, right = self.left, self.right
        return [(left.strict, right.strict), (left.plain, right.plain), (left.loose, right.loose)]

    def _by_wiring(self) -> None:
        """Goes from each pair to what it reads and to what reads it: equal operations there correspond."""
        left, right = self.left, self.right
        while self.fresh:
            one, other = self.fresh.popleft()
            if left.loose[one] == right.loose[other] and len(left.inputs[one]) == len(right.inputs[other]):
                inputs = zip(left.inputs[one], right.inputs[other], strict=True)
                self._take([(a, b) for a, b in inputs if self._alike(a, b)])
            mine = [user for user in left.users[one] if user not in self.there]
            theirs = [user for user in right.users[other] if user not in self.back] if mine else []
            if theirs:
                self._take(paired_by(mine, theirs, left.loose.__getitem__, right.loose.__getitem__))

    def _alike(self, one: int, other: int) -> bool:
        """Whether two nodes that are read in the same place by the same operation correspond; inputs do under other names too."""
        if self.left.loose[one] == self.right.loose[other]:
            return True
        a, b = self.left.nodes[one], self.right.nodes[other]
        return a.op == b.op == "placeholder" and a.dtype == b.dtype and rank(a) == rank(b)

    def _in_place(self) -> None:
        """Another operation on the same values in the same module: what was put in its place."""
        left, right = self.left, self.right
        mine, theirs = self._left_over()

        def before(index: int) -> Hashable:
            read = tuple(self.there.get(source, -1) for source in left.inputs[index])
            return _place(left, index, read)

        def after(index: int) -> Hashable:
            return _place(right, index, tuple(right.inputs[index]))

        self._take(paired_by(mine, theirs, before, after))


def _place(side: Side, index: int, read: tuple[int, ...]) -> Hashable:
    if not read or -1 in read or side.nodes[index].op in ("placeholder", "output", "get_attr"):
        return (id(side), index)
    return (side.owner[index], read)


def _by(indices: Iterable[int], keys: Sequence[Hashable]) -> Mapping[Hashable, list[int]]:
    found: dict[Hashable, list[int]] = {}
    for index in indices:
        found.setdefault(keys[index], []).append(index)
    return found
