"""What a capture of several sizes tells: its steps while it goes on, and its report."""

from __future__ import annotations

import msgspec

from compile_inspector.engine.cudagraph import Capture
from compile_inspector.model import captures as model


class CaptureStep(msgspec.Struct, frozen=True):
    """How far a capture has come, told before and after each size.

    Attributes:
        done: Captures that are behind it.
        total: Captures that were asked for.
        size: The batch size at hand.
        mode: FULL or PIECEWISE.
        event: What became of it; None before it.
        reason: Why, where it was not captured.
    """

    done: int
    total: int
    size: int
    mode: str
    event: str | None = None
    reason: str | None = None


class CaptureReport(msgspec.Struct, frozen=True):
    """What a capture made.

    Attributes:
        rows: One for each size and mode, those of its pieces behind it, as `Session.captures` has them.
        elapsed_ns: All of it, warm-ups included, nanoseconds.
        remarks: What holds for several sizes: why no batch is padded, what the warm-ups changed.
    """

    rows: tuple[model.Capture, ...]
    elapsed_ns: int
    remarks: tuple[str, ...] = ()

    @property
    def captured(self) -> tuple[int, ...]:
        """The sizes that calls can run from, ascending."""
        return tuple(
            sorted(
                {
                    row.size
                    for row in self.rows
                    if row.has_graph and row.partition is None and row.size is not None
                }
            )
        )

    def __str__(self) -> str:
        whole = [row for row in self.rows if row.partition is None]
        lines = [
            f"{sum(row.has_graph for row in whole)} of {len(whole)} captured in {self.elapsed_ns / 1e9:.2f} s"
        ]
        lines += [f"  {_line(row)}" for row in whole]
        return "\n".join([*lines, *(f"  {remark}" for remark in self.remarks)])


def _line(row: model.Capture) -> str:
    if not row.has_graph:
        return f"{row.key} {row.mode}: {row.event}, {row.reason}"
    took = "" if row.capture_ns is None else f" in {row.capture_ns / 1e6:.2f} ms"
    pays = "" if row.break_even is None else f", pays after {row.break_even:,} replays"
    return f"{row.key} {row.mode}: captured{took}{pays}"


def row_of(capture: Capture) -> model.Capture:
    """A capture as a session's table has it."""
    piece, event = capture.piece, capture.event
    return model.Capture(
        source="engine",
        number=capture.id,
        compile_id=None if piece.compile_id is None else str(piece.compile_id),
        module=piece.prefix or None,
        partition=piece.partition,
        size=model.size_of(capture.key),
        key=model.key_of(capture.key),
        mode=capture.mode,
        event=event,  # pyright: ignore[reportArgumentType]
        reason=capture.reason,
        warmups=capture.warmups,
        at_ns=capture.at_ns,
        capture_ns=capture.capture_ns,
        pool_bytes_before=capture.pool_bytes_before,
        pool_bytes_after=capture.pool_bytes_after,
        kernel_count=capture.kernel_count,
        memcpy_count=capture.memcpy_count,
        replay_count=capture.replay_count,
        replay_ns=capture.replay_ns,
        compiled_ns=capture.compiled_ns,
        eager_ns=capture.eager_ns,
        launch_ns=capture.launch_ns,
        call_count=capture.call_count,
    )
