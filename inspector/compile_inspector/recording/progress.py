"""What a compile is doing right now, from the spans torch writes as it goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec


class ActiveCompile(msgspec.Struct, frozen=True):
    """A compile that is going on.

    Attributes:
        id: ``"0/1"``.
        phase: torch's name of the innermost span that is open.
        started: When it began, in seconds of `time.monotonic`.
    """

    id: str
    phase: str
    started: float


class Progress(msgspec.Struct, frozen=True):
    """The state of a recording.

    Attributes:
        compiles: How many have ended.
        active: Those going on, oldest first; empty between compiles.
    """

    compiles: int
    active: tuple[ActiveCompile, ...]


Listener = Callable[[Progress], None]


class ProgressReader:
    """Follows the spans of a trace and tells a listener of each change.

    Args:
        listener: Called on the compiling thread; it must return quickly.
        clock: Seconds, monotonic.
    """

    def __init__(self, listener: Listener, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._listener = listener
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, list[str]] = {}
        self._started: dict[str, float] = {}
        self._done = 0

    def __call__(self, event: str, payload: str | None) -> None:
        """Takes one record: its event, and its payload."""
        if event != "chromium_event" or payload is None:
            return
        span: Any = msgspec.json.decode(payload)
        compile_id = (span.get("args") or {}).get("compile_id")
        if not isinstance(compile_id, str) or compile_id == "None" or span.get("ph") not in {"B", "E"}:
            return
        with self._lock:
            self._turn(compile_id, str(span.get("name")), opens=span["ph"] == "B")
            progress = self._progress()
        self._listener(progress)

    def _turn(self, compile_id: str, name: str, *, opens: bool) -> None:
        spans = self._open.setdefault(compile_id, [])
        self._started.setdefault(compile_id, self._clock())
        if opens:
            spans.append(name)
        elif name in spans:
            del spans[len(spans) - 1 - spans[::-1].index(name) :]
        if not spans:
            del self._open[compile_id], self._started[compile_id]
            self._done += name == "dynamo"

    def _progress(self) -> Progress:
        active = tuple(
            ActiveCompile(id=key, phase=spans[-1], started=self._started[key])
            for key, spans in self._open.items()
            if spans
        )
        return Progress(compiles=self._done, active=active)
