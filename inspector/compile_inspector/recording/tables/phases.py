"""The phases of a compile, from torch's ``chromium_event`` records: a beginning and an end each, with the time."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from compile_inspector.model.compiles import Phase
from compile_inspector.model.records import Record
from compile_inspector.recording.fold import Trace

WHOLE = "dynamo"
"""torch's name of the phase that holds all others of a frame's compile."""


class _Event(msgspec.Struct):
    name: str
    ph: str
    ts: float
    tid: int | str | None = None


_decode = msgspec.json.Decoder(_Event).decode


class Spans(msgspec.Struct, frozen=True):
    """What the events of one compile say.

    Attributes:
        start_ns: Of the first phase, nanoseconds since the epoch; None where there is no event.
        phases: In order of start.
        open: Names of the phases that were begun and not ended.
    """

    start_ns: int | None
    phases: tuple[Phase, ...]
    open: frozenset[str]

    def elapsed_ns(self, name: str) -> int | None:
        """How long the first phase of this name took; None where there is none, or no end of it."""
        if name in self.open:
            return None
        return next((phase.elapsed_ns for phase in self.phases if phase.name == name), None)


def spans(trace: Trace, records: Iterable[Record]) -> Spans:
    """Pairs the beginnings and ends among a compile's records; what cannot be read is counted as lost.

    A phase without an end lasts until the last event.
    """
    begun: list[tuple[int, str, int]] = []
    ended: dict[int, int] = {}
    running: dict[int | str | None, list[int]] = {}
    last = 0
    for record in records:
        if record.event != "chromium_event" or (event := _event(trace, record)) is None:
            continue
        time = int(event.ts * 1000)
        last = max(last, time)
        stack = running.setdefault(event.tid, [])
        if event.ph == "B":
            stack.append(len(begun))
            begun.append((time, event.name, len(stack) - 1))
        elif event.ph == "E":
            match = next((number for number in reversed(stack) if begun[number][1] == event.name), None)
            if match is not None:
                stack.remove(match)
                ended[match] = time
    if not begun:
        return Spans(None, (), frozenset())
    start = min(time for time, _, _ in begun)
    phases = [
        Phase(name, time - start, max(ended.get(number, last) - time, 0), depth)
        for number, (time, name, depth) in enumerate(begun)
    ]
    still_open = frozenset(name for number, (_, name, _) in enumerate(begun) if number not in ended)
    return Spans(start, tuple(sorted(phases, key=lambda phase: phase.start_ns)), still_open)


def _event(trace: Trace, record: Record) -> _Event | None:
    if record.payload is None:
        return None
    try:
        event = _decode(record.payload.read())
    except (msgspec.DecodeError, UnicodeError, RecursionError, OSError) as error:
        trace.losses.add(trace.where(record), f"a phase of a compile cannot be read: {error}")
        return None
    return event if math.isfinite(event.ts) else None
