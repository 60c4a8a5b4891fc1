"""Which groups of a graph compute the same, by their operations, types and wiring; exact, no hashes of hashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compile_inspector.analyze.graph_tree import GraphTree, TreeGroup

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
    """

    def __init__(self, tree: GraphTree) -> None:
        self.tree = tree
        self.numbers: dict[Hashable, int] = {}
        self.place = [-1] * len(tree.nodes)
        for place, index in enumerate(tree.order):
            self.place[index] = place
        self.outside: list[list[int]] = [[] for _ in tree.groups]

    def number(self) -> None:
        """Numbers every group."""
        for index in range(len(self.tree.groups) - 1, -1, -1):
            self.tree.groups[index].signature = self._number(index)

    def _number(self, index: int) -> int:
        tree, groups, numbers = self.tree, self.tree.groups, self.numbers
        nodes, sources, place, hidden = tree.nodes, tree.sources, self.place, tree.hidden
        group = groups[index]
        start, end = group.start, group.end
        outside: dict[int, int] = {}
        parts: list[Hashable] = []
        for item in group.items:
            if item >= 0:
                node = nodes[item]
                parts.append((node.op, node.target, node.dtype, node.shape))
                reads = sources[item]
            else:
                inner = groups[~item]
                parts.append((inner.name if inner.kind != "run" else "", inner.signature))
                reads = self.outside[~item]
            for source in reads:
                at = place[source]
                if start <= at < end:
                    parts.append(at - start)
                elif hidden[source]:
                    constant = nodes[source]
                    parts.append((constant.dtype, constant.shape))
                else:
                    parts.append(-1 - outside.setdefault(source, len(outside)))
        if index == 0 or len(outside) > _MOST_OUTSIDE:
            parts.append(("alone", index))
        self.outside[index] = list(outside)
        return numbers.setdefault(tuple(parts), len(numbers))
