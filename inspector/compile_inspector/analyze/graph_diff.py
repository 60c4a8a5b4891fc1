"""What differs between two graphs, node by node: added, removed, changed. Nearly linear in nodes and edges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal

import msgspec

from compile_inspector.analyze.findings.names import cut
from compile_inspector.analyze.graph_match import PYTHON_LEVEL, match_one_to_one, same_level, skeleton
from compile_inspector.analyze.op_families import family_of
from compile_inspector.model.graph import Graph
from compile_inspector.model.nodes import GraphNode

DifferenceKind = Literal["added", "removed", "changed"]
Aspect = Literal["target", "dtype", "shape", "stride", "device", "value", "arguments"]

_TEXT = 300


class Difference(msgspec.Struct, frozen=True):
    """One thing that differs; several of one node follow each other.

    Attributes:
        left: Place of the node in the left graph, None where it was added.
        right: In the right graph, None where it was removed.
        what: What of the node changed, None where all of it is new or gone.
        was: On the left side.
        now: On the right side.
    """

    kind: DifferenceKind
    left: int | None
    right: int | None
    what: Aspect | None
    was: str | None
    now: str | None


class GraphDiff(msgspec.Struct, frozen=True):
    """Two graphs held against each other.

    Attributes:
        pairs: Places of the nodes that correspond, each node in one pair at most.
        differences: In the right graph's order; what was removed stands where it stood.
    """

    pairs: tuple[tuple[int, int], ...]
    differences: tuple[Difference, ...]


def diff_graphs(left: Graph, right: Graph) -> GraphDiff:
    """What differs from one graph to another.

    Names of nodes do not count: a node that reads the same values under other names is the same. Between Dynamo's level and ATen's, the
    spelling of operations, their arguments and strides do not count either.
    """
    pairs = match_one_to_one(left, right)
    return GraphDiff(pairs, tuple(_Comparison(left, right, pairs).differences()))


def differing_nodes(left: Graph, right: Graph) -> list[tuple[GraphNode | None, GraphNode | None]]:
    """The nodes of which anything differs, as pairs; None for the side that lacks one."""
    mine, theirs = left.nodes, right.nodes
    return [
        (None if one is None else mine[one], None if other is None else theirs[other])
        for (one, other), _ in groupby(
            diff_graphs(left, right).differences, lambda row: (row.left, row.right)
        )
    ]


def described(node: GraphNode) -> str:
    """A node in a line: ``torch.ops.aten.mul.Tensor(view, 2.0) f32[s77, 16]``."""
    value = _typed(node) or node.value or ""
    if node.op == "placeholder":
        return f"input {value}".strip()
    return f"{node.target}({cut(node.args, _TEXT)}){f' {value}' if value else ''}"


class _Comparison:
    def __init__(self, left: Graph, right: Graph, pairs: Sequence[tuple[int, int]]) -> None:
        self.left, self.right = left.nodes, right.nodes
        self.there = dict(pairs)
        self.back = {other: one for one, other in pairs}
        self.alike = same_level(left, right)
        self.named = self.alike and left.stage in PYTHON_LEVEL
        self.mine = {node.name: index for index, node in enumerate(self.left)}
        self.theirs = {node.name: index for index, node in enumerate(self.right)}

    def differences(self) -> Iterator[Difference]:
        """In the order of the right graph."""
        gone = self._gone()
        yield from self._removed(gone, -1)
        for index, node in enumerate(self.right):
            one = self.back.get(index)
            if one is None:
                yield Difference("added", None, index, None, None, described(node))
            else:
                for what, was, now in self._changes(self.left[one], node):
                    yield Difference("changed", one, index, what, was, now)
            yield from self._removed(gone, index)

    def _gone(self) -> dict[int, list[int]]:
        """What was removed, by the place on the right of what stood before it."""
        gone: dict[int, list[int]] = {}
        before = -1
        for index in range(len(self.left)):
            place = self.there.get(index)
            if place is None:
                gone.setdefault(before, []).append(index)
            else:
                before = place
        return gone

    def _removed(self, gone: dict[int, list[int]], place: int) -> Iterator[Difference]:
        for index in gone.get(place, ()):
            yield Difference("removed", index, None, None, described(self.left[index]), None)

    def _changes(self, one: GraphNode, other: GraphNode) -> Iterator[tuple[Aspect, str | None, str | None]]:
        if self._retargeted(one, other):
            yield "target", one.target, other.target
        if one.dtype != other.dtype:
            yield "dtype", one.dtype, other.dtype
        if one.shape != other.shape:
            yield "shape", _sizes(one.shape), _sizes(other.shape)
        elif self.alike and one.stride != other.stride and None not in (one.stride, other.stride):
            yield "stride", _sizes(one.stride), _sizes(other.stride)
        if one.device != other.device and None not in (one.device, other.device):
            yield "device", one.device, other.device
        if self.alike:
            if one.value != other.value:
                yield "value", one.value, other.value
            if self._reads_otherwise(one, other) and one.args != other.args:
                yield "arguments", cut(one.args, _TEXT), cut(other.args, _TEXT)

    def _retargeted(self, one: GraphNode, other: GraphNode) -> bool:
        if "placeholder" in (one.op, other.op):
            return self.named and one.op == other.op and one.target != other.target
        if self.alike:
            return one.target != other.target
        return family_of(one.target) != family_of(other.target)

    def _reads_otherwise(self, one: GraphNode, other: GraphNode) -> bool:
        """Whether the arguments differ in more than the names of the values that are read."""
        if "placeholder" in (one.op, other.op):
            return False
        read = [self.there.get(self.mine.get(name, -1), -1) for name in one.inputs]
        reads = [self.theirs.get(name, -2) for name in other.inputs]
        if read != reads:
            return True
        return one.args != other.args and skeleton(one) != skeleton(other)


def _typed(node: GraphNode) -> str:
    return (
        "" if node.dtype is None and node.shape is None else f"{node.dtype or ''}{_sizes(node.shape) or ''}"
    )


def _sizes(sizes: tuple[int | str, ...] | None) -> str | None:
    return None if sizes is None else f"[{', '.join(map(str, sizes))}]"
