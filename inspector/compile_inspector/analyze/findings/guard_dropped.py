"""Finds guards that nothing checks any more, and calls that did not meet one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from compile_inspector.analyze.findings.names import at, cut, line, listed, times
from compile_inspector.analyze.findings.observed import Observed
from compile_inspector.model.findings import Finding, Fix, Severity
from compile_inspector.model.guards import Guard
from compile_inspector.model.locations import Location

_EVIDENCE = 8
_SUBJECTS = 12
_PROCESS_STATE = "process state"
_PASSED = frozenset(
    {
        "TENSOR_MATCH",
        "EQUALS_MATCH",
        "CONSTANT_MATCH",
        "LAMBDA_GUARD",
        "SHAPE_ENV",
        "TRUE_MATCH",
        "FALSE_MATCH",
        "NONE_MATCH",
    }
)


def guard_dropped(observed: Observed) -> list[Finding]:
    """Calls that broke a dropped guard, then guards that a filter of the program's own dropped, one finding a function."""
    return [*_violations(observed), *_filtered(observed)]


def _violations(observed: Observed) -> list[Finding]:
    found: dict[tuple[object, ...], list[Any]] = {}
    for row in observed.rows("violations"):
        found.setdefault((row.source, row.expr, row.action, row.location), []).append(row)
    return [_violation(rows) for rows in found.values()]


def _violation(rows: list[Any]) -> Finding:
    first = rows[0]
    place: Location | None = first.location
    subject = first.source or _PROCESS_STATE
    number = sum(row.count for row in rows)
    what = {"recompiled": "it was compiled again", "raised": "the call was refused"}.get(
        first.action, f"it {first.action}"
    )
    actual = "" if first.actual is None else f", and it was {cut(first.actual, 60)}"
    ids = tuple(dict.fromkeys(row.compile_id for row in rows if row.compile_id))
    return Finding(
        kind="guard-dropped",
        severity="error" if first.action == "raised" else "warning",
        title=f"{times(number, 'call')} did not meet {subject}, which compiled code relies on{at(place)}: {cut(first.expr)} had to hold{actual}; {what}",
        subjects=(subject,),
        cause=place,
        evidence=tuple(
            f"{row.compile_id}: {cut(row.expr)}, was {cut(row.actual or 'not known', 60)}: {row.action}"
            for row in rows[:_EVIDENCE]
        ),
        fix=_violation_fix(subject, first.expr, place),
        count=number,
        compile_ids=ids,
    )


def _violation_fix(subject: str, expr: str, place: Location | None) -> Fix:
    if ".size()[" in subject:
        note = f"no setting helps: rewrite {line(place)} so that the code holds for every size, or pass only sizes with {cut(expr)}"
    else:
        note = f"no setting helps: keep {subject} as it was when it was compiled, or take it out of {line(place)}"
    return Fix(None, note)


def _filtered(observed: Observed) -> list[Finding]:
    skipped = _engine_compiles(observed)
    groups: dict[object, list[Guard]] = {}
    for guard in observed.rows("guards"):
        if guard.dropped and guard.compile_id not in skipped:
            groups.setdefault(observed.frame_key(guard.compile_id), []).append(guard)
    return [_dropped(observed, guards) for guards in groups.values()]


def _engine_compiles(observed: Observed) -> frozenset[str]:
    """The compiles that the compile decorator drives: it calls past all guards and asks those that matter by itself."""
    ids: Iterable[str] = (one for row in observed.rows("applied") for one in getattr(row, "compile_ids", ()))
    return frozenset(ids)


def _dropped(observed: Observed, guards: list[Guard]) -> Finding:
    risky = [guard for guard in guards if _is_passed(guard)]
    telling = risky or guards
    subjects = tuple(dict.fromkeys(guard.source or _PROCESS_STATE for guard in telling))
    first = next((guard for guard in telling if guard.location is not None), telling[0])
    ids = tuple(dict.fromkeys(guard.compile_id for guard in guards))
    severity: Severity = "warning" if risky else "note"
    unsafe = (
        "another value runs code that was compiled for this one, and gives a wrong result"
        if risky
        else "nothing checks that they still hold"
    )
    return Finding(
        kind="guard-dropped",
        severity=severity,
        title=f"A filter dropped {times(len(guards), 'guard')} of {observed.function(guards[0].compile_id)}, on {listed(subjects)}: {unsafe}",
        subjects=subjects[:_SUBJECTS],
        cause=first.location,
        evidence=tuple(
            f"{guard.compile_id}: {guard.kind} {cut(guard.expr)}{at(guard.location)}"
            for guard in telling[:_EVIDENCE]
        ),
        fix=_filter_fix(telling, guards)
        if risky
        else Fix(
            None, "nothing to do while they stay as they are; leave the filter out to have them checked"
        ),
        count=len(guards),
        compile_ids=ids,
    )


def _is_passed(guard: Guard) -> bool:
    """Whether it is on something that a call brings, and that may be another in the next: not on a module, nor on what a module holds."""
    return guard.kind in _PASSED and (guard.source or "").startswith("L[") and guard.module_path is None


def _filter_fix(risky: list[Guard], dropped: list[Guard]) -> Fix:
    """The filter without what is risky: by name, as a filter sees guards."""
    kept = {guard.source for guard in risky}
    others = tuple(dict.fromkeys(guard.source or "" for guard in dropped if guard.source not in kept))
    held = tuple(name for name in others if name.startswith(("L[", "G[")))[:_SUBJECTS]
    return Fix(
        f"options={{'guard_filter_fn': lambda guards: [guard.name not in {held!r} for guard in guards]}}",
        "in torch.compile, in the place of the filter: every guard is checked again but those that no call changes"
        if held
        else "in torch.compile, in the place of the filter: every guard is checked again; or leave the filter out",
    )
