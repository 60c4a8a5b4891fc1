"""One capture of several sizes: warming up, capturing, trying whether batches may be padded, timing, within a budget."""

from __future__ import annotations

import logging
import math
import numbers
import re
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from compile_inspector.engine import narration, padding, side_effects
from compile_inspector.engine.capture_report import CaptureReport, CaptureStep, row_of
from compile_inspector.engine.captured import Captured
from compile_inspector.engine.config import CUDAGraphMode, max_num_batched_tokens
from compile_inspector.engine.counters import compilation_counter
from compile_inspector.engine.cudagraph import Capture, PieceOf, collecting, next_id
from compile_inspector.engine.dispatch import Dispatch, SizeGraph, flattened
from compile_inspector.engine.kept_state import KeptState, attributes
from compile_inspector.engine.sharing import groups
from compile_inspector.engine.side_effects import Attributes, Objects
from compile_inspector.engine.static_graph import StaleAddress, factory_for
from compile_inspector.engine.watched import reached, tensors_of, watch
from compile_inspector.errors import GuardViolation, InvalidConfig
from compile_inspector.torch_seams import cuda_graphs, direct

_log = logging.getLogger(__name__)
MEASURED = 10
"""Calls that are timed where a capture is asked to measure."""
FULL, PIECEWISE = CUDAGraphMode.FULL, CUDAGraphMode.PIECEWISE


class Budget:
    """How long captures may take and how much memory their graphs may hold.

    Raises:
        InvalidConfig: A limit that is none.
    """

    def __init__(self, seconds: float | None, pool_bytes: int | None) -> None:
        for name, limit in (("max_capture_seconds", seconds), ("max_pool_bytes", pool_bytes)):
            if limit is not None and (not _is_limit(limit)):
                msg = f"{name} must be a number of 0 or more, got {limit!r}"
                raise InvalidConfig(msg)
        self.seconds = None if seconds is None or seconds == math.inf else float(seconds)
        self.pool_bytes = None if pool_bytes is None or pool_bytes == math.inf else math.floor(pool_bytes)
        self.begin_ns = time.perf_counter_ns()
        self.full: str | None = None

    @property
    def elapsed_ns(self) -> int:
        """Since it began."""
        return time.perf_counter_ns() - self.begin_ns

    def spent(self) -> str | None:
        """Why no more is captured; None where more may be."""
        if self.seconds is not None and self.elapsed_ns >= self.seconds * 1e9:
            return f"left out: max_capture_seconds={self.seconds:g} was over"
        return self.full

    def exceeded(self, held: int | None) -> str | None:
        """Why a capture must be given back after which the pool holds so much; None where it need not be."""
        if self.pool_bytes is None or held is None or held <= self.pool_bytes:
            return None
        return f"given back: the graphs' memory pool would hold {held:,} bytes, and max_pool_bytes is {self.pool_bytes:,}"


def _is_limit(limit: Any) -> bool:
    return not isinstance(limit, bool) and isinstance(limit, numbers.Real) and bool(limit >= 0)  # pyright: ignore[reportOperatorIssue]


class Refused(Exception):  # noqa: N818
    """A size that is not captured, and why."""


class Run:
    """One capture of several sizes."""

    def __init__(
        self,
        program: Any,
        module: Any,
        captured: Captured,
        *,
        warmups: int,
        measure: bool,
        example: list[Any] | None,
    ) -> None:
        self.program, self.module, self.captured = program, module, captured
        self.shape = captured.shape
        self._warmups, self._measure, self._example = warmups, measure, example
        self._generators: dict[torch.device, torch.Generator] = {}
        self._rows: list[Capture] = []
        self._remarks: list[str] = []
        self.device = next(leaf.device for _, leaf in self.shape.tensors)
        self._probed: dict[int, list[int]] = {}

    def all(
        self,
        sizes: tuple[int, ...],
        modes: tuple[CUDAGraphMode, ...],
        budget: Budget,
        progress: Callable[[CaptureStep], object] | None,
    ) -> CaptureReport:
        """Captures every size in every mode."""
        total, done, out_of_memory = len(sizes) * len(modes), 0, 0
        largest = max_num_batched_tokens(self.program.vllm_config)
        state = self._state()
        try:
            for index, size in enumerate(sizes):
                below = sizes[index + 1] if index + 1 < len(sizes) else 0
                for mode in modes:
                    if progress is not None:
                        progress(CaptureStep(done, total, size, mode.name))
                    if size > largest:
                        row = self._refuse(
                            size, mode, f"the size {size} lies above max_num_batched_tokens, {largest}"
                        )
                    elif (reason := budget.spent()) is not None:
                        row = self._refuse(size, mode, reason)
                    else:
                        row, memory = self._one(size, below, mode, budget)
                        out_of_memory = out_of_memory + 1 if memory else 0
                        if out_of_memory > 1:
                            budget.full = "left out: the GPU was out of memory for the sizes before it"
                    done += 1
                    if progress is not None:
                        progress(CaptureStep(done, total, size, mode.name, row.event, row.reason))
        finally:
            self._remarks += state.restore()
        return CaptureReport(
            tuple(map(row_of, self._told())), budget.elapsed_ns, tuple(dict.fromkeys(self._remarks))
        )

    def _state(self) -> KeptState:
        """What captures may change: they run the forward several times."""
        tensors = dict(attributes(self.module))
        for entry in self.program.entries:
            tensors |= tensors_of(entry, self.module, self.program.self_at)
        return KeptState(self.module, tensors)

    def _told(self) -> list[Capture]:
        """Each size's capture, with its pieces behind it."""
        graphs = {
            id(graph.capture): graph
            for one in self.captured.dispatches.values()
            for graph in (*one.full.values(), *one.pieces.values())
        }
        found: list[Capture] = []
        for row in self._rows:
            graph = graphs.get(id(row))
            found += [row, *(() if graph is None else (piece for _, piece in graph.pieces))]
        return found

    def _one(self, size: int, below: int, mode: CUDAGraphMode, budget: Budget) -> tuple[Capture, bool]:
        """Captures one size; what became of it, and whether memory ran out."""
        try:
            row = self._made(size, below, mode, budget)
        except (Refused, GuardViolation, torch.OutOfMemoryError) as error:
            memory = isinstance(error, torch.OutOfMemoryError)
            reason = str(error).strip().partition("\n")[0]
        except Exception as error:  # noqa: BLE001 - whatever the model does with one size, the others are captured
            _log.info("A batch of %s is not captured.", size, exc_info=True)
            reason, memory = f"a call of this size fails: {type(error).__name__}: {_said(error)}", False
        else:
            self._rows.append(row)
            narration.capture(row.to_dict(), row.piece.compile_id)
            return row, False
        cuda_graphs.free_memory(self.device)
        return self._refuse(size, mode, f"out of memory: {reason}" if memory else reason), memory

    def _made(self, size: int, below: int, mode: CUDAGraphMode, budget: Budget) -> Capture:
        graph: SizeGraph | None = None
        try:
            leaves = self._leaves(size)
            _, reason = factory_for([leaf for leaf in leaves if isinstance(leaf, torch.Tensor)])
            if reason is not None:
                raise Refused(reason)
            dispatch = self._dispatch(leaves, size)
            ran = 0
            if dispatch.watched is None:
                self._learn(dispatch, leaves)
                ran = 2
            make = self._full if mode is FULL else self._pieces
            graph = make(dispatch, leaves, size, ran)
            exceeded = budget.exceeded(graph.capture.pool_bytes_after)
            if exceeded is not None:
                if self._any():
                    budget.full = f"left out: max_pool_bytes={budget.pool_bytes:,} is reached"
                raise Refused(exceeded)
            dispatch.put(graph, mode)
            self._probe(dispatch, graph, below)
            if self._measure:
                self._time(dispatch, graph)
            for _, piece in graph.pieces:
                piece.replay_count = piece.launch_ns = piece.call_count = 0
        except BaseException:
            if graph is not None:
                for one in self.captured.dispatches.values():
                    one.take(graph, mode)
                graph.free()
            raise
        return graph.capture

    def _any(self) -> bool:
        return any(row.event == "captured" for row in self._rows)

    def _refuse(self, size: int, mode: CUDAGraphMode, reason: str) -> Capture:
        piece = PieceOf(None, None, self.program.prefix)
        row = Capture(next_id(), piece, {"num_tokens": size}, mode.name, event="skipped", reason=reason)
        self._rows.append(row)
        self.captured.skipped.append(row)
        narration.capture(row.to_dict())
        return row

    def _leaves(self, size: int) -> list[Any]:
        """Buffers for one size, filled with the example's values over and over, or with made-up ones."""
        leaves = self.shape.make(size)
        if self._example is None:
            padding.randomise(self.shape, leaves, self._generators)
            return leaves
        for index, leaf in self.shape.tensors:
            source = self._example[index].detach()
            for dim in leaf.batch:
                rows = torch.arange(size, device=source.device) % source.shape[dim]
                source = source.index_select(dim, rows)
            with torch.no_grad():
                leaves[index].copy_(source)
        return leaves

    def _dispatch(self, leaves: Sequence[Any], size: int) -> Dispatch:
        """What the calls of this size go through, compiled if need be."""
        args, kwargs = self.shape.build(leaves)
        entry = self.program.entry_for(self.module, args, kwargs)
        if entry is None:
            known = self.program.entries
            self.program.call(self.module, args, kwargs)
            entry = self.program.entry_for(self.module, args, kwargs)
            if entry is None and len(self.program.entries) > len(known):
                unmet = self.program.unmet(self.module, args, kwargs)
                msg = f"each call changes what its compile depends on: {unmet}"
                raise Refused(msg)
        if entry is None:
            msg = f"no compiled code admits a batch of {size}, and torch compiles this module no more"
            raise Refused(msg)
        return self.captured.through(entry)

    def _learn(self, dispatch: Dispatch, leaves: list[Any]) -> None:
        """Runs the call twice as it is, before the first capture of an entry, and sees what it reads and writes."""
        args, kwargs = self.shape.build(leaves)
        entry, own = dispatch.entry, {id(leaf) for leaf in leaves if isinstance(leaf, torch.Tensor)}
        before = {index: leaves[index].clone() for index, _ in self.shape.tensors}
        versions = {index: leaves[index]._version for index in before}
        set_before = Attributes(self.module)
        objects = Objects(reached(entry, self.module, self.program.self_at))
        with direct.inputs_seen(entry) as seen:
            outputs = entry.run(self.module, *args, **kwargs)
        undone = side_effects.told(set_before.changed(), objects.changed(), entry.bare.__code__, outputs)
        if undone is not None:
            raise Refused(undone)
        read = {id(one): one for one in seen if isinstance(one, torch.Tensor) and id(one) not in own}
        watched, reason = watch(entry, self.module, self.program.self_at, read.values())
        if watched is None:
            raise Refused(reason)
        leaves_out, spec = flattened(outputs)
        behaviour = dispatch.behaviour
        behaviour.written = tuple(
            index
            for index, was in before.items()
            if leaves[index]._version != versions[index] or not torch.equal(was, leaves[index])
        )
        behaviour.spec = spec
        behaviour.given = tuple(_given(one, leaves, watched.tensors) for one in leaves_out)
        behaviour.together = groups(
            [one if given is None else None for one, given in zip(leaves_out, behaviour.given, strict=True)]
        )
        state = KeptState(self.module, dict(zip(watched.names, watched.tensors, strict=True)))
        entry.run(self.module, *args, **kwargs)
        written = state.changed()
        if written:
            behaviour.state = tuple(written.values())
            behaviour.padding = (
                f"the forward writes into {', '.join([*written][:3])}, where padded rows would be written too"
            )
        dispatch.watch(watched)

    def _full(self, dispatch: Dispatch, leaves: list[Any], size: int, ran: int) -> SizeGraph:
        entry, instance, build = dispatch.entry, weakref.ref(self.module), self.shape.build
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        factory, _ = factory_for(tensors)
        assert factory is not None
        graph = factory(gc_disable=True, weak_ref_output=False)
        reason = None if graph.reads_host else dispatch.hold_host()
        if reason is not None:
            raise Refused(reason)
        kept = list(leaves)

        def run() -> Any:
            args, kwargs = build(kept)
            return entry.run(instance(), *args, **kwargs)

        for _ in range(self._warmups - ran):
            run()
        try:
            outputs = graph.record(run, tensors)
        except torch.OutOfMemoryError:
            graph.free()
            raise
        except Exception as error:
            graph.free()
            first = str(error).strip().partition("\n")[0]
            msg = f"the capture failed: {type(error).__name__}: {first}"
            raise Refused(msg) from error
        capture = self._capture(dispatch, size, FULL, ran)
        capture.capture_ns = graph.capture_ns
        capture.pool_bytes_before, capture.pool_bytes_after = graph.pool_bytes_before, graph.pool_bytes_after
        capture.kernel_count, capture.memcpy_count = graph.kernel_count, graph.memcpy_count
        compilation_counter.add("num_cudagraph_captured")
        return SizeGraph(size, capture, leaves, graph, flattened(outputs)[0])

    def _pieces(self, dispatch: Dispatch, leaves: list[Any], size: int, ran: int) -> SizeGraph:
        capture = self._capture(dispatch, size, PIECEWISE, ran)
        graph = SizeGraph(size, capture, leaves)
        begin = time.perf_counter_ns()
        with collecting(self._warmups, ran) as collected:
            graph.pieces = collected.captures
            try:
                dispatch.run_pieces(graph, self.module, None)
            except StaleAddress as stale:
                graph.free()
                msg = f"its pieces were captured before, in a forward context with this batch descriptor: {stale}"
                raise Refused(msg) from stale
            except BaseException:
                graph.free()
                raise
        capture.capture_ns = time.perf_counter_ns() - begin - collected.warmup_ns
        pieces = [one for _, one in graph.pieces]
        made = [one for one in pieces if one.event == "captured"]
        if not made:
            reasons = [one.reason for one in pieces if one.reason is not None]
            graph.free()
            raise Refused(
                reasons[0] if reasons else "no piece of the compiled code can be captured by itself"
            )
        capture.pool_bytes_before, capture.pool_bytes_after = (
            made[0].pool_bytes_before,
            made[-1].pool_bytes_after,
        )
        capture.kernel_count = _sum(one.kernel_count for one in made)
        capture.memcpy_count = _sum(one.memcpy_count for one in made)
        if len(made) < len(pieces):
            capture.reason = f"{len(pieces) - len(made)} of {len(pieces)} pieces run without a graph"
        return graph

    def _capture(self, dispatch: Dispatch, size: int, mode: CUDAGraphMode, ran: int) -> Capture:
        piece = PieceOf(dispatch.entry.compile_id, None, self.program.prefix)
        warmups = max(self._warmups, ran)
        return Capture(next_id(), piece, {"num_tokens": size}, mode.name, event="captured", warmups=warmups)

    def _probe(self, dispatch: Dispatch, graph: SizeGraph, below: int) -> None:
        """Finds out whether smaller batches may be padded to this size; twice for an entry at most, for the largest that some are."""
        behaviour = dispatch.behaviour
        probed = self._probed.setdefault(id(dispatch), [])
        if behaviour.padding is not None or graph.size - below < 2 or len(probed) > 1:
            return
        size, keep, expected = self._smaller(dispatch, below, graph.size)
        if not size:
            return
        probed.append(graph.size)
        padding.randomise(self.shape, graph.leaves, self._generators)
        padding.pad(self.shape, graph.leaves, keep, size)
        found = self._replayed(dispatch, graph)
        rules, why = padding.rules_of(expected, size, found, graph.size)
        if rules is not None:
            behaviour.rules = behaviour.rules or rules
            why = (
                padding.differs(expected, found, rules, size)
                if rules == behaviour.rules
                else "its outputs follow the batch in several ways"
            )
        if why is not None:
            if not self._repeats(dispatch, keep, expected):
                why = "two calls with the same arguments give different results, so that it cannot be found out by trying"
            behaviour.padding = why
            self._remarks.append(f"no batch is padded, only the captured sizes run from graphs: {why}")

    def _smaller(self, dispatch: Dispatch, below: int, above: int) -> tuple[int, list[Any], list[Any]]:
        """A size between two that the entry admits and runs, its arguments and its results; 0 where none was found."""
        for size in padding.between(below, above):
            if not self._admits(dispatch, size):
                continue
            keep = self._leaves(size)
            try:
                return size, keep, self._ran(dispatch, keep)
            except torch.OutOfMemoryError:
                raise
            except Exception:  # noqa: BLE001 - some sizes alone may be none of the model's, such as odd ones
                continue
        return 0, [], []

    def _ran(self, dispatch: Dispatch, leaves: Sequence[Any]) -> list[Any]:
        """The results of a call with copies of these arguments."""
        args, kwargs = self.shape.build([_cloned(leaf) for leaf in leaves])
        return [_cloned(one) for one in flattened(dispatch.entry.run(self.module, *args, **kwargs))[0]]

    def _repeats(self, dispatch: Dispatch, leaves: Sequence[Any], results: Sequence[Any]) -> bool:
        again = self._ran(dispatch, leaves)
        return all(
            padding.close(one, other)
            for one, other in zip(results, again, strict=True)
            if isinstance(one, torch.Tensor)
        )

    def _admits(self, dispatch: Dispatch, size: int) -> bool:
        args, kwargs = self.shape.build(self.shape.make(size))
        return self.program.entry_for(self.module, args, kwargs) is dispatch.entry

    def _replayed(self, dispatch: Dispatch, graph: SizeGraph) -> list[Any]:
        if graph.graph is None:
            return flattened(dispatch.run_pieces(graph, self.module, None))[0]
        graph.graph.replay(graph.tensors)
        return graph.outputs

    def _time(self, dispatch: Dispatch, graph: SizeGraph) -> None:
        """Times a call of this size from its graph, compiled, and as it is, each with inputs of the caller's."""
        leaves = self._leaves(graph.size)
        args, kwargs = self.shape.build(leaves)
        entry, original, module = dispatch.entry, self.program.wrapper.original, self.module
        capture, device = graph.capture, self.device
        replays, launches = capture.replay_count, capture.launch_ns
        original(module, *args, **kwargs)
        capture.eager_ns = cuda_graphs.timed(lambda: original(module, *args, **kwargs), device, MEASURED)
        capture.compiled_ns = cuda_graphs.timed(lambda: entry.run(module, *args, **kwargs), device, MEASURED)

        def replay() -> None:
            dispatch.replay(graph, leaves, module)

        replay()
        capture.replay_ns = cuda_graphs.timed(replay, device, MEASURED)
        capture.replay_count, capture.launch_ns = replays, launches
        for wrapper, piece in graph.pieces:
            piece.replay_ns = wrapper.timed(graph.size, device, MEASURED)


def _sum(values: Iterable[int | None]) -> int | None:
    found = list(values)
    return None if any(one is None for one in found) else sum(one for one in found if one is not None)


def _said(error: BaseException) -> str:
    """What an error says, in a line: of those of torch that explain themselves at length, what the explanation is about."""
    text = str(error).strip()
    first = text.partition("\n")[0]
    for name in ("Developer debug context", "Explanation"):
        found = re.search(rf"^ *{name}: *(\S.*)$", text, re.MULTILINE)
        if found is not None:
            return f"{first}: {found[1]}"
    return first


def _cloned(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value


def _given(output: Any, leaves: Sequence[Any], read: Sequence[torch.Tensor]) -> int | None:
    """Which leaf an output is; -1 for a tensor of the module; None for one of its own.

    Raises:
        Refused: It is a view of one, which a replay cannot give, or nothing that can be kept.
    """
    if not isinstance(output, torch.Tensor):
        if output is None or isinstance(output, bool | int | float | str):
            return None
        msg = f"it returns a {type(output).__name__}, which cannot be taken apart into tensors"
        raise Refused(msg)
    for index, leaf in enumerate(leaves):
        if output is leaf:
            return index
    if any(output is one for one in read):
        return -1
    storage = output.untyped_storage().data_ptr()
    others = [leaf for leaf in (*leaves, *read) if isinstance(leaf, torch.Tensor)]
    if output.numel() and any(storage == one.untyped_storage().data_ptr() for one in others):
        msg = "an output is a view of an argument or of a tensor of the module, which a replay cannot give"
        raise Refused(msg)
    return None
