"""Makes one finding of all that share a cause, and ranks findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from compile_inspector.analyze.findings.changes import Change
from compile_inspector.analyze.findings.guard_fixes import INSTALLED
from compile_inspector.analyze.findings.names import cut, line, listed
from compile_inspector.analyze.findings.observed import Observed
from compile_inspector.analyze.findings.sites import Site
from compile_inspector.model.findings import Finding, Severity
from compile_inspector.model.locations import Location
from compile_inspector.model.recompiles import FailingGuard

_ORDER: tuple[Severity, ...] = ("error", "warning", "note")
_EVIDENCE = 8
CHEAP_NS = 1_000_000_000
"""Compile time under which a recompile that cannot come back is only a note, nanoseconds."""


class Group:
    """Changes of one kind that share their cause: the same function, the same line, the same things (or some of them)."""

    def __init__(self, observed: Observed, first: Change) -> None:
        self.observed = observed
        self.changes = [first]
        self.subjects = first.subjects

    @property
    def first(self) -> Change:
        """The earliest."""
        return self.changes[0]

    @property
    def callers_line(self) -> Location | None:
        """The line that decided; where that is installed code, the user's call: which sizes come is the caller's doing."""
        place, row = self.first.cause, self.first.recompile
        return place if place is None or not INSTALLED.search(place.file) else row.trigger or place

    @property
    def compile_ids(self) -> tuple[str, ...]:
        """The compiles that it cost."""
        return tuple(dict.fromkeys(change.recompile.compile_id for change in self.changes))

    @property
    def function(self) -> str:
        """Name of what was compiled."""
        compile_id = self.first.recompile.compile_id
        if self.observed.is_wrapped(compile_id):
            return self.observed.site(compile_id).called or "a callable"
        entries = (change.entry.entry_id for change in self.changes if change.entry is not None)
        return self.observed.function_of((*self.compile_ids, *entries))

    @property
    def cost_ns(self) -> int | None:
        """Compile time of the recompiles."""
        return self.observed.cost_ns(self.compile_ids)

    @property
    def first_site(self) -> Site:
        """The call that made the entry which did not fit; the one that recompiled where that is not known."""
        entry, row = self.first.entry, self.first.recompile
        if entry is not None and self.observed.called(entry.entry_id) is not None:
            return self.observed.site(entry.entry_id)
        return self.observed.site(row.compile_id, row.trigger)

    @property
    def last_site(self) -> Site:
        """The call that recompiled first."""
        row = self.first.recompile
        return self.observed.site(row.compile_id, row.trigger)

    @property
    def named(self) -> str:
        """The subjects, for a sentence."""
        site = self.first_site
        return listed(site.words(subject) for subject in self.subjects)

    def takes(self, change: Change) -> bool:
        """Takes in another change where the one's subjects hold the other's."""
        mine, its = set(self.subjects), set(change.subjects)
        if not (mine <= its or its <= mine):
            return False
        self.changes.append(change)
        self.subjects = tuple(dict.fromkeys((*self.subjects, *change.subjects)))
        return True

    def evidence(self) -> tuple[str, ...]:
        """A sentence for each recompile, the later ones counted."""
        told = [_told(change) for change in self.changes[:_EVIDENCE]]
        rest = len(self.changes) - len(told)
        return (*told, f"{rest:,} more like these") if rest else tuple(told)


def grouped(observed: Observed, changes: Iterable[Change]) -> list[Group]:
    """Groups by cause, in order of the first change of each."""
    groups: dict[object, list[Group]] = {}
    for change in changes:
        place = None if change.cause is None else (change.cause.file, change.cause.line)
        key = (observed.frame_key(change.recompile.compile_id), place)
        near = groups.setdefault(key, [])
        if not any(group.takes(change) for group in near):
            near.append(Group(observed, change))
    return [group for near in groups.values() for group in near]


def recompile_severity(cost_ns: int | None, *, comes_back: bool) -> Severity:
    """Of compiles that were made again: a cheap one that torch will not make again is a note."""
    return "warning" if comes_back or (cost_ns or 0) >= CHEAP_NS else "note"


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Worst first: by severity, then by what they cost, then by when they came up."""
    return tuple(sorted(findings, key=lambda one: (_ORDER.index(one.severity), -(one.cost_ns or 0))))


def merged(findings: Iterable[Finding], union: Callable[[Finding, Finding], Finding]) -> list[Finding]:
    """Findings of one kind with the same cause line and subjects made one, by ``union``."""
    found: dict[object, Finding] = {}
    for one in findings:
        place = None if one.cause is None else (one.cause.file, one.cause.line)
        key = (place, one.subjects)
        found[key] = union(found[key], one) if key in found else one
    return list(found.values())


def _told(change: Change) -> str:
    row = change.recompile
    called = f", called from {line(row.trigger)}," if row.trigger is not None else ""
    entry = "" if change.entry is None else f" {change.entry.entry_id}"
    if not change.guards:
        reason = None if change.entry is None else change.entry.torch_reason
        return f"{row.compile_id}{called} does not fit{entry}: {cut(reason or 'the failing guard is not recorded', 300)}"
    told = "; ".join(change_words(guard) for guard in change.guards[:_EVIDENCE])
    rest = len(change.guards) - _EVIDENCE
    return f"{row.compile_id}{called} does not fit{entry}: {told}{f'; {rest:,} more' if rest > 0 else ''}"


def change_words(guard: FailingGuard, name: str | None = None) -> str:
    """``L['x'].size()[0] was 4, is 5``; the check where no values are known.

    Args:
        guard: That failed.
        name: Of what it is about, Dynamo's when None.
    """
    if guard.expected is None:
        actual = "" if guard.actual is None else f", is {cut(guard.actual, 60)}"
        return f"{cut(guard.expr)} does not hold{actual}"
    return f"{cut(name or guard.source)} was {cut(guard.expected, 60)}, is {'another' if guard.actual is None else cut(guard.actual, 60)}"
