"""An interactive inspector for torch.compile.

    import compile_inspector as ci

    with ci.record() as recorder:
        compiled_model(batch)
    recorder.session

In a notebook, ``%load_ext compile_inspector`` and ``%%inspect`` do the same for a cell. Public names are loaded on first use: importing
this module imports neither torch nor IPython.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compile_inspector.api import Recorder as Recorder
    from compile_inspector.api import Session as Session
    from compile_inspector.api import guard_cost as guard_cost
    from compile_inspector.api import inspect as inspect
    from compile_inspector.api import load as load
    from compile_inspector.api import record as record
    from compile_inspector.engine.applied import apply as apply
    from compile_inspector.engine.capture import CaptureReport as CaptureReport
    from compile_inspector.engine.capture import CaptureStep as CaptureStep
    from compile_inspector.engine.capture import capture_graphs as capture_graphs
    from compile_inspector.engine.capture import release_graphs as release_graphs
    from compile_inspector.engine.config import CompilationConfig as CompilationConfig
    from compile_inspector.engine.config import CompilationMode as CompilationMode
    from compile_inspector.engine.config import CUDAGraphMode as CUDAGraphMode
    from compile_inspector.engine.config import DynamicShapesConfig as DynamicShapesConfig
    from compile_inspector.engine.config import DynamicShapesType as DynamicShapesType
    from compile_inspector.engine.config import InspectorConfig as InspectorConfig
    from compile_inspector.engine.context import BatchDescriptor as BatchDescriptor
    from compile_inspector.engine.context import get_current_vllm_config as get_current_vllm_config
    from compile_inspector.engine.context import get_forward_context as get_forward_context
    from compile_inspector.engine.context import is_forward_context_available as is_forward_context_available
    from compile_inspector.engine.context import (
        set_cudagraph_capturing_enabled as set_cudagraph_capturing_enabled,
    )
    from compile_inspector.engine.context import set_current_vllm_config as set_current_vllm_config
    from compile_inspector.engine.context import set_forward_context as set_forward_context
    from compile_inspector.engine.counters import compilation_counter as compilation_counter
    from compile_inspector.engine.cudagraph import CUDAGraphOptions as CUDAGraphOptions
    from compile_inspector.engine.cudagraph import CUDAGraphWrapper as CUDAGraphWrapper
    from compile_inspector.engine.decorator import ignore_torch_compile as ignore_torch_compile
    from compile_inspector.engine.decorator import (
        should_torch_compile_mm_encoder as should_torch_compile_mm_encoder,
    )
    from compile_inspector.engine.decorator import support_torch_compile as support_torch_compile
    from compile_inspector.engine.partitions import (
        maybe_use_cudagraph_partition_wrapper as maybe_use_cudagraph_partition_wrapper,
    )
    from compile_inspector.engine.tensors import IntermediateTensors as IntermediateTensors
    from compile_inspector.notebook.extension import load_ipython_extension as load_ipython_extension
    from compile_inspector.notebook.extension import unload_ipython_extension as unload_ipython_extension
    from compile_inspector.trials import Sweep as Sweep
    from compile_inspector.trials import Trial as Trial
    from compile_inspector.trials import sweep as sweep

__version__ = "0.1.0"

_HOMES = {
    "Recorder": "api",
    "Session": "api",
    "Sweep": "trials",
    "Trial": "trials",
    "guard_cost": "api",
    "inspect": "api",
    "load": "api",
    "record": "api",
    "BatchDescriptor": "engine.context",
    "CaptureReport": "engine.capture",
    "CaptureStep": "engine.capture",
    "capture_graphs": "engine.capture",
    "release_graphs": "engine.capture",
    "CUDAGraphMode": "engine.config",
    "CUDAGraphOptions": "engine.cudagraph",
    "CUDAGraphWrapper": "engine.cudagraph",
    "CompilationConfig": "engine.config",
    "CompilationMode": "engine.config",
    "DynamicShapesConfig": "engine.config",
    "DynamicShapesType": "engine.config",
    "InspectorConfig": "engine.config",
    "IntermediateTensors": "engine.tensors",
    "apply": "engine.applied",
    "compilation_counter": "engine.counters",
    "get_current_vllm_config": "engine.context",
    "get_forward_context": "engine.context",
    "ignore_torch_compile": "engine.decorator",
    "is_forward_context_available": "engine.context",
    "maybe_use_cudagraph_partition_wrapper": "engine.partitions",
    "set_cudagraph_capturing_enabled": "engine.context",
    "set_current_vllm_config": "engine.context",
    "set_forward_context": "engine.context",
    "should_torch_compile_mm_encoder": "engine.decorator",
    "support_torch_compile": "engine.decorator",
    "sweep": "trials",
    "load_ipython_extension": "notebook.extension",
    "unload_ipython_extension": "notebook.extension",
}

__all__ = ["__version__", *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    found = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
