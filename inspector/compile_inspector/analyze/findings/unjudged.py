"""Says which kinds of finding a recording cannot tell, and why: a log that torch wrote by itself lacks what is observed live."""

from __future__ import annotations

from compile_inspector.analyze.findings.observed import Observed
from compile_inspector.model.findings import FindingKind, Unjudged

_NEEDS: tuple[tuple[str, tuple[FindingKind, ...]], ...] = (
    (
        "recompiles",
        ("recompile", "static-first", "zero-one", "duck-shape", "specialization", "recompile-limit"),
    ),
    ("dims", ("static-first", "zero-one")),
    ("symbols", ("duck-shape",)),
    ("specializations", ("specialization",)),
    ("graph_breaks", ("graph-break",)),
    ("guards", ("guard-dropped",)),
    ("guard_costs", ("guard-cost",)),
    ("captures", ("cudagraph-skip", "cudagraph-rerecord")),
)


def unjudged(observed: Observed) -> tuple[Unjudged, ...]:
    """The kinds, each with its first reason."""
    found: dict[FindingKind, str] = {}
    for table, kinds in _NEEDS:
        reason = observed.tables.why_absent(table)
        for kind in kinds if reason is not None else ():
            found.setdefault(kind, f"there is no table of {table}: {reason}")
    for kind, reason in _partly(observed):
        found.setdefault(kind, reason)
    return tuple(Unjudged(kind, reason) for kind, reason in found.items())


def _partly(observed: Observed) -> list[tuple[FindingKind, str]]:
    said: list[tuple[FindingKind, str]] = []
    entries = [entry for row in observed.rows("recompiles") for entry in row.entries]
    partial = sum(not entry.complete for entry in entries)
    if partial:
        said.append(
            (
                "recompile",
                f"of {partial:,} of {len(entries):,} earlier entries only torch's first reason is known: further causes are not told",
            )
        )
    live = {row.id for row in observed.compiles.values() if not row.recovered}
    guards = [guard for guard in observed.rows("guards") if guard.compile_id in live]
    if guards and all(guard.dropped is None for guard in guards):
        said.append(("guard-dropped", "the recording does not say which guards a filter dropped"))
    sized = [
        row
        for row in observed.compiles.values()
        if row.status == "ok" and not row.recovered and (row.node_count or 0) > 0
    ]
    known = {key[0] for key in observed.dims}
    if sized and not any(row.id in known for row in sized):
        reason = "the recording does not say what the sizes of its inputs became"
        sizes: tuple[FindingKind, ...] = ("static-first", "zero-one", "duck-shape")
        said.extend((kind, reason) for kind in sizes)
    return said
