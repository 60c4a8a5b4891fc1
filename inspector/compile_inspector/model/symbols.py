"""Symbolic sizes: where they come from, what they may be, and what pinned them."""

from __future__ import annotations

from typing import Literal

import msgspec

from compile_inspector.model.locations import Location, Stack

Verdict = Literal["static", "dynamic", "marked", "duck-shared", "zero-one", "specialized", "unbacked"]


class Symbol(msgspec.Struct, frozen=True):
    """One symbol of a compile.

    Attributes:
        name: ``s77``, ``u0``.
        sources: Every input size it stands for: ``L['x'].size()[0]``.
        hint: Its value at trace time; None for an unbacked one.
        range: ``[2, int_oo]``: the values it may take, as torch writes them.
        kind: ``backed`` by an input's size, or ``unbacked`` (from data).
        created: The user's line that first needed it.
        replaced_by: What it was found equal to, None where it stayed itself.
    """

    compile_id: str
    name: str
    sources: tuple[str, ...]
    hint: int | None
    range: str | None
    kind: Literal["backed", "unbacked"]
    created: Location | None
    replaced_by: str | None = None


class Specialization(msgspec.Struct, frozen=True):
    """A symbol that was pinned to one value, so that other sizes compile again.

    Attributes:
        reason: torch's words.
        location: The user's line that pinned it.
        stack: That line's frames, outermost first.
        bound: The comparison that left this value only, after others before it: ``-s77 <= -7``; None where an equality pinned it, or
            that is not known.
    """

    compile_id: str
    symbol: str
    sources: tuple[str, ...]
    value: str
    reason: str
    location: Location | None
    stack: Stack = ()
    bound: str | None = None


class Dim(msgspec.Struct, frozen=True):
    """What one dimension of one input became.

    Attributes:
        source: The input: ``L['x']``.
        dim: Which of its dimensions, from 0.
        size: At trace time.
        symbol: The symbol, or the expression, that it became; None where it is a plain number.
        verdict: In one word.
        why: In one sentence.
        location: The line that decided, None where no line did.
        is_parameter: True for a module's parameter or buffer, whose sizes are static by design.
    """

    compile_id: str
    source: str
    dim: int
    size: int | None
    symbol: str | None
    verdict: Verdict
    why: str
    location: Location | None
    is_parameter: bool = False
