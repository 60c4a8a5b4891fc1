"""Marking dimensions of tensors as dynamic for one compile, and taking the marks off again.

Source: `torch._dynamo.decorators.mark_dynamic`, `mark_unbacked`: the marks are attributes of the tensor.
"""

from __future__ import annotations

import inspect
from typing import Any

from compile_inspector.torch_seams.probe import Capability, Undo, lookup, probe_names

NAME = "dynamic_marks"
USES = ("torch._dynamo.decorators:mark_dynamic", "torch._dynamo.decorators:mark_unbacked")
_ATTRIBUTES = ("_dynamo_", "_specialize", "_has_dynamo_")


def probe() -> Capability:
    """Whether this torch marks dimensions."""
    return probe_names(USES)


def remember(tensors: list[Any]) -> Undo:
    """Notes the marks on tensors as they are; the undo puts exactly those back."""
    before = [(tensor, _marks(tensor)) for tensor in tensors]

    def undo() -> None:
        for tensor, marks in before:
            held = vars(tensor)
            for name in [name for name in held if name.startswith(_ATTRIBUTES)]:
                if name not in marks:
                    del held[name]
            held.update(marks)

    return undo


def _marks(tensor: Any) -> dict[str, Any]:
    return {
        name: value.copy() if isinstance(value, set | dict) else value
        for name, value in vars(tensor).items()
        if name.startswith(_ATTRIBUTES)
    }


def mark_dynamic(tensor: Any, dim: int) -> None:
    """Marks one dimension: a symbol with a value."""
    lookup("torch._dynamo.decorators:mark_dynamic")(tensor, dim)


def mark_unbacked(tensor: Any, dim: int, *, shape_id: str | None) -> None:
    """Marks one dimension: a symbol without a value, hinted at with the present size.

    One at a time: the list form drops the hint.

    Raises:
        RuntimeError: A shape_id is given and this torch knows none.
    """
    mark = lookup("torch._dynamo.decorators:mark_unbacked")
    known = inspect.signature(mark).parameters
    keywords: dict[str, Any] = {}
    if shape_id is not None:
        if "shape_id" not in known:
            msg = f"shape_id {shape_id!r} was given, and this torch knows none: it needs torch 2.11 or later"
            raise RuntimeError(msg)
        keywords["shape_id"] = shape_id
    if "hint_override" in known:
        keywords["hint_override"] = tensor.size(dim)
    mark(tensor, dim, **keywords)
