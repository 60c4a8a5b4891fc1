"""Capturing CUDA graphs into one memory pool of the process, and what such a graph consists of.

Source: `torch.cuda.graphs`; tensors that do not keep their memory are made as `torch._inductor.cudagraph_trees` makes them. Captures go through
`CUDAGraph.capture_begin` itself rather than `torch.cuda.graph`, which collects garbage each time and could only be kept from it by a patch.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import threading
import time
import weakref
from collections.abc import Callable, Generator
from typing import Any

from compile_inspector.torch_seams.probe import Capability, lookup, probe_names

NAME = "cuda_graphs"
USES = (
    "torch._C:_construct_storage_from_data_pointer",
    "torch._C:_construct_CUDA_Tensor_From_Storage_And_Metadata",
    "torch._C:_cuda_endAllocateToPool",
    "torch._C:_cuda_memoryStats",
    "torch._C:_cuda_getCurrentRawStream",
)

CAPTURING = threading.RLock()
"""Held while a graph is captured: CUDA allows one capture at a time in a process."""

_KERNEL, _MEMCPY = 0, 1
"""Kinds of nodes, as CUDA's driver numbers them."""

_pool: Any = None
_held: int | None = None
"""Bytes that the pool holds, as far as they are known without asking: a snapshot of the allocator takes longer than a capture."""
_live: weakref.WeakSet[Any] = weakref.WeakSet()
_stream: Any = None


def probe() -> Capability:
    """Whether this torch can capture CUDA graphs here."""
    try:
        import torch
    except ImportError as error:
        return Capability(available=False, reason=str(error))
    if not torch.cuda.is_available():
        return Capability(available=False, reason="there is no CUDA GPU")
    return probe_names(USES)


def capture(run: Callable[[], Any], *, gc_disable: bool, weak_outputs: bool) -> tuple[Any, Any, int]:
    """Records what ``run`` does on the GPU, without executing it: the graph, what ``run`` returned, and the nanoseconds that it took.

    Args:
        run: Its outputs lie in the graphs' pool and hold nothing yet.
        gc_disable: Do not collect garbage nor empty the allocator's cache first, nor wait for what the GPU is doing: what is captured is
            only noted down.
        weak_outputs: Return tensors that do not keep their memory from being used by later captures.

    Raises:
        RuntimeError: CUDA cannot capture it.
    """
    global _stream, _held
    import torch

    if not gc_disable:
        torch.cuda.synchronize()
        gc.collect()
        torch.cuda.empty_cache()
    if _stream is None:
        _stream = torch.cuda.Stream()
    other = next(iter(_live), None)
    pool = _shared_pool(other)
    before, begin = _reserved(), time.perf_counter_ns()
    graph = torch.cuda.CUDAGraph(keep_graph=True)
    with torch.cuda.stream(_stream):
        try:
            graph.capture_begin(pool=pool, capture_error_mode="thread_local")
            outputs = run()
            if weak_outputs:
                outputs = _weak(outputs)
            graph.capture_end()
        except BaseException:
            _abandon(graph, pool)
            raise
    graph.instantiate()
    capture_ns = time.perf_counter_ns() - begin
    if _held is not None:
        _held += max(_reserved() - before, 0)
    _live.add(graph)
    return graph, outputs, capture_ns


@functools.cache
def stream_handles() -> Callable[[int], int]:
    """Gives the handle of the current stream of a GPU, without making an object for it."""
    try:
        return lookup(USES[4])
    except AttributeError:
        return _stream_handle


def _stream_handle(device: int) -> int:
    import torch

    return torch.cuda.current_stream(device).cuda_stream


def is_capturing() -> bool:
    """Whether what this thread does on the GPU is being captured into a graph."""
    import torch

    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


def free_memory(device: Any) -> None:
    """Gives unused memory of a GPU back; nothing elsewhere."""
    import torch

    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


@contextlib.contextmanager
def without_collecting(device: Any) -> Generator[None]:
    """Garbage is collected once, then not before its block ends: between captures that would take longer than they do.

    A GPU is waited for before and after.
    """
    _wait(device)
    free_memory(device)
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        _wait(device)
    finally:
        if enabled:
            gc.enable()


def _wait(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(run: Callable[[], Any], device: Any, repeats: int) -> int:
    """Nanoseconds that one run takes, of several in a row: between two CUDA events on a GPU, by the clock elsewhere."""
    import torch

    if device.type != "cuda":
        begin = time.perf_counter_ns()
        for _ in range(repeats):
            run()
        return (time.perf_counter_ns() - begin) // repeats
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    first.record()
    for _ in range(repeats):
        run()
    last.record()
    last.synchronize()
    return int(first.elapsed_time(last) * 1e6 / repeats)


def release(graph: Any) -> None:
    """Frees a captured graph."""
    global _held
    _held = None
    _live.discard(graph)
    graph.reset()


def _shared_pool(other: Any) -> Any:
    """The pool of the graphs that are alive, of which one is given, else a new one: a pool that its last graph has left cannot be captured into again."""
    global _pool, _held
    import torch

    if _pool is None or other is None:
        _pool, _held = torch.cuda.graph_pool_handle(), 0
    return _pool


def _abandon(graph: Any, pool: Any) -> None:
    """Ends a capture that failed. What torch leaves open then is closed: its allocator's recording, its random generator's.

    The pool is not used for another capture.
    """
    global _pool
    import torch

    device = torch.cuda.current_device()
    _pool = None
    with contextlib.suppress(RuntimeError):
        graph.capture_end()
    with contextlib.suppress(RuntimeError):
        lookup("torch._C:_cuda_endAllocateToPool")(device, pool)
    with contextlib.suppress(RuntimeError):
        graph.reset()
    default = torch.cuda.default_generators[device]
    fresh = torch.Generator(f"cuda:{device}")
    fresh.set_state(default.get_state())
    default.graphsafe_set_state(fresh.graphsafe_get_state())


def pool_bytes() -> int | None:
    """Bytes that the graphs' memory pool holds; None where torch cannot say."""
    global _held
    import torch

    if _pool is None or not len(_live):
        return 0
    if _held is None:
        try:
            segments = torch.cuda.memory_snapshot(mempool_id=_pool, include_traces=False)
        except (TypeError, RuntimeError):
            return None
        _held = sum(int(segment["total_size"]) for segment in segments)
    return _held


def _reserved() -> int:
    """Bytes that torch's allocator holds on this GPU."""
    import torch

    return _memory_stats()(torch.cuda.current_device())["reserved_bytes"]["all"]["current"]


@functools.cache
def _memory_stats() -> Any:
    return lookup(USES[3])


def count_nodes(graph: Any) -> tuple[int | None, int | None]:
    """Kernels and copies in a captured graph; None where the driver's library cannot be asked."""
    try:
        nodes_of, kind_of = _driver()
        raw = ctypes.c_void_p(graph.raw_cuda_graph())
    except (OSError, RuntimeError, AttributeError, TypeError):
        return None, None
    size, kind = ctypes.c_size_t(0), ctypes.c_int(-1)
    if nodes_of(raw, None, ctypes.byref(size)):
        return None, None
    nodes, found = (ctypes.c_void_p * size.value)(), ctypes.byref(kind)
    if size.value and nodes_of(raw, nodes, ctypes.byref(size)):
        return None, None
    counts: dict[int, int] = {}
    for node in nodes:
        if kind_of(node, found):
            return None, None
        counts[kind.value] = counts.get(kind.value, 0) + 1
    return counts.get(_KERNEL, 0), counts.get(_MEMCPY, 0)


@functools.cache
def _driver() -> tuple[Any, Any]:
    """The driver's functions for the nodes of a graph and for the kind of one.

    Raises:
        OSError, AttributeError: There is no such library, or it has no such function.
    """
    driver = ctypes.CDLL("libcuda.so.1")
    nodes_of, kind_of = driver.cuGraphGetNodes, driver.cuGraphNodeGetType
    nodes_of.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    kind_of.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    return nodes_of, kind_of


def _weak(outputs: Any) -> Any:
    import torch
    from torch.utils import _pytree as pytree

    return pytree.tree_map_only(torch.Tensor, _weak_tensor, outputs)


def _weak_tensor(tensor: Any) -> Any:
    """The same memory without owning it."""
    if tensor.device.type != "cuda":
        return tensor
    storage = tensor.untyped_storage()
    metadata = {
        "nbytes": storage.nbytes(),
        "data_ptr": storage.data_ptr(),
        "size": tensor.shape,
        "stride": tensor.stride(),
        "dtype": tensor.dtype,
        "device": tensor.device,
        "storage_offset": tensor.storage_offset(),
    }
    unowned = lookup(USES[0])(metadata["data_ptr"], metadata["device"], metadata["nbytes"])
    return lookup(USES[1])(metadata, unowned)
