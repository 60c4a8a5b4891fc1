"""What surrounds a construction (the current configuration) and a call (the forward context): context managers that nest.

Each thread has its own, as has each asynchronous task. Whether CUDA graphs may be captured now is one switch of the process.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from compile_inspector.engine.config import CUDAGraphMode, InspectorConfig
from compile_inspector.errors import InvalidConfig


class BatchDescriptor(NamedTuple):
    """What batches must have in common to share one captured graph.

    Attributes:
        num_tokens: The batch's size, padding included.
        num_reqs: Requests in it, where graphs differ by that.
        uniform: Whether every request has equally many tokens.
        has_lora: Whether adapters are active.
        num_active_loras: How many.
    """

    num_tokens: int
    num_reqs: int | None = None
    uniform: bool = False
    has_lora: bool = False
    num_active_loras: int = 0


@dataclass
class ForwardContext:
    """What one call runs with, for custom operators and wrappers that take no such argument.

    Attributes:
        attn_metadata: The caller's, passed on as it is.
        vllm_config: The caller's configuration.
        cudagraph_runtime_mode: What may be captured or replayed in this call: NONE, PIECEWISE or FULL.
        batch_descriptor: Which graph fits this call.
        skip_compiled: Run every decorated module's own forward.
        additional_kwargs: Room for the caller's own data.
    """

    attn_metadata: Any
    vllm_config: Any
    cudagraph_runtime_mode: CUDAGraphMode = CUDAGraphMode.NONE
    batch_descriptor: BatchDescriptor | None = None
    skip_compiled: bool = False
    additional_kwargs: dict[str, Any] = field(default_factory=dict)


_config: ContextVar[Any] = ContextVar("compile_inspector_config", default=None)
_forward: ContextVar[ForwardContext | None] = ContextVar("compile_inspector_forward", default=None)
_capturing_enabled = True


@contextmanager
def set_current_vllm_config(config: Any) -> Generator[Any]:
    """Makes this the configuration of the models that are constructed in its block.

    Args:
        config: An `InspectorConfig`, or any object with a ``compilation_config``.

    Raises:
        InvalidConfig: It has none.
    """
    check_config(config)
    token = _config.set(config)
    try:
        yield config
    finally:
        _config.reset(token)


def get_current_vllm_config() -> Any:
    """The current configuration; a new default one where none is set."""
    config = _config.get()
    return InspectorConfig() if config is None else config


def check_config(config: Any) -> None:
    """Raises InvalidConfig unless this can serve as a configuration."""
    if getattr(config, "compilation_config", None) is None:
        msg = f"a configuration needs a .compilation_config, and {config!r} has none; pass an InspectorConfig(compilation_config=…)"
        raise InvalidConfig(msg)


@contextmanager
def set_forward_context(
    attn_metadata: Any,
    vllm_config: Any,
    *,
    cudagraph_runtime_mode: CUDAGraphMode = CUDAGraphMode.NONE,
    batch_descriptor: BatchDescriptor | None = None,
    skip_compiled: bool = False,
) -> Generator[ForwardContext]:
    """Gives the calls in its block a forward context.

    Raises:
        InvalidConfig: The mode is a pair, which no single call can run in.
    """
    mode: Any = cudagraph_runtime_mode
    if not isinstance(mode, CUDAGraphMode) or not mode.is_valid_runtime_mode():
        msg = f"cudagraph_runtime_mode must be NONE, PIECEWISE or FULL, got {cudagraph_runtime_mode!r}"
        raise InvalidConfig(msg)
    context = ForwardContext(
        attn_metadata, vllm_config, cudagraph_runtime_mode, batch_descriptor, skip_compiled=skip_compiled
    )
    token = _forward.set(context)
    try:
        yield context
    finally:
        _forward.reset(token)


def get_forward_context() -> ForwardContext:
    """The forward context of this call.

    Raises:
        RuntimeError: There is none.
    """
    context = _forward.get()
    if context is None:
        msg = "there is no forward context; run the model within `with set_forward_context(attn_metadata, vllm_config):`"
        raise RuntimeError(msg)
    return context


def is_forward_context_available() -> bool:
    """Whether there is one."""
    return _forward.get() is not None


enter_forward_context, leave_forward_context = _forward.set, _forward.reset
"""What `set_forward_context` does, without the cost of a context manager: `enter_forward_context` gives what `leave_forward_context` takes."""

forward_context_or_none = _forward.get
"""The forward context of this call, or None; without a Python frame of its own, as every call of a decorated module asks."""


def set_cudagraph_capturing_enabled(enabled: bool) -> None:
    """Whether CUDA graphs may be captured from now on, in the whole process."""
    global _capturing_enabled
    _capturing_enabled = bool(enabled)


def validate_cudagraph_capturing_enabled() -> None:
    """Raises where a capture is about to begin and is not allowed.

    Raises:
        RuntimeError: Capturing is disabled.
    """
    if not _capturing_enabled:
        msg = "CUDA graph capturing detected at an inappropriate time. This operation is currently disabled."
        raise RuntimeError(msg)
