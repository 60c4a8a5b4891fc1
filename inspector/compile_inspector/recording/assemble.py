"""`assemble`: from records to tables, one pure function for live recordings and log files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from compile_inspector.model.records import Loss, Record
from compile_inspector.model.tables import Tables
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.applied import applied
from compile_inspector.recording.tables.artifacts import artifacts
from compile_inspector.recording.tables.breaks import graph_breaks
from compile_inspector.recording.tables.caches import caches
from compile_inspector.recording.tables.captures import captures
from compile_inspector.recording.tables.captures import why_absent as why_no_captures
from compile_inspector.recording.tables.compiles import compiles
from compile_inspector.recording.tables.dims import dims
from compile_inspector.recording.tables.environment import environment
from compile_inspector.recording.tables.files import traced_files
from compile_inspector.recording.tables.graphs import graphs
from compile_inspector.recording.tables.guard_costs import guard_costs, guard_filters
from compile_inspector.recording.tables.guards import guards
from compile_inspector.recording.tables.kernels import kernels, output_code
from compile_inspector.recording.tables.partitions import partitions, why_absent
from compile_inspector.recording.tables.ranges import ranges
from compile_inspector.recording.tables.recompiles import recompiles
from compile_inspector.recording.tables.symbols import specializations, symbols
from compile_inspector.recording.tables.violations import violations

_BUILDERS: dict[str, Callable[[Trace, Places], tuple[Any, ...] | None]] = {
    "compiles": compiles,
    "graphs": graphs,
    "guards": guards,
    "guard_costs": guard_costs,
    "guard_filters": guard_filters,
    "symbols": symbols,
    "specializations": specializations,
    "dims": dims,
    "graph_breaks": graph_breaks,
    "recompiles": recompiles,
    "traced_files": traced_files,
    "applied": applied,
    "ranges": ranges,
    "violations": violations,
    "partitions": partitions,
    "captures": captures,
    "kernels": kernels,
    "output_code": output_code,
    "caches": caches,
    "artifacts": artifacts,
}

_NOT_TIMED = "guards were not timed: ci.guard_cost(callable, *args) calls it once, with what it compiled, and times them"
ABSENT = {
    "guard_costs": _NOT_TIMED,
    "guard_filters": _NOT_TIMED,
    "findings": "findings are concluded by a session from its tables: read session.findings",
}


def assemble(records: Iterable[Record], *, losses: Iterable[Loss] = (), path: str | None = None) -> Tables:
    """The tables of a recording; each is built when first read.

    Args:
        records: In the order torch wrote them.
        losses: What the source of the records could not read.
        path: The log they come from, None for a live recording; used in messages.
    """
    trace = Trace(records, losses=losses, path=path)
    places = Places(trace)

    def builder(
        build: Callable[[Trace, Places], tuple[Any, ...] | None],
    ) -> Callable[[], tuple[Any, ...] | None]:
        return lambda: trace.once(build.__name__, lambda: build(trace, places))

    def lost() -> tuple[Loss, ...]:
        for name in _BUILDERS:
            tables.read(name)
        return (*trace.losses.rows(), *_faults(trace))

    builders = {name: builder(build) for name, build in _BUILDERS.items()} | {"losses": lost}
    absent = {**ABSENT, "partitions": why_absent(trace) or "", "captures": why_no_captures(trace) or ""}
    tables = Tables(builders, environment=environment(trace, places), absent=absent)
    return tables


def _faults(trace: Trace) -> tuple[Loss, ...]:
    """What went wrong inside the inspector while it recorded."""
    rows = [row for fact in trace.facts("faults") if isinstance(fact, list) for row in fact]  # type: ignore[misc]
    return tuple(
        Loss(where=str(row[0]), what=str(row[1]), count=int(row[2]))  # type: ignore[misc]
        for row in rows
        if isinstance(row, list) and len(row) == 3 and isinstance(row[2], int)  # type: ignore[arg-type]
    )
