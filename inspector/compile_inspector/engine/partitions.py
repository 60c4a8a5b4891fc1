"""Partitions that Inductor makes: each is put into a CUDA-graph wrapper while a compile is under way."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from compile_inspector.engine.config import CUDAGraphMode
from compile_inspector.engine.cudagraph import CUDAGraphOptions, CUDAGraphWrapper, PieceOf
from compile_inspector.torch_seams import backends, inductor_partitions


@contextmanager
def maybe_use_cudagraph_partition_wrapper(
    vllm_config: Any, compilation_config: Any = None
) -> Generator[None]:
    """Lets each partition that Inductor compiles in its block be captured by itself, where the configuration asks for that.

    It asks for it with ``use_inductor_graph_partition`` and a ``cudagraph_mode`` with piecewise graphs. However the block ends, Inductor has
    exactly the wrapper again that it had before. On a CPU Inductor wraps nothing.

    Args:
        vllm_config: Any object with a ``compilation_config``.
        compilation_config: That configuration, where another is meant.
    """
    config = compilation_config or vllm_config.compilation_config
    mode = getattr(config, "cudagraph_mode", None) or CUDAGraphMode.NONE
    if not (getattr(config, "use_inductor_graph_partition", False) and mode.has_piecewise_cudagraphs()):
        yield
        return
    restore = inductor_partitions.wrap_partitions(_wrapper(vllm_config))
    try:
        yield
    finally:
        restore()


def _wrapper(vllm_config: Any) -> Callable[..., Any]:
    ungraphed: dict[Any, set[Any]] = {}

    def wrap(partition: Callable[..., Any], metadata: Any) -> CUDAGraphWrapper:
        index, count = metadata.partition_index, metadata.num_partitions
        options = CUDAGraphOptions(
            debug_log_enable=index == 0, gc_disable=index != 0, weak_ref_output=index == count - 1
        )
        compile_id = backends.compile_id()
        piece = PieceOf(compile_id, index, ungraphed=ungraphed.setdefault(compile_id, set()))
        return CUDAGraphWrapper(partition, vllm_config, CUDAGraphMode.PIECEWISE, options, piece=piece)

    return wrap
