"""The piecewise backend: a graph is split, each distinct piece is compiled for each range of sizes, and a call runs the pieces of its size."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from compile_inspector.engine import narration, ranges
from compile_inspector.engine.config import max_num_batched_tokens
from compile_inspector.engine.counters import compilation_counter
from compile_inspector.engine.cudagraph import PieceOf
from compile_inspector.engine.partitions import maybe_use_cudagraph_partition_wrapper
from compile_inspector.engine.pieces import (
    GRAPH,
    Compiled,
    Kept,
    KeptEntry,
    KeptPiece,
    ReadAt,
    captured,
    graph_numbers,
    reader,
)
from compile_inspector.engine.splitting import Piece, Split, split
from compile_inspector.engine.stitching import stitch, stitches, varying
from compile_inspector.engine.structure import structure
from compile_inspector.torch_seams import backends

_log = logging.getLogger(__name__)
_REMEMBERED = 4096
"""Sizes whose entry is remembered; a size beyond these is looked up at each call."""


@dataclass
class Entry:
    """The whole graph, as compiled for one range.

    Attributes:
        range: Its sizes; None for what serves sizes in no range.
        run: Takes the graph's inputs.
        conditions: What the backend assumed of the size, with the symbol in each: a size for which one fails runs elsewhere.
        rows: One fact a piece, as `narration.ranges` tells it.
        calls: How often it was run.
        pieces: What was compiled of each compiled piece, by its name, without what captures it.
    """

    range: ranges.Range | None
    run: Callable[..., Any]
    conditions: tuple[tuple[tuple[Any, ...], Any], ...] = ()
    rows: list[dict[str, Any]] = field(default_factory=list)
    calls: int = 0
    pieces: dict[str, Compiled] = field(default_factory=dict)

    def admits(self, size: int) -> bool:
        """Whether it computes what it should for this size."""
        return all(backends.holds(guards, symbol, size) for guards, symbol in self.conditions)


def make_backend(vllm_config: Any, *, prefix: str = "", is_encoder: bool = False) -> PiecewiseBackend:
    """The backend that `torch.compile` is given for a piecewise compile.

    Args:
        vllm_config: Any object with a ``compilation_config``.
        prefix: The module's path, for the record.
        is_encoder: Whether the last range has no end.

    Raises:
        InvalidConfig: The configured backend does not exist.
    """
    return PiecewiseBackend(vllm_config, prefix=prefix, is_encoder=is_encoder)


class PiecewiseBackend:
    """Splits and compiles the graphs that Dynamo hands it."""

    def __init__(self, vllm_config: Any, *, prefix: str, is_encoder: bool) -> None:
        self.vllm_config = vllm_config
        self.prefix, self.is_encoder = prefix, is_encoder
        self.compiler = PieceCompiler(vllm_config.compilation_config)

    def __call__(self, module: fx.GraphModule, example_inputs: Sequence[Any]) -> Callable[..., Any]:
        """Compiles one graph, for every range and size, met or not.

        Args:
            module: Taken possession of.
            example_inputs: Its fake inputs, in order.

        Returns:
            What runs it, on inputs of the same order.
        """
        config = self.vllm_config.compilation_config
        compilation_counter.add("num_graphs_seen")
        ops = tuple(getattr(config, "splitting_ops", None) or ())
        with maybe_use_cudagraph_partition_wrapper(self.vllm_config):
            divided = split(module, () if self.compiler.inductor_splits else ops)
            compilation_counter.add("num_piecewise_graphs_seen", len(divided.pieces))
            capturable = [piece for piece in divided.pieces if piece.kind == "compiled"]
            compilation_counter.add("num_piecewise_capturable_graphs_seen", len(capturable))
            graph = PiecewiseGraph(self, divided, tuple(example_inputs))
            narration.splits(graph.split_fact(ops), graph.compile_id)
            run = graph.compile()
        narration.ranges(graph.ranges_fact(), graph.compile_id)
        return run


class PieceCompiler:
    """Compiles single pieces, and counts what it really compiled.

    Args:
        config: The compilation configuration.

    Raises:
        InvalidConfig: The configured backend does not exist.
    """

    def __init__(self, config: Any) -> None:
        from compile_inspector.engine.compiled import resolve_backend

        found = resolve_backend(getattr(config, "backend", ""))
        self.name = found if isinstance(found, str) else config.backend
        self._backend = backends.named(found) if isinstance(found, str) else found
        self.settings = dict(getattr(config, "inductor_compile_config", None) or {})
        asked = bool(getattr(config, "use_inductor_graph_partition", False))
        self.inductor_splits = asked and self.name == "inductor"
        if asked and not self.inductor_splits:
            _log.warning(
                "use_inductor_graph_partition needs the backend inductor, got %r: the FX graph is split",
                self.name,
            )
        if self.inductor_splits:
            ops = list(getattr(config, "splitting_ops", None) or ())
            self.settings |= {"graph_partition": True, "custom_should_partition_ops": ops}

    def compile(self, module: fx.GraphModule, values: Sequence[Any]) -> Callable[..., Any]:
        """What runs one graph. The graph is taken possession of, but for the backend "eager"."""
        if self.name == "eager":
            compilation_counter.add("num_eager_compiles")
            return backends.forward_of(module)
        if self.name == "inductor":
            run = backends.inductor(module, values, self.settings)
            compilation_counter.add("num_inductor_compiles")
            return run
        return self._backend(module, list(values))


class PiecewiseGraph:
    """One graph: its pieces, what they were compiled into, and which entry serves which size."""

    def __init__(self, backend: PiecewiseBackend, divided: Split, example_inputs: tuple[Any, ...]) -> None:
        self._backend, self._split = backend, divided
        self.compile_id = backends.compile_id()
        self._key = f"graph-{next(graph_numbers)}"
        self._examples = example_inputs
        self._inputs = _placeholder_values(divided.module)
        self._fake_mode = backends.fake_mode_of(self._inputs)
        self._entries: dict[ranges.Range | None, Entry] = {}
        self._plain: Entry | None = None
        self._by_size: dict[int, Entry] = {}
        self._lock = threading.Lock()
        self._done: dict[Hashable, tuple[Compiled, int]] = {}
        self._ungraphed: set[Any] = set()
        self._fell_back: set[str] = set()
        self._symbol, self._read_at, self._ranges = self._plan()
        self._at = None if self._read_at is None else reader(self._read_at)
        for problem in self._ranges.problems:
            _log.warning("%s", problem)
        narration.register(self)

    def _plan(self) -> tuple[Any, ReadAt | None, ranges.Ranges]:
        """The symbol that is the size, where to read it in a call's inputs, and the ranges."""
        config = self._backend.vllm_config.compilation_config
        planned = ranges.plan(
            getattr(config, "compile_ranges_endpoints", None) or (),
            getattr(config, "compile_sizes", None) or (),
            largest=max_num_batched_tokens(self._backend.vllm_config),
            is_encoder=self._backend.is_encoder,
        )
        symbols = backends.symbols(self._inputs)
        if len(symbols) == 1:
            symbol = next(iter(symbols))
            return symbol, _place_of(self._inputs, symbol), planned
        whole = ranges.Ranges((ranges.Range(1, planned.spans[-1].end),), (), planned.problems)
        if len(planned.all) == 1:
            return None, None, whole
        names = ", ".join(sorted(map(str, symbols))) or "none"
        problem = f"compile ranges and sizes need one dynamic size, and the graph has {len(symbols)} ({names}): it is compiled once, for all sizes"
        return None, None, ranges.Ranges(whole.spans, (), (*planned.problems, problem))

    def compile(self) -> Callable[..., Any]:
        """Compiles every range; what runs the graph."""
        for one in self._ranges.all:
            self._entries[one] = self._compile(one)
        self._done.clear()
        if len(self._entries) == 1:
            (entry,) = self._entries.values()
            self._release()
            run = self._single(entry)
        else:
            run = self._dispatching()
        setattr(run, GRAPH, self)
        return run

    def kept(self) -> Kept:
        """What another process needs to run this graph, as far as it was compiled when Dynamo asked for it."""
        compiled = [piece for piece in self._split.pieces if piece.kind == "compiled"]
        return Kept(
            None if self._is_whole() else stitches(self._split.module),
            tuple(
                KeptPiece(piece.name, piece.index, piece.kind, varying(self._split, piece), piece.module)
                for piece in (compiled if self._is_whole() else self._split.pieces)
            ),
            tuple(
                KeptEntry(one, dict(entry.pieces), tuple(entry.rows))
                for one, entry in self._entries.items()
                if one is not None
            ),
            self._read_at,
            self._ranges,
            None if self._symbol is None else str(self._symbol),
            self.split_fact(tuple(self._backend.vllm_config.compilation_config.splitting_ops or ())),
            inductor_splits=self._backend.compiler.inductor_splits,
        )

    def _is_whole(self) -> bool:
        return self._split.pieces[0].module is self._split.module

    def _release(self) -> None:
        """Lets go of what only further compiles would need."""
        self._inputs, self._examples, self._fake_mode = (), (), None

    def _single(self, entry: Entry) -> Callable[..., Any]:
        run, at, span = entry.run, self._at, entry.range
        assert span is not None
        end = span.end

        def call(*inputs: Any) -> Any:
            entry.calls += 1
            if at is not None and at(inputs) > end:
                self._report(
                    f"no compile range holds the size {at(inputs)}: it runs what was compiled for {span}"
                )
            return run(*inputs)

        return call

    def _dispatching(self) -> Callable[..., Any]:
        at, by_size = self._at, self._by_size
        assert at is not None

        def call(*inputs: Any) -> Any:
            size = at(inputs)
            entry = by_size.get(size) or self._find(size)
            entry.calls += 1
            return entry.run(*inputs)

        return call

    def _find(self, size: int) -> Entry:
        """The entry of a size, remembered; sizes in no range, or for which the backend's assumptions fail, share one of their own."""
        with self._lock:
            found = self._ranges.find(size)
            entry = None if found is None else self._entries[found]
            if entry is None or not entry.admits(size):
                why = (
                    "no compile range holds it"
                    if entry is None
                    else f"what was compiled for {found} does not admit it"
                )
                self._report(f"the size {size} runs what was compiled for all sizes: {why}", group=str(found))
                entry = self._general(size)
            if len(self._by_size) < _REMEMBERED:
                self._by_size[size] = entry
            return entry

    def _report(self, text: str, group: str = "") -> None:
        if group not in self._fell_back:
            self._fell_back.add(group)
            _log.warning("%s", text)

    def _general(self, size: int) -> Entry:
        """What serves a size that no range's entry does: compiled for all sizes when first needed; uncompiled where that does not admit it."""
        entry = self._entries.get(None)
        if entry is None:
            entry = self._entries[None] = self._compile(None)
        if entry.admits(size):
            return entry
        return self._uncompiled()

    def _uncompiled(self) -> Entry:
        """The pieces as they are."""
        entry = self._plain
        if entry is None:
            runs = {piece.name: Compiled(backends.forward_of(piece.module)) for piece in self._split.pieces}
            entry = self._plain = Entry(None, self._stitched(runs))
            entry.rows = [
                _row(piece, None, "eager", "uncompiled")
                for piece in self._split.pieces
                if piece.kind == "compiled"
            ]
        return entry

    def _compile(self, one: ranges.Range | None) -> Entry:
        """Compiles every piece for one range; pieces that are the same program are compiled once."""
        entry = Entry(one, _unset)
        runs: dict[str, Compiled] = {}
        capturable = [piece for piece in self._split.pieces if piece.kind == "compiled"]
        for piece in self._split.pieces:
            if piece.kind == "splitting":
                runs[piece.name] = Compiled(backends.forward_of(piece.module))
                continue
            compiled, row = self._compile_piece(piece, one)
            entry.rows.append(row)
            entry.pieces[piece.name] = compiled
            place = capturable.index(piece)
            wrapped = self._captured(compiled.run, piece, first=place == 0, last=place == len(capturable) - 1)
            runs[piece.name] = compiled._replace(run=wrapped)
        entry.conditions = tuple((one.guards, one.symbol) for one in runs.values() if one.guards)
        entry.run = self._stitched(runs)
        return entry

    def _compile_piece(self, piece: Piece, one: ranges.Range | None) -> tuple[Compiled, dict[str, Any]]:
        compilation_counter.add("num_backend_compilations")
        values = self._values(piece)
        made = self._narrowed(values, one)
        program = structure(piece.module, values)
        alike: Hashable = (
            program,
            one if made is not None and self._backend.compiler.name != "eager" else None,
        )
        begin = time.perf_counter_ns()
        reused = self._done.get(alike)
        if reused is None:
            compiled = self._build(piece, values, made)
            self._done[alike] = (compiled, piece.index)
        else:
            compiled = reused[0]
        row = _row(piece, one, self._backend.compiler.name, "compiled" if reused is None else "reused")
        row["reused_from"] = None if reused is None else reused[1]
        row["elapsed_ns"] = time.perf_counter_ns() - begin
        return compiled, row

    def _values(self, piece: Piece) -> tuple[Any, ...]:
        if piece.module is self._split.module:
            return self._inputs
        return backends.detached(_placeholder_values(piece.module), self._fake_mode)

    def _narrowed(self, values: tuple[Any, ...], one: ranges.Range | None) -> backends.Inputs | None:
        """The inputs for one of several ranges; None where they are those that Dynamo made."""
        if one is None or len(self._ranges.all) == 1 or not backends.symbols(values) <= {self._symbol}:
            return None
        hint = min(max(one.start, 2), one.end) if one.end > ranges.ENCODER_END // 2 else one.end
        return backends.narrowed(values, self._symbol, one.start, one.end, hint)

    def _build(self, piece: Piece, values: tuple[Any, ...], made: backends.Inputs | None) -> Compiled:
        compiler = self._backend.compiler
        if compiler.name == "eager":
            return Compiled(compiler.compile(piece.module, values))
        several = len(self._ranges.all) > 1
        module = backends.copy_of(piece.module) if several else piece.module
        if not several and piece.module is self._split.module:
            return Compiled(compiler.compile(module, self._examples))
        used = made or backends.Inputs(values, self._fake_mode, self._symbol)
        before = len(used.guards())
        with backends.tracing_with(used.fake_mode):
            run = compiler.compile(module, used.values)
        assumed = tuple(used.guards()[before:]) if several else ()
        return Compiled(run, assumed, used.symbol)

    def _captured(
        self, run: Callable[..., Any], piece: Piece, *, first: bool, last: bool
    ) -> Callable[..., Any]:
        if self._backend.compiler.inductor_splits:
            return run
        of = PieceOf(self.compile_id, piece.index, self._backend.prefix, self._ungraphed)
        return captured(
            run, self._backend.vllm_config, of, varying(self._split, piece), first=first, last=last
        )

    def _stitched(self, runs: dict[str, Compiled]) -> Callable[..., Any]:
        if self._is_whole():
            return runs[self._split.pieces[0].name].run
        return stitch(self._split.module, {name: one.run for name, one in runs.items()})

    def split_fact(self, splitting_ops: tuple[str, ...]) -> dict[str, Any]:
        """The pieces, as plain values."""
        return {
            "key": self._key,
            "module": self._backend.prefix or None,
            "by": "inductor" if self._backend.compiler.inductor_splits else "fx",
            "splitting_ops": list(splitting_ops),
            "unmatched": [[name, list(near)] for name, near in self._split.unmatched],
            "problem": self._split.problem,
            "pieces": [
                {
                    "index": piece.index,
                    "name": piece.name or "whole graph",
                    "kind": piece.kind,
                    "nodes": list(piece.nodes),
                    "split_op": piece.split_op,
                    "reason": piece.reason,
                    "capturable": piece.kind == "compiled",
                }
                for piece in self._split.pieces
            ],
        }

    def ranges_fact(self) -> dict[str, Any]:
        """What was compiled for which sizes and how often it ran, as plain values."""
        entries = [*self._entries.values(), *([self._plain] if self._plain else [])]
        rows = [{**row, "call_count": entry.calls} for entry in entries for row in entry.rows]
        return {
            "key": self._key,
            "module": self._backend.prefix or None,
            "symbol": None if self._symbol is None else str(self._symbol),
            "problems": list(self._ranges.problems),
            "ranges": rows,
        }

    def facts(self) -> list[tuple[str, dict[str, Any], Any]]:
        """Every fact as it stands now."""
        ops = tuple(getattr(self._backend.vllm_config.compilation_config, "splitting_ops", None) or ())
        return [
            ("splits", self.split_fact(ops), self.compile_id),
            ("ranges", self.ranges_fact(), self.compile_id),
        ]


def _row(piece: Piece, one: ranges.Range | None, backend: str, outcome: str) -> dict[str, Any]:
    return {
        "partition": piece.index,
        "start": 1 if one is None else one.start,
        "end": None if one is None else one.end,
        "exact": one is not None and one.exact,
        "backend": backend,
        "outcome": outcome,
        "reused_from": None,
        "elapsed_ns": 0,
    }


def _placeholder_values(module: fx.GraphModule) -> tuple[Any, ...]:
    """The fake tensors and sizes that Dynamo traced a graph's inputs with."""
    return tuple(node.meta.get("example_value") for node in module.graph.nodes if node.op == "placeholder")


def _unset(*_: Any) -> Any:
    raise AssertionError


def _place_of(values: Sequence[Any], symbol: Any) -> ReadAt | None:
    """Where to read the size; None where no input is just that size."""
    for index, value in enumerate(values):
        if backends.is_symbol(value, symbol):
            return ReadAt(index, None)
    for index, value in enumerate(values):
        if isinstance(value, torch.Tensor):
            for dim, size in enumerate(value.shape):
                if backends.is_symbol(size, symbol):
                    return ReadAt(index, dim)
    return None
