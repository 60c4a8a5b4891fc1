"""Compiled graphs as plain values, and running again what was kept: whole graphs, and graphs in pieces, each with what captures it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from compile_inspector.engine import narration, ranges
from compile_inspector.engine.counters import compilation_counter
from compile_inspector.engine.cudagraph import PieceOf
from compile_inspector.engine.pieces import GRAPH, Kept, KeptPiece, ReadAt, captured, graph_numbers, reader
from compile_inspector.engine.stitching import Stitches
from compile_inspector.torch_seams import backends, kept_code
from compile_inspector.torch_seams.kept_guards import Unkeepable

_log = logging.getLogger(__name__)
Code = tuple[str, str, bytes]
"""As `kept_code.dump` gives it."""


class SizeNotKept(Exception):  # noqa: N818
    """A call has a size that nothing kept was compiled for; nothing has been run yet."""

    def __init__(self, size: int) -> None:
        super().__init__(f"nothing kept was compiled for the size {size}")
        self.size = size


class Condition(NamedTuple):
    """What the backend assumed of the size when it compiled a piece, with the size's symbol."""

    guards: tuple[Any, ...]
    symbol: Any


class EntryCode(NamedTuple):
    """What was compiled for one range: for each piece the index of its code; conditions; facts."""

    range: ranges.Range
    pieces: dict[str, int]
    conditions: tuple[Condition, ...]
    rows: tuple[dict[str, Any], ...]


class PieceShape(NamedTuple):
    """A piece without its code: for a splitting one, which runs as it is, the code of its graph."""

    name: str
    place: int
    kind: str
    elsewhere: frozenset[int]
    graph: Code | None


class GraphCode(NamedTuple):
    """One graph, ready to be pickled.

    Attributes:
        codes: What was compiled.
        stitches, pieces, entries, read_at, ranges, symbol, split, inductor_splits: As of `pieces.Kept`; no entries for a graph that
            was handed to the backend whole, outside of a piecewise compile.
    """

    codes: tuple[Code, ...]
    stitches: Stitches | None = None
    pieces: tuple[PieceShape, ...] = ()
    entries: tuple[EntryCode, ...] = ()
    read_at: ReadAt | None = None
    ranges: ranges.Ranges | None = None
    symbol: str | None = None
    split: dict[str, Any] | None = None
    inductor_splits: bool = False


def code_of(run: Any) -> GraphCode:
    """What a backend made of a graph.

    Raises:
        Unkeepable: The backend made something that cannot leave the process.
    """
    graph = getattr(run, GRAPH, None)
    return GraphCode((_dumped(run),)) if graph is None else _of_pieces(graph.kept())


def _dumped(run: Any) -> Code:
    found = kept_code.dump(run)
    if found is None:
        msg = f"its backend gave a {type(run).__name__} that cannot leave the process"
        raise Unkeepable(msg)
    return found


def _of_pieces(kept: Kept) -> GraphCode:
    codes: dict[int, int] = {}
    dumped: list[Code] = []
    entries: list[EntryCode] = []
    for entry in kept.entries:
        indices: dict[str, int] = {}
        for name, piece in entry.pieces.items():
            if id(piece.run) not in codes:
                codes[id(piece.run)] = len(dumped)
                dumped.append(_dumped(piece.run))
            indices[name] = codes[id(piece.run)]
        conditions = tuple(Condition(one.guards, one.symbol) for one in entry.pieces.values() if one.guards)
        entries.append(EntryCode(entry.range, indices, conditions, entry.rows))
    return GraphCode(
        tuple(dumped),
        kept.stitches,
        tuple(map(_shape, kept.pieces)),
        tuple(entries),
        kept.read_at,
        kept.ranges,
        kept.symbol,
        kept.split,
        kept.inductor_splits,
    )


def _shape(piece: KeptPiece) -> PieceShape:
    splitting = piece.kind == "splitting"
    graph = kept_code.dump_graph(backends.copy_of(piece.module)) if splitting else None
    return PieceShape(piece.name, piece.place, piece.kind, piece.elsewhere, graph)


def restored(
    code: GraphCode, vllm_config: Any, prefix: str, *, calls_custom_operators: bool = True
) -> Callable[..., Any]:
    """What runs a graph again; each piece is captured anew, as it is after a compile."""
    runs = [kept_code.load(one, calls_custom_operators=calls_custom_operators) for one in code.codes]
    compilation_counter.add("num_compiled_artifacts_loaded", len(runs))
    if not code.entries:
        return runs[0]
    return LoadedGraph(code, runs, vllm_config, prefix).run


def can_be_outgrown(runs: Iterable[Any]) -> bool:
    """Whether one of these may raise `SizeNotKept`."""
    found = (getattr(run, GRAPH, None) for run in runs)
    return any(isinstance(one, LoadedGraph) and one.dispatches for one in found)


class _Entry:
    """What runs the sizes of one range."""

    def __init__(self, code: EntryCode, run: Callable[..., Any]) -> None:
        self.code, self.run, self.calls = code, run, 0

    def admits(self, size: int) -> bool:
        return all(backends.holds(one.guards, one.symbol, size) for one in self.code.conditions)


class LoadedGraph:
    """One graph in pieces, as it was kept.

    Attributes:
        run: Takes the graph's inputs.
        dispatches: Whether it looks at a call's size; `run` then raises `SizeNotKept` for one that nothing was kept for.
    """

    def __init__(
        self, code: GraphCode, runs: Sequence[Callable[..., Any]], vllm_config: Any, prefix: str
    ) -> None:
        self._code, self._config, self._prefix = code, vllm_config, prefix
        self._key = f"graph-{next(graph_numbers)}"
        self._plain = {one.name: kept_code.load(one.graph) for one in code.pieces if one.graph is not None}
        self._entries = {one.range: _Entry(one, self._sewn(one, runs)) for one in code.entries}
        self._by_size: dict[int, _Entry] = {}
        self._warned = False
        at = None if code.read_at is None else reader(code.read_at)
        self.dispatches = len(self._entries) > 1
        self.run = self._dispatching(at) if self.dispatches else self._single(at)
        setattr(self.run, GRAPH, self)
        narration.register(self)
        narration.tell(self.facts())

    def kept(self) -> Kept:
        """Raises Unkeepable: it is kept already."""
        msg = "it was loaded"
        raise Unkeepable(msg)

    def _sewn(self, entry: EntryCode, runs: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
        compiled = [one for one in self._code.pieces if one.kind == "compiled"]
        sewn = dict(self._plain)
        ungraphed: set[Any] = set()
        for at, piece in enumerate(compiled):
            run = runs[entry.pieces[piece.name]]
            if not self._code.inductor_splits:
                of = PieceOf(None, piece.place, self._prefix, ungraphed)
                last = at == len(compiled) - 1
                run = captured(run, self._config, of, piece.elsewhere, first=at == 0, last=last)
            sewn[piece.name] = run
        if self._code.stitches is None:
            return sewn[compiled[0].name]
        return self._code.stitches.sewn(sewn)

    def _single(self, at: Callable[[Sequence[Any]], int] | None) -> Callable[..., Any]:
        (entry,) = self._entries.values()
        end, run = entry.code.range.end, entry.run

        def call(*inputs: Any) -> Any:
            entry.calls += 1
            if at is not None and at(inputs) > end and not self._warned:
                self._warned = True
                _log.warning(
                    "no compile range holds the size %d: it runs what was compiled for %s",
                    at(inputs),
                    entry.code.range,
                )
            return run(*inputs)

        return call

    def _dispatching(self, at: Callable[[Sequence[Any]], int] | None) -> Callable[..., Any]:
        assert at is not None

        def call(*inputs: Any) -> Any:
            size = at(inputs)
            entry = self._by_size.get(size) or self._find(size)
            entry.calls += 1
            return entry.run(*inputs)

        return call

    def _find(self, size: int) -> _Entry:
        assert self._code.ranges is not None
        found = self._code.ranges.find(size)
        entry = None if found is None else self._entries[found]
        if entry is None or not entry.admits(size):
            raise SizeNotKept(size)
        if len(self._by_size) < 4096:
            self._by_size[size] = entry
        return entry

    def facts(self) -> list[tuple[str, dict[str, Any], Any]]:
        """Every fact as it stands now."""
        rows = [
            {**row, "outcome": "loaded", "reused_from": None, "call_count": entry.calls}
            for entry in self._entries.values()
            for row in entry.code.rows
        ]
        told = {
            "key": self._key,
            "module": self._prefix or None,
            "symbol": self._code.symbol,
            "problems": [] if self._code.ranges is None else list(self._code.ranges.problems),
            "ranges": rows,
        }
        return [("splits", {**(self._code.split or {}), "key": self._key}, None), ("ranges", told, None)]
