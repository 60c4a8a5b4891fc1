"""Guards: what must hold for compiled code to be used again."""

from __future__ import annotations

import re

import msgspec

from compile_inspector.model.locations import Location, Stack

_STEP = re.compile(r"\._(?:modules|parameters|buffers)\['([^']*)'\]|\.([A-Za-z_]\w*)|\['([^']*)'\]|\[(\d+)\]")


class Guard(msgspec.Struct, frozen=True):
    """One leaf of a compile's guard tree.

    Attributes:
        compile_id: The compile it belongs to.
        kind: torch's name (``TENSOR_MATCH``, ``ID_MATCH``, ``LAMBDA_GUARD`` for symbolic shapes, …).
        source: What is checked, as Dynamo names it: ``L['x']``; None for global state.
        expr: The check, object ids resolved to names where known.
        location: The user's line that made it; None where torch kept no stack.
        stack: The frames of that line as the user's program had them, outermost first; empty where torch kept none.
        parent: Source of the guard manager it hangs under, None for the root.
        dropped: True where a filter dropped it, so that nothing checks it; None where that is not known.
    """

    compile_id: str
    kind: str
    source: str | None
    expr: str
    location: Location | None
    stack: Stack = ()
    parent: str | None = None
    dropped: bool | None = None

    @property
    def module_path(self) -> str | None:
        """``layers.0.mlp`` for a source below a module, None for one that is not under ``L['self']``."""
        return module_path(self.source)


def module_path(source: str | None) -> str | None:
    """The dotted path below ``L['self']`` that a Dynamo source stands for, None where it stands for none."""
    if source is None or not source.startswith("L['self']"):
        return None
    steps: list[str] = []
    for match in _STEP.finditer(source, len("L['self']")):
        step = next(group for group in match.groups() if group is not None)
        if step not in {"_modules", "_parameters", "_buffers", "__dict__"}:
            steps.append(step)
    return ".".join(steps)
