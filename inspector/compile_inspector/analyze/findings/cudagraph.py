"""Finds code that runs without a CUDA graph though one was asked for, and graphs that are recorded again and again."""

from __future__ import annotations

from collections.abc import Iterable

from compile_inspector.analyze.findings.cudagraph_fixes import cudagraph_fix, written
from compile_inspector.analyze.findings.names import at, cut, line, listed, times
from compile_inspector.analyze.findings.observed import Observed
from compile_inspector.model.captures import Capture
from compile_inspector.model.findings import Finding, Fix, Severity

MANY_SIZES = 8
"""Graphs of one compiled function from which torch itself warns."""
_ASKED = ("the forward context asks for no graph", "the call is itself being captured")
_EXPECTED = (
    "left out",
    "the size ",
    "the batch is larger",
    "given back",
    "its sizes are not among",
    "torch captures no more",
)


def cudagraph(observed: Observed) -> list[Finding]:
    """One finding for each reason without a graph, for each reason of re-recording, and for functions with many sizes."""
    rows: tuple[Capture, ...] = observed.rows("captures")
    without = [row for row in rows if row.event in ("skipped", "bypassed") and row.reason not in _ASKED]
    again = [row for row in rows if row.event == "re-recorded"]
    return [
        *(_skip(observed, same) for same in _alike(without)),
        *(_rerecord(observed, same) for same in _alike(again)),
        *_sizes(observed, rows),
    ]


def _alike(rows: Iterable[Capture]) -> list[list[Capture]]:
    """Rows of one reason and line together, in order."""
    found: dict[tuple[object, ...], list[Capture]] = {}
    for row in rows:
        reason = (row.reason or "").partition(" data pointer changed from ")[0]
        found.setdefault((row.source, row.module, reason, row.location, row.event), []).append(row)
    return list(found.values())


def _skip(observed: Observed, rows: list[Capture]) -> Finding:
    first = rows[0]
    calls = sum(row.call_count for row in rows)
    reason = cut(first.reason or "for a reason that was not told", 200)
    what = _what(observed, rows)
    verb = (
        "ran without a CUDA graph"
        if first.event == "bypassed"
        else "has no CUDA graph"
        if len(rows) == 1
        else "have no CUDA graph"
    )
    counted = f" ({times(calls, 'call')})" if calls else ""
    return Finding(
        kind="cudagraph-skip",
        severity=_severity(first),
        title=f"{what} {verb}{counted}{at(first.location)}: {reason}",
        subjects=_subjects(rows),
        cause=first.location,
        evidence=tuple(_evidence(rows)),
        fix=cudagraph_fix(first),
        count=max(calls, len(rows)),
        compile_ids=_compiles(rows),
    )


def _severity(row: Capture) -> Severity:
    """A limit that was asked for, and sizes beyond those that were, are no surprise; nor is a CPU."""
    reason = row.reason or ""
    expected = reason.startswith(_EXPECTED) or "runs on cpu:" in reason or reason.startswith("inputs on cpu")
    return "note" if expected else "warning"


def _what(observed: Observed, rows: list[Capture]) -> str:
    first = rows[0]
    function = first.module or (
        "the module" if first.compile_id is None else observed.function(first.compile_id)
    )
    if first.event == "bypassed":
        return f"Calls of {function}"
    sizes = [row.key for row in rows if row.key is not None]
    of = function if first.partition is None else f"piece {first.partition} of {function}"
    if sizes:
        return f"{'Size' if len(sizes) == 1 else 'Sizes'} {listed(sizes)} of {of}"
    return of[:1].upper() + of[1:] if of.startswith(("piece", "the ")) else of


def _subjects(rows: list[Capture]) -> tuple[str, ...]:
    name = written(rows[0])
    if name is not None and "mutated" in (rows[0].reason or ""):
        return (name,)
    return tuple(dict.fromkeys(row.key for row in rows if row.key is not None))[:6]


def _evidence(rows: list[Capture]) -> Iterable[str]:
    for row in rows[:6]:
        where = (
            f"{row.compile_id or 'no compile'}{'' if row.partition is None else f', piece {row.partition}'}"
        )
        size = "" if row.key is None else f", size {row.key}"
        counted = f", {times(row.call_count, 'call')} without" if row.call_count else ""
        yield f"{where}{size}: {row.event}{counted}: {cut(row.reason or 'no reason told', 200)}"
    if rows[0].location is not None:
        yield f"from {line(rows[0].location)}"
    if len(rows) > 6:
        yield f"{len(rows) - 6} more"


def _compiles(rows: list[Capture]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.compile_id for row in rows if row.compile_id is not None))


def _rerecord(observed: Observed, rows: list[Capture]) -> Finding:
    first = rows[0]
    took = sum(row.capture_ns or 0 for row in rows)
    function = "a function" if first.compile_id is None else observed.function(first.compile_id)
    reason = cut(first.reason or "for a reason that torch did not tell", 200)
    return Finding(
        kind="cudagraph-rerecord",
        severity="warning" if len(rows) > 1 else "note",
        title=f"{function} was recorded again {times(len(rows), 'time')}{at(first.location)}: {reason}",
        subjects=_subjects(rows),
        cause=first.location,
        evidence=tuple(_evidence(rows)),
        fix=cudagraph_fix(first),
        count=len(rows),
        compile_ids=_compiles(rows),
        cost_ns=took or None,
    )


def _sizes(observed: Observed, rows: tuple[Capture, ...]) -> Iterable[Finding]:
    """Functions that torch recorded for many sizes, which nobody chose."""
    found: dict[tuple[str | None, int | None, str], list[Capture]] = {}
    for row in rows:
        if row.source == "cudagraph_trees" and row.event == "captured" and row.key is not None:
            found.setdefault((row.compile_id, row.partition, row.mode), []).append(row)
    for same in found.values():
        if len(same) > MANY_SIZES:
            yield _many(observed, same)


def _many(observed: Observed, rows: list[Capture]) -> Finding:
    function = "a function" if rows[0].compile_id is None else observed.function(rows[0].compile_id)
    took = sum(row.capture_ns or 0 for row in rows)
    return Finding(
        kind="cudagraph-rerecord",
        severity="warning",
        title=f"{function} was recorded for {len(rows):,} sizes: {listed(row.key for row in rows if row.key is not None)}",
        subjects=_subjects(rows),
        cause=None,
        evidence=(
            f"each distinct size is a graph of its own; {times(sum(row.replay_count for row in rows), 'replay')} in all",
            *(f"size {row.key}: {times(row.replay_count, 'replay')}" for row in rows[:6]),
        ),
        fix=Fix(
            "ci.apply(module, dynamic_arg_dims={...}).capture(sizes=[1, 2, 4, 8])",
            "pads calls to these few sizes; or pad inputs to a few sizes yourself",
        ),
        count=len(rows),
        compile_ids=_compiles(rows),
        cost_ns=took or None,
    )
