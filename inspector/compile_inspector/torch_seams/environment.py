"""Versions, and the settings of torch's compiler that are not at their defaults.

Source: `torch.version`, `torch.utils._config_module`. No device is initialised: a GPU that the program has not touched yet is named from
what its driver tells in ``/proc``.
"""

from __future__ import annotations

import functools
import itertools
import platform
import sys
from contextvars import ContextVar
from importlib import metadata
from pathlib import Path
from typing import Any

from compile_inspector.torch_seams.probe import Capability, lookup, probe_names

NAME = "environment"
USES = (
    "torch._dynamo.config:_config",
    "torch.utils._config_module:ConfigModule._is_default",
    "torch._inductor.config:_config",
    "torch._functorch.config:_config",
    "torch.utils._config_module:_UNSET_SENTINEL",
)

_CONFIGS = ("torch._dynamo.config", "torch._inductor.config", "torch._functorch.config")
_PACKAGES = (
    "compile-inspector",
    "triton",
    "numpy",
    "transformers",
    "torchvision",
    "torchaudio",
    "vllm",
    "ipython",
    "jupyterlab",
)
_DRIVER = Path("/proc/driver/nvidia/gpus")
_LONGEST = 500
_DEEPEST = 4


def probe() -> Capability:
    """Whether this torch tells which settings are at their defaults."""
    return probe_names(USES)


def describe() -> dict[str, Any]:
    """The environment, as JSON can hold it.

    Returns:
        ``torch``, ``cuda``, ``gpu``, ``python``: texts or None; ``packages``: pairs of name and version; ``config``: rows of module, name,
        value and default, as text, of the settings that are not at their defaults.
    """
    torch = lookup("torch:")
    return {
        "torch": str(torch.__version__),
        "cuda": _accelerator(torch),
        "gpu": _gpu(torch),
        "python": platform.python_version(),
        "packages": [list(pair) for pair in _packages()],
        "config": [row for module in _CONFIGS for row in _patches(module)],
    }


def _accelerator(torch: Any) -> str | None:
    version = torch.version
    if version.cuda is None and getattr(version, "hip", None):
        return f"HIP {version.hip}"
    return None if version.cuda is None else str(version.cuda)


def _gpu(torch: Any) -> str | None:
    if torch.cuda.is_initialized():
        return str(torch.cuda.get_device_name())
    return _driver_name() if torch.version.cuda is not None else None


@functools.cache
def _driver_name() -> str | None:
    try:
        texts = [file.read_text() for file in sorted(_DRIVER.glob("*/information"))]
    except OSError:
        return None
    names = {
        line.partition(":")[2].strip()
        for text in texts
        for line in text.splitlines()
        if line.startswith("Model:")
    }
    return ", ".join(sorted(names)) or None


@functools.cache
def _packages() -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for name in _PACKAGES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return tuple(found)


def _patches(module: str) -> list[list[str]]:
    """The settings of one module that are not at their defaults; none where it is not imported: nobody can have set any."""
    config: Any = sys.modules.get(module)
    unset = lookup("torch.utils._config_module:_UNSET_SENTINEL")
    rows: list[list[str]] = []
    for name, entry in getattr(config, "_config", {}).items():
        if entry.alias is None and not config._is_default(name):
            value, default = _shown(_in_force(entry, unset)), _shown(entry.default)
            if value != default:  # set, but to its default: what the end of a config.patch leaves
                rows.append([module, name, value, default])
    return rows


def _in_force(entry: Any, unset: object) -> object:
    """A setting's value, read past the module's ``__getattr__``: that warns of deprecated settings and copies containers."""
    override = entry.user_override
    if isinstance(override, ContextVar):
        override = override.get()
    found = (
        value for value in (entry.env_value_force, override, entry.env_value_default) if value is not unset
    )
    return next(found, entry.default)


def _shown(value: object, depth: int = 0) -> str:
    """A setting as text; of an object only its name, so that no user's ``__repr__`` runs."""
    if value is None or type(value) in (bool, int, float, str):
        text = repr(value)
    elif type(value) in (list, tuple, set, frozenset, dict) and depth < _DEEPEST:
        items = value.items() if isinstance(value, dict) else value
        shown = [_shown(item, depth + 1) for item in itertools.islice(items, _LONGEST)]  # type: ignore[call-overload]
        text = f"{type(value).__name__}({', '.join(sorted(shown) if isinstance(value, (set, frozenset)) else shown)})"
    else:
        named = value if callable(value) and hasattr(value, "__qualname__") else type(value)
        text = f"{getattr(named, '__module__', '?')}.{getattr(named, '__qualname__', '?')}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
