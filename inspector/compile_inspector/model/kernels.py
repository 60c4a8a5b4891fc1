"""Kernels that Inductor generated."""

from __future__ import annotations

import msgspec

from compile_inspector.model.text import Text


class Kernel(msgspec.Struct, frozen=True):
    """One generated kernel, or a library's that the generated code calls.

    Attributes:
        compile_id: The compile that made it.
        name: As the generated code names it.
        language: ``triton``, ``cpp``, ``extern`` for a library's, else as Inductor names it (``cuda``, ``metal``, …).
        source: Its own text; None for an extern kernel, or where it was not recorded.
        node_names: The post-grad nodes computed in it; None unless provenance was recorded or the generated code names them.
        origin_names: Likewise the nodes of the Dynamo graph.
        direction: ``inference``, ``forward`` or ``backward``; None where the record does not say.
        call_count: How often one run of the generated code calls it; None where the code was not recorded.
    """

    compile_id: str
    name: str
    language: str
    source: Text | None
    node_names: tuple[str, ...] | None
    origin_names: tuple[str, ...] | None = None
    direction: str | None = None
    call_count: int | None = None


class OutputCode(msgspec.Struct, frozen=True):
    """The file Inductor wrote for one graph of a compile.

    Attributes:
        direction: ``inference``, ``forward`` or ``backward``; None where the record does not say.
    """

    compile_id: str
    direction: str | None
    path: str | None
    source: Text
