"""Graph breaks: where one graph ended because Dynamo could not go on."""

from __future__ import annotations

import msgspec

from compile_inspector.model.locations import Location, Stack


class GraphBreak(msgspec.Struct, frozen=True):
    """One distinct graph break.

    Attributes:
        compile_id: The compile in which it was first met.
        location: The user's line.
        reason: The first line of torch's message.
        explanation: torch's longer words, None where there are none.
        hints: What torch suggests.
        registry_id: ``GB0059``, the entry of torch's graph-break registry; None before torch had one.
        count: How many compiles met it.
        stack: The user's frames, outermost first.
    """

    compile_id: str
    location: Location | None
    reason: str
    explanation: str | None
    hints: tuple[str, ...]
    registry_id: str | None
    count: int
    stack: Stack = ()
