"""Where a symbolic size goes in a graph: from the input that brings it, through the nodes that carry it, to what guards or pins it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from compile_inspector.analyze.findings.observed import Observed, size_of
from compile_inspector.model.graph import Graph
from compile_inspector.model.guards import Guard
from compile_inspector.model.locations import Location
from compile_inspector.model.nodes import GraphNode
from compile_inspector.model.symbols import Dim, Specialization, Symbol, Verdict

Role = Literal["enters", "carries", "computes", "pinned", "guarded"]

_SYMBOL = re.compile(r"(?<![\w.])(?:[su]|zu?f)\d+(?!\w)")
_PLAIN = re.compile(r"[^A-Za-z0-9]+")
_STRENGTH: tuple[Verdict, ...] = (
    "specialized", "unbacked", "zero-one", "duck-shared", "marked", "dynamic", "static",
)  # fmt: skip
"""Which verdict stands for a node with several: the one that a reader should hear of first."""


class FlowStep(msgspec.Struct, frozen=True):
    """A node that a symbol goes through.

    Attributes:
        node: Its place in the graph.
        role: ``enters`` with an input; ``carries`` it in its shape or stride; ``computes`` with it; ``pinned``: its line made it a
            constant; ``guarded``: a guard on it stems from this line.
        location: The user's line.
    """

    node: int
    role: Role
    location: Location | None


class Flow(msgspec.Struct, frozen=True):
    """The way of one symbol through one graph.

    Attributes:
        symbol: ``s77``.
        sources: Every input size it stands for.
        steps: In the graph's order.
        guards: Rows of the table of guards that check it.
        pin: What made it a constant, None where nothing did.
    """

    symbol: str
    sources: tuple[str, ...]
    steps: tuple[FlowStep, ...]
    guards: tuple[int, ...]
    pin: Specialization | None


class NodeVerdict(msgspec.Struct, frozen=True):
    """What became of the dimensions of a node's value.

    Attributes:
        node: Its place in the graph.
        verdict: The one of its dimensions that a reader should hear of first.
        why: In a sentence, with the input it comes from.
    """

    node: int
    verdict: Verdict
    why: str


def symbols_in(node: GraphNode) -> tuple[str, ...]:
    """The symbols in a node's shape, stride or value, each once."""
    sizes = (*(node.shape or ()), *(node.stride or ()), node.value or "")
    text = " ".join(size for size in sizes if isinstance(size, str))
    return tuple(dict.fromkeys(_SYMBOL.findall(text)))


def symbol_flow(observed: Observed, graph: Graph, symbol: str) -> Flow:
    """The way of a symbol through a graph.

    A symbol that was pinned is in no shape any more: its way is that from the input it stood for to the line that pinned it.

    Args:
        observed: The recording.
        graph: One of its graphs.
        symbol: ``s77``.
    """
    found: Symbol | None = next(
        (row for row in observed.of_compile("symbols", graph.compile_id) if row.name == symbol), None
    )
    pins: list[Specialization] = observed.of_compile("specializations", graph.compile_id)
    pin = next((row for row in pins if row.symbol == symbol), None)
    sources = tuple(dict.fromkeys((*(found.sources if found else ()), *(pin.sources if pin else ()))))
    guards = _guards(observed, graph.compile_id, symbol, sources)
    lines = {_line(row.location) for _, row in guards} - {None}
    held = {index for index, node in enumerate(graph.nodes) if symbol in symbols_in(node)}
    held.update(_inputs(graph.nodes, [source for source in sources if size_of(source) is None]))
    pinned = None if pin is None else _line(pin.location)
    if pinned is not None and not any(graph.nodes[index].op != "placeholder" for index in held):
        held |= _way(graph.nodes, _inputs(graph.nodes, sources), pinned)
    steps = tuple(
        FlowStep(index, _role(graph.nodes[index], lines, pinned), graph.nodes[index].location)
        for index in sorted(held)
    )
    return Flow(symbol, sources, steps, tuple(row for row, _ in guards), pin)


def _role(node: GraphNode, guarded: set[tuple[str, int] | None], pinned: tuple[str, int] | None) -> Role:
    if node.op == "placeholder":
        return "enters"
    line = _line(node.location)
    if line is not None and line == pinned:
        return "pinned"
    if line in guarded:
        return "guarded"
    return "computes" if node.shape is None else "carries"


def _line(location: Location | None) -> tuple[str, int] | None:
    return None if location is None else (location.file, location.line)


def _guards(
    observed: Observed, compile_id: str, symbol: str, sources: Iterable[str]
) -> list[tuple[int, Guard]]:
    """The rows of guards that speak of a symbol, or of a size it stands for."""
    word = re.compile(rf"(?<!\w){re.escape(symbol)}(?!\w)")
    wanted = tuple(sources)
    return [
        (index, row)
        for index, row in enumerate(observed.rows("guards"))
        if row.compile_id == compile_id
        and (row.source in wanted or word.search(row.expr) or any(source in row.expr for source in wanted))
    ]


def _inputs(nodes: Sequence[GraphNode], sources: Iterable[str]) -> list[int]:
    """The inputs that sizes are of, or numbers are, by the names that Dynamo gives them."""
    names = {_plain((size_of(source) or (source,))[0]) for source in sources}
    return [
        index for index, node in enumerate(nodes) if node.op == "placeholder" and _plain(node.target) in names
    ]


def _plain(name: str) -> str:
    return _PLAIN.sub("_", name).strip("_").lower()


def _way(nodes: Sequence[GraphNode], begin: Sequence[int], line: tuple[str, int]) -> set[int]:
    """What lies between some inputs and the nodes of a line; the nodes of the line alone where nothing leads there."""
    at = {node.name: index for index, node in enumerate(nodes)}
    ends = [index for index, node in enumerate(nodes) if _line(node.location) == line]
    reached = _reached(begin, lambda index: [at[name] for name in nodes[index].users if name in at])
    leading = _reached(ends, lambda index: [at[name] for name in nodes[index].inputs if name in at])
    return (reached & leading) | set(ends) | set(begin)


def _reached(begin: Sequence[int], following: Callable[[int], list[int]]) -> set[int]:
    found, stack = set(begin), list(begin)
    while stack:
        for index in following(stack.pop()):
            if index not in found:
                found.add(index)
                stack.append(index)
    return found


def node_verdicts(observed: Observed, graph: Graph) -> tuple[NodeVerdict, ...]:
    """What became of each node's dimensions: of an input as the table of dims has it, of the rest by the symbols in its shape."""
    dims: list[Dim] = observed.of_compile("dims", graph.compile_id)
    by_input: dict[str, list[Dim]] = {}
    by_symbol: dict[str, list[Dim]] = {}
    for row in dims:
        by_input.setdefault(_plain(row.source), []).append(row)
        for symbol in _SYMBOL.findall(row.symbol or ""):
            by_symbol.setdefault(symbol, []).append(row)
    unbacked = {
        row.name for row in observed.of_compile("symbols", graph.compile_id) if row.kind == "unbacked"
    }
    strongest = {symbol: _strongest(rows) for symbol, rows in by_symbol.items()}
    own = {name: _strongest(rows) for name, rows in by_input.items()}
    found: list[NodeVerdict] = []
    for index, node in enumerate(graph.nodes):
        verdict = own.get(_plain(node.target)) if node.op == "placeholder" else None
        verdict = verdict or _by_symbols(node, strongest, unbacked)
        if verdict is not None:
            found.append(NodeVerdict(index, *verdict))
    return tuple(found)


def _by_symbols(
    node: GraphNode, strongest: Mapping[str, tuple[Verdict, str]], unbacked: set[str]
) -> tuple[Verdict, str] | None:
    held = symbols_in(node)
    data = [symbol for symbol in held if symbol in unbacked]
    if data:
        return "unbacked", f"{', '.join(data)}: known only when it runs"
    known = [strongest[symbol] for symbol in held if symbol in strongest]
    return min(known, key=lambda one: _STRENGTH.index(one[0])) if known else None


def _strongest(rows: Sequence[Dim]) -> tuple[Verdict, str]:
    row = min(rows, key=lambda one: _STRENGTH.index(one.verdict))
    return row.verdict, f"{row.source}, dimension {row.dim}: {row.why}"
