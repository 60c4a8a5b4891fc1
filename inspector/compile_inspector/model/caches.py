"""Lookups in torch's compile caches."""

from __future__ import annotations

from typing import Literal

import msgspec


class KeyComponent(msgspec.Struct, frozen=True):
    """A part of a cache key, with its hash."""

    name: str
    hash: str


class KeyDifference(msgspec.Struct, frozen=True):
    """A part of the key in which a miss differs from the nearest earlier lookup.

    Attributes:
        was: Its value there, of a long one the first line that differs; None where that key had no such part.
        now: Its value in the miss; None where its key has no such part.
    """

    component: str
    was: str | None
    now: str | None


class CacheLookup(msgspec.Struct, frozen=True):
    """One lookup.

    Attributes:
        cache: ``fx_graph``, ``aot_autograd``, ….
        outcome: ``hit``, ``miss`` or ``bypass``.
        key: The key; None on a bypass.
        components: The parts the key was made of; empty where torch wrote none.
        differs: For a miss: what differs from the nearest lookup before it in the recording: the one with the fewest differing parts
            among the last 64 in the same cache, the latest of several; empty for the first.
        reason: Why it was bypassed, None otherwise.
    """

    compile_id: str
    cache: str
    outcome: Literal["hit", "miss", "bypass"]
    key: str | None
    components: tuple[KeyComponent, ...]
    differs: tuple[KeyDifference, ...]
    reason: str | None
