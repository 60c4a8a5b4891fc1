"""The parts of a printed graph while it is read: nodes, and their types (``f32[s77, 16][16, 1]cpu``, ``Sym(s77)``)."""

from __future__ import annotations

import re

import msgspec

from compile_inspector.model.locations import Location
from compile_inspector.model.nodes import Op

Size = tuple[int | str, ...]
Annotation = tuple[str | None, Size | None, Size | None, str | None, str | None]
"""dtype, shape, stride, device, value: as in `GraphNode`."""


class RawNode(msgspec.Struct, gc=False):
    """A node as it was read: what `GraphNode` has but its users, kernels and partition.

    Attributes:
        annotation: Its type; nodes whose types are printed the same share one object.
        printed: The user's line that the printout itself gives.
        line: Where in the printout it begins, from 0.
        location: The user's line, where that is known better than from the printout; filled in, like its module, after reading.
    """

    name: str
    op: Op
    target: str
    inputs: tuple[str, ...]
    annotation: Annotation
    printed: Location | None
    args: str = ""
    line: int = -1
    location: Location | None = None
    module_path: str | None = None
    module_class: str | None = None

    @property
    def dtype(self) -> str | None:
        """As in `GraphNode`."""
        return self.annotation[0]

    @property
    def shape(self) -> Size | None:
        """As in `GraphNode`."""
        return self.annotation[1]

    @property
    def stride(self) -> Size | None:
        """As in `GraphNode`."""
        return self.annotation[2]

    @property
    def device(self) -> str | None:
        """As in `GraphNode`."""
        return self.annotation[3]

    @property
    def value(self) -> str | None:
        """As in `GraphNode`."""
        return self.annotation[4]


_TENSOR = re.compile(r"([a-z]\w*)\[([^\]]*)\](?:\[([^\]]*)\])?([a-z]\w*(?::\d+)?)?")
_INSIDE = re.compile(r"\w+\((.*)\)", re.DOTALL)


def read_annotation(text: str) -> Annotation:
    """What an annotation says; ``value`` holds the whole of one that is no tensor's, and of a tensor subclass' its name and layout."""
    found = _TENSOR.fullmatch(text)
    if found is not None:
        return _tensor(found, None)
    inside = _INSIDE.fullmatch(text)
    within = _TENSOR.match(inside[1]) if inside is not None else None
    if within is not None:
        return _tensor(within, text)
    return None, None, None, None, text or None


def _tensor(found: re.Match[str], value: str | None) -> Annotation:
    dtype, shape, stride, device = found.groups()
    return dtype, read_sizes(shape), None if stride is None else read_sizes(stride), device, value


def read_sizes(text: str) -> Size:
    """``s77, 16`` as a tuple: numbers where they are, else the expressions' text."""
    if not text:
        return ()
    parts = text.split(", ")
    if "(" in text:
        parts = _rejoined(parts)
    return tuple(
        int(part) if part.isdecimal() and part.isascii() and len(part) < 20 else part for part in parts
    )


def _rejoined(parts: list[str]) -> list[str]:
    """Puts together what was split inside brackets: ``Max(1, s0)``."""
    whole: list[str] = []
    depth = 0
    for part in parts:
        if depth > 0:
            whole[-1] += f", {part}"
        else:
            whole.append(part)
        depth += part.count("(") - part.count(")")
    return whole
