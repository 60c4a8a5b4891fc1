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
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compile_inspector.api import Recorder as Recorder
    from compile_inspector.api import Session as Session
    from compile_inspector.api import guard_cost as guard_cost
    from compile_inspector.api import inspect as inspect
    from compile_inspector.api import load as load
    from compile_inspector.api import record as record
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


class _Package(ModuleType):
    """This module: its function `record` stays in front of the subpackage of that name, which importing would put in its place."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name == "record" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
