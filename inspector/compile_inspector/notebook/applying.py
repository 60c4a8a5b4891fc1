"""What ``%support_torch_compile`` does: a live module is compiled from its next call on, or is what it was again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from IPython.core.error import UsageError

from compile_inspector.errors import InspectorError


def dims_of(words: Iterable[str]) -> dict[str, int | list[int]] | None:
    """Dynamic dimensions as they are typed, ``x=0 y=0,1``; None for none, which are then inferred from annotations.

    Raises:
        UsageError: A word says something else.
    """
    found: dict[str, int | list[int]] = {}
    for word in words:
        name, sign, numbers = word.partition("=")
        try:
            dims = [int(number) for number in numbers.split(",")]
        except ValueError:
            dims = []
        if not (name and sign and dims):
            msg = f"dynamic dimensions are written NAME=DIM or NAME=DIM,DIM, such as x=0 or x=0,1; got {word}"
            raise UsageError(msg)
        if name in found:
            msg = f"{name} is given twice: write all its dimensions behind one sign, such as {name}=0,1"
            raise UsageError(msg)
        found[name] = dims[0] if len(dims) == 1 else dims
    return found or None


def apply_to(
    module: Any, name: str, dims: dict[str, int | list[int]] | None, settings: dict[str, Any]
) -> str:
    """Applies the compile decorator to a module; what was done, in a line.

    Args:
        module: It.
        name: The expression that it was typed as.
        dims: Its dynamic dimensions.
        settings: Fields of the compilation configuration; without any, the current configuration holds.

    Raises:
        UsageError: It, its dimensions or a setting cannot be right; the message says which and what can be.
    """
    from compile_inspector.engine.applied import apply
    from compile_inspector.engine.config import CompilationConfig, InspectorConfig

    try:
        config = InspectorConfig(CompilationConfig(**settings)) if settings else None
        applied = apply(module, dynamic_arg_dims=dims, vllm_config=config, prefix=name)
    except InspectorError as error:
        raise UsageError(str(error)) from None
    return described(applied.settings)


def described(settings: dict[str, Any]) -> str:
    """One line on what was applied, from the fact that was told of it."""
    own = settings["class"].rpartition(".")[2]
    dims = "; ".join(f"{name}={_numbers(given)}" for name, given in settings["dynamic_arg_dims"].items())
    when = "compiles at its next call" if settings["compiles"] else "runs as it is"
    if settings["mode"] == "STOCK_TORCH_COMPILE":
        when = "was given to torch.compile"
    return (
        f"{settings['module']} ({own}) {when}: {settings['mode']} with {settings['backend']}, dynamic {dims}"
    )


def _numbers(given: Any) -> str:
    return ",".join(str(one) for one in given) if isinstance(given, list | dict) else str(given)


def undo_on(module: Any, name: str) -> str:
    """Makes a module what it was before anything was applied to it; what was done, in a line."""
    from compile_inspector.engine.applied import undo

    own = type(module).__name__
    return (
        f"{name} ({own}) is what it was before" if undo(module) else f"nothing was applied to {name} ({own})"
    )
