"""What the engine has done since the process began, counted; tests and users compare before and after.

The meaning of each counter is vLLM's.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

NAMES = (
    "num_models_seen",
    "num_graphs_seen",
    "num_piecewise_graphs_seen",
    "num_piecewise_capturable_graphs_seen",
    "num_backend_compilations",
    "num_gpu_runner_capture_triggers",
    "num_cudagraph_captured",
    "num_inductor_compiles",
    "num_eager_compiles",
    "num_cache_entries_updated",
    "num_compiled_artifacts_saved",
    "num_compiled_artifacts_loaded",
    "num_aot_compiles",
    "num_aot_artifacts_saved",
    "num_aot_artifacts_loaded",
    "stock_torch_compile_count",
)


class CompilationCounter:
    """Sixteen counts that only grow. Read one as an attribute; `add` counts, and any thread may.

    Attributes:
        num_models_seen: Decorated instances that can compile.
        num_graphs_seen: Graphs that Dynamo handed to the engine.
        num_piecewise_graphs_seen: Pieces, splitting ones included.
        num_piecewise_capturable_graphs_seen: Pieces that are compiled and can be captured.
        num_backend_compilations: Pieces times ranges handed to the backend, reused or not.
        num_gpu_runner_capture_triggers: Times a runner asked for captures.
        num_cudagraph_captured: Graphs captured.
        num_inductor_compiles: Compiles that Inductor really made.
        num_eager_compiles: Compiles of the backend "eager" really made.
        num_cache_entries_updated: Compile results written to a cache.
        num_compiled_artifacts_saved: Compiled pieces kept on disk.
        num_compiled_artifacts_loaded: Compiled pieces loaded from disk.
        num_aot_compiles: Whole programs compiled to be kept.
        num_aot_artifacts_saved: Whole programs kept on disk.
        num_aot_artifacts_loaded: Whole programs loaded from disk.
        stock_torch_compile_count: Modules given to `torch.compile` as it is.
    """

    num_models_seen: int
    num_graphs_seen: int
    num_piecewise_graphs_seen: int
    num_piecewise_capturable_graphs_seen: int
    num_backend_compilations: int
    num_gpu_runner_capture_triggers: int
    num_cudagraph_captured: int
    num_inductor_compiles: int
    num_eager_compiles: int
    num_cache_entries_updated: int
    num_compiled_artifacts_saved: int
    num_compiled_artifacts_loaded: int
    num_aot_compiles: int
    num_aot_artifacts_saved: int
    num_aot_artifacts_loaded: int
    stock_torch_compile_count: int

    def __init__(self) -> None:
        self._lock = threading.Lock()
        for name in NAMES:
            setattr(self, name, 0)

    def add(self, name: str, by: int = 1) -> None:
        """Counts.

        Raises:
            ValueError: There is no such counter.
        """
        _check(name)
        with self._lock:
            setattr(self, name, getattr(self, name) + by)

    def values(self) -> dict[str, int]:
        """Every count now, all of one moment."""
        with self._lock:
            return {name: getattr(self, name) for name in NAMES}

    @contextmanager
    def expect(self, **deltas: int) -> Generator[None]:
        """Checks, when its block ends well, how much the named counters have grown in it.

        Raises:
            ValueError: There is no such counter.
            AssertionError: Some grew by another number; the message names each.
        """
        for name in deltas:
            _check(name)
        before = self.values()
        yield
        after = self.values()
        grown = {name: after[name] - before[name] for name in deltas}
        wrong = [
            f"{name}: expected +{deltas[name]}, was +{grown[name]}"
            for name in deltas
            if grown[name] != deltas[name]
        ]
        if wrong:
            raise AssertionError("; ".join(wrong))


def _check(name: str) -> None:
    if name not in NAMES:
        msg = f"there is no counter {name!r}; there are {', '.join(NAMES)}"
        raise ValueError(msg)


compilation_counter = CompilationCounter()
"""The process's counts."""
