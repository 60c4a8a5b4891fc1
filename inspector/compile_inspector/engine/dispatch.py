"""Which calls run from a captured graph: the batch is padded to the next captured size into buffers of the graph, replayed, and cut to its size again.

A call that no graph fits runs compiled, and is counted with its reason. Nothing is written down for a single call.

The graphs of all modules share one pool, where the work of one may lie over the results of another: replays of several threads come one after the
other, each with the copies of its results, and so do captures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils import _pytree as pytree

from compile_inspector.engine import narration
from compile_inspector.engine.arguments import CallShape
from compile_inspector.engine.bound import Place
from compile_inspector.engine.config import CUDAGraphMode
from compile_inspector.engine.context import (
    BatchDescriptor,
    ForwardContext,
    enter_forward_context,
    forward_context_or_none,
    leave_forward_context,
)
from compile_inspector.engine.cudagraph import Capture, CUDAGraphWrapper, PieceOf, next_id
from compile_inspector.engine.kept_state import same_values
from compile_inspector.engine.sharing import Memory, copied_together, overlap
from compile_inspector.engine.static_graph import StaleAddress, StaticGraph, fill
from compile_inspector.engine.watched import Watched
from compile_inspector.torch_seams import cuda_graphs, direct

in_capture: ContextVar[bool] = ContextVar("compile_inspector_in_capture", default=False)
"""Whether this thread is capturing: what is called then runs as it is, and becomes part of what is captured."""

_UNLIKE = "the arguments are put together in another way than at the capture"
_FREED = "the graphs were freed by another thread while this call looked for one"
_REASONS = 64
"""Reasons that are told apart; what comes after is counted together."""
_HOST = 1024
"""Elements of a tensor on the CPU that are compared before each replay."""
_REMEMBERED = 4096
"""Sizes whose graph is remembered."""

_latest: dict[int, tuple[Any, int]] = {}
"""By GPU, the stream of the latest call that ran from a graph, and its handle."""

Rule = tuple[int, int] | None
"""How an output follows the batch: its dimension and the rows of it that one row of the batch makes; None where it does not."""


@dataclass
class SizeGraph:
    """What one size runs from.

    Attributes:
        size: Of the batch.
        capture: What is told of it; counts its replays.
        leaves: Of the call that it was captured with: buffers of its own, and values.
        graph: The graph of a whole model; None where pieces have one each.
        outputs: What the whole model's graph writes, as leaves.
        pieces: The wrappers of the pieces and what each captured.
    """

    size: int
    capture: Capture
    leaves: list[Any]
    graph: StaticGraph | None = None
    outputs: list[Any] = field(default_factory=list)
    pieces: list[tuple[CUDAGraphWrapper, Capture]] = field(default_factory=list)

    @property
    def freed(self) -> bool:
        """Whether its memory was given back."""
        return not self.leaves

    @property
    def tensors(self) -> list[torch.Tensor]:
        """The buffers that calls are copied into."""
        return [leaf for leaf in self.leaves if isinstance(leaf, torch.Tensor)]

    def free(self) -> None:
        """Gives its memory back."""
        if self.graph is not None:
            self.graph.free()
        for wrapper, _ in self.pieces:
            wrapper.forget(BatchDescriptor(self.size))
        self.graph, self.leaves, self.outputs, self.pieces = None, [], [], []


@dataclass(frozen=True)
class Fit:
    """How calls of one size run from a graph.

    Attributes:
        graph: Which.
        targets: By leaf: the part of its buffer that the call's tensor is copied into.
        kinds: The same, with the shape, the dtype and the device that the call's tensor must have.
        values: By leaf: the value that the call must have.
        results: The parts of the whole model's outputs that are given back; None where pieces give their own.
        storages: Where the memory of its buffers begins: what a call passes of it is copied before any buffer is filled.
    """

    graph: SizeGraph
    targets: tuple[tuple[int, torch.Tensor], ...]
    kinds: tuple[tuple[int, torch.Tensor, torch.Size, torch.dtype, torch.device], ...]
    values: tuple[tuple[int, Any], ...]
    results: tuple[Any, ...] | None
    storages: frozenset[int]


@dataclass
class Behaviour:
    """What was learned of an entry while it was captured, which holds for each of its sizes.

    Attributes:
        written: Leaves that the code writes into: what it wrote goes back into the caller's tensor.
        spec: How the outputs are put together.
        given: By output: the leaf of the call that it is; -1 for a tensor of the module; None for an output of its own.
        together: Outputs of its own that share memory with one another, by group; their copies do so too.
        rules: By output: how it follows the batch; None where that is not known.
        padding: Why no batch may be padded; None where they may.
        state: The tensors of the module that it writes into.
    """

    written: tuple[int, ...] = ()
    spec: Any = None
    given: tuple[int | None, ...] = ()
    together: tuple[tuple[int, ...], ...] = ()
    rules: tuple[Rule, ...] | None = None
    padding: str | None = None
    state: tuple[torch.Tensor, ...] = ()


class Dispatch:
    """Runs the calls of one compiled entry.

    Args:
        entry: The entry.
        shape: What its calls are like.
        watched: What the code reads beside the arguments; None where nothing was captured.
        behaviour: What was learned of it.
        piece: What it is, for the record.
        copy_outputs: Give back copies of what graphs write; what is not copied is overwritten by the next replay.
    """

    def __init__(
        self,
        entry: direct.Entry,
        shape: CallShape,
        watched: Watched | None,
        behaviour: Behaviour,
        piece: PieceOf,
        *,
        copy_outputs: bool,
    ) -> None:
        self.entry, self.shape, self.watched, self.behaviour = entry, shape, watched, behaviour
        self.full: dict[int, SizeGraph] = {}
        self.pieces: dict[int, SizeGraph] = {}
        self.bypasses: dict[str, Capture] = {}
        self._piece, self._copy_outputs = piece, copy_outputs
        self._unchanged: Callable[[Any], bool] = lambda _: True
        self._read, self._state = Memory(()), Memory(())
        self._host: tuple[tuple[str, torch.Tensor, torch.Tensor], ...] = ()
        self._places: list[Place] = []
        self._fits: dict[tuple[bool, int], Fit] = {}
        self._lock = cuda_graphs.CAPTURING
        self._gpu: int | None = None
        self._stream_of: Callable[[int], int] = cuda_graphs.stream_handles()

    def watch(self, watched: Watched | None) -> None:
        """What the code reads beside the arguments was seen."""
        self.watched = watched
        if watched is not None:
            self._unchanged = watched.checker()
            self._places = watched.places()
            self._read, self._state = Memory(watched.tensors), Memory(self.behaviour.state)

    def hold_host(self) -> str | None:
        """Graphs have from their captures what lies on the CPU: it must hold the same at each replay. Why it cannot be held; None where it can."""
        watched = self.watched
        if watched is None or self._host:
            return None
        named = zip(watched.names, watched.tensors, strict=True)
        host = [(name, one) for name, one in named if one.device.type == "cpu"]
        for name, one in host:
            if any(one is written for written in self.behaviour.state):
                return f"the forward writes into {name}, which lies on the CPU, where a replay does nothing"
            if one.numel() > _HOST:
                return f"the forward reads {name}, which lies on the CPU, where a replay reads nothing anew"
        self._host = tuple((name, one, one.detach().clone()) for name, one in host)
        return None

    def put(self, graph: SizeGraph, mode: CUDAGraphMode) -> None:
        """Lets calls run from a graph."""
        table = self.full if mode is CUDAGraphMode.FULL else self.pieces
        table[graph.size] = graph
        self._gpu = next((one.device.index or 0 for one in graph.tensors if one.is_cuda), None)
        self._fits.clear()

    def take(self, graph: SizeGraph, mode: CUDAGraphMode) -> None:
        """Lets calls no longer run from a graph."""
        table = self.full if mode is CUDAGraphMode.FULL else self.pieces
        if table.get(graph.size) is graph:
            del table[graph.size]
        self._fits.clear()

    def replay(self, graph: SizeGraph, leaves: Sequence[Any], instance: Any) -> Any:
        """One call of the graph's own size, without asking whether it fits."""
        with self._lock:
            return self._replay(self._make_fit(graph, graph.size), leaves, instance, None)

    def drop(self) -> None:
        """Frees every graph; a call of another thread that is at it is waited for."""
        with self._lock:
            for graph in (*self.full.values(), *self.pieces.values()):
                graph.free()
            self.full, self.pieces = {}, {}
            self._fits.clear()

    def __call__(self, instance: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs one call, which the entry's guards admit where they are asked."""
        if in_capture.get():
            return self.entry.run(instance, *args, **kwargs)
        full = bool(self.full)
        context = forward_context_or_none()
        if context is not None:
            if context.batch_descriptor is not None:
                return self.entry.run(instance, *args, **kwargs)
            if context.cudagraph_runtime_mode is CUDAGraphMode.NONE:
                return self._without("the forward context asks for no graph", instance, args, kwargs)
            full = context.cudagraph_runtime_mode is CUDAGraphMode.FULL
        flat = self.shape.flat and not kwargs
        leaves: Sequence[Any] | None = args if flat else self.shape.read(args, kwargs)
        if leaves is None:
            return self._without(_UNLIKE, instance, args, kwargs)
        fit, reason = self._fit(leaves, full=full)
        if fit is None and context is None and full and self.pieces:
            fit, reason = self._fit(leaves, full=False)
        if fit is None:
            return self._without(reason, instance, args, kwargs)
        reason = self._misfit(fit, leaves, instance)
        if reason is not None:
            return self._without(reason, instance, args, kwargs)
        with self._lock:
            if fit.graph.freed:
                return self._without(_FREED, instance, args, kwargs)
            self._order()
            begin = time.perf_counter_ns()
            try:
                result = self._replay(fit, leaves, instance, context)
            except StaleAddress as stale:
                if self.behaviour.state or self.behaviour.written:
                    raise
                reason = f"a piece was given another tensor than at its capture: {stale}"
            else:
                capture = fit.graph.capture
                capture.replay_count += 1
                capture.launch_ns += time.perf_counter_ns() - begin
                return result
        return self._without(reason, instance, args, kwargs)

    def _fit(self, leaves: Sequence[Any], *, full: bool) -> tuple[Fit | None, str]:
        table = self.full if full else self.pieces
        if not table:
            kind = "" if not (self.full or self.pieces) else "whole-model " if full else "piecewise "
            return (
                None,
                f"this call runs the compile {self.entry.compile_id}, of which no {kind}graph was captured",
            )
        index, dim = self.shape.at
        batch: Any = leaves[index] if index < len(leaves) else None
        if not isinstance(batch, torch.Tensor) or batch.dim() <= dim or len(leaves) != len(self.shape.leaves):
            return None, _UNLIKE
        size = batch.shape[dim]
        found = self._fits.get((full, size))
        if found is not None:
            return found, ""
        captured = min((one for one in table if one >= size), default=None)
        if captured is None:
            return None, f"the batch is larger than the largest captured size, {max(table)}"
        if captured != size and self.behaviour.padding is not None:
            return None, f"only the sizes that were captured run from graphs: {self.behaviour.padding}"
        if captured != size and self.behaviour.rules is None:
            return (
                None,
                "only the sizes that were captured run from graphs: no size between them could be tried",
            )
        with self._lock:
            if table[captured].freed:
                return None, _FREED
            fit = self._make_fit(table[captured], size)
            if len(self._fits) < _REMEMBERED:
                self._fits[full, size] = fit
        return fit, ""

    def _make_fit(self, graph: SizeGraph, size: int) -> Fit:
        targets = tuple(
            (index, narrowed(graph.leaves[index], leaf.batch, size)) for index, leaf in self.shape.tensors
        )
        values = tuple(
            (index, leaf) for index, leaf in enumerate(graph.leaves) if not isinstance(leaf, torch.Tensor)
        )
        results = None if graph.graph is None else self._cut(graph.outputs, graph.size, size)
        kinds = tuple((index, one, one.shape, one.dtype, one.device) for index, one in targets)
        storages = frozenset(one.untyped_storage().data_ptr() for one in graph.tensors if one.numel())
        return Fit(graph, targets, kinds, values, results, storages)

    def _cut(self, outputs: Sequence[Any], captured: int, size: int) -> tuple[Any, ...]:
        if captured == size or self.behaviour.rules is None:
            return tuple(outputs)
        cut = {
            id(one): one
            if rule is None or not isinstance(one, torch.Tensor)
            else one.narrow(rule[0], 0, rule[1] * size)
            for one, rule in zip(outputs, self.behaviour.rules, strict=True)
        }
        return tuple(cut[id(one)] for one in outputs)

    def _misfit(self, fit: Fit, leaves: Sequence[Any], instance: Any) -> str | None:
        """Why a call cannot run from the graph of its size; None where it can."""
        for index, target, shape, dtype, device in fit.kinds:
            leaf = leaves[index]
            if not isinstance(leaf, torch.Tensor) or leaf.shape != shape or leaf.dtype is not dtype:
                return f"the argument {self.shape.leaves[index].name} is not like at the capture, {_described(leaf, target)}"
            if leaf.device != device:
                return f"the argument {self.shape.leaves[index].name} is on {leaf.device}, not on {device}"
        for index, value in fit.values:
            if leaves[index] is not value and (
                type(leaves[index]) is not type(value) or leaves[index] != value
            ):
                return f"an argument is {leaves[index]!r:.80}, and was {value!r:.80} at the capture"
        if torch.is_grad_enabled() and self._needs_gradients(leaves):
            return "the call needs gradients"
        if self._gpu is not None and torch.cuda.is_current_stream_capturing():
            return "the call is itself being captured"
        if not self._unchanged(instance):
            assert self.watched is not None
            return self.watched.changed(instance, self._places) or "what the graph reads has changed"
        for name, one, was in self._host:
            if not same_values(one, was):
                return f"{name}, which lies on the CPU, holds other values than at the capture"
        return self._shared(leaves) if self.behaviour.written or self.behaviour.state else None

    def _shared(self, leaves: Sequence[Any]) -> str | None:
        """Why a write would be seen in another tensor by a call, and not by a replay, which reads copies; None where none would."""
        name = {index: leaf.name for index, leaf in self.shape.tensors}
        for index in self.behaviour.written:
            if self._read.meets(leaves[index]):
                return f"the code writes into the argument {name[index]}, which shares its memory with a tensor of the module"
            for other in name:
                if other != index and overlap(leaves[index], leaves[other]):
                    return f"the code writes into the argument {name[index]}, which shares its memory with {name[other]}"
        for index in name if self.behaviour.state else ():
            if self._state.meets(leaves[index]):
                return f"the argument {name[index]} shares its memory with a tensor of the module that the code writes into"
        return None

    def _needs_gradients(self, leaves: Iterable[Any]) -> bool:
        read = self.watched.tensors if self.watched is not None else ()
        return any(isinstance(one, torch.Tensor) and one.requires_grad for one in (*leaves, *read))

    def _order(self) -> None:
        """Calls on another stream wait for those before, of whatever module: the buffers are shared, and the memory of all graphs is."""
        if self._gpu is None:
            return
        handle, latest = self._stream_of(self._gpu), _latest.get(self._gpu)
        if latest is None or latest[1] != handle:
            stream = torch.cuda.current_stream(self._gpu)
            if latest is not None:
                stream.wait_stream(latest[0])
            _latest[self._gpu] = stream, handle

    def _replay(self, fit: Fit, leaves: Sequence[Any], instance: Any, context: ForwardContext | None) -> Any:
        graph = fit.graph
        passed = [
            (index, target) for index, target in fit.targets if leaves[index] is not graph.leaves[index]
        ]
        sources = [leaves[index] for index, _ in passed]
        for place, one in enumerate(sources):
            if one.untyped_storage().data_ptr() in fit.storages:
                sources[place] = one.clone()
        for (_, target), one in zip(passed, sources, strict=True):
            fill(target, one)
        if graph.graph is not None:
            graph.graph.replay(graph.tensors if graph.graph.reads_inputs else ())
            results: Sequence[Any] = fit.results or ()
        else:
            outputs = flattened(self.run_pieces(graph, instance, context))[0]
            results = self._cut(outputs, graph.size, self._size_of(leaves))
        for index in self.behaviour.written:
            target = next(target for at, target in fit.targets if at == index)
            if leaves[index] is not graph.leaves[index]:
                fill(leaves[index], target)
        return self._given_back(results, leaves)

    def _size_of(self, leaves: Sequence[Any]) -> int:
        index, dim = self.shape.at
        return leaves[index].shape[dim]

    def run_pieces(self, graph: SizeGraph, instance: Any, context: ForwardContext | None) -> Any:
        """Runs the compiled code on a graph's buffers, its pieces from their graphs."""
        args, kwargs = self.shape.build(graph.leaves)
        inner = ForwardContext(
            None if context is None else context.attn_metadata,
            None if context is None else context.vllm_config,
            CUDAGraphMode.PIECEWISE,
            BatchDescriptor(graph.size),
            additional_kwargs={} if context is None else context.additional_kwargs,
        )
        token = enter_forward_context(inner)
        try:
            return self.entry.run(instance, *args, **kwargs)
        finally:
            leave_forward_context(token)

    def _given_back(self, results: Sequence[Any], leaves: Sequence[Any]) -> Any:
        """The results as the caller gets them: its own tensors for what is an argument, copies of what the next replay would overwrite."""
        together: dict[int, torch.Tensor] = {}
        for group in self.behaviour.together if self._copy_outputs else ():
            together.update(zip(group, copied_together([results[index] for index in group]), strict=True))
        own = [
            leaves[given]
            if given is not None and given >= 0
            else together[index]
            if index in together
            else one.clone()
            if given is None and self._copy_outputs and isinstance(one, torch.Tensor)
            else one
            for index, (one, given) in enumerate(zip(results, self.behaviour.given, strict=True))
        ]
        return own[0] if self.behaviour.spec is _SINGLE else pytree.tree_unflatten(own, self.behaviour.spec)

    def _without(self, reason: str, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a call compiled, and counts it."""
        found = self.bypasses.get(reason)
        if found is None:
            if len(self.bypasses) >= _REASONS:
                reason = "other reasons"
            mode = "FULL" if self.full or not self.pieces else "PIECEWISE"
            found = self.bypasses.setdefault(
                reason, Capture(next_id(), self._piece, None, mode, event="bypassed", reason=reason)
            )
        found.call_count += 1
        if found.call_count == 1:
            narration.capture(found.to_dict(), self._piece.compile_id)
        return self.entry.run(instance, *args, **kwargs)

    def captures(self) -> list[Capture]:
        """What is told of it: its sizes, whole models and pieces, then the bypasses."""
        graphs = (*self.full.values(), *self.pieces.values())
        return [*(one.capture for one in graphs), *self.bypasses.values()]

    def captured_pieces(self) -> list[Capture]:
        """What is told of the pieces of its graphs; their wrappers tell it too, as long as they live."""
        return [capture for one in self.pieces.values() for _, capture in one.pieces]


_SINGLE = object()


def flattened(outputs: Any) -> tuple[list[Any], Any]:
    """Outputs as leaves, and what puts them together again; one tensor by itself has a mark that costs nothing."""
    if isinstance(outputs, torch.Tensor):
        return [outputs], _SINGLE
    return pytree.tree_flatten(outputs)


def narrowed(tensor: torch.Tensor, dims: Iterable[int], size: int) -> torch.Tensor:
    """The part of a buffer that a batch of a size fills."""
    for dim in dims:
        if tensor.shape[dim] != size:
            tensor = tensor.narrow(dim, 0, size)
    return tensor


def _described(leaf: Any, target: torch.Tensor) -> str:
    was = f"a {target.dtype} of shape {tuple(target.shape)}"
    if not isinstance(leaf, torch.Tensor):
        return f"{was}: it is a {type(leaf).__name__}"
    return f"{was}: it is a {leaf.dtype} of shape {tuple(leaf.shape)}"
