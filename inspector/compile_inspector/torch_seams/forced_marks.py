"""Marks dimensions of a function's arguments while it is compiled, as if its caller had marked them before the call.

Source: `torch._dynamo.variables.builder._automatic_dynamic`, which reads the marks of each tensor that comes in. The mark is taken off
again when it has been read, so that the caller's tensor stays as it was.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from compile_inspector.torch_seams.probe import Capability, Faults, Undo, lookup, patch, probe_names

NAME = "forced_marks"
USES = (
    "torch._dynamo.variables.builder:_automatic_dynamic",
    "torch._dynamo.decorators:mark_dynamic",
    "torch._dynamo.decorators:mark_unbacked",
    "torch._dynamo.decorators:maybe_mark_dynamic",
)
_ATTRIBUTES = ("_dynamo_", "_specialize", "_has_dynamo_")

Mark = tuple[str, int, str]
"""A source, one of its dimensions, and the name of the function that marks it."""
Frame = tuple[str, str]
"""A file, "" for any, and the name of a function in it."""


def probe() -> Capability:
    """Whether this torch reads marks where the seam can give them."""
    return probe_names(USES)


def install(
    marks: Sequence[Mark], frames: frozenset[Frame], faults: Faults
) -> tuple[Callable[[], int], Undo]:
    """Begins to mark.

    Args:
        marks: What to mark.
        frames: The compiled functions that it is for; all of them when empty.
        faults: Counts what goes wrong; the compile goes on without the mark then.

    Returns:
        How many marks were given up to now, and the undo.
    """
    wanted, given = [True], [0]

    def wrap(original: Any) -> Any:
        @functools.wraps(original)
        def automatic_dynamic(e: Any, tx: Any, source: Any, *args: Any, **kwargs: Any) -> Any:
            undo = None
            try:
                mine = [mark for mark in marks if mark[0] == _name(source)] if wanted[0] else []
                if mine and (not frames or _frames(tx) & frames):
                    undo = _mark(e, mine)
                    given[0] += len(mine)
            except Exception as error:
                faults.count(NAME, error)
            try:
                return original(e, tx, source, *args, **kwargs)
            finally:
                if undo is not None:
                    undo()

        return automatic_dynamic

    builder = lookup("torch._dynamo.variables.builder")
    unpatch = patch(builder, "_automatic_dynamic", wrap)

    def undo() -> None:
        wanted[0] = False
        unpatch()

    return lambda: given[0], undo


def _name(source: Any) -> str:
    name: Any = source.name
    return str(name() if callable(name) else name)


def _frames(tx: Any) -> frozenset[Frame]:
    code = tx.output.root_tx.f_code
    return frozenset({(code.co_filename, code.co_name), ("", code.co_name)})


def _mark(tensor: Any, marks: Sequence[Mark]) -> Undo:
    held = vars(tensor)
    before = {
        name: value.copy() if isinstance(value, set | dict) else value
        for name, value in held.items()
        if name.startswith(_ATTRIBUTES)
    }

    def undo() -> None:
        for name in [name for name in held if name.startswith(_ATTRIBUTES)]:
            if name not in before:
                del held[name]
        held.update(before)

    try:
        for _, dim, how in marks:
            for name in (
                "_dynamo_dynamic_indices",
                "_dynamo_weak_dynamic_indices",
                "_dynamo_unbacked_indices",
            ):
                if dim in held.get(name, ()):
                    held[name] = held[name] - {dim}
            lookup(f"torch._dynamo.decorators:{how}")(tensor, dim)
    except BaseException:
        undo()
        raise
    return undo
