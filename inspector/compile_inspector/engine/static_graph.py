"""A run of tensor operations that can be repeated without Python: one protocol, for CUDA graphs and for a fake that runs anywhere.

What a static graph reads and writes lies at addresses fixed when it was recorded. The fake keeps to that strictly: it reads the tensors it was
recorded with, writes into buffers of its own, refuses others, and spoils what was freed, so that code which forgets a copy computes something
wrong on a CPU just as it would on a GPU.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch
from torch.utils import _pytree as pytree

from compile_inspector.errors import EngineError
from compile_inspector.torch_seams import cuda_graphs

POISON = 0x5A
"""What the fake writes into each byte of freed integers; freed floating-point numbers become NaN."""


class StaleAddress(EngineError, RuntimeError):  # noqa: N818
    """A recorded graph was called with another tensor than it was recorded with."""


class StaticGraph(Protocol):
    """Records one run and repeats it.

    Attributes:
        capture_ns: How long recording took, nanoseconds.
        pool_bytes_before: Bytes held by the graphs' memory pool before recording; None where unknown.
        pool_bytes_after: The same after it.
        kernel_count: Kernels in the graph; None where it cannot be known.
        memcpy_count: Copies in the graph; None where it cannot be known.
        reads_inputs: Whether `replay` looks at what it is given; where not, it may be given nothing.
        reads_host: Whether `replay` reads and writes what lies on the CPU; where not, that happened once, when it was recorded.
    """

    reads_inputs: bool
    reads_host: bool
    capture_ns: int
    pool_bytes_before: int | None
    pool_bytes_after: int | None
    kernel_count: int | None
    memcpy_count: int | None

    def own(self, tensor: torch.Tensor) -> torch.Tensor:
        """A buffer that belongs to the graph, of the tensor's shape, strides, dtype and device, holding its values."""
        ...

    def record(self, run: Callable[[], Any], inputs: Sequence[torch.Tensor]) -> Any:
        """Records ``run``, executes it once, and returns what it returned: buffers of the graph, which the next replay overwrites.

        Args:
            run: Takes nothing; reads ``inputs``.
            inputs: The tensors that it reads, which the graph is bound to from now on.
        """
        ...

    def replay(self, inputs: Sequence[torch.Tensor]) -> None:
        """Executes once more what was recorded, on whatever the recorded inputs hold now.

        Raises:
            StaleAddress: An input is not where it was, if the implementation can tell.
        """
        ...

    def free(self) -> None:
        """Gives back what belongs to the graph; it cannot be replayed any more."""
        ...


class CudaStaticGraph:
    """A CUDA graph. All graphs of the process share one memory pool.

    Args:
        gc_disable: Do not collect garbage, nor empty the allocator's cache, on the way into the capture: for all but the first of several
            captures in a row, where it would only cost time.
        weak_ref_output: Return outputs that do not keep their memory: later graphs of the pool may reuse it. Only for the last piece
            of a model, whose outputs no other graph reads.
    """

    reads_inputs = reads_host = False

    def __init__(self, *, gc_disable: bool = False, weak_ref_output: bool = False) -> None:
        self._gc_disable = gc_disable
        self._weak_ref_output = weak_ref_output
        self._graph: Any = None
        self.capture_ns = 0
        self.pool_bytes_before: int | None = None
        self.pool_bytes_after: int | None = None
        self.kernel_count: int | None = None
        self.memcpy_count: int | None = None

    def own(self, tensor: torch.Tensor) -> torch.Tensor:
        """See `StaticGraph`."""
        return _like(tensor)

    def record(self, run: Callable[[], Any], inputs: Sequence[torch.Tensor]) -> Any:  # noqa: ARG002
        """See `StaticGraph`. What ``run`` does on the GPU is recorded, then replayed; what it does on the CPU happens once.

        Raises:
            RuntimeError: CUDA cannot capture ``run``; nothing of it was executed on the GPU.
        """
        self.pool_bytes_before = cuda_graphs.pool_bytes()
        self._graph, outputs, self.capture_ns = cuda_graphs.capture(
            run, gc_disable=self._gc_disable, weak_outputs=self._weak_ref_output
        )
        self.pool_bytes_after = cuda_graphs.pool_bytes()
        self.kernel_count, self.memcpy_count = cuda_graphs.count_nodes(self._graph)
        self._graph.replay()
        return outputs

    def replay(self, inputs: Sequence[torch.Tensor]) -> None:  # noqa: ARG002
        """See `StaticGraph`; that the inputs are where they were must be checked by the caller.

        Raises:
            StaleAddress: The graph was freed.
        """
        if self._graph is None:
            msg = "the graph was freed"
            raise StaleAddress(msg)
        self._graph.replay()

    def free(self) -> None:
        """See `StaticGraph`."""
        if self._graph is not None:
            cuda_graphs.release(self._graph)
            self._graph = None


class FakeStaticGraph:
    """A static graph without a GPU: it records what was called and calls it again, on the recorded tensors, into buffers of its own."""

    reads_inputs = reads_host = True

    def __init__(self, *, gc_disable: bool = False, weak_ref_output: bool = False) -> None:
        self._options = (gc_disable, weak_ref_output)
        self._run: Callable[[], Any] | None = None
        self._addresses: tuple[tuple[int, tuple[int, ...]], ...] = ()
        self._outputs: list[Any] = []
        self._owned: list[torch.Tensor] = []
        self.capture_ns = 0
        self.pool_bytes_before: int | None = None
        self.pool_bytes_after: int | None = None
        self.kernel_count: int | None = None
        self.memcpy_count: int | None = None

    def own(self, tensor: torch.Tensor) -> torch.Tensor:
        """See `StaticGraph`."""
        buffer = _like(tensor)
        self._owned.append(buffer)
        return buffer

    def record(self, run: Callable[[], Any], inputs: Sequence[torch.Tensor]) -> Any:
        """See `StaticGraph`."""
        begin = time.perf_counter_ns()
        leaves, spec = pytree.tree_flatten(run())
        self._outputs = self._static(leaves, inputs)
        self._run = run
        self._addresses = _addresses(inputs)
        self.capture_ns = time.perf_counter_ns() - begin
        return pytree.tree_unflatten(self._outputs, spec)

    def replay(self, inputs: Sequence[torch.Tensor]) -> None:
        """See `StaticGraph`.

        Raises:
            StaleAddress: The graph was freed, or an input is not where it was when the graph was recorded.
        """
        if self._run is None:
            msg = "the graph was freed"
            raise StaleAddress(msg)
        for index, (was, now) in enumerate(zip(self._addresses, _addresses(inputs), strict=True)):
            if was != now:
                msg = f"input {index} was at {was[0]:#x} with shape {was[1]}, and is at {now[0]:#x} with shape {now[1]}"
                raise StaleAddress(msg)
        for static, leaf in zip(self._outputs, pytree.tree_leaves(self._run()), strict=True):
            if isinstance(static, torch.Tensor) and static.data_ptr() != leaf.data_ptr():
                fill(static, leaf)

    def free(self) -> None:
        """See `StaticGraph`; its buffers are spoiled, so that who still reads them reads nonsense."""
        for buffer in self._owned:
            _poison(buffer)
        self._run, self._outputs, self._owned = None, [], []

    def _static(self, leaves: Sequence[Any], inputs: Sequence[torch.Tensor]) -> list[Any]:
        """Buffers of the graph for the outputs; what lies in an input's memory stays there, and what shares memory goes on doing so."""
        given = {_storage(one) for one in inputs}
        own = {id(one): one for one in leaves if isinstance(one, torch.Tensor) and _storage(one) not in given}
        shares = Counter(map(_storage, own.values()))
        copies: dict[int, torch.UntypedStorage] = {}
        made: dict[int, torch.Tensor] = {}
        for key, one in own.items():
            if shares[_storage(one)] == 1:
                made[key] = self.own(one)
                continue
            storage = copies.setdefault(_storage(one), one.untyped_storage().clone())
            with torch.inference_mode(mode=False):
                empty = torch.empty(0, dtype=one.dtype, device=one.device)
                made[key] = empty.set_(storage, one.storage_offset(), one.shape, one.stride())  # pyright: ignore[reportArgumentType]
            self._owned.append(made[key])
        return [made.get(id(one), one) for one in leaves]


Factory = Callable[..., StaticGraph]
_factory: ContextVar[Factory | None] = ContextVar("compile_inspector_static_graphs", default=None)


@contextmanager
def static_graphs(factory: Factory) -> Generator[None]:
    """Makes graphs recorded in its block of this kind, on every device: `FakeStaticGraph` lets captures run without a GPU."""
    token = _factory.set(factory)
    try:
        yield
    finally:
        _factory.reset(token)


def factory_for(inputs: Sequence[torch.Tensor]) -> tuple[Factory | None, str | None]:
    """What records graphs over these inputs, or None and why nothing can."""
    chosen = _factory.get()
    if chosen is not None:
        return chosen, None
    devices = sorted({tensor.device.type for tensor in inputs if tensor.numel()})
    if devices == ["cuda"]:
        return CudaStaticGraph, None
    return None, f"inputs on {' and '.join(devices) or 'no device'} cannot be captured into a CUDA graph"


def fill(buffer: torch.Tensor, tensor: torch.Tensor) -> None:
    """Copies a tensor's values into a buffer of its shape and strides; memory that dimensions share is written once."""
    if 0 in buffer.stride():
        for dim, stride in enumerate(buffer.stride()):
            if stride == 0 and buffer.shape[dim] > 1:
                buffer, tensor = buffer.narrow(dim, 0, 1), tensor.narrow(dim, 0, 1)
    if torch.is_grad_enabled():
        with torch.no_grad():
            buffer.copy_(tensor, non_blocking=True)
    else:
        buffer.copy_(tensor, non_blocking=True)


def _like(tensor: torch.Tensor) -> torch.Tensor:
    """A normal tensor, never an inference tensor: it has a version counter, which tells whether a run writes into it."""
    with torch.inference_mode(mode=False):
        buffer = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
    fill(buffer, tensor)
    return buffer


def _addresses(inputs: Sequence[torch.Tensor]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    return tuple((tensor.data_ptr(), tuple(tensor.shape)) for tensor in inputs)


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _poison(tensor: torch.Tensor) -> None:
    with torch.no_grad():
        if tensor.is_floating_point() or tensor.is_complex():
            tensor.fill_(float("nan"))
        elif tensor.dtype is torch.bool:
            tensor.logical_not_()
        else:
            tensor.fill_(POISON)
