"""Finds code that was compiled again because something other than a size that heals by itself had changed."""

from __future__ import annotations

import ast
from collections.abc import Iterable

import msgspec

from compile_inspector.analyze.findings.break_fixes import break_fix
from compile_inspector.analyze.findings.call_fixes import is_number, of_call
from compile_inspector.analyze.findings.changes import Change
from compile_inspector.analyze.findings.fixes import SOURCES, setting
from compile_inspector.analyze.findings.guard_fixes import NO_SETTING, guard_fix
from compile_inspector.analyze.findings.merging import Group, change_words, grouped, recompile_severity
from compile_inspector.analyze.findings.names import cut, often
from compile_inspector.analyze.findings.observed import Observed, size_of
from compile_inspector.analyze.findings.sites import Site
from compile_inspector.analyze.findings.specialization import rewrite
from compile_inspector.model.findings import Action, Finding, Fix, SetConfig
from compile_inspector.model.recompiles import FailingGuard

_NOTES = 3


def recompile(observed: Observed, changes: Iterable[Change]) -> list[Finding]:
    """One finding for each group of things that changed together."""
    return [_finding(group) for group in grouped(observed, changes)]


def _finding(group: Group) -> Finding:
    cost = group.cost_ns
    return Finding(
        kind="recompile",
        severity=recompile_severity(cost, comes_back=True),
        title=f"{group.function} was compiled again ({often(len(group.changes))}) because {_reason(group)}",
        subjects=group.subjects,
        cause=group.first.cause
        if any(guard.location for guard in group.first.guards)
        else group.callers_line,
        evidence=group.evidence(),
        fix=_of_break(group) or _fix(group),
        count=len(group.changes),
        compile_ids=group.compile_ids,
        cost_ns=cost,
    )


def _fix(group: Group) -> Fix:
    """The fixes of what failed; of a number that a line needs as a number, what to write there, as no setting helps."""
    change, pins = group.first, group.observed.pins
    pinned = {
        guard.source: pin
        for guard in change.guards
        if not guard.others
        and size_of(guard.source) is None
        and (pin := pins.get((change.recompile.compile_id, guard.source))) is not None
    }
    free = tuple(guard for guard in change.guards if guard.source not in pinned)
    fix = fix_of(free or change.guards, group.last_site, group.first_site)
    if not free or not pinned:
        return fix
    notes = (rewrite(pin.location, (source,)).note.removeprefix(NO_SETTING) for source, pin in pinned.items())
    return msgspec.structs.replace(fix, note="; ".join(dict.fromkeys((fix.note, *notes))))


def _of_break(group: Group) -> Fix | None:
    """Of a number that is worked out before a graph break and read after it: the break's fix, as no call can pass another."""
    site, guards = group.last_site, group.first.guards
    place = None if site.outer is None else site.location
    if place is None or not all(
        is_number(guard) or guard.source.startswith("L['___stack") for guard in guards
    ):
        return None
    if site.passing(guard.source for guard in guards) is not site:
        return None
    rows = (row for row in group.observed.rows("graph_breaks") if row.location is not None)
    broken = next(
        (row for row in rows if (row.location.file, row.location.line) == (place.file, place.line)), None
    )
    if broken is None:
        return None
    fix = break_fix(broken)
    return msgspec.structs.replace(
        fix,
        note=f"{fix.note}; with no graph break at {place.short} the number is not handed on as a constant",
    )


def _reason(group: Group) -> str:
    change = group.first
    if not change.guards:
        told = None if change.entry is None else change.entry.torch_reason
        return cut(told, 200) if told else "a guard failed that is not recorded"
    if len(group.subjects) == 1 and len(group.changes) == 1:
        return change_words(change.guards[0], group.named)
    return f"{group.named} changed"


def fix_of(guards: tuple[FailingGuard, ...], site: Site, first: Site) -> Fix:
    """The fixes of some failing guards together.

    Args:
        guards: That failed.
        site: The call that recompiled.
        first: The call that made the code which did not fit.
    """
    if not guards:
        return Fix(None, "which guard failed is not recorded: record the run live")
    of_them, others = of_call(guards, site, first)
    fixes = list(dict.fromkeys((*of_them, *(guard_fix(guard, site) for guard in others))))
    if len(fixes) == 1:
        return fixes[0]
    sources = [
        action.value
        for fix in fixes
        for action in fix.actions
        if isinstance(action, SetConfig) and _is_sources(action)
    ]
    together = SetConfig(SOURCES[0], SOURCES[1], repr(",".join(ast.literal_eval(one) for one in sources)))
    fixes.sort(key=lambda fix: not any(_is_sources(action) for action in fix.actions))
    code: dict[str, None] = {}
    actions: dict[Action, None] = {}
    for fix in fixes:
        if any(_is_sources(action) for action in fix.actions):
            kept = [
                together,
                *(one for one in fix.actions if isinstance(one, SetConfig) and not _is_sources(one)),
            ]
            code |= dict.fromkeys(map(setting, kept))
            actions |= dict.fromkeys(kept)
        elif fix.code is not None:
            code[fix.code] = None
            actions |= dict.fromkeys(fix.actions)
    notes = list(dict.fromkeys(fix.note.removeprefix(NO_SETTING) if code else fix.note for fix in fixes))
    return Fix("\n".join(code) or None, "; ".join(notes[:_NOTES]), tuple(actions))


def _is_sources(action: Action) -> bool:
    return isinstance(action, SetConfig) and (action.module, action.name) == SOURCES
