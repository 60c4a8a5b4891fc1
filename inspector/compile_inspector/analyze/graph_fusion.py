"""What nodes stand for that torch noted nothing of: seen from the nodes around them, of which it is known.

What lies within one operation of the program is a part of it. A pass that finds attention written out (matmul, softmax, matmul) puts one operation there, which has neither a line nor a source. The nodes
that it reads, and those that read it, are known; what of the program lies between these, and became nothing else, became this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from compile_inspector.analyze.op_families import family_of
from compile_inspector.model.nodes import GraphNode

Nodes = Sequence[GraphNode]
Pairs = set[tuple[int, int]]
Wires = Sequence[Sequence[int]]

_ITEM = "operator.getitem"
_QUIET = ("placeholder", "get_attr", "output")
_MOVES = (
    "transpose",
    "view",
    "expand",
    "clone",
    "getitem",
    "unsqueeze",
    "squeeze",
    "slice",
    "alias",
    "convert",
)
"""Families that only move values: what takes the place of several operations is none of them."""


def fused_pairs(program: Nodes, lowered: Nodes, pairs: Pairs, backward: Sequence[int]) -> Pairs:
    """The pairs of what has none: nodes of the lowered graph with the nodes of the program between what is around them.

    Args:
        program: Dynamo's graph.
        lowered: The later one.
        pairs: What corresponds already.
        backward: By lowered node: whether it computes a gradient.
    """
    known: dict[int, list[int]] = {}
    for one, other in pairs:
        known.setdefault(other, []).append(one)
    unknown = [index for index, node in enumerate(lowered) if index not in known and node.op not in _QUIET]
    if not unknown:
        return set()
    here, there = _Wired(program), _Wired(lowered)
    found: Pairs = set()
    for index in unknown:
        items = [user for user in there.users[index] if lowered[user].target == _ITEM]
        found |= {(one, index) for user in items for one in known.get(user, ())}
    met = [
        {one for one, other in pairs if bool(backward[other]) == turned and program[one].op not in _QUIET}
        for turned in (False, True)
    ]
    for group in _groups(unknown, there, backward):
        free = _free(group, known, here, there, met, backward)
        if free:
            found |= _shared_out(program, lowered, group, free, known, here, there)
    return found | _items_of(lowered, unknown, found, there)


def _items_of(lowered: Nodes, unknown: Sequence[int], found: Pairs, there: _Wired) -> Pairs:
    """An item of a fused operation's results stands for what that stands for, where nothing else is known of it."""
    became: dict[int, list[int]] = {}
    for one, other in found:
        became.setdefault(other, []).append(one)
    items = [index for index in unknown if lowered[index].target == _ITEM and index not in became]
    return {(one, index) for index in items for other in there.inputs[index] for one in became.get(other, ())}


def inner_pairs(lowered: Nodes, pairs: Pairs) -> Pairs:
    """The pairs of what has none and lies within one operation: all that it reads, and all that reads it, became of that one.

    What reads nothing stands for all that its readers do: the seeds that several dropouts draw from.
    """
    known: dict[int, set[int]] = {}
    for one, other in pairs:
        known.setdefault(other, set()).add(one)
    unknown = [index for index, node in enumerate(lowered) if index not in known and node.op not in _QUIET]
    if not unknown:
        return set()
    wired = _Wired(lowered)
    found: Pairs = set()
    for group in _groups(unknown, wired, bytes(len(lowered))):
        inside = set(group)
        read, reading = (
            [
                known.get(other, set())
                for index in group
                for other in wires[index]
                if other not in inside and lowered[other].op not in _QUIET
            ]
            for wires in (wired.inputs, wired.users)
        )
        whole = set[int]().union(*read, *reading)
        if len(whole) == 1 or (reading and not any(wired.inputs[index] for index in group)):
            found |= {(one, index) for index in group for one in whole}
    return found


def item_pairs(program: Nodes, lowered: Nodes, pairs: Pairs) -> Pairs:
    """The items of results that the program takes apart: torch has them stem from the operation that gave them."""
    became: dict[int, list[int]] = {}
    for one, other in pairs:
        became.setdefault(one, []).append(other)
    at = {node.name: index for index, node in enumerate(program)}
    found: Pairs = set()
    for index, node in enumerate(program):
        if node.target != _ITEM or index in became or not node.inputs or node.inputs[0] not in at:
            continue
        number = node.args.rpartition(", ")[2]
        found |= {
            (index, other)
            for other in became.get(at[node.inputs[0]], ())
            if lowered[other].target == _ITEM and lowered[other].args.rpartition(", ")[2] == number
        }
    return found


class _Wired:
    """By node of a graph: the places of those that it reads, and of those that read it."""

    def __init__(self, nodes: Nodes) -> None:
        at = {node.name: index for index, node in enumerate(nodes)}
        self.inputs: Wires = [[at[name] for name in node.inputs if name in at] for node in nodes]
        self.users: list[list[int]] = [[] for _ in nodes]
        for index, sources in enumerate(self.inputs):
            for source in sources:
                self.users[source].append(index)


def _groups(unknown: Sequence[int], wired: _Wired, backward: Sequence[int]) -> list[list[int]]:
    """What is unknown, in parts that hang together and are of one pass."""
    left = set(unknown)
    groups: list[list[int]] = []
    for start in unknown:
        if start not in left:
            continue
        left.discard(start)
        group, waiting = [start], [start]
        while waiting:
            index = waiting.pop()
            for other in (*wired.inputs[index], *wired.users[index]):
                if other in left and bool(backward[other]) == bool(backward[start]):
                    left.discard(other)
                    group.append(other)
                    waiting.append(other)
        groups.append(sorted(group))
    return groups


def _free(
    group: Sequence[int],
    known: Mapping[int, Sequence[int]],
    here: _Wired,
    there: _Wired,
    met: Sequence[set[int]],
    backward: Sequence[int],
) -> list[int]:
    """The program's nodes without a counterpart that lie between what a group reads and what reads it; in a backward pass the other way."""
    turned = bool(backward[group[0]])
    taken, inside = met[turned], set(group)

    def around(wires: Wires) -> set[int]:
        outside = {other for index in group for other in wires[index] if other not in inside}
        return {one for other in outside if not turned or backward[other] for one in known.get(other, ())}

    before, after = around(there.inputs), around(there.users)
    if turned:
        before, after = after, before
    down = _reached(before, here.users, taken)
    up = _reached(after, here.inputs, taken)
    return sorted(down & up)


def _reached(starts: Iterable[int], wires: Wires, taken: set[int]) -> set[int]:
    """What is reached from nodes through free ones alone."""
    found: set[int] = set()
    waiting = [other for start in starts for other in wires[start]]
    while waiting:
        index = waiting.pop()
        if index in found or index in taken:
            continue
        found.add(index)
        waiting += wires[index]
    return found


def _shared_out(
    program: Nodes,
    lowered: Nodes,
    group: Sequence[int],
    free: Sequence[int],
    known: Mapping[int, Sequence[int]],
    here: _Wired,
    there: _Wired,
) -> Pairs:
    """What only moves values has its own counterpart, one that reads the same; what computes stands for all that is left."""
    left = [index for index in free if program[index].op not in _QUIET]
    found: Pairs = set()
    core: list[int] = []
    for index in group:
        if _family(lowered[index]) not in _MOVES:
            core.append(index)
            continue
        read = {one for other in there.inputs[index] for one in known.get(other, ())}
        own = next(
            (
                one
                for one in left
                if _family(program[one]) == _family(lowered[index]) and read.intersection(here.inputs[one])
            ),
            None,
        )
        if own is not None:
            left.remove(own)
            found.add((own, index))
    return found | {(one, index) for index in core for one in left}


def _family(node: GraphNode) -> str:
    return family_of(node.target)
