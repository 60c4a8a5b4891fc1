"""Builds fixes that several kinds of finding offer: marking dimensions, settings, and where the lines belong."""

from __future__ import annotations

from collections.abc import Iterable

from compile_inspector.analyze.findings.names import listed, python_name
from compile_inspector.analyze.findings.observed import size_of
from compile_inspector.model.findings import Action, Fix, MarkDim, Marking, SetConfig
from compile_inspector.model.locations import Location

DYNAMO = "torch._dynamo.config"
SHAPES = "torch.fx.experimental._config"
ALL_DYNAMIC = SetConfig(DYNAMO, "assume_static_by_default", "False")


def setting(config: SetConfig) -> str:
    """The line that sets it."""
    return f"{config.module}.{config.name} = {config.value}"


def with_settings(configs: Iterable[SetConfig], note: str) -> Fix:
    """Settings to make before the first call."""
    chosen = tuple(configs)
    return Fix("\n".join(setting(config) for config in chosen), note, chosen)


def before_call(call: Location | None) -> str:
    """Where a line belongs that an argument needs before it is passed."""
    return "before the first call" if call is None else f"before the call at {call.short}"


def marks(sizes: Iterable[str], how: Marking = "mark_dynamic") -> tuple[MarkDim, ...] | None:
    """One mark for each size, None where one of them is of no value that the caller has a name for."""
    found: list[MarkDim] = []
    for size in sizes:
        named = size_of(size)
        if named is None or python_name(named[0]) is None:
            return None
        found.append(MarkDim(named[0], named[1], how))
    return tuple(found) or None


def mark_lines(marked: Iterable[MarkDim]) -> str:
    """The lines that mark, by the arguments' own names."""
    return "\n".join(
        f"torch._dynamo.{mark.how}({python_name(mark.source) or mark.source}, {mark.dim})" for mark in marked
    )


def mark_fix(
    sizes: tuple[str, ...],
    call: Location | None,
    *,
    what: str,
    settings: tuple[SetConfig, ...] = (),
) -> Fix:
    """Marks the dimensions; where the caller has no name for them, makes every dimension dynamic.

    Args:
        sizes: Size sources.
        call: The call that the tensors are passed to.
        what: What that changes, a clause.
        settings: Set in addition.
    """
    marked = marks(sizes)
    if marked is None:
        where = f"{listed(sizes)} {'is' if len(sizes) == 1 else 'are'} made inside the program, where no call can mark {'it' if len(sizes) == 1 else 'them'}"
        return with_settings(
            (ALL_DYNAMIC, *settings), f"or torch.compile(..., dynamic=True): {where}; {what}"
        )
    lines = [*(setting(config) for config in settings), mark_lines(marked)]
    actions: tuple[Action, ...] = (*settings, *marked)
    return Fix("\n".join(lines), f"{before_call(call)}: {what}", actions)
