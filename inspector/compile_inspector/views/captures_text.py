"""What ran from CUDA graphs, in words: the sentences that every view shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compile_inspector.analyze.capture_shares import share
from compile_inspector.model.captures import Capture
from compile_inspector.views.words import count, duration


def share_text(rows: Sequence[Capture]) -> str:
    """``2 CUDA graphs; 12 of 15 calls of code that was asked to have some (80 %) ran from one, which launched 492 kernels``."""
    found = share(rows)
    parts = [count(found.graphs, "CUDA graph")]
    if found.calls:
        asked = f"{found.replays:,} of {count(found.calls, 'call')} of code that was asked to have some"
        text = f"{asked} ({100 * found.replays / found.calls:.0f} %) ran from one"
        parts.append(f"{text}, which launched {count(found.kernels, 'kernel')}" if found.kernels else text)
    if found.kernels is None:
        parts.append("the kernels in some of the graphs were not counted")
    if found.unseen:
        left_out = count(found.unseen, "compiled graph")
        parts.append(
            f"no call was seen of {left_out} that torch leaves out, which says nothing of whether there was one"
        )
    return "; ".join(parts)


def pays_text(row: Capture) -> str:
    """When the capture of a size has paid for itself; "" where that was not measured."""
    if row.saved_ns is None:
        return ""
    if row.break_even is None:
        return "never pays: a replay saves nothing"
    done = "has paid" if row.replay_count >= row.break_even else f"{row.replay_count:,} so far"
    return f"pays after {count(row.break_even, 'replay')} ({done})"


def capture_lines(rows: Iterable[Capture]) -> Iterable[str]:
    """A line for each size that was measured: its times, and when it pays."""
    timed = [row for row in rows if row.partition is None and row.replay_ns is not None]
    for row in sorted(timed, key=lambda one: (one.size or 0, one.number)):
        parts = (("eager", row.eager_ns), ("compiled", row.compiled_ns), ("replay", row.replay_ns))
        times = ", ".join(f"{name} {duration(ns)}" for name, ns in parts if ns is not None)
        pays = pays_text(row)
        yield f"size {row.key} {row.mode}: {times}{f'; {pays}' if pays else ''}"
