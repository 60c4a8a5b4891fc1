"""The steps that a why-chain is made of: how a thing came in, which symbol it became, through which operations, what decided, what it cost."""

from __future__ import annotations

import re
from collections.abc import Iterator

from compile_inspector.analyze.findings.merging import change_words
from compile_inspector.analyze.findings.names import at, cut, listed
from compile_inspector.analyze.findings.observed import Observed, size_of
from compile_inspector.model.chains import Step
from compile_inspector.model.graph import Graph
from compile_inspector.model.guards import Guard
from compile_inspector.model.locations import Location
from compile_inspector.model.nodes import GraphNode
from compile_inspector.model.symbols import Dim, Symbol

_OPERATIONS = 12
_GUARDS = 12
_RECOMPILES = 8
_SOURCE_NAME = re.compile(r"[^A-Za-z0-9]+")


class Steps:
    """The steps of one recording.

    Args:
        observed: The recording.
    """

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def newest(self, source: str) -> str | None:
        """The newest compile that knows a source, None where none does."""
        found = size_of(source)
        tensor = found[0] if found else source
        for name in ("dims", "guards", "symbols"):
            for row in reversed(self._observed.rows(name)):
                named = row.sources if name == "symbols" else (row.source,)
                if source in named or (name == "dims" and tensor in named):
                    return row.compile_id
        return None

    def arrival(self, compile_id: str, source: str) -> Iterator[Step]:
        """How a source came in."""
        observed = self._observed
        call = observed.called(compile_id)
        dim = observed.dim(compile_id, source)
        function = observed.function(compile_id)
        if dim is not None:
            yield Step(
                "input",
                f"{dim.source}, dimension {dim.dim}, was {dim.size} when {function} was compiled ({compile_id})",
                call,
            )
            return
        for row in self._dims_of(compile_id, source):
            yield Step("input", f"dimension {row.dim} was {row.size}: {row.verdict}, {row.why}", row.location)
        if call is not None:
            yield Step("input", f"{function} was compiled ({compile_id}) at this call", call)

    def _dims_of(self, compile_id: str, source: str) -> list[Dim]:
        return [row for row in self._observed.of_compile("dims", compile_id) if row.source == source]

    def symbol_of(self, compile_id: str, source: str) -> Symbol | None:
        """The symbol that a source became in a compile."""
        rows = self._observed.of_compile("symbols", compile_id)
        return next((row for row in rows if source in row.sources), None)

    def symbol_step(self, symbol: Symbol) -> Step:
        """That a size became this symbol."""
        shared = f", which also stands for {listed(symbol.sources[1:])}" if len(symbol.sources) > 1 else ""
        hint = "" if symbol.hint is None else f", {symbol.hint} at that time"
        span = "" if symbol.range is None else f", in {symbol.range}"
        return Step("symbol", f"it became {symbol.name} ({symbol.kind}{hint}{span}){shared}", symbol.created)

    def decisions(self, compile_id: str, source: str) -> list[Step]:
        """What made it what it is: the pin, or the verdict's own reason."""
        pin = self._observed.pins.get((compile_id, source))
        if pin is not None:
            return [
                Step("decision", f"{pin.symbol} was pinned to {pin.value}: {cut(pin.reason)}", pin.location)
            ]
        dim = self._observed.dim(compile_id, source)
        return [] if dim is None else [Step("decision", _judged(dim), dim.location)]

    def operations(
        self, compile_id: str, symbol: str | None, source: str | None, until: Location | None = None
    ) -> list[Step]:
        """The operations that a size goes through: those whose shape has its symbol, or else those that use the input."""
        graph: Graph | None = next(
            (row for row in self._observed.of_compile("graphs", compile_id) if row.stage == "dynamo"), None
        )
        if graph is None:
            return []
        nodes = tuple(_through(graph.nodes, symbol, source))
        found: list[Step] = []
        lines: set[tuple[str, int]] = set()
        for node in nodes:
            place = node.location
            if place is None or (place.file, place.line) in lines:
                continue
            lines.add((place.file, place.line))
            shape = "" if node.shape is None else f" gives [{', '.join(map(str, node.shape))}]"
            found.append(Step("operation", f"{node.target}{shape}", place))
            if until is not None and (place.file, place.line) == (until.file, until.line):
                break
        if len(found) > _OPERATIONS:
            rest = len(found) - _OPERATIONS
            return [*found[: _OPERATIONS - 1], Step("operation", f"{rest:,} more operations"), found[-1]]
        return found

    def guards(self, compile_id: str, source: str) -> list[Step]:
        """The guards on a source, the first of many."""
        size = size_of(source)
        names = {source} if size is None else {source, size[0]}
        rows: list[Guard] = [
            row
            for row in self._observed.of_compile("guards", compile_id)
            if row.source == source
            or source in row.expr
            or (size and row.source in names and row.kind == "TENSOR_MATCH")
        ]
        told = [
            Step(
                "guard",
                f"{row.kind}: {cut(row.expr, 200)}{' (dropped)' if row.dropped else ''}",
                row.location,
            )
            for row in rows[:_GUARDS]
        ]
        rest = len(rows) - len(told)
        return [*told, Step("guard", f"{rest:,} more guards")] if rest > 0 else told

    def recompiles(self, source: str) -> list[Step]:
        """The compiles that a source cost, the first of many."""
        found: list[Step] = []
        for row in self._observed.rows("recompiles"):
            nearest = row.nearest
            for guard in () if nearest is None else nearest.failing:
                if source in guard.subjects or guard.source.startswith(f"{source}."):
                    found.append(
                        Step(
                            "recompile",
                            f"{row.compile_id} was compiled because {change_words(guard)}",
                            row.trigger,
                        )
                    )
                    break
        rest = len(found) - _RECOMPILES
        return [*found[:_RECOMPILES], Step("recompile", f"{rest:,} more recompiles")] if rest > 0 else found

    def verdict(self, compile_id: str | None, source: str) -> str:
        """The answer in one sentence."""
        if compile_id is None:
            return "no compile of the recording holds it; it is known from recompiles only"
        dim = self._observed.dim(compile_id, source)
        if dim is not None:
            return _judged(dim)
        rows = self._dims_of(compile_id, source)
        if rows:
            return "; ".join(f"dimension {row.dim} {row.verdict}" for row in rows)
        pin = self._observed.pins.get((compile_id, source))
        if pin is not None:
            return f"pinned to {pin.value}{at(pin.location)}"
        guards: list[Guard] = self._observed.of_compile("guards", compile_id)
        guard = next((row for row in guards if row.source == source), None)
        return (
            "nothing guards it"
            if guard is None
            else f"guarded by {guard.kind}{at(guard.location)}: {cut(guard.expr)}"
        )


def _through(nodes: tuple[GraphNode, ...], symbol: str | None, source: str | None) -> Iterator[GraphNode]:
    """The nodes whose shape has the symbol, in order; where none has, those that the input reaches."""
    if symbol is not None:
        word = re.compile(rf"\b{re.escape(symbol)}\b")
        found = [
            node
            for node in nodes
            if any(isinstance(size, str) and word.search(size) for size in node.shape or ())
        ]
        if any(node.location is not None for node in found):
            yield from found
            return
    size = None if source is None else size_of(source)
    flat = _SOURCE_NAME.sub("_", size[0] if size else source or "").strip("_")
    reached: set[str] = set()
    for node in nodes:
        placeholder = node.op == "placeholder" and _SOURCE_NAME.sub("_", node.target).strip("_") == flat
        if placeholder or any(name in reached for name in node.inputs):
            reached.add(node.name)
            if node.op != "output":
                yield node


def _judged(dim: Dim) -> str:
    """A dimension's verdict and its reason, which may begin with the same word."""
    return dim.why if dim.why.startswith(dim.verdict) else f"{dim.verdict}: {dim.why}"
