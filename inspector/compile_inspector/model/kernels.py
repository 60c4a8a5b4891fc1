"""Kernels that Inductor generated."""

from __future__ import annotations

from typing import Literal

import msgspec

from compile_inspector.model.text import Text


class Kernel(msgspec.Struct, frozen=True):
    """One generated kernel.

    Attributes:
        compile_id: The compile that made it.
        name: As the generated code names it.
        language: ``triton``, ``cpp``, or ``extern`` for a call of a library's.
        source: Its own text; None for an extern kernel, or where it was not recorded.
        node_names: The post-grad nodes fused into it; None unless provenance was recorded or the source names them.
    """

    compile_id: str
    name: str
    language: Literal["triton", "cpp", "extern"]
    source: Text | None
    node_names: tuple[str, ...] | None


class OutputCode(msgspec.Struct, frozen=True):
    """The file Inductor wrote for one graph of a compile.

    Attributes:
        direction: ``inference``, ``forward`` or ``backward``; None where the record does not say.
    """

    compile_id: str
    direction: str | None
    path: str | None
    source: Text
