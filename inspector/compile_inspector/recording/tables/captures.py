"""The table of captures: what ran from CUDA graphs, and what did not."""

from __future__ import annotations

from typing import Any

import msgspec

from compile_inspector.model.captures import Capture, key_of, size_of
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.told import PlaceFact, Told, told

_EVENTS = ("captured", "re-recorded", "bypassed", "skipped", "warming")
_SOURCES = ("engine", "cudagraph_trees")


class CaptureFact(msgspec.Struct, frozen=True):
    """The fact ``captures``."""

    id: int
    source: str
    mode: str
    event: str
    compile_id: str | None = None
    module: str | None = None
    partition: int | None = None
    batch: dict[str, int | bool | str | None] | None = None
    symints: tuple[int, ...] | None = None
    reason: str | None = None
    location: PlaceFact | None = None
    parent: int | None = None
    warmups: int = 0
    at_ns: int | None = None
    capture_ns: int | None = None
    pool_bytes_before: int | None = None
    pool_bytes_after: int | None = None
    kernel_count: int | None = None
    memcpy_count: int | None = None
    replay_count: int = 0
    replay_ns: int | None = None
    compiled_ns: int | None = None
    eager_ns: int | None = None
    launch_ns: int | None = None
    call_count: int = 0


def captures(trace: Trace, places: Places) -> tuple[Capture, ...] | None:
    """One row for each graph and for each reason without one, those of the engine in front, each source's in the order of their first time.

    None for a log without our facts: torch itself does not narrate captures.
    """
    facts = told(trace, "captures", CaptureFact)
    if not facts and why_absent(trace) is not None:
        return None
    rows = [row for fact in facts if (row := _row(trace, places, fact)) is not None]
    return tuple(sorted(rows, key=lambda row: (_SOURCES.index(row.source), row.number)))


def why_absent(trace: Trace) -> str | None:
    """Why captures cannot be known; None where they are."""
    if next(iter(trace.facts("environment")), None) is None:
        return "torch does not narrate CUDA-graph captures; they are observed while a recorder is in place, and this log was made without one"
    return None


def _row(trace: Trace, places: Places, fact: Told[CaptureFact]) -> Capture | None:
    said = fact.said
    event: Any = said.event
    source: Any = said.source
    if event not in _EVENTS or source not in _SOURCES:
        trace.losses.add("captures", f"an event or source that is none: {said.event}, {said.source}")
        return None
    return Capture(
        source=source,
        number=said.id,
        compile_id=fact.compile_id or said.compile_id,
        module=said.module,
        partition=said.partition,
        size=size_of(said.batch, said.symints),
        key=key_of(said.batch, said.symints),
        mode=said.mode,
        event=event,
        reason=said.reason,
        location=None if said.location is None else places.location(said.location.frame()),
        parent=said.parent,
        warmups=said.warmups,
        at_ns=said.at_ns,
        capture_ns=said.capture_ns,
        pool_bytes_before=said.pool_bytes_before,
        pool_bytes_after=said.pool_bytes_after,
        kernel_count=said.kernel_count,
        memcpy_count=said.memcpy_count,
        replay_count=said.replay_count,
        replay_ns=said.replay_ns,
        compiled_ns=said.compiled_ns,
        eager_ns=said.eager_ns,
        launch_ns=said.launch_ns,
        call_count=said.call_count,
    )
