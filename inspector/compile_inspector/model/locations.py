"""Places in source code, and stacks of them."""

from __future__ import annotations

import msgspec


class Location(msgspec.Struct, frozen=True):
    """One line of source.

    Attributes:
        file: The path as torch reported it; a notebook cell's is shown as ``In [n]``.
        line: Counted from 1; 0 when unknown.
        function: The enclosing function's name, None when unknown.
        code: The line's text, stripped; None when the source was not available.
    """

    file: str
    line: int
    function: str | None = None
    code: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def short(self) -> str:
        """``name.py:12``: the file's last component and the line."""
        return f"{self.file.rsplit('/', 1)[-1]}:{self.line}"


Stack = tuple[Location, ...]
"""Frames, outermost first."""
