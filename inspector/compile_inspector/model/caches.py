"""Lookups in torch's compile caches, and in the compile decorator's own."""

from __future__ import annotations

from typing import Literal

import msgspec

from compile_inspector.model.locations import Location


class KeyComponent(msgspec.Struct, frozen=True):
    """A part of a cache key, with its hash."""

    name: str
    hash: str


class KeyDifference(msgspec.Struct, frozen=True):
    """A part of the key in which a miss differs from the nearest earlier lookup.

    Attributes:
        was: Its value there, of a long one the first line that differs; None where that key had no such part.
        now: Its value in the miss; None where its key has no such part.
        location: Where what changed is written; None where it has no place, and in torch's caches.
    """

    component: str
    was: str | None
    now: str | None
    location: Location | None = None

    @property
    def line(self) -> int | None:
        """The line of `location`."""
        return None if self.location is None else self.location.line


class CacheLookup(msgspec.Struct, frozen=True):
    """One lookup.

    Attributes:
        compile_id: The compile that looked; None for a lookup in the decorator's cache, which comes before any compile.
        cache: ``fx_graph``, ``aot_autograd``, …; ``artifact`` for the decorator's.
        outcome: ``hit``, ``miss`` or ``bypass``.
        key: The key; None on a bypass.
        components: The parts the key was made of; empty where torch wrote none.
        differs: For a miss: what differs from the nearest lookup before it in the recording: the one with the fewest differing parts
            among the last 64 in the same cache, the latest of several; empty for the first. In the decorator's: from the nearest that is
            stored, whoever stored it.
        reason: Why it was bypassed, in the decorator's cache also why it missed; None otherwise.
        module: What the decorator's lookup was for: the module's path, or its class; None in torch's caches.
    """

    compile_id: str | None
    cache: str
    outcome: Literal["hit", "miss", "bypass"]
    key: str | None
    components: tuple[KeyComponent, ...]
    differs: tuple[KeyDifference, ...]
    reason: str | None
    module: str | None = None
