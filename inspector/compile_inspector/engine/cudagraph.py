"""A callable that is captured into a static graph once for each kind of batch, and replayed from then on.

What a graph reads lies where it lay at the capture. Each replay therefore checks the address, shape and value of every argument, by position and by
keyword, or copies the arguments into buffers that the graph owns.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch

from compile_inspector.engine import narration
from compile_inspector.engine.bound import (
    Layout,
    Place,
    laid_out,
    place_of,
    same_rows,
    same_value,
    sameness,
    shared,
)
from compile_inspector.engine.config import CUDAGraphMode
from compile_inspector.engine.context import (
    BatchDescriptor,
    ForwardContext,
    forward_context_or_none,
    validate_cudagraph_capturing_enabled,
)
from compile_inspector.engine.counters import compilation_counter
from compile_inspector.engine.static_graph import StaleAddress, StaticGraph, factory_for, fill
from compile_inspector.errors import InvalidConfig
from compile_inspector.torch_seams.cuda_graphs import CAPTURING, timed

_log = logging.getLogger(__name__)
_ids = itertools.count(1)
next_id = _ids.__next__
"""Numbers captures in the process."""


@dataclass
class Collected:
    """The captures of one call.

    Attributes:
        warmups: How often each piece runs before its capture.
        ran: How often it has run before the call.
        captures: With what made each.
        warmup_ns: Time that warming up took, nanoseconds.
    """

    warmups: int
    ran: int
    captures: list[tuple[CUDAGraphWrapper, Capture]] = field(default_factory=list)
    warmup_ns: int = 0


_collector: ContextVar[Collected | None] = ContextVar("compile_inspector_captures", default=None)


@contextmanager
def collecting(warmups: int, ran: int) -> Generator[Collected]:
    """Collects every capture that begins in its block, with what makes it; it is told by `live` alone.

    A piece warms up where it is captured, in the same call: what lies between the pieces runs once. Running out of memory is raised in it, not
    recorded; garbage was collected before it.
    """
    collected = Collected(warmups, ran)
    token = _collector.set(collected)
    try:
        yield collected
    finally:
        _collector.reset(token)


@dataclass(frozen=True)
class CUDAGraphOptions:
    """How graphs are captured.

    Attributes:
        debug_log_enable: Log each capture.
        gc_disable: Collect no garbage before a capture: for all but the first of several pieces.
        weak_ref_output: Let later captures reuse the memory of the outputs: for the last piece, whose outputs no graph reads.
    """

    debug_log_enable: bool = True
    gc_disable: bool = False
    weak_ref_output: bool = False


@dataclass(frozen=True)
class PieceOf:
    """What a wrapper is a piece of, for the record of its captures.

    Attributes:
        compile_id: torch's CompileId, None outside of a compile.
        partition: Index of the piece, None for a whole model.
        prefix: The module's path.
        ungraphed: Of all pieces of one compile together: the kinds of batch of which a piece could not be captured. What later pieces
            get of it lies elsewhere at each call, so they run as they are where it does.
    """

    compile_id: Any = None
    partition: int | None = None
    prefix: str = ""
    ungraphed: set[Any] = field(default_factory=set, compare=False, repr=False)


@dataclass
class Capture:
    """What happened to one kind of batch: plain values.

    Attributes:
        id: Unique in the process.
        piece: What was captured.
        key: The batch descriptor's fields, or None.
        mode: The runtime mode's name.
        event: "captured", "skipped" (it cannot be captured; calls run as they are), "bypassed" (calls ran without the graphs that
            there are) or "warming" (not yet).
        reason: Why, for all but the first.
        warmups: Calls that ran as they are before the capture.
        capture_ns: Time the capture took, nanoseconds.
        pool_bytes_before, pool_bytes_after: The graphs' memory pool; None where unknown.
        kernel_count, memcpy_count: What the graph consists of; None where unknown.
        replay_count: Replays so far.
        launch_ns: Time spent launching them, nanoseconds.
        at_ns: When this happened first, nanoseconds since 1970.
        call_count: Calls that ran without a graph: for the reason given, or, of a captured one, because a piece before it has none.
        replay_ns, compiled_ns, eager_ns: What one call takes from the graph, compiled, and as it is; None where it was not measured.
    """

    id: int
    piece: PieceOf
    key: dict[str, Any] | None
    mode: str
    event: str = "warming"
    reason: str | None = None
    warmups: int = 0
    capture_ns: int | None = None
    pool_bytes_before: int | None = None
    pool_bytes_after: int | None = None
    kernel_count: int | None = None
    memcpy_count: int | None = None
    replay_count: int = 0
    launch_ns: int = 0
    at_ns: int = field(default_factory=time.time_ns)
    call_count: int = 0
    replay_ns: int | None = None
    compiled_ns: int | None = None
    eager_ns: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "piece"}
        return {
            **values,
            "source": "engine",
            "key": f"capture-{self.id}",
            "batch": self.key,
            "compile_id": None if self.piece.compile_id is None else str(self.piece.compile_id),
            "partition": self.piece.partition,
            "module": self.piece.prefix or None,
        }


_NO_ARGUMENTS = Layout("flat", 0)


@dataclass
class _Entry:
    """One kind of batch: its graph, and what that graph is bound to."""

    capture: Capture
    graph: StaticGraph | None = None
    outputs: Any = None
    layout: Layout = _NO_ARGUMENTS
    copies: tuple[tuple[int, torch.Tensor, bool], ...] = ()
    checks: tuple[Place, ...] = ()
    values: tuple[tuple[int, Any], ...] = ()
    bound: list[torch.Tensor] = field(default_factory=list)
    unchanged: Callable[[Sequence[Any]], bool] = lambda _: False


class CUDAGraphWrapper:
    """Calls a callable, and where the forward context asks for it, captures it once per batch descriptor and replays it.

    Without a forward context, or in another runtime mode than its own, it calls through. The outputs of a replay are the graph's buffers: they
    hold until the next replay. A call that needs gradients, or whose inputs no graph can hold, is called through and recorded as skipped.

    Args:
        runnable: What to capture; it must do the same for the same kind of batch.
        vllm_config: Its ``compilation_config`` says how often to warm up and whether to copy inputs.
        runtime_mode: PIECEWISE or FULL: the mode of the forward context that it answers to.
        cudagraph_options: How to capture.
        copied: Positions, among all arguments in order, to copy into the graph's own buffers at each replay. None: where the configuration
            says ``cudagraph_copy_inputs``, every tensor that is no parameter, else none.
        piece: What this is a piece of, for the record.

    Raises:
        InvalidConfig: The runtime mode is NONE or a pair.
    """

    def __init__(
        self,
        runnable: Callable[..., Any],
        vllm_config: Any,
        runtime_mode: CUDAGraphMode,
        cudagraph_options: CUDAGraphOptions | None = None,
        *,
        copied: Collection[int] | None = None,
        piece: PieceOf | None = None,
    ) -> None:
        if runtime_mode is CUDAGraphMode.NONE or not runtime_mode.is_valid_runtime_mode():
            msg = f"a CUDA graph is captured in the mode PIECEWISE or FULL, got {runtime_mode!r}"
            raise InvalidConfig(msg)
        config = vllm_config.compilation_config
        self.runnable = runnable
        self.vllm_config = vllm_config
        self.runtime_mode = runtime_mode
        self.cudagraph_options = cudagraph_options or CUDAGraphOptions()
        self._warmups = int(getattr(config, "cudagraph_num_of_warmups", 0) or 0)
        self._copy_all = copied is None and bool(getattr(config, "cudagraph_copy_inputs", False))
        self._copied = frozenset(copied or ())
        self._piece = piece or PieceOf()
        self._entries: dict[Any, _Entry] = {}
        narration.register(self)

    def __getattr__(self, name: str) -> Any:
        if name == "runnable":
            raise AttributeError(name)
        return getattr(self.runnable, name)

    def unwrap(self) -> Callable[..., Any]:
        """The callable itself."""
        return self.runnable

    def captures(self) -> list[Capture]:
        """What was captured or skipped so far."""
        return [entry.capture for entry in list(self._entries.values())]

    def facts(self) -> list[tuple[str, dict[str, Any], Any]]:
        """Every capture as it stands now."""
        return [
            ("captures", one.to_dict(), one.piece.compile_id)
            for one in self.captures()
            if one.event != "warming"
        ]

    def timed(self, size: int, device: Any, repeats: int) -> int | None:
        """Nanoseconds that one replay for a batch of this size takes, nothing copied; None where there is no graph for it."""
        entry = self._entries.get(BatchDescriptor(size))
        if entry is None or entry.graph is None:
            return None
        graph, bound = entry.graph, entry.bound
        return timed(lambda: graph.replay(bound), device, repeats)

    def forget(self, descriptor: Any) -> None:
        """Frees the graph of one kind of batch; its next call captures anew."""
        entry = self._entries.pop(descriptor, None)
        if entry is not None and entry.graph is not None:
            entry.graph.free()

    def reset(self) -> None:
        """Frees every graph; the next calls capture anew."""
        entries, self._entries = self._entries, {}
        for entry in entries.values():
            if entry.graph is not None:
                entry.graph.free()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls, captures or replays.

        Raises:
            RuntimeError: A capture is due and capturing is disabled.
            StaleAddress: An argument is not the tensor, or not the value, that this kind of batch was captured with.
        """
        context = forward_context_or_none()
        if context is None or context.cudagraph_runtime_mode is not self.runtime_mode:
            return self.runnable(*args, **kwargs)
        entry = self._entries.get(context.batch_descriptor)
        if entry is None or entry.graph is None:
            return self._unrecorded(context, entry, args, kwargs)
        leaves = entry.layout.leaves(args, kwargs)
        if torch.is_grad_enabled() and _needs_gradients(leaves):
            return self.runnable(*args, **kwargs)
        if not entry.unchanged(leaves):
            try:
                self._check(entry, leaves, context)
            except StaleAddress:
                if context.batch_descriptor not in self._piece.ungraphed:
                    raise
                entry.capture.call_count += 1
                return self.runnable(*args, **kwargs)
        return self._replay(entry, leaves)

    def _replay(self, entry: _Entry, leaves: Sequence[Any]) -> Any:
        begin = time.perf_counter_ns()
        graph, capture = entry.graph, entry.capture
        assert graph is not None
        for index, buffer, _ in entry.copies:
            fill(buffer, leaves[index])
        graph.replay(entry.bound if entry.copies or not graph.reads_inputs else _tensors(leaves))
        if entry.copies:
            _copy_back(entry, leaves)
        capture.replay_count += 1
        capture.launch_ns += time.perf_counter_ns() - begin
        return entry.outputs

    def _check(self, entry: _Entry, leaves: Sequence[Any], context: ForwardContext) -> None:
        for place in entry.checks:
            index = place[0]
            leaf = leaves[index]
            if not isinstance(leaf, torch.Tensor) or place_of(index, leaf) != place:
                self._stale(entry, index, leaf, _placed(place), context)
        for index, value in entry.values:
            if not same_value(leaves[index], value):
                self._stale(entry, index, leaves[index], repr(value), context)
        for index, buffer, _ in entry.copies:
            leaf = leaves[index]
            if not isinstance(leaf, torch.Tensor) or leaf.shape != buffer.shape or leaf.dtype != buffer.dtype:
                self._stale(entry, index, leaf, f"a {buffer.dtype} of shape {tuple(buffer.shape)}", context)
            elif not same_rows(buffer, leaf):
                was = f"of strides {buffer.stride()}, so that some of its dimensions share their memory,"
                self._stale(entry, index, leaf, was, context)
        pair = shared(entry.copies, leaves)
        if pair is not None:
            one, other = map(entry.layout.name, pair)
            msg = (
                f"arguments {one} and {other} share memory in another way than when {context.batch_descriptor} was captured, so that "
                "copies of them give other results. Pass tensors that lie as those did"
            )
            raise StaleAddress(msg)

    def _stale(self, entry: _Entry, index: int, leaf: Any, was: str, context: ForwardContext) -> None:
        now = repr(leaf)
        if isinstance(leaf, torch.Tensor):
            now = _placed(place_of(index, leaf))
        msg = (
            f"argument {entry.layout.name(index)} was {was} when {context.batch_descriptor} was captured, and is {now} now. Pass the "
            "tensors it was captured with, filled anew, or set cudagraph_copy_inputs=True"
        )
        raise StaleAddress(msg)

    def _unrecorded(
        self, context: ForwardContext, entry: _Entry | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """A call of a kind of batch that has no graph: warms up, captures, or runs what cannot be captured."""
        with CAPTURING:
            entry = self._entries.get(context.batch_descriptor)
            if entry is None:
                entry = self._entries[context.batch_descriptor] = _Entry(self._new_capture(context))
            if entry.graph is not None:
                return self(*args, **kwargs)
            capture, collected = entry.capture, _collector.get()
            if collected is not None and all(one is not capture for _, one in collected.captures):
                collected.captures.append((self, capture))
            if capture.event == "skipped":
                capture.call_count += 1
                return self.runnable(*args, **kwargs)
            if collected is not None:
                self._warm_up(collected, capture, args, kwargs)
            elif capture.warmups < self._warmups:
                capture.warmups += 1
                return self.runnable(*args, **kwargs)
            try:
                validate_cudagraph_capturing_enabled()
            except RuntimeError:
                if not capture.warmups:
                    del self._entries[context.batch_descriptor]
                raise
            return self._capture(entry, args, kwargs, context.batch_descriptor)

    def _warm_up(
        self, collected: Collected, capture: Capture, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        begin = time.perf_counter_ns()
        capture.warmups = max(capture.warmups, collected.ran)
        if capture.warmups < collected.warmups:
            layout, leaves = laid_out(args, kwargs)
            for _ in range(collected.warmups - capture.warmups):
                again, named = layout.call(leaves)
                self.runnable(*again, **named)
            capture.warmups = collected.warmups
        collected.warmup_ns += time.perf_counter_ns() - begin

    def _new_capture(self, context: ForwardContext) -> Capture:
        descriptor: Any = context.batch_descriptor
        key = dict(descriptor._asdict()) if hasattr(descriptor, "_asdict") else None
        if key is None and descriptor is not None:
            key = {"descriptor": repr(descriptor)}
        return Capture(next(_ids), self._piece, key, self.runtime_mode.name)

    def _capture(self, entry: _Entry, args: tuple[Any, ...], kwargs: dict[str, Any], descriptor: Any) -> Any:
        entry.layout, leaves = laid_out(args, kwargs)
        if torch.is_grad_enabled() and _needs_gradients(leaves):
            return self._skip(entry, "the call needs gradients", args, kwargs)
        factory, reason = factory_for(_tensors(leaves))
        if factory is None:
            return self._skip(entry, reason or "nothing can capture it", args, kwargs)
        copied = self._positions(leaves)
        if len({_storage(leaves[index]) for index in copied}) < len({id(leaves[index]) for index in copied}):
            return self._skip(entry, "arguments that are to be copied share their memory", args, kwargs)
        options = self.cudagraph_options
        collected = options.gc_disable or _collector.get() is not None
        graph = factory(gc_disable=collected, weak_ref_output=options.weak_ref_output)
        try:
            outputs = self._record(graph, entry, leaves, copied)
        except Exception as error:
            graph.free()
            if isinstance(error, torch.OutOfMemoryError) and _collector.get() is not None:
                raise
            first = str(error).strip().partition("\n")[0]
            self._piece.ungraphed.add(descriptor)
            return self._skip(entry, f"the capture failed: {type(error).__name__}: {first}", args, kwargs)
        entry.outputs = outputs
        entry.graph = graph
        self._captured(entry, graph)
        return outputs

    def _positions(self, leaves: Sequence[Any]) -> list[int]:
        if not self._copy_all:
            return sorted(index for index in self._copied if isinstance(leaves[index], torch.Tensor))
        return [
            index
            for index, leaf in enumerate(leaves)
            if isinstance(leaf, torch.Tensor) and not isinstance(leaf, torch.nn.Parameter)
        ]

    def _record(self, graph: StaticGraph, entry: _Entry, leaves: Sequence[Any], copied: list[int]) -> Any:
        bound = list(leaves)
        owned: dict[int, torch.Tensor] = {}
        for index in copied:
            bound[index] = owned.setdefault(id(leaves[index]), graph.own(leaves[index]))
        versions = {index: _version(bound[index]) for index in copied}
        entry.bound = _tensors(bound)
        runnable, call = self.runnable, entry.layout.call

        def run() -> Any:
            args, kwargs = call(bound)
            return runnable(*args, **kwargs)

        outputs = graph.record(run, entry.bound)
        entry.copies = tuple(
            (index, bound[index], _was_written(bound[index], leaves[index], versions[index]))
            for index in copied
        )
        _copy_back(entry, leaves)
        entry.checks = tuple(
            place_of(index, leaf)
            for index, leaf in enumerate(leaves)
            if isinstance(leaf, torch.Tensor) and index not in versions
        )
        entry.values = tuple(
            (index, leaf) for index, leaf in enumerate(leaves) if not isinstance(leaf, torch.Tensor)
        )
        entry.unchanged = sameness(entry.checks, entry.values, entry.copies)
        return outputs

    def _captured(self, entry: _Entry, graph: StaticGraph) -> None:
        capture = entry.capture
        capture.event = "captured"
        capture.capture_ns = graph.capture_ns
        capture.pool_bytes_before, capture.pool_bytes_after = graph.pool_bytes_before, graph.pool_bytes_after
        capture.kernel_count, capture.memcpy_count = graph.kernel_count, graph.memcpy_count
        compilation_counter.add("num_cudagraph_captured")
        if self.cudagraph_options.debug_log_enable:
            _log.debug("Captured %s in the mode %s", capture.key, capture.mode)
        if _collector.get() is None:
            narration.capture(capture.to_dict(), capture.piece.compile_id)

    def _skip(self, entry: _Entry, reason: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a call that cannot be captured, then remembers why; what the callable itself raises is raised and not remembered."""
        result = self.runnable(*args, **kwargs)
        if reason != "the call needs gradients":
            entry.capture.event, entry.capture.reason = "skipped", reason
            _log.warning("A batch of %s runs without a CUDA graph: %s", entry.capture.key, reason)
            narration.capture(entry.capture.to_dict(), entry.capture.piece.compile_id)
        return result


def _placed(place: Place) -> str:
    _, address, shape, stride, dtype = place
    return f"at {address:#x} with shape {tuple(shape)}, strides {tuple(stride)} and {dtype}"


def _tensors(leaves: Sequence[Any]) -> list[torch.Tensor]:
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _needs_gradients(leaves: Sequence[Any]) -> bool:
    return any(isinstance(leaf, torch.Tensor) and leaf.requires_grad for leaf in leaves)


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _version(tensor: torch.Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


def _was_written(buffer: torch.Tensor, original: torch.Tensor, version: int | None) -> bool:
    """Whether a run wrote into a copied argument: if so, what it wrote must go back into the caller's tensor after each replay."""
    return version is None or buffer._version != version or not torch.equal(buffer, original)


def _copy_back(entry: _Entry, leaves: Sequence[Any]) -> None:
    for index, buffer, written in entry.copies:
        if written:
            fill(leaves[index], buffer)
