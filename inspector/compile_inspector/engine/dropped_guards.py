"""The guards that torch.compile would check before each call, read, put into classes, and explained where one fails."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from compile_inspector.errors import GuardViolation as GuardViolation
from compile_inspector.model.locations import Location
from compile_inspector.torch_seams.direct import Entry, failing_part, guard_parts
from compile_inspector.torch_seams.guard_reading import Reading, actual_of

SIZE, NONE, VALUE, ATTRIBUTE = "size", "none", "value", "attribute"
TRAINING, DTYPE, GLOBAL_STATE = "train/eval", "dtype", "global state"
_GLOBAL = frozenset(
    {
        "GLOBAL_STATE",
        "DEFAULT_DEVICE",
        "TORCH_FUNCTION_MODE_STACK",
        "GRAD_MODE",
        "DETERMINISTIC_ALGORITHMS",
        "FSDP_TRAINING_STATE",
    }
)
_TENSOR = frozenset(
    {"TENSOR_MATCH", "DIMENSION_DYNAMIC_MARKING_GUARD", "DYNAMIC_INDICES", "TENSOR_SUBCLASS_METADATA_MATCH"}
)
_SIZES = frozenset({"SHAPE_ENV", "SYMBOLIC_SHAPE_GUARD"})
_PLACE = re.compile(
    r"  # (?P<code>.*?)  # (?P<file>[^#]*?):(?P<line>\d+) in (?P<function>[^\s(]+)", re.DOTALL
)
_BARE_PLACE = re.compile(r"  # (?P<code>)(?P<file>[^#\s]+\.py):(?P<line>\d+) in (?P<function>[^\s(]+)")
_SIZED = re.compile(r"(?<![\w.])[^\W\d]\w*(?:\.\w+|\[[^\]]*\])*\.(?:size|stride)\(\)\[\d+\]")
"""A size in torch's shorter texts, which name a local as the function does: ``kwargs['x'].size()[0]``."""
_MISMATCH = re.compile(
    r"(?:expected|Expected) (?P<expected>.+?),? (?:actual|got|but got|found) (?P<actual>.+?)[.\s]*$",
    re.DOTALL,
)


class DroppedGuard(msgspec.Struct, frozen=True):
    """One guard of a compile.

    Attributes:
        source: What it is about, as Dynamo names it; "" for the process's state.
        kind: torch's name of it.
        expr: torch's text of it.
        category: size, none, value, attribute, train/eval, dtype, global state.
        location: The user's line that made it; None where torch kept none.
    """

    source: str
    kind: str
    expr: str
    category: str
    location: Location | None = None


class Failure(msgspec.Struct, frozen=True):
    """A guard that a call did not meet.

    Attributes:
        source: What it is about.
        expr: torch's text of it.
        expected: What it wants; None where its text does not say it.
        actual: What the call had; None where it could not be read.
        category: As of `DroppedGuard`.
        location: The user's line that made it.
    """

    source: str
    expr: str
    expected: str | None
    actual: str | None
    category: str
    location: Location | None

    def __str__(self) -> str:
        there = "" if self.actual is None else f", and it is {self.actual}"
        where = "" if self.location is None else f" (from {self.location}{_code(self.location)})"
        return f"the compiled code holds only where {self.expr}{there}{where}"


def _code(location: Location) -> str:
    return f": {location.code}" if location.code else ""


def read(entry: Entry, self_name: str, files: Iterable[str]) -> tuple[DroppedGuard, ...]:
    """Every guard of an entry.

    Args:
        entry: It.
        self_name: What the function calls its instance.
        files: Files the guards may stem from, in full: torch's texts have only their ends.
    """
    known = tuple(files)
    return tuple(
        DroppedGuard(
            source or _subject(part),
            kind,
            _expr(part),
            _category(source or _subject(part), kind, part, self_name),
            _place(part, known),
        )
        for source, kind, part in guard_parts(entry.guards)
    )


def failure(guards: Any, f_locals: dict[str, Any], self_name: str, files: Iterable[str]) -> Failure | None:
    """The first guard of a manager that a call does not meet; None where it meets all."""
    part = failing_part(guards, f_locals)
    if part is None:
        return None
    expr, source = _expr(part), _subject(part)
    mismatch = _MISMATCH.search(expr) if "mismatch" in expr else None
    kind = (
        "TENSOR_MATCH"
        if expr.startswith("tensor '")
        else "SHAPE_ENV"
        if ".size()[" in expr or ".stride()[" in expr
        else ""
    )
    category = (
        SIZE if "size mismatch" in expr or "rank mismatch" in expr or "stride mismatch" in expr else None
    )
    reading = Reading(f_locals, getattr(guards, "global_scope", None) or {})
    return Failure(
        source,
        expr,
        mismatch["expected"] if mismatch else expr,
        mismatch["actual"] if mismatch else actual_of(source, reading),
        category or _category(source, kind, part, self_name),
        _place(part, tuple(files)),
    )


def _expr(part: str) -> str:
    return part.partition("  # ")[0].strip()


def _subject(part: str) -> str:
    """What a guard's text is about: the first ``L[…]`` or ``G[…]`` in it, with everything that hangs on it."""
    text = _expr(part)
    named = re.match(r"tensor '(.+?)' ", text)
    if named:
        return named[1] if named[1].startswith(("L[", "G[")) else _local(named[1])
    start = re.search(r"\b[LG]\[", text)
    if start is not None:
        return _extent(text, start.start())
    sized = _SIZED.search(text)
    return "" if sized is None else _local(sized[0])


def _local(name: str) -> str:
    head = re.match(r"[^\W\d]\w*", name)
    return name if head is None else f"L[{head[0]!r}]{name[head.end() :]}"


def _extent(text: str, start: int) -> str:
    """The longest chain of subscripts, attributes and empty calls that begins here."""
    index = start + 1
    while index < len(text):
        if text[index] == "[":
            index = _closed(text, index)
        elif text.startswith("()", index):
            index += 2
        else:
            attribute = re.match(r"\.[^\W\d]\w*", text[index:])
            if attribute is None:
                break
            index += attribute.end()
    return text[start:index]


def _closed(text: str, index: int) -> int:
    quote = ""
    while index < len(text):
        index += 1
        if quote:
            quote = "" if text[index - 1] == quote else quote
        elif text[index - 1] in "'\"":
            quote = text[index - 1]
        elif text[index - 1] == "]":
            break
    return index


def _category(source: str, kind: str, part: str, self_name: str) -> str:
    expr = _expr(part)
    if (
        kind in _GLOBAL
        or not source
        or expr.startswith(("___check_global_state", "utils_device", "___check_torch_function"))
    ):
        return GLOBAL_STATE
    if kind in _SIZES:
        return SIZE
    if source.endswith((".training", "['training']")):
        return TRAINING
    if kind in _TENSOR or expr.startswith(("check_tensor", "tensor '")):
        return DTYPE
    if kind in {"NONE_MATCH", "NOT_NONE"} or re.search(r" is (not )?None\b|NoneType", expr):
        return NONE
    return ATTRIBUTE if source.startswith((f"L['{self_name}']", f'L["{self_name}"]')) else VALUE


def _place(part: str, files: tuple[str, ...]) -> Location | None:
    match = _PLACE.search(part) or _BARE_PLACE.search(part)
    if match is None:
        return None
    file, line = match["file"].strip(), int(match["line"])
    full = _full(file, files)
    code = match["code"].strip() or linecache.getline(full, line).strip() or None
    return Location(full, line, match["function"], code)


def _full(file: str, files: tuple[str, ...]) -> str:
    """A file in full: torch leaves out what its path shares with torch's own folder, and one character more where that is the root."""
    for ending in (f"/{file.lstrip('/')}", file):
        found = next((one for one in files if one == file or one.endswith(ending)), None)
        if found is not None:
            return found
    return file
