"""What a model is compiled with: the mode, the backend, where to split, how sizes and guards are treated.

Names and meanings are those of vLLM's configuration, so that models written in its style run unchanged; any object with a
``compilation_config`` serves where a configuration is asked for.
"""

from __future__ import annotations

import enum
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from compile_inspector.errors import InvalidConfig

_log = logging.getLogger(__name__)
_E = TypeVar("_E", bound=enum.Enum)

DROPPED_GUARDS = ("recompile", "raise", "ignore")
"""What can be done where a guard that was dropped no longer holds."""


class CompilationMode(enum.IntEnum):
    """How a decorated module is compiled."""

    NONE = 0
    """Not at all."""
    STOCK_TORCH_COMPILE = 1
    """By `torch.compile` as it is, all guards kept."""
    DYNAMO_TRACE_ONCE = 2
    """Traced once by Dynamo, guards dropped; the backend gets the whole graph."""
    PIECEWISE_COMPILE = 3
    """Traced once, split at the splitting ops, each piece compiled for each range of sizes."""
    VLLM_COMPILE = 3
    """The field's name of `PIECEWISE_COMPILE`."""


class CUDAGraphMode(enum.Enum):
    """What is captured into CUDA graphs; a pair has one mode for uniform decode batches and one for all others."""

    NONE = 0
    PIECEWISE = 1
    FULL = 2
    FULL_DECODE_ONLY = (FULL, NONE)
    FULL_AND_PIECEWISE = (FULL, PIECEWISE)

    def separate_routine(self) -> bool:
        """Whether it is a pair of modes."""
        return isinstance(self.value, tuple)

    def decode_mode(self) -> CUDAGraphMode:
        """The mode of uniform decode batches."""
        return CUDAGraphMode(self.value[0]) if isinstance(self.value, tuple) else self

    def mixed_mode(self) -> CUDAGraphMode:
        """The mode of all other batches."""
        return CUDAGraphMode(self.value[1]) if isinstance(self.value, tuple) else self

    def has_mode(self, mode: CUDAGraphMode) -> bool:
        """Whether a batch can run in that mode."""
        return mode in (self.decode_mode(), self.mixed_mode())

    def requires_piecewise_compilation(self) -> bool:
        """Whether the graph must be split for it."""
        return self.has_mode(CUDAGraphMode.PIECEWISE)

    def max_cudagraph_mode(self) -> CUDAGraphMode:
        """The larger of the pair."""
        return max((self.decode_mode(), self.mixed_mode()), key=lambda mode: mode.value)

    def has_full_cudagraphs(self) -> bool:
        """Whether some batch runs as one graph."""
        return self.max_cudagraph_mode() is CUDAGraphMode.FULL

    def has_piecewise_cudagraphs(self) -> bool:
        """Whether some batch runs piece by piece."""
        return self.requires_piecewise_compilation()

    def is_valid_runtime_mode(self) -> bool:
        """Whether one call can run in it: a pair cannot."""
        return not self.separate_routine()


class DynamicShapesType(enum.StrEnum):
    """How marked dimensions become symbols."""

    BACKED = "backed"
    """Sizes have the first call's values as hints; branches on them are decided by these."""
    UNBACKED = "unbacked"
    """Sizes have no value while tracing; a branch on one is an error."""
    BACKED_SIZE_OBLIVIOUS = "backed_size_oblivious"
    """Backed, and not specialized for 0 and 1."""


@dataclass
class DynamicShapesConfig:
    """How dynamic dimensions are treated.

    Attributes:
        type: How they become symbols.
        evaluate_guards: Keep the guards on shapes, and raise where a later call would need another compile.
        assume_32_bit_indexing: Let Inductor assume that indices fit in 32 bits.
    """

    type: DynamicShapesType = DynamicShapesType.BACKED
    evaluate_guards: bool = False
    assume_32_bit_indexing: bool = False

    def __post_init__(self) -> None:
        self.type = _choice(DynamicShapesType, self.type, "dynamic shapes type")


def _flag(name: str) -> bool:
    return os.environ.get(f"COMPILE_INSPECTOR_{name}", "").strip().lower() in ("1", "true", "yes", "on")


def _cache_root() -> str:
    root = os.environ.get("COMPILE_INSPECTOR_CACHE_ROOT")
    if root:
        return os.path.expanduser(root)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return os.path.join(os.path.expanduser(base), "compile_inspector")


def _not_hashed() -> Any:
    return {"hashed": False}


@dataclass
class CompilationConfig:
    """Everything that decides how a model is compiled.

    Attributes:
        mode: How; a name, a number or the enumeration's value.
        backend: "" (Inductor), "eager", "inductor", a registered backend's name, or the qualified name of a callable.
        splitting_ops: Operators to split the graph at, as "namespace::name" or "namespace::name.overload".
        use_inductor_graph_partition: Let Inductor split instead of splitting the FX graph.
        cudagraph_mode: What is captured. None: FULL_AND_PIECEWISE where there are capture sizes, else NONE. Without splitting ops,
            PIECEWISE becomes NONE and FULL_AND_PIECEWISE becomes FULL.
        cudagraph_capture_sizes: Batch sizes to capture, kept sorted.
        cudagraph_num_of_warmups: Runs of a batch size before it is captured.
        cudagraph_copy_inputs: Copy inputs into buffers that the graph owns.
        compile_sizes: Exact sizes with an own compile; "cudagraph_capture_sizes" stands for those.
        compile_ranges_endpoints: Last sizes of the ranges that get a compile each.
        inductor_compile_config: Settings of Inductor, by its own names.
        compile_mm_encoder: Whether multimodal encoders are compiled too.
        dynamic_shapes_config: How dynamic dimensions are treated.
        dropped_guards: "recompile", "raise" or "ignore": what a call does that a dropped guard does not admit.
        use_aot_compile: Keep what was compiled on disk, and load it in the next process.
        disable_compile_cache: Neither read nor write anything kept on disk.
        force_aot_load: Raise where nothing can be loaded.
        cache_root: Where artifacts are kept: its folder ``artifacts``.
        cache_dir: Where artifacts of this model are kept instead; "" for there.
        cache_limit_bytes: What the artifacts of that folder may take together; what was used longest ago is removed.
        local_cache_dir: The folder in use, set by the engine.
        traced_files: Files whose functions were traced, filled by the engine.
        debug_dump_path: Where Inductor's debug output goes; None for nowhere.
        compilation_time: Seconds spent on first compiles, added up by the engine.
        encoder_compilation_time: The same of encoders.

    Raises:
        InvalidConfig: A value cannot be right; the message says which and what can.
    """

    mode: CompilationMode = CompilationMode.PIECEWISE_COMPILE
    backend: str = ""
    splitting_ops: tuple[str, ...] = ()
    use_inductor_graph_partition: bool = False
    cudagraph_mode: CUDAGraphMode | None = None
    cudagraph_capture_sizes: tuple[int, ...] = ()
    cudagraph_num_of_warmups: int = 0
    cudagraph_copy_inputs: bool = False
    compile_sizes: tuple[int, ...] = ()
    compile_ranges_endpoints: tuple[int, ...] = ()
    inductor_compile_config: dict[str, Any] = field(default_factory=dict)
    compile_mm_encoder: bool = False
    dynamic_shapes_config: DynamicShapesConfig = field(default_factory=DynamicShapesConfig)
    dropped_guards: str = "recompile"
    use_aot_compile: bool = field(default_factory=lambda: _flag("USE_AOT"), metadata=_not_hashed())
    disable_compile_cache: bool = field(
        default_factory=lambda: _flag("DISABLE_CACHE"), metadata=_not_hashed()
    )
    force_aot_load: bool = field(default_factory=lambda: _flag("FORCE_AOT_LOAD"), metadata=_not_hashed())
    cache_root: str = field(default_factory=_cache_root, metadata=_not_hashed())
    cache_dir: str = field(default="", metadata=_not_hashed())
    cache_limit_bytes: int = field(default=4 << 30, metadata=_not_hashed())
    local_cache_dir: str | None = field(default=None, metadata=_not_hashed())
    traced_files: set[str] = field(default_factory=set, metadata=_not_hashed())
    debug_dump_path: str | None = field(default=None, metadata=_not_hashed())
    compilation_time: float = field(default=0.0, metadata=_not_hashed())
    encoder_compilation_time: float = field(default=0.0, metadata=_not_hashed())

    def __post_init__(self) -> None:
        self.mode = _choice(CompilationMode, self.mode, "mode")
        if not isinstance(cast("object", self.backend), str):
            msg = f"backend must be a name, got {self.backend!r}; register a callable with torch.compile's registry or give its qualified name"
            raise InvalidConfig(msg)
        self.splitting_ops = _names(self.splitting_ops, "splitting_ops")
        self.cudagraph_capture_sizes = _sizes(self.cudagraph_capture_sizes, "cudagraph_capture_sizes")
        sizes: Any = self.compile_sizes
        if isinstance(sizes, list | tuple) and "cudagraph_capture_sizes" in sizes:
            rest = [size for size in cast("list[Any]", sizes) if size != "cudagraph_capture_sizes"]
            sizes = [*rest, *self.cudagraph_capture_sizes]
        self.compile_sizes = _sizes(sizes, "compile_sizes")
        self.compile_ranges_endpoints = _sizes(
            self.compile_ranges_endpoints, "compile_ranges_endpoints", least=None
        )
        if self.dropped_guards not in DROPPED_GUARDS:
            msg = f"dropped_guards must be one of {', '.join(map(repr, DROPPED_GUARDS))}, got {self.dropped_guards!r}"
            raise InvalidConfig(msg)
        warmups = self.cudagraph_num_of_warmups
        if isinstance(warmups, bool) or not isinstance(cast("object", warmups), int) or warmups < 0:
            msg = f"cudagraph_num_of_warmups must be a number of runs, 0 or more, got {warmups!r}"
            raise InvalidConfig(msg)
        self._dynamic_shapes()
        self.resolve_cudagraph_mode()
        self._aot()

    @property
    def backend_name(self) -> str:
        """The backend's name, "" resolved."""
        return self.backend or "inductor"

    def resolve_cudagraph_mode(self) -> None:
        """Settles `cudagraph_mode`: its default, and what is left of it where nothing is split."""
        if self.cudagraph_mode is None:
            captures = bool(self.cudagraph_capture_sizes)
            self.cudagraph_mode = CUDAGraphMode.FULL_AND_PIECEWISE if captures else CUDAGraphMode.NONE
        mode = self.cudagraph_mode = _cudagraph_mode(self.cudagraph_mode)
        if self.splitting_ops or not mode.requires_piecewise_compilation():
            return
        self.cudagraph_mode = CUDAGraphMode.NONE if mode is CUDAGraphMode.PIECEWISE else CUDAGraphMode.FULL
        _log.info("No splitting ops: cudagraph_mode %s becomes %s.", mode.name, self.cudagraph_mode.name)

    def compute_hash(self) -> str:
        """A key of everything here that changes what is compiled; times, traced files and folders do not."""
        values = {
            one.name: getattr(self, one.name) for one in fields(self) if one.metadata.get("hashed", True)
        }
        text = json.dumps(values, sort_keys=True, default=_hashable)
        return hashlib.sha256(text.encode()).hexdigest()

    def _dynamic_shapes(self) -> None:
        config: Any = self.dynamic_shapes_config
        if isinstance(config, Mapping):
            config = DynamicShapesConfig(**cast("Mapping[str, Any]", config))
        if not isinstance(config, DynamicShapesConfig):
            msg = f"dynamic_shapes_config must be a DynamicShapesConfig, got {config!r}"
            raise InvalidConfig(msg)
        self.dynamic_shapes_config = config

    def _aot(self) -> None:
        if self.use_aot_compile and self.backend == "eager":
            _log.warning('The backend "eager" compiles nothing that could be kept: use_aot_compile is off.')
            self.use_aot_compile = False


@dataclass
class InspectorConfig:
    """What a model is built with when it takes a ``vllm_config``.

    Attributes:
        compilation_config: How it is compiled; a mapping of its fields, or a mode alone, will do.
        max_num_batched_tokens: The largest size; the last range ends there.
        extra: Data of yours, for ``enable_if``.
    """

    compilation_config: CompilationConfig = field(default_factory=CompilationConfig)
    max_num_batched_tokens: int = 8192
    extra: Any = field(default_factory=SimpleNamespace)

    def __post_init__(self) -> None:
        config: Any = self.compilation_config
        if isinstance(config, Mapping):
            self.compilation_config = CompilationConfig(**cast("Mapping[str, Any]", config))
        elif isinstance(config, int | str):
            self.compilation_config = CompilationConfig(mode=cast("Any", config))
        elif not isinstance(config, CompilationConfig):
            msg = f"compilation_config must be a CompilationConfig, got {config!r}"
            raise InvalidConfig(msg)
        largest: Any = self.max_num_batched_tokens
        if isinstance(largest, bool) or not isinstance(largest, int) or largest < 1:
            msg = f"max_num_batched_tokens must be a size of 1 or more, got {largest!r}"
            raise InvalidConfig(msg)


def artifact_folder(config: Any) -> Path:
    """Where the artifacts of a compilation configuration are kept."""
    chosen = getattr(config, "cache_dir", None)
    if chosen:
        return Path(chosen).expanduser()
    return Path(getattr(config, "cache_root", None) or _cache_root()) / "artifacts"


def max_num_batched_tokens(vllm_config: Any) -> int:
    """The largest size of a configuration, vLLM's own included; 8192 where it says nothing."""
    found = getattr(vllm_config, "max_num_batched_tokens", None)
    if found is None:
        found = getattr(getattr(vllm_config, "scheduler_config", None), "max_num_batched_tokens", None)
    return 8192 if found is None else int(found)


def _choice(kind: type[_E], value: Any, what: str) -> _E:
    if isinstance(value, str) and value.upper() in kind.__members__:
        return kind.__members__[value.upper()]
    try:
        if not isinstance(value, bool):
            return kind(value)
    except ValueError:
        pass
    choices = ", ".join(kind.__members__)
    msg = f"{what} must be one of {choices}, got {value!r}"
    raise InvalidConfig(msg)


def _cudagraph_mode(value: Any) -> CUDAGraphMode:
    return _choice(CUDAGraphMode, value, "cudagraph_mode")


def _names(value: Any, what: str) -> tuple[str, ...]:
    values: tuple[Any, ...] | None
    values = (
        () if value is None else tuple(value) if isinstance(value, list | tuple | set | frozenset) else None
    )
    if values is None or not all(isinstance(one, str) and one for one in values):
        msg = f'{what} must be a list of operator names such as "mylib::attention", got {value!r}'
        raise InvalidConfig(msg)
    return values


def _sizes(value: Any, what: str, least: int | None = 1) -> tuple[int, ...]:
    values: tuple[Any, ...] | None
    values = (
        ()
        if value is None
        else tuple(value)
        if isinstance(value, list | tuple | set | frozenset | range)
        else None
    )
    if values is None or not all(
        isinstance(one, int) and not isinstance(one, bool) and (least is None or one >= least)
        for one in values
    ):
        msg = f"{what} must be a list of sizes, whole numbers{'' if least is None else f' of {least} or more'}, got {value!r}"
        raise InvalidConfig(msg)
    return tuple(sorted(set(values)))


def _hashable(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, DynamicShapesConfig):
        return vars(value)
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(value))}"
