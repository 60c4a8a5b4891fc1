"""What each operation of the program became: nodes of Dynamo's graph with those of a later stage, along the user's lines and modules."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

from compile_inspector.analyze.graph_align import align, paired_by
from compile_inspector.analyze.graph_fusion import fused_pairs, inner_pairs, item_pairs
from compile_inspector.analyze.graph_tracing import traced_pairs
from compile_inspector.analyze.op_families import family_of
from compile_inspector.model.nodes import GraphNode

Nodes = Sequence[GraphNode]
Line = tuple[str, int]

_QUIET = ("placeholder", "get_attr", "output")
_NUMBERED = re.compile(r"(?:primals_(\d+)|arg(\d+)_1)")


def lowered_pairs(
    program: Nodes,
    lowered: Nodes,
    made_of: Mapping[str, Sequence[str]] | None = None,
    saved: Mapping[str, int] | None = None,
) -> set[tuple[int, int]]:
    """Pairs of places: a node of the program's graph, and a node of the lowered one that computes it or a part of it.

    Args:
        program: Dynamo's graph, or a pre-grad one.
        lowered: A graph of ATen operators.
        made_of: By name of a lowered node: names of the program's nodes, where torch noted them; only the others are sought.
        saved: By name of a backward graph's input that the forward graph computed: the place of what it was made of.
    """
    pairs = {
        *_inputs(program, lowered),
        *_outputs(program, lowered),
        *_noted(program, lowered, made_of or {}),
    }
    pairs |= _saved(lowered, pairs, saved or {})
    backward = _backward(lowered)
    if made_of:
        pairs |= inner_pairs(lowered, pairs)
    else:
        given = _given(program, lowered, pairs)
        pairs |= {(high, low) for low, high in traced_pairs(program, lowered, given, backward).items()}
    pairs |= _on_lines(program, lowered, pairs, backward)
    pairs |= fused_pairs(program, lowered, pairs, backward)
    return pairs | item_pairs(program, lowered, pairs)


def _noted(program: Nodes, lowered: Nodes, made_of: Mapping[str, Sequence[str]]) -> Iterator[tuple[int, int]]:
    at = {node.name: index for index, node in enumerate(program)} if made_of else {}
    for low, node in enumerate(lowered if made_of else ()):
        for name in made_of.get(node.name, ()):
            if name in at:
                yield at[name], low


def _saved(lowered: Nodes, pairs: set[tuple[int, int]], saved: Mapping[str, int]) -> set[tuple[int, int]]:
    known = {low for _, low in pairs}
    return {
        (saved[node.name], low)
        for low, node in enumerate(lowered)
        if node.op == "placeholder" and node.name in saved and low not in known
    }


def _given(program: Nodes, lowered: Nodes, pairs: set[tuple[int, int]]) -> dict[int, int]:
    """By input of the lowered graph: what it is in the program; the gradients that come in are of its output."""
    given = {low: high for high, low in pairs if lowered[low].op == "placeholder"}
    if program and program[-1].op == "output":
        end = len(program) - 1
        given |= {low: end for low, node in enumerate(lowered) if node.name.startswith("tangents_")}
    return given


def _on_lines(
    program: Nodes, lowered: Nodes, known: set[tuple[int, int]], backward: Sequence[int]
) -> set[tuple[int, int]]:
    """Pairs along the user's lines and modules, of the lowered nodes that have none."""
    pairs: set[tuple[int, int]] = set(known)
    around = _around(program)
    for by_module in (True, False):
        done = {low for _, low in pairs}
        sources = _by_origin(program, around, by_module=by_module)
        for origin, low in _by_origin(lowered, around, by_module=by_module).items():
            high, left = sources.get(origin), [index for index in low if index not in done]
            if high is None or not left:
                continue
            for part in ([i for i in left if not backward[i]], [i for i in reversed(left) if backward[i]]):
                pairs.update(_split(program, lowered, high, part))
    return pairs


def _backward(nodes: Nodes) -> bytearray:
    """By node: whether it computes a gradient, from the program's end to its begin."""
    at = {node.name: index for index, node in enumerate(nodes)}
    found = bytearray(len(nodes))
    for index, node in enumerate(nodes):
        if node.op == "placeholder":
            found[index] = node.name.startswith("tangents_")
        else:
            found[index] = any(found[at[name]] for name in node.inputs if at.get(name, index) < index)
    return found


def _around(nodes: Nodes) -> dict[tuple[Line, str], str]:
    """By line and module: the outermost module around it that the line belongs to as well.

    ``self.q_proj(x).view(…)`` computes in ``q_proj`` and in the module around it, and what is lowered from it may be taken for either's.
    """
    paths: dict[Line, set[str]] = {}
    for node in nodes:
        if node.location is not None and node.module_path is not None:
            paths.setdefault((node.location.file, node.location.line), set()).add(node.module_path)
    return {(line, path): _outermost(path, known) for line, known in paths.items() for path in known}


def _outermost(path: str, known: set[str]) -> str:
    end = path.find(".")
    while end >= 0:
        if path[:end] in known:
            return path[:end]
        end = path.find(".", end + 1)
    return path


def _by_origin(
    nodes: Nodes, around: Mapping[tuple[Line, str], str], *, by_module: bool
) -> dict[Hashable, list[int]]:
    """Nodes by the user's line and, where asked, by module."""
    found: dict[Hashable, list[int]] = {}
    for index, node in enumerate(nodes):
        if node.location is None or node.op in _QUIET:
            continue
        line = (node.location.file, node.location.line)
        path = node.module_path
        owner = None if path is None or not by_module else around.get((line, path), path)
        found.setdefault((line, owner), []).append(index)
    return found


def _inputs(program: Nodes, lowered: Nodes) -> Iterator[tuple[int, int]]:
    """Lowered inputs are numbered as the program's are, unless their types say otherwise."""
    given = [index for index, node in enumerate(program) if node.op == "placeholder" and "." not in node.name]
    for low, node in enumerate(lowered):
        found = _NUMBERED.fullmatch(node.name) if node.op == "placeholder" else None
        if found is None:
            continue
        number = int(found[1][:9]) - 1 if found[1] else int(found[2][:9])
        if 0 <= number < len(given) and _alike(program[given[number]], node):
            yield given[number], low


def _alike(one: GraphNode, other: GraphNode) -> bool:
    return one.dtype == other.dtype and len(one.shape or ()) == len(other.shape or ())


def _outputs(program: Nodes, lowered: Nodes) -> Iterator[tuple[int, int]]:
    if program and lowered and program[-1].op == lowered[-1].op == "output":
        yield len(program) - 1, len(lowered) - 1


def _split(
    program: Nodes, lowered: Nodes, high: Sequence[int], low: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Divides the lowered nodes of one line among the operations of that line.

    Those of one family correspond, as far as the order allows. Of the rest, what lies in a module of its own belongs to that module's
    operation next to it; else what lies between two of them became of what lies between those in the program, or belongs to the next one.

    Args:
        program: Dynamo's graph.
        lowered: The later one.
        high: Places of the line's nodes in the first.
        low: In the second, in the order in which the program computes.
    """
    known = _same(program, lowered, high, low)
    places = {index: place for place, index in enumerate(high)}
    owned: dict[str | None, list[int]] = {}
    for place, index in enumerate(high):
        owned.setdefault(program[index].module_path, []).append(place)
    met = {places[one] for one in known.values()}
    before, waiting = -1, list[int]()
    for index in (*low, None):
        if index is not None and index not in known:
            own = owned.get(lowered[index].module_path, []) if len(owned) > 1 else []
            if own:
                yield high[own[min(bisect_right(own, before), len(own) - 1)]], index
            else:
                waiting.append(index)
            continue
        place = len(high) if index is None else places[known[index]]
        yield from ((high[free], other) for free, other in _between(len(high), met, waiting, before, place))
        waiting = []
        before = max(before, min(place, len(high) - 1))
        if index is not None:
            yield known[index], index


def _same(program: Nodes, lowered: Nodes, high: Sequence[int], low: Sequence[int]) -> dict[int, int]:
    """By lowered node: the operation of its own family; in order first, then whatever is left of the family."""
    levels = [
        ({index: key(program[index]) for index in high}, {index: key(lowered[index]) for index in low})
        for key in _LEVELS
    ]
    pairs = align(high, low, levels)
    done, met = {one for one, _ in pairs}, {other for _, other in pairs}
    mine, theirs = levels[-1]
    pairs += paired_by(
        [index for index in high if index not in done],
        [index for index in low if index not in met],
        mine.__getitem__,
        theirs.__getitem__,
    )
    return {
        other: one for one, other in pairs if _nested(program[one].module_path, lowered[other].module_path)
    }


def _nested(one: str | None, other: str | None) -> bool:
    """Whether one module is the other or lies in it; True where one is not known."""
    if not one or not other or one == other:
        return True
    return one.startswith(f"{other}.") or other.startswith(f"{one}.")


_LEVELS: tuple[Callable[[GraphNode], Hashable], ...] = (
    lambda node: (family_of(node.target), node.shape, node.module_path),
    lambda node: (family_of(node.target), node.module_path),
    lambda node: (family_of(node.target), node.shape),
    lambda node: family_of(node.target),
)


def _between(
    count: int, met: set[int], waiting: Sequence[int], before: int, after: int
) -> Iterator[tuple[int, int]]:
    """Nodes without a family of their own, among the operations between two places."""
    free = [place for place in range(before + 1, after) if place not in met]
    if not free:
        free = [after if after < count else before]
    for turn, index in enumerate(waiting):
        yield free[turn * len(free) // len(waiting)], index
