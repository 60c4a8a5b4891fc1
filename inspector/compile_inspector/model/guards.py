"""Guards: what must hold for compiled code to be used again."""

from __future__ import annotations

import re

import msgspec

from compile_inspector.model.locations import Location, Stack

_SELF = "L['self']"
_STEP = re.compile(r"\.([A-Za-z_]\w*)(\()?|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]|\[(-?\d+)\]")
_BASE = re.compile(r"[LG]\['(?:[^'\\]|\\.)*'\]")
_CONTAINER = re.compile(r"\._(?:modules|parameters|buffers)\b")
_UNNAMED = frozenset({"_modules", "_parameters", "_buffers", "__dict__"})


class Guard(msgspec.Struct, frozen=True, gc=False):
    """One leaf of a compile's guard tree.

    Attributes:
        compile_id: The compile it belongs to.
        kind: torch's name (``TENSOR_MATCH``, ``ID_MATCH``, ``LAMBDA_GUARD`` for symbolic shapes, …).
        source: What is checked, as Dynamo names it: ``L['x']``; of a check of several, the first; None for global state.
        expr: The check, object ids resolved to names where known.
        location: The user's line that made it; None where torch kept no line of the user's.
        stack: The frames of that line as the user's program had them, outermost first; empty where torch kept none.
        parent: Source of the guard manager around the one of ``source``, None for the root.
        dropped: True where torch does not check it before a call: a filter dropped it, or the compile decorator calls past torch's
            checks; None where that is not known.
        hint: torch's remark on it (``guard on "k"`` for a closure's variable, why a size is guarded), None where it made none.
        root: Source of the outermost module it lies under, where the guard tree shows that there is one.
        category: What sort of thing it is about, of a guard that the compile decorator dropped: size, none, value, attribute, train/eval,
            dtype or global state; None for any other.
        upper_location: Of a range of sizes, the user's line that set the upper bound, where that is known; ``location`` set the lower one.
        checked_by: ``decorator`` for a dropped guard that the compile decorator checks before each call by itself; None for any other.
    """

    compile_id: str
    kind: str
    source: str | None
    expr: str
    location: Location | None
    stack: Stack = ()
    parent: str | None = None
    dropped: bool | None = None
    hint: str | None = None
    root: str | None = None
    category: str | None = None
    checked_by: str | None = None
    upper_location: Location | None = None

    @property
    def module_path(self) -> str | None:
        """``layers.0.mlp`` for a source below a module, "" for the module itself, None for one that is under no module."""
        return module_path(self.source, root=self.root)


def module_path(source: str | None, *, root: str | None = None) -> str | None:
    """The dotted path below a module that a Dynamo source stands for, None where it stands for none.

    Args:
        source: As Dynamo names it.
        root: Source of the module to start from. Without it the path starts at ``L['self']``, or else at whatever the source itself
            shows to be a module (``L['mod']._modules['layers']``).
    """
    start = None if source is None else _module_end(source, root)
    return None if source is None or start is None else ".".join(_steps(source, start))


def source_steps(source: str, *, root: str | None = None) -> tuple[str, ...]:
    """Where a source starts, and the names on its way: ``("L['self']", "layers", "0")``, ``("G['CFG']", "rates", "1")``.

    What a check computes (``.size()[0]``, ``list(….keys())[0]``) is left out: it belongs to the value it is computed from.
    """
    start = _module_end(source, root)
    if start is not None:
        base = source[:start].rsplit("(", 1)[-1]
        return (base, *_steps(source, start))
    match = _BASE.search(source)
    return (source,) if match is None else (match[0], *_steps(source, match.end()))


def _steps(source: str, start: int) -> list[str]:
    steps: list[str] = []
    while (match := _STEP.match(source, start)) is not None and match[2] is None:
        step = match[match.lastindex or 0]
        if step not in _UNNAMED:
            steps.append(step)
        start = match.end()
    return steps


def _module_end(source: str, root: str | None) -> int | None:
    """Where the module's own source ends in ``source``; it may stand in ``list(….keys())[0]``."""
    for known in (_SELF,) if root is None else (root, _SELF):
        at = source.find(known)
        end = at + len(known)
        if at >= 0 and (at == 0 or source[at - 1] in "( ") and not source[end : end + 1].isidentifier():
            return end
    container = _CONTAINER.search(source)
    return None if container is None else container.start()
