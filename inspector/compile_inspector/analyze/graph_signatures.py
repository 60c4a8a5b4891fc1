"""Which groups of a graph compute the same, by their operations, types and wiring; exact, no hashes of hashes."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compile_inspector.analyze.graph_tree import GraphTree, TreeGroup

_NODE, _GROUP, _INSIDE, _CONSTANT, _OUTSIDE = range(5)
_STEP = 5
_MOST_OUTSIDE = 2_000
"""A group that reads more values from outside than this is taken to be like no other."""


def mark_alike(tree: GraphTree) -> None:
    """Fills `TreeGroup.signature`, ``run`` and ``differs``."""
    _Signatures(tree).number()
    numbered: dict[int, list[int]] = {}
    for index, group in enumerate(tree.groups):
        group.run = index
        if index and group.name.isdecimal() and group.kind == "module":
            numbered.setdefault(group.parent, []).append(index)
    for members in numbered.values():
        if len(members) > 1:
            _mark(tree.groups, members)


def _mark(groups: list[TreeGroup], members: list[int]) -> None:
    def signature(index: int) -> int:
        return groups[index].signature

    for _, run in groupby(members, key=signature):
        first, *others = run
        for other in others:
            groups[other].run = first
    most, count = Counter(map(signature, members)).most_common(1)[0]
    if 2 * count > len(members):
        for index in members:
            groups[index].differs = signature(index) != most


class _Signatures:
    """Numbers what groups compute, children before parents.

    A group is its items in order: a node with where each of its inputs comes from, a group with its number and where what it reads from
    outside comes from. A value comes from a place within the group, from a constant of a type, or from outside: counted as first met.
    All are numbers, told apart by their remainders, so that a group is one tuple of numbers.
    """

    def __init__(self, tree: GraphTree) -> None:
        self.tree = tree
        self.numbers: dict[tuple[int, ...], int] = {}
        self.named: dict[tuple[str, int], int] = {}
        self.outside: list[list[int]] = [[] for _ in tree.groups]
        self.place = [-1] * len(tree.nodes)
        for place, index in enumerate(tree.order):
            self.place[index] = place
        shapes: dict[int, tuple[object, object]] = {}
        for number, node in zip(tree.types, tree.nodes, strict=True):
            if number not in shapes:
                shapes[number] = (node.dtype, node.shape)
        same = {shape: _STEP * number for number, shape in enumerate(dict.fromkeys(shapes.values()))}
        dense = {number: same[shape] for number, shape in shapes.items()}
        types = list(map(dense.__getitem__, tree.types))
        calls: dict[tuple[str, str, int], int] = {}
        self.kinds = [
            _NODE + _STEP * calls.setdefault((node.op, node.target, type_), len(calls))
            for node, type_ in zip(tree.nodes, types, strict=True)
        ]
        self.constants = [_CONSTANT + type_ for type_ in types]

    def number(self) -> None:
        """Numbers every group."""
        for index in range(len(self.tree.groups) - 1, -1, -1):
            self.tree.groups[index].signature = self._number(index)

    def _number(self, index: int) -> int:
        tree, groups = self.tree, self.tree.groups
        sources, place, hidden, kinds = tree.sources, self.place, tree.hidden, self.kinds
        group = groups[index]
        start, end = group.start, group.end
        outside: dict[int, int] = {}
        parts: list[int] = []
        append = parts.append
        for item in group.items:
            if item >= 0:
                append(kinds[item])
                reads = sources[item]
            else:
                inner = groups[~item]
                key = (inner.name if inner.kind != "run" else "", inner.signature)
                append(_GROUP + _STEP * self.named.setdefault(key, len(self.named)))
                reads = self.outside[~item]
            for source in reads:
                at = place[source]
                if start <= at < end:
                    append(_INSIDE + _STEP * (at - start))
                elif hidden[source]:
                    append(self.constants[source])
                else:
                    append(_OUTSIDE + _STEP * outside.setdefault(source, len(outside)))
        if index == 0 or len(outside) > _MOST_OUTSIDE:
            append(-1 - index)
        self.outside[index] = list(outside)
        return self.numbers.setdefault(tuple(parts), len(self.numbers))
