"""Bundles the nodes that lie in no module of their own, where there are too many to draw one by one: by function, else by place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compile_inspector.analyze.graph_tree import GraphTree, TreeGroup

_Run = tuple[str, list[int]]
_MOST_BESIDE = 16
"""Loose nodes that stand one by one beside groups that hold far more: more of them push those out of sight."""
_FAR_MORE = 4


def bundle_loose(tree: GraphTree, most: int, new_group: type[TreeGroup]) -> None:
    """Puts loose nodes into groups of kind ``run``, wherever a group holds more than ``most`` of them; runs that long are divided again.

    Beside groups that hold far more, fewer are allowed.

    Args:
        tree: Changed in place.
        most: At least 1.
        new_group: What makes a group.
    """
    for index, size in enumerate(_sizes(tree)):
        loose = sum(1 for item in tree.groups[index].items if item >= 0)
        beside = loose * _FAR_MORE < size
        _bundle(tree, index, min(most, _MOST_BESIDE) if beside else most, most, new_group)


def _sizes(tree: GraphTree) -> list[int]:
    """By group: how many nodes lie in it, at any depth."""
    sizes = [sum(1 for item in group.items if item >= 0) for group in tree.groups]
    for index in range(len(sizes) - 1, 0, -1):
        sizes[tree.groups[index].parent] += sizes[index]
    return sizes


def _bundle(tree: GraphTree, index: int, allowed: int, most: int, new_group: type[TreeGroup]) -> None:
    group = tree.groups[index]
    if len(group.items) <= allowed:
        return
    inputs = sum(1 for item in group.items if item >= 0 and tree.nodes[item].op == "placeholder")
    if inputs <= allowed and sum(1 for item in group.items if _is_loose(tree, item)) <= allowed:
        return

    def key_of(item: int) -> str | None:
        if inputs > allowed and item >= 0 and tree.nodes[item].op == "placeholder":
            return "inputs"
        return _function(tree, item)

    runs = [(key, list(run)) for key, run in groupby(group.items, key=key_of)]
    loose = sum(1 for key, _ in runs if key is not None)
    if loose > allowed:
        runs = list(_joined(runs, -(-loose // allowed)))
    pending: list[tuple[int, list[_Run]]] = [(index, _numbered(runs))]
    while pending:
        at, parts = pending.pop()
        pending.extend(_divided(tree, at, parts, most, new_group))


def _divided(
    tree: GraphTree, at: int, parts: Sequence[_Run], most: int, new_group: type[TreeGroup]
) -> Iterator[tuple[int, list[_Run]]]:
    """Makes the groups of a group's parts; gives those that are to be divided again, with their parts."""
    group = tree.groups[at]
    long = [items for name, items in parts if name and len(items) > 1]
    if len(long) == 1 and len(long[0]) > most > 1:
        parts = [
            one
            for name, items in parts
            for one in (_by_place(tree, items, most) if items is long[0] else [(name, items)])
        ]
    group.items = []
    for name, items in parts:
        if not name or len(items) == 1:
            group.items.extend(items)
            continue
        index = len(tree.groups)
        path = f"{group.path}.{name}" if group.path else name
        tree.groups.append(new_group(at, name, path, "run", group.depth + 1, items))
        group.items.append(~index)
        for item in items:
            tree.group_of[item] = index
        if len(items) > most:
            yield index, _by_place(tree, items, most)


def _by_place(tree: GraphTree, items: list[int], most: int) -> list[_Run]:
    """Neighbours in parts: as few as hold ``most`` nodes each, but no more than ``most``."""
    size = max(most, -(-len(items) // most)) if most > 1 else -(-len(items) // 2)
    parts = [items[begin : begin + size] for begin in range(0, len(items), size)]
    return [(f"{tree.nodes[part[0]].name} … {tree.nodes[part[-1]].name}", part) for part in parts]


def _is_loose(tree: GraphTree, item: int) -> bool:
    return item >= 0 and tree.nodes[item].op not in ("placeholder", "output")


def _function(tree: GraphTree, item: int) -> str | None:
    if not _is_loose(tree, item):
        return None
    place = tree.nodes[item].location
    if place is None:
        return "no source line"
    return f"{place.function or '?'} in {place.file.rsplit('/', 1)[-1]}"


def _numbered(runs: Sequence[tuple[str | None, list[int]]]) -> list[_Run]:
    """Runs with names that tell them apart; an empty one for what is left as it is."""
    seen: dict[str, int] = {}
    named: list[_Run] = []
    for key, items in runs:
        if key is None or len(items) == 1:
            named.append(("", items))
            continue
        number = seen[key] = seen.get(key, -1) + 1
        named.append((f"{key}#{number}", items))
    return named


def _joined(
    runs: Sequence[tuple[str | None, list[int]]], size: int
) -> Iterator[tuple[str | None, list[int]]]:
    """Puts each ``size`` neighbouring runs of loose nodes together."""
    pending: list[tuple[str, list[int]]] = []

    def flushed() -> Iterator[tuple[str | None, list[int]]]:
        if pending:
            keys = list(dict.fromkeys(key for key, _ in pending))
            label = keys[0] if len(keys) == 1 else f"{keys[0]} and {len(keys) - 1} more"
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
