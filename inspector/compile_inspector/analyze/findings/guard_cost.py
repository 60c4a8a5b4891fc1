"""Finds guards that take long at every call; only where they were timed."""

from __future__ import annotations

from collections.abc import Iterable

from compile_inspector.analyze.findings.names import at, listed, times
from compile_inspector.analyze.findings.observed import Observed
from compile_inspector.model.findings import Finding, Fix, Severity
from compile_inspector.model.guard_costs import GuardCost, GuardFilter, GuardGroup
from compile_inspector.model.guards import Guard, source_steps
from compile_inspector.model.locations import Location

NOTED_NS = 20_000
"""Time of one check of all guards, repeated, from which it is worth a note, nanoseconds."""
WARNED_NS = 100_000
"""... and from which it is a warning: more than many a kernel takes."""


def guard_cost(observed: Observed) -> list[Finding]:
    """One finding for each compile whose guards take long."""
    rows: tuple[GuardCost, ...] = observed.rows("guard_costs")
    return [
        _finding(observed, row, row.warm_ns)
        for row in rows
        if row.warm_ns is not None and row.warm_ns >= NOTED_NS
    ]


def _finding(observed: Observed, row: GuardCost, warm_ns: int) -> Finding:
    costly = row.dominated_by
    function = observed.function(row.compile_id)
    severity: Severity = "warning" if warm_ns >= WARNED_NS else "note"
    return Finding(
        kind="guard-cost",
        severity=severity,
        title=f"Every call of {function} spends at least {_us(warm_ns)} on {times(row.checks, 'guard')}, mostly on {listed(one.name for one in costly)}",
        subjects=tuple(one.name for one in costly),
        cause=_cause(observed, row, costly),
        evidence=tuple(_evidence(row, costly)),
        fix=_fix(observed, row, warm_ns),
        compile_ids=(row.compile_id,),
    )


def _us(elapsed_ns: int) -> str:
    return f"{elapsed_ns / 1000:,.0f} µs"


def _evidence(row: GuardCost, costly: tuple[GuardGroup, ...]) -> Iterable[str]:
    cold = "" if row.cold_ns is None else f"; {_us(row.cold_ns)} when the processor's caches are empty"
    yield f"{row.compile_id}: {_us(row.warm_ns or 0)} when repeated{cold}"
    for one in costly[:6]:
        own = row.own_ns(one)
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in one.kinds[:3])
        yield f"{one.name}: {times(one.checks, 'guard')}{'' if own is None else f', {_us(own)}'} ({kinds})"


def _cause(observed: Observed, row: GuardCost, costly: tuple[GuardGroup, ...]) -> Location | None:
    """The first user's line that made a guard in the costliest place."""
    paths = [one.path for one in costly]
    mine: list[Guard] = [
        one
        for one in observed.rows("guards")
        if one.compile_id == row.compile_id and one.location is not None
    ]
    for guard in mine:
        steps = () if guard.source is None else source_steps(guard.source, root=guard.root)
        if any(_within(steps, path) for path in paths):
            return guard.location
    return mine[0].location if mine else None


def _within(steps: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return (
        bool(path)
        and len(steps) >= len(path)
        and all(part in ("*", step) for step, part in zip(steps, path, strict=False))
    )


def _fix(observed: Observed, row: GuardCost, warm_ns: int) -> Fix:
    tried: list[GuardFilter] = [
        one for one in observed.rows("guard_filters") if one.compile_id == row.compile_id
    ]
    if not tried:
        return Fix(
            None,
            "torch's filters were not tried: that needs a call that also compiles; torch.compiler.reset(), then ci.guard_cost again",
        )
    # one that keeps nothing is no remedy: any other call would run code that was not made for it
    safe = [
        (one.warm_ns, one)
        for one in tried
        if one.warm_ns is not None and not one.failed and one.dropped and one.kept
    ]
    if not safe:
        return Fix(
            None,
            "each of torch's filters drops a guard that failed in this recording, or none is known to save time",
        )
    left, best = min(safe, key=lambda pair: pair[0])
    if left >= warm_ns:
        return Fix(None, "none of torch's filters saves time here")
    return Fix(
        f'options={{"guard_filter_fn": {best.name}}}',
        f"in torch.compile{at(observed.called(row.compile_id), ', called at ')}: drops {times(best.dropped, 'guard')}, none of which failed in this "
        f"recording, and leaves {_us(left)}; unsafe where one of them may change",
    )
