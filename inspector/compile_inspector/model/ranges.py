"""Compile ranges: which code serves which sizes."""

from __future__ import annotations

from typing import Literal

import msgspec


class CompileRange(msgspec.Struct, frozen=True):
    """One piece of a graph, as compiled for one range of sizes.

    Attributes:
        compile_id: The compile that the graph belongs to.
        module: The module's path, where it was given one.
        partition: Index of the piece.
        start: The first size.
        end: The last size; None for code that serves every size that no range does.
        exact: Whether it was compiled for this one size on purpose.
        backend: What compiled it.
        outcome: ``compiled``, ``reused`` (an equal piece was compiled before) or ``loaded``.
        reused_from: Index of the equal piece, None where none was used.
        elapsed_ns: Time it took, nanoseconds.
        call_count: How often it was run, up to the end of the recording.
        symbol: The symbol that is the size; None where the graph has no one such symbol.
        problems: What was noticed of the ranges of the whole graph.
    """

    compile_id: str
    module: str | None
    partition: int
    start: int
    end: int | None
    exact: bool
    backend: str
    outcome: Literal["compiled", "reused", "loaded"]
    reused_from: int | None
    elapsed_ns: int
    call_count: int
    symbol: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def sizes(self) -> str:
        """``17 to 8192``, ``16``, ``any other``."""
        if self.end is None:
            return "any other"
        return str(self.start) if self.start == self.end else f"{self.start} to {self.end}"
