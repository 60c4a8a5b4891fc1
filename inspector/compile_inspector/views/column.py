"""What a column is: how views show one value of a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, Literal, TypeVar

import msgspec

from compile_inspector.model.locations import Location
from compile_inspector.views.words import visible

Row = TypeVar("Row")
Kind = Literal["text", "code", "number", "duration", "location", "list", "id", "badge"]
Value = str | int | float | list[str] | None


class Column(msgspec.Struct, Generic[Row], frozen=True):
    """One column.

    Attributes:
        key: Its name on the wire, unique in its table.
        title: Its heading.
        kind: How to draw it. ``duration`` is nanoseconds; ``location`` is ``path/file.py:12``; ``id`` names a compile; ``badge`` is one
            of few words; ``code`` is monospaced.
        get: The raw value of a row; `value` is what to show.
        detail: True where it belongs into a row's details, not into a table's width.
    """

    key: str
    title: str
    kind: Kind
    get: Callable[[Row], Value]
    detail: bool = False

    def value(self, row: Row) -> Value:
        """What to show for a row: None where it does not say, text made visible."""
        found = self.get(row)
        if isinstance(found, str):
            return visible(found)
        if isinstance(found, list):
            return [visible(item) for item in found]
        return found


def place(location: Location | None) -> str | None:
    """``path/file.py:12``; the file alone where the line is not known."""
    if location is None:
        return None
    return str(location) if location.line else location.file


def code_of(location: Location | None) -> str | None:
    """The line of code at a place."""
    return None if location is None else location.code


def stack_of(frames: Iterable[Location]) -> list[str]:
    """A line for each frame: ``path/file.py:12 in forward: code``."""
    return [
        f"{place(frame)}"
        + (f" in {frame.function}" if frame.function else "")
        + (f": {frame.code}" if frame.code else "")
        for frame in frames
    ]
