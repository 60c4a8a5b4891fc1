"""What decides, apart from the program, what torch compiles: versions, settings, the state of the process, and the devices.

Source: `torch.version`, `torch._dynamo.config`, `torch._inductor.config`, `torch._functorch.config`.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Any

from compile_inspector.torch_seams.probe import Capability, lookup, probe_names

NAME = "platform"
USES = (
    "torch._dynamo.config:_config",
    "torch._inductor.config:_config",
    "torch._functorch.config:_config",
    "torch._inductor.config:cpp",
    "torch._ops:OpOverload",
    "torch._ops:OpOverloadPacket",
    "torch._ops:_OpNamespace",
    "torch._ops:_Ops",
)
_CONFIGS = ("torch._dynamo.config", "torch._inductor.config", "torch._functorch.config")
_IMMATERIAL = (
    "trace.",
    "compile_threads",
    "worker_",
    "verbose",
    "debug_dir",
    "repro_",
    "log_",
    "suppress_errors",
    "cache_size_limit",
    "recompile_limit",
    "accumulated_",
    "bundled_autograd_cache",
    "bypass_autograd_cache_key",
    "force_autograd_cache",
    "enable_autograd_cache",
    "enable_remote_autograd_cache",
    "fx_graph_cache",
    "fx_graph_remote_cache",
    "autotune_local_cache",
    "bundle_triton_into_fx_graph_cache",
)


def probe() -> Capability:
    """Whether this torch tells its settings."""
    return probe_names(USES)


@functools.cache
def versions() -> tuple[str, ...]:
    """torch, Python and what generates code, a line each."""
    import torch

    found = [
        f"torch {torch.__version__} {torch.version.git_version}",
        f"python {platform.python_implementation()} {platform.python_version()}",
        f"cuda {torch.version.cuda or getattr(torch.version, 'hip', None)}",
    ]
    return (*found, *(f"{name} {_version(name)}" for name in ("triton", "numpy")))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def state() -> Iterator[str]:
    """The process's state that a compile reads, a line each."""
    import torch

    yield f"grad={torch.is_grad_enabled()} inference={torch.is_inference_mode_enabled()}"
    yield f"default dtype={torch.get_default_dtype()} device={torch.get_default_device()}"
    yield f"deterministic={torch.are_deterministic_algorithms_enabled()} matmul precision={torch.get_float32_matmul_precision()}"
    for device in ("cpu", "cuda"):
        on = torch.is_autocast_enabled(device)
        yield f"autocast {device}={torch.get_autocast_dtype(device) if on else 'off'}"
    yield f"threads={torch.get_num_threads()}"


def settings() -> Iterator[str]:
    """The settings of torch's compiler that are not at their defaults and change what it makes, a line each."""
    for module in _CONFIGS:
        config = lookup(f"{module}:")
        for name in sorted(config._config):
            if not name.startswith(_IMMATERIAL) and not any(f".{one}" in name for one in _IMMATERIAL):
                yield from _setting(module, config, name)


def code_in_settings() -> str | None:
    """The first setting that holds a pass or a function of the user's; None where none does. Also the one that puts weights into code."""
    for module in _CONFIGS:
        config = lookup(f"{module}:")
        for name, entry in config._config.items():
            if entry.alias is None and not config._is_default(name):
                value = getattr(config, name)
                if (callable(value) and not isinstance(value, type)) or (name == "freezing" and value):
                    return f"{module}.{name}"
    return None


def _setting(module: str, config: Any, name: str) -> Iterator[str]:
    entry = config._config[name]
    if entry.alias is not None or config._is_default(name):
        return
    value, default = _text(getattr(config, name)), _text(entry.default)
    if value != default:
        yield f"{module}.{name}={value}"


def _text(value: Any) -> str:
    if callable(value):
        return (
            f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
        )
    if isinstance(value, set | frozenset):
        return repr(sorted(map(repr, value)))
    if isinstance(value, dict):
        return repr({str(key): _text(one) for key, one in value.items()})
    return repr(value)


def devices(used: Iterable[Any]) -> Iterator[str]:
    """What computes, a line for each kind of device in use."""
    import torch

    kinds = {device.type for device in used} | {"cpu"}
    yield f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    if "cuda" in kinds:
        for index in sorted({device.index or 0 for device in used if device.type == "cuda"}):
            capability = ".".join(map(str, torch.cuda.get_device_capability(index)))
            yield f"cuda:{index} {torch.cuda.get_device_name(index)} capability {capability}"
    yield from sorted(kinds - {"cpu", "cuda"})


def is_operator(value: object) -> bool:
    """Whether a value is one of torch's operators, or a namespace of them."""
    ops = lookup("torch._ops:")
    return isinstance(value, ops.OpOverload | ops.OpOverloadPacket | ops._OpNamespace | ops._Ops)
