"""Which module made a node, where the recording does not say: from parameters' names, and along the user's lines of an earlier stage.

What is found so is the true module or one around it: between two nodes that read parameters, only what both lie in is claimed.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from compile_inspector.model.graph_types import RawNode
from compile_inspector.model.locations import Location

Path = tuple[str, ...]
Owner = tuple[str | None, str | None, Location | None]
"""A module's path, its class, and the user's line where that is known better than from the printout."""

_STORED = ("parameters_", "buffers_")
_LOWERED = re.compile(r"(?:primals_(\d+)|arg(\d+)_1)")
_STEP = 60
"""How far a node whose line stands once in the Dynamo graph moves the place from where the next one is sought: what a backward graph
computes again (RoPE's sine) is far from where it is used."""
_REACH = 30
"""How many lines above a module's arithmetic on a parameter its function is taken to reach."""
_ROOTS = ("self", "args_0")
"""What the module is called whose method was compiled: a decorator around the method takes it as the first of ``*args``."""
_QUIET = ("placeholder", "get_attr", "output")


def owner_of_parameter(name: str) -> Path | None:
    """``("layers", "0", "fc")`` of ``L_self_modules_layers_modules_0_modules_fc_parameters_weight_``; None for what is no parameter."""
    stem = name.lstrip("*")
    if stem[:2].lower() not in ("l_", "g_"):
        return None
    stored = max(map(stem.rfind, _STORED))
    if stored < 0:
        return None
    if stem[stored - 1] == "_":
        stored -= 1
    root, *modules = stem[2:stored].split("_modules_")
    return (*(() if root in _ROOTS else (root,)), *modules)


def is_parameter(name: str) -> bool:
    """Whether a placeholder's target is a parameter's or a buffer's, by its name."""
    return owner_of_parameter(name) is not None


def guessed_owners(nodes: Sequence[RawNode]) -> dict[str, Owner]:
    """Owners by node name, from the parameters that nodes read."""
    holders = {node.name: path for node in nodes if (path := _held(node)) is not None}
    calls = [node for node in nodes if node.op not in _QUIET]
    anchors = [_called(node, holders) for node in calls]
    if not any(anchors):
        return {}
    paths = _between(calls, _spread(calls, anchors))
    owners: dict[str, Owner] = {name: (".".join(path) or None, None, None) for name, path in holders.items()}
    owners.update(
        (node.name, (".".join(path), None, None)) for node, path in zip(calls, paths, strict=True) if path
    )
    return owners


def _spread(calls: Sequence[RawNode], anchors: Sequence[Path | None]) -> list[Path | None]:
    """Gives a module the nodes right before its own arithmetic on a parameter, on the lines above it in one function.

    What torch's functions do with a parameter (``linear``) stands on the line of the module's caller, so it says nothing of the lines above.
    """
    spread = list(anchors)
    for index, node in enumerate(calls):
        if anchors[index] is None or node.printed is None or not _is_arithmetic(node):
            continue
        line, at = node.printed, index - 1
        while at >= 0 and spread[at] is None and _leads_to(calls[at].printed, line):
            spread[at] = anchors[index]
            line = calls[at].printed or line
            at -= 1
    return spread


def _is_arithmetic(node: RawNode) -> bool:
    return node.op == "call_method" or (node.op == "call_function" and node.target.startswith("operator."))


def _leads_to(place: Location | None, following: Location) -> bool:
    if place is None or place.file != following.file or place.function != following.function:
        return False
    return 0 <= following.line - place.line <= _REACH


def _between(calls: Sequence[RawNode], known: Sequence[Path | None]) -> list[Path | None]:
    """Gives each other node what the known ones around it have in common.

    A list of modules computes nothing itself: what lies between two of its members belongs to the first of them, and so does what stands
    on the same line behind the last one.
    """
    paths = list(known)
    after: list[Path | None] = [None] * len(calls)
    following: Path | None = None
    for index in range(len(calls) - 1, -1, -1):
        after[index] = following
        following = known[index] or following
    tails: dict[Location, int] = {}
    before: Path | None = None
    for index, node in enumerate(calls):
        if known[index] is not None:
            before = known[index]
            continue
        shared = _common(before, after[index])
        depth = len(shared or ())
        if (
            before is not None
            and shared is not None
            and _numbered(before, depth)
            and _numbered(after[index], depth)
        ):
            shared = before[: depth + 1]
            if node.printed is not None:
                tails[node.printed] = depth + 1
        elif node.printed in tails and _numbered(before, tails[node.printed] - 1):  # type: ignore[index]
            shared = (before or ())[: tails[node.printed]]  # type: ignore[index]
        paths[index] = shared or None
    return paths


def _numbered(path: Path | None, depth: int) -> bool:
    return path is not None and len(path) > depth and path[depth].isdecimal()


def _held(node: RawNode) -> Path | None:
    if node.op == "placeholder":
        return owner_of_parameter(node.target)
    if node.op == "get_attr" and "." in node.target:
        return tuple(node.target.split(".")[:-1])
    return None


def _called(node: RawNode, holders: Mapping[str, Path]) -> Path | None:
    if node.op == "call_module":
        return tuple(node.target.removeprefix("L__self___").split("."))
    paths = [holders[name] for name in node.inputs if name in holders]
    path = paths[0] if paths else None
    for other in paths[1:]:
        path = _common(path, other)
    return path or None


def _common(one: Path | None, other: Path | None) -> Path | None:
    if one is None or other is None:
        return None
    if one == other:
        return one
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        shared += 1
    return one[:shared] or None


def inherited_owners(
    nodes: Sequence[RawNode], source: Sequence[RawNode], users: Sequence[Sequence[int]], *, last: bool
) -> dict[str, Owner]:
    """Owners by node name, from the Dynamo graph that a later stage was lowered from.

    Lowering keeps the user's lines and, mostly, the order: a node belongs to the nearest node of its line, counted from where the node
    before it was found; one that reads a parameter, to the node that read it before.

    Args:
        nodes: The later stage.
        source: The Dynamo graph, its owners known.
        users: For each node of ``source``: where in it those are that read it.
        last: True for a backward graph, which begins where the Dynamo graph ends.
    """
    calls = [node for node in source if node.op not in _QUIET]
    lines = [node.printed for node in calls]
    places: dict[Location, list[int]] = {}
    for index, place in enumerate(lines):
        if place is not None:
            places.setdefault(place, []).append(index)
    named = {node.name: index for index, node in enumerate(calls)}
    readers = _readers(nodes, source, users, named)
    owners = _parameters(nodes, source)
    cursor = len(calls) - 1 if last else 0
    for node in nodes:
        if node.op in _QUIET:
            continue
        at = named.get(node.name)
        if at is None or calls[at].target != node.target or lines[at] != node.printed:
            at = _nearest(places.get(node.printed) if node.printed else None, cursor, last=last)
            at = _read_by(node, readers, at, lines)
        if at is None:
            continue
        if abs(at - cursor) <= _STEP or len(places.get(node.printed, ()) if node.printed else ()) != 1:
            cursor = at
        found = calls[at]
        owners[node.name] = (found.module_path, found.module_class, found.location)
    return owners


def surrounded_owners(
    nodes: Sequence[RawNode],
    owners: Mapping[str, Owner],
    sources: Sequence[Sequence[int]],
    readers: Sequence[Sequence[int]],
) -> dict[str, Owner]:
    """Owners of nodes without one, that a pass put in the place of others: what the nodes that it reads and those that read it lie in.

    Args:
        nodes: A later stage.
        owners: By node name, where they are known.
        sources: For each node: where those are that it reads.
        readers: For each node: where those are that read it.
    """
    found: dict[str, Owner] = {}
    calls = [index for index, node in enumerate(nodes) if node.op not in _QUIET]
    if all(nodes[index].name in owners for index in calls):
        return found
    classes = {path: kind for path, kind, _ in owners.values() if kind is not None}
    for turn in (calls, calls[::-1]):
        for index in turn:
            name = nodes[index].name
            if name in owners or name in found:
                continue
            shared: Path | None = None
            for other in (*sources[index], *readers[index]):
                near = nodes[other]
                owner = owners.get(near.name) or found.get(near.name)
                if owner is None or owner[0] is None or near.op in _QUIET:
                    continue
                path = tuple(owner[0].split(".")) if owner[0] else ()
                shared = path if shared is None else _common(shared, path) or ()
            if shared:
                joined = ".".join(shared)
                found[name] = (joined, classes.get(joined), None)
    return found


def _nearest(indices: list[int] | None, cursor: int, *, last: bool) -> int | None:
    if not indices:
        return None
    at = bisect_left(indices, cursor)
    near = indices[max(0, at - 1) : at + 1]
    return min(near, key=lambda index: (abs(index - cursor), index if last else -index))


def _read_by(
    node: RawNode,
    readers: Mapping[str, list[int]],
    at: int | None,
    lines: Sequence[Location | None],
) -> int | None:
    """Where the parameter that a node reads was read on the same line before; ``at`` where that is not known."""
    for name in node.inputs:
        same = [index for index in readers.get(name, ()) if lines[index] == node.printed]
        if len(same) == 1:
            return same[0]
    return at


def _matched(nodes: Sequence[RawNode], source: Sequence[RawNode]) -> list[tuple[RawNode, int]]:
    """The later stage's placeholders, each with where the Dynamo placeholder is that became it."""
    given = [at for at, node in enumerate(source) if node.op == "placeholder" and "." not in node.name]
    pairs: list[tuple[RawNode, int]] = []
    for node in nodes:
        found = _LOWERED.fullmatch(node.name) if node.op == "placeholder" else None
        if found is None:
            continue
        index = int(found[1][:9]) - 1 if found[1] else int(found[2][:9])
        if 0 <= index < len(given) and source[given[index]].dtype == node.dtype:
            pairs.append((node, given[index]))
    return pairs


def _parameters(nodes: Sequence[RawNode], source: Sequence[RawNode]) -> dict[str, Owner]:
    return {
        node.name: owner
        for node, given in _matched(nodes, source)
        if (owner := owner_of_stored(source[given])) is not None
    }


def owner_of_stored(node: RawNode) -> Owner | None:
    """Whose parameter or buffer a placeholder is; None for what is none."""
    path = owner_of_parameter(node.target) if node.op == "placeholder" else None
    return None if path is None else (".".join(path), None, None)


def _readers(
    nodes: Sequence[RawNode],
    source: Sequence[RawNode],
    users: Sequence[Sequence[int]],
    named: Mapping[str, int],
) -> dict[str, list[int]]:
    """By placeholder of the later stage: where in the Dynamo graph its value was read, if at few places."""
    return {
        node.name: [named[name] for user in users[given] if (name := source[user].name) in named]
        for node, given in _matched(nodes, source)
        if len(users[given]) <= 4
    }
