"""The table of compile ranges: which piece was compiled for which sizes."""

from __future__ import annotations

from typing import Any

from compile_inspector.model.ranges import CompileRange
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.told import RangesFact, told


def ranges(trace: Trace, places: Places) -> tuple[CompileRange, ...]:  # noqa: ARG001 - a builder takes both
    """One row for each piece and range, by graph in the order in which they were compiled."""
    rows: list[CompileRange] = []
    for one in told(trace, "ranges", RangesFact):
        graph = one.said
        for row in graph.ranges:
            outcome: Any = row.outcome
            if outcome not in ("compiled", "reused", "loaded"):
                trace.losses.add("ranges", f"an outcome that is none: {outcome}")
                continue
            rows.append(
                CompileRange(
                    compile_id=one.compile_id or "",
                    module=graph.module,
                    partition=row.partition,
                    start=row.start,
                    end=row.end,
                    exact=row.exact,
                    backend=row.backend,
                    outcome=outcome,
                    reused_from=row.reused_from,
                    elapsed_ns=row.elapsed_ns,
                    call_count=row.call_count,
                    symbol=graph.symbol,
                    problems=graph.problems,
                )
            )
    return tuple(rows)
