"""Runs apart from the user's own: compiled code forgotten, settings changed for a while and put back exactly, dimensions marked.

Source: `torch.utils._config_module.ConfigModule`, `torch._dynamo.decorators`. Nothing is hooked. Forgetting compiled code
(`torch.compiler.reset`) cannot be undone: the user's own functions compile again at their next call.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from compile_inspector.torch_seams.probe import Capability, lookup, probe_names

NAME = "isolation"
USES = (
    "torch.utils._config_module:ConfigModule.patch",
    "torch._dynamo.decorators:mark_dynamic",
    "torch._dynamo.decorators:mark_unbacked",
    "torch._dynamo.decorators:maybe_mark_dynamic",
    "torch.fx.experimental._config:backed_size_oblivious",
)
QUIET: Mapping[tuple[str, str], Any] = {
    ("torch._dynamo.config", "automatic_dynamic_local_pgo"): False,
    ("torch._dynamo.config", "automatic_dynamic_remote_pgo"): False,
    ("torch._inductor.config", "fx_graph_cache"): False,
    ("torch._inductor.config", "fx_graph_remote_cache"): False,
    ("torch._functorch.config", "enable_autograd_cache"): False,
}
"""Settings under which a compile depends on nothing that an earlier run left behind; those that this torch lacks are left out."""


_LOUD = (
    "torch._guards",
    "torch.fx.experimental.symbolic_shapes",
    "torch._dynamo.convert_frame",
    "torch._dynamo.symbolic_convert",
    "torch._subclasses.fake_tensor",
)


def probe() -> Capability:
    """Whether this torch can be set apart."""
    return probe_names(USES)


def reset() -> None:
    """Forgets all compiled code of the process, as `torch.compiler.reset` does."""
    lookup("torch.compiler:reset")()


def has(module: str, name: str) -> bool:
    """Whether a setting exists."""
    try:
        return name in vars(lookup(module))["_config"]
    except (ImportError, AttributeError, KeyError):
        return False


@contextmanager
def silent() -> Generator[None, None, None]:
    """Keeps warnings and torch's loggers from telling of compiles that are expected to fail; torch's trace is written as before."""
    loggers = [logging.getLogger(name) for name in _LOUD]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def patched(settings: Mapping[tuple[str, str], Any]) -> Generator[None, None, None]:
    """Sets settings, by module and dotted name, and puts each back as it was found: unset where it was unset.

    Raises:
        AttributeError: A setting does not exist.
    """
    with ExitStack() as stack:
        for (module, name), value in settings.items():
            if not has(module, name):
                msg = f"{module}.{name} does not exist in this torch"
                raise AttributeError(msg)
            config = lookup(module)
            stack.callback(_put_back, config, name, _override(config, name))
            stack.enter_context(config.patch({name: value}))
        yield


def quiet() -> dict[tuple[str, str], Any]:
    """`QUIET` as far as this torch has it."""
    return {key: value for key, value in QUIET.items() if has(*key)}


def oblivious() -> dict[tuple[str, str], Any]:
    """The setting for sizes that have a value and are compiled as if they had none."""
    return {("torch.fx.experimental._config", "backed_size_oblivious"): True}


def unlimited(compiles: int) -> dict[tuple[str, str], Any]:
    """Settings under which ``compiles`` compiles of one function are not too many."""
    limits = (("recompile_limit", 8), ("accumulated_recompile_limit", 256))
    module = "torch._dynamo.config"
    return {(module, name): max(compiles, least) for name, least in limits if has(module, name)}


def mark(tensor: Any, dim: int, how: str) -> None:
    """Marks one dimension; ``how`` is ``mark_dynamic``, ``maybe_mark_dynamic`` or ``mark_unbacked``."""
    lookup(f"torch._dynamo.decorators:{how}")(tensor, dim)


def _owner(config: Any, name: str) -> Any:
    entry = vars(config)["_config"][name]
    while entry.alias is not None:
        module, _, name = entry.alias.rpartition(".")
        entry = vars(lookup(module))["_config"][name]
    return entry


def _override(config: Any, name: str) -> Any:
    override = _owner(config, name).user_override
    return override.get() if isinstance(override, ContextVar) else override


def _put_back(config: Any, name: str, before: Any) -> None:
    entry = _owner(config, name)
    if isinstance(entry.user_override, ContextVar):
        entry.user_override.set(before)
    else:
        entry.user_override = before
