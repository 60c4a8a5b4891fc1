"""CUDA graphs: what was captured, what was not and why, what each cost and how often it ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from compile_inspector.model.locations import Location

CaptureSource = Literal["engine", "cudagraph_trees"]
CaptureEvent = Literal["captured", "re-recorded", "bypassed", "skipped", "warming"]


class Capture(msgspec.Struct, frozen=True):
    """One graph, or one reason for which calls ran without one.

    Attributes:
        source: Who captures: ``engine`` (the compile decorator), ``cudagraph_trees`` (torch, in ``mode="reduce-overhead"``).
        number: Names it among those of its source; ``parent`` refers to it.
        compile_id: The compile whose code it holds; None where that is not known.
        module: The module's path, where it was given one.
        partition: The piece of the graph that it holds; None for a whole model.
        size: The batch size that it was captured for; None where it has none or several.
        key: What calls must have in common to share it, as text: ``4``, ``num_tokens=4, num_reqs=2``, ``(4, 7)``.
        mode: FULL or PIECEWISE for the engine; INFERENCE, FORWARD or BACKWARD for torch's trees.
        event: ``captured``; ``re-recorded`` (captured once more, for the reason given); ``skipped`` (it will not be captured);
            ``bypassed`` (calls ran without the graphs that there are); ``warming`` (called, and not captured yet).
        reason: Why, for all but the first.
        location: The user's line behind the reason; None where torch kept none.
        parent: The number of the graph that it must follow; None for one that follows none.
        warmups: Calls that ran as they are before the capture.
        at_ns: When that was, nanoseconds since 1970; None where it is not known.
        capture_ns: Time the capture took, nanoseconds.
        pool_bytes_before: What the graphs' memory pool held before it.
        pool_bytes_after: The same after it.
        kernel_count: Kernels in the graph; None where they could not be counted.
        memcpy_count: Copies in it; None likewise.
        replay_count: How often it was replayed, up to the end of the recording.
        replay_ns: What one replaying call takes, inputs copied; None where it was not measured.
        compiled_ns: What the same call takes compiled, without a graph.
        eager_ns: What it takes uncompiled.
        launch_ns: Time that all replays took on the calling thread together; None where it was not counted.
        call_count: Calls that ran without a graph for this reason, or before the capture.
    """

    source: CaptureSource
    number: int
    compile_id: str | None
    module: str | None
    partition: int | None
    size: int | None
    key: str | None
    mode: str
    event: CaptureEvent
    reason: str | None = None
    location: Location | None = None
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

    @property
    def has_graph(self) -> bool:
        """Whether there is a graph that calls can run from."""
        return self.event in ("captured", "re-recorded")

    @property
    def pool_bytes(self) -> int | None:
        """What it added to the graphs' memory pool."""
        if self.pool_bytes_before is None or self.pool_bytes_after is None:
            return None
        return self.pool_bytes_after - self.pool_bytes_before

    @property
    def saved_ns(self) -> int | None:
        """What one replay saves against the compiled call; negative where it costs."""
        if self.replay_ns is None or self.compiled_ns is None:
            return None
        return self.compiled_ns - self.replay_ns

    @property
    def break_even(self) -> int | None:
        """Replays after which the capture has paid for itself; None where it never does, or where that is not known."""
        saved = self.saved_ns
        if saved is None or saved <= 0 or self.capture_ns is None:
            return None
        return -(-self.capture_ns // saved)


def size_of(batch: Mapping[str, object] | None, symints: Sequence[int] | None = None) -> int | None:
    """The batch size that a graph is for; None where it has none or several.

    Args:
        batch: The fields of a batch descriptor.
        symints: The sizes that torch tells graphs of one function apart by.
    """
    if symints is not None:
        return symints[0] if len(set(symints)) == 1 else None
    found = (batch or {}).get("num_tokens")
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def key_of(batch: Mapping[str, object] | None, symints: Sequence[int] | None = None) -> str | None:
    """What calls must have in common, as text: the size alone where nothing else tells batches apart."""
    if symints is not None:
        return str(symints[0]) if len(symints) == 1 else f"({', '.join(map(str, symints))})"
    said = {name: value for name, value in (batch or {}).items() if value not in (None, False, 0)}
    if not said:
        return None
    if set(said) in ({"num_tokens"}, {"descriptor"}):
        return str(next(iter(said.values())))
    return ", ".join(f"{name}={value}" for name, value in said.items())
