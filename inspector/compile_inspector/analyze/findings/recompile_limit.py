"""Finds functions that torch stopped compiling: from their recompile limit on they run in eager."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from compile_inspector.analyze.findings.changes import Change
from compile_inspector.analyze.findings.fixes import DYNAMO, setting
from compile_inspector.analyze.findings.guard_fixes import NO_SETTING
from compile_inspector.analyze.findings.merging import change_words
from compile_inspector.analyze.findings.names import line, listed, times
from compile_inspector.analyze.findings.observed import Observed
from compile_inspector.analyze.findings.recompile import fix_of
from compile_inspector.analyze.findings.sites import Site
from compile_inspector.model.compiles import Compile
from compile_inspector.model.findings import Finding, Fix, SetConfig
from compile_inspector.model.locations import Location

_LIMIT = re.compile(r"recompile[_ ]limit|cache[_ ]size[_ ]limit|RecompileLimit", re.IGNORECASE)
_SET_TO = re.compile(r"currently set to (\d{1,9})")
_WHICH = re.compile(r"Limit type: (\w+)")
_EVIDENCE = 8
DEFAULT_LIMIT = 8


def is_limit(text: str) -> bool:
    """Whether an error of torch's, or the reason of a graph break, is that a function was compiled too often."""
    return _LIMIT.search(text) is not None


def limit_reached(observed: Observed) -> list[Compile]:
    """The compiles that torch refused because of the limit, the first of each function."""
    found: dict[object, Compile] = {}
    for row in observed.compiles.values():
        if row.error is not None and is_limit(f"{row.error.type} {row.error.message}"):
            found.setdefault((observed.frame_key(row.id), _series(row.id)), row)
    return list(found.values())


def _series(compile_id: str) -> tuple[str, str]:
    """What compiles of one frame between two resets have in common."""
    frame, _, again = compile_id.partition("#")
    return frame.rpartition("/")[0], again


def recompile_limit(observed: Observed, changes: Iterable[Change]) -> tuple[list[Finding], set[str]]:
    """The findings, and the compiles that they account for."""
    everything = tuple(changes)
    findings: list[Finding] = []
    accounted: set[str] = set()
    for refused in limit_reached(observed):
        leading = _leading(observed, refused, everything)
        findings.append(_finding(observed, refused, leading))
        accounted.update(change.recompile.compile_id for change in leading)
    return findings, accounted


def _leading(observed: Observed, refused: Compile, everything: tuple[Change, ...]) -> tuple[Change, ...]:
    """The recompiles of the function up to its limit that were about what most of them were about."""
    order = {one: place for place, one in enumerate(observed.compiles)}
    frame = refused.id.partition("#")[0].rpartition("/")[0]
    before = [
        change
        for change in everything
        if change.recompile.compile_id.partition("#")[0].rpartition("/")[0] == frame
        and order.get(change.recompile.compile_id, -1) <= order[refused.id]
        and observed.frame_key(change.recompile.compile_id) == observed.frame_key(refused.id)
    ]
    if not before:
        return ()
    about = Counter(subject for change in before for subject in dict.fromkeys(change.subjects))
    most = max(about.values(), default=0)
    often = {subject for subject, number in about.items() if number == most}
    return tuple(change for change in before if often & set(change.subjects)) or tuple(before)


def _finding(observed: Observed, refused: Compile, leading: tuple[Change, ...]) -> Finding:
    about = Counter(subject for change in leading for subject in dict.fromkeys(change.subjects))
    subjects = tuple(subject for subject, _ in about.most_common())
    places = Counter(change.cause for change in leading if change.cause is not None)
    cause: Location | None = places.most_common(1)[0][0] if places else None
    if cause is None and refused.frame is not None:
        cause = refused.frame.location
    ids = tuple(dict.fromkeys((*(change.recompile.compile_id for change in leading), refused.id)))
    because = f", because {listed(subjects)} kept changing" if subjects else ""
    return Finding(
        kind="recompile-limit",
        severity="error",
        title=f"{observed.function_of(ids)} reached torch's recompile limit{because}: calls that fit no compiled code run in eager "
        "from then on, and torch tells nothing of them",
        subjects=subjects,
        cause=cause,
        evidence=tuple(_evidence(refused, leading)),
        fix=_fix(observed, refused, leading),
        count=len(leading),
        compile_ids=ids,
        cost_ns=observed.cost_ns(ids),
    )


def _evidence(refused: Compile, leading: tuple[Change, ...]) -> Iterable[str]:
    limit = _limit(refused)
    said = "" if limit is None else f": {limit[0]} is {limit[1]}"
    yield f"{refused.id} was refused{said}; the call is {line(_call(refused, leading))}"
    for change in leading[-_EVIDENCE:]:
        entry = "an earlier entry" if change.entry is None else change.entry.entry_id
        told = "; ".join(change_words(guard) for guard in change.guards[:3])
        yield f"{change.recompile.compile_id} did not fit {entry}: {told or 'the failing guard is not recorded'}"
    if len(leading) > _EVIDENCE:
        yield f"{times(len(leading) - _EVIDENCE, 'earlier recompile')} like these"


def _call(refused: Compile, leading: tuple[Change, ...]) -> Location | None:
    return refused.trigger or next((change.recompile.trigger for change in reversed(leading)), None)


def _limit(refused: Compile) -> tuple[str, int] | None:
    message = "" if refused.error is None else refused.error.message
    found, which = _SET_TO.search(message), _WHICH.search(message)
    return None if found is None else (which[1] if which else "recompile_limit", int(found[1]))


def _first_site(observed: Observed, change: Change, site: Site) -> Site:
    """The first call of all: the one that made the entry which the earliest change did not fit."""
    return site if change.entry is None else observed.site(change.entry.entry_id, site.location)


def _fix(observed: Observed, refused: Compile, leading: tuple[Change, ...]) -> Fix:
    last = leading[-1] if leading else None
    site = observed.site(refused.id, _call(refused, leading))
    if site.call is None and last is not None:
        site = observed.site(last.recompile.compile_id, site.location)
    own = (
        fix_of(last.guards, site, _first_site(observed, leading[0], site))
        if last is not None and last.guards
        else None
    )
    if own is not None and own.actions:
        return own
    name, limit = _limit(refused) or ("recompile_limit", DEFAULT_LIMIT)
    raised = SetConfig(DYNAMO, name, str(max(limit, DEFAULT_LIMIT) * 8))
    note = "before the first call, where only so many different values come"
    if own is not None:
        note += f"; otherwise {own.code + ' ' if own.code else ''}{own.note.removeprefix(NO_SETTING)}"
    return Fix(setting(raised), note, (raised,))
