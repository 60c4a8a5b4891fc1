"""The table of recompiles: what each earlier entry expected, and what the call brought instead."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec

from compile_inspector.model.guards import Guard
from compile_inspector.model.locations import Location
from compile_inspector.model.recompiles import EntryCheck, FailingGuard, Recompile, Unevaluated
from compile_inspector.model.records import Record
from compile_inspector.recording.fold import FACT, CompileTrace, Losses, Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.guards import guards
from compile_inspector.recording.torch_reasons import Reason, read_reason, split_reason, split_reasons

_SIDE = re.compile(r"\.(?:size|stride)\(\)\[\d+\]$")
_ARITHMETIC = re.compile(r"\)\[\d+\].*(?:[<>=]|!=)|(?:[<>=]|!=).*\)\[\d+\]")
_BRACKETS = re.compile(r"\s|\((?!\))|(?<!\()\)")
_FILE = re.compile(r"# File: (.+?):(\d+) in (.*?), code: (.*)")
_RANGE = re.compile(r"(-?\d+) <= (.+) <= (-?\d+)$")
_INT = re.compile(r"-?\d+$")
UNNAMED = " object of the compile"
"""How the fact ends its words for an object that it knows only by its id."""
_NOT_EVALUATED = "only torch's first reason is known: its guards were not evaluated"


class _Entry(msgspec.Struct, frozen=True):
    entry: str
    failing: tuple[tuple[Any, ...], ...] = ()
    unevaluated: tuple[tuple[str, str, str, str], ...] = ()
    torch_reason: str | None = None
    evaluated: bool = True


class _Fact(msgspec.Struct, frozen=True):
    entries: tuple[_Entry, ...]
    stack: Any = None


def recompiles(trace: Trace, places: Places) -> tuple[Recompile, ...]:
    """One row for each compile of code that had been compiled before, in order."""
    causes = _Causes(trace, places)
    latest: dict[str, str] = {}
    rows: list[Recompile] = []
    for one in trace.compiles.values():
        fact = _fact(trace, one)
        entries = fact.entries if fact is not None else _told(trace, one)
        if entries:
            rows.append(
                Recompile(
                    compile_id=one.id,
                    trigger=_trigger(places, one, fact),
                    entries=tuple(_entry(trace, one, entry, latest, causes) for entry in entries),
                )
            )
        latest[one.id.partition("#")[0]] = one.id
    return tuple(rows)


def _artifacts(one: CompileTrace, name: str) -> list[Record]:
    return [record for record in one.records if record.artifact == name]


def _fact(trace: Trace, one: CompileTrace) -> _Fact | None:
    found = _artifacts(one, FACT + "recompile")
    value = trace.fact(found[-1]) if found else None
    if value is None:
        return None
    try:
        return msgspec.convert(value, _Fact)
    except msgspec.ValidationError as error:
        trace.losses.add(f"fact recompile of {one.id}", str(error))
        return None


def _told(trace: Trace, one: CompileTrace) -> tuple[_Entry, ...]:
    """What torch itself says, for a recording without our fact."""
    entries: dict[str, _Entry] = {}
    for record in _artifacts(one, "recompile_reasons"):
        for named, reason in split_reasons(_text(trace, record)):
            entry_id = named or _before(one)
            entries.setdefault(entry_id, _Entry(entry=entry_id, torch_reason=reason, evaluated=False))
    return tuple(entries.values())


def _text(trace: Trace, record: Record) -> str:
    try:
        if record.payload is not None:
            return record.payload.read()
        problem = "recompile_reasons has no payload"
    except OSError as error:
        problem = f"recompile_reasons cannot be read: {error}"
    trace.losses.add(trace.where(record), problem)
    return "[]"


def _before(one: CompileTrace) -> str:
    """The compile of the same frame before this one, for a reason that does not say which entry it is about."""
    frame, _, count = one.id.partition("#")[0].rpartition("/")
    return f"{frame}/{max(int(count) - 1, 0)}" if count.isdecimal() else one.id


def _trigger(places: Places, one: CompileTrace, fact: _Fact | None) -> Location | None:
    """The user's call: from our fact where there is one, since torch's own stack may lack the frame that called a plain function."""
    called = None if fact is None else places.user_line(places.stack(fact.stack))
    return called or places.trigger(one)


def _entry(
    trace: Trace, one: CompileTrace, entry: _Entry, latest: dict[str, str], causes: _Causes
) -> EntryCheck:
    entry_id = latest.get(entry.entry, entry.entry)
    reason = None if entry.torch_reason is None else split_reason(entry.torch_reason)[1]
    if entry.evaluated:
        found: Iterable[Reason] = _evaluated(trace, one, entry)
    else:
        found = read_reason(reason) if reason else ()
    unevaluated = tuple(Unevaluated(*row) for row in entry.unevaluated)
    if not entry.evaluated and not unevaluated:
        unevaluated = (Unevaluated("", "", "", _NOT_EVALUATED),)
    return EntryCheck(
        entry_id=entry_id,
        failing=tuple(_failing(entry_id, causes.named(entry_id, one), causes) for one in found),
        unevaluated=unevaluated,
        torch_reason=reason,
        complete=entry.evaluated,
    )


def _failing(entry_id: str, reason: Reason, causes: _Causes) -> FailingGuard:
    bound = _bound(reason)
    above = causes.of_upper(entry_id, reason) if bound is not None and bound.startswith("<") else None
    return FailingGuard(
        source=reason.source,
        kind=reason.kind,
        expr=reason.expr,
        expected=reason.expected or bound,
        actual=reason.actual,
        location=above or causes.of(entry_id, reason),
        others=reason.others,
    )


def _bound(reason: Reason) -> str | None:
    """The side of a range on which a value falls out of it: ``<= 5``; None of any other check."""
    found = _RANGE.match(reason.expr)
    if found is None or found[2] != reason.source or not _INT.match(reason.actual or ""):
        return None
    value = int(reason.actual or "")
    return f">= {found[1]}" if value < int(found[1]) else f"<= {found[3]}" if value > int(found[3]) else None


def _evaluated(trace: Trace, one: CompileTrace, entry: _Entry) -> Iterator[Reason]:
    for row in entry.failing:
        if len(row) not in (5, 6) or not all(isinstance(part, str) for part in row[:3]):
            trace.losses.add(f"fact recompile of {one.id}", "a failing guard could not be read")
            continue
        source, kind, expr, expected, actual = row[:5]
        others = _others(source, row[5]) if len(row) == 6 else ()
        yield Reason(source, kind, expr, _optional(expected), _optional(actual), others)


def _others(source: str, subjects: Any) -> tuple[str, ...]:
    listed = cast("list[object]", subjects) if isinstance(subjects, list) else []
    return tuple(str(subject) for subject in listed if subject != source)


def _optional(value: object) -> str | None:
    return None if value is None else str(value)


def plain(expr: str) -> str:
    """A check of sizes without its blanks and brackets, which torch and Python's own printer put differently; any other as it is."""
    return _BRACKETS.sub("", expr) if _ARITHMETIC.search(expr) else expr


class _Causes:
    """Finds the user's line of a failing guard among its entry's guards."""

    def __init__(self, trace: Trace, places: Places) -> None:
        self._trace = trace
        self._places = places
        self._guards: dict[str, list[Guard]] | None = None
        self._index: dict[str, dict[Any, Location]] = {}
        self._first_lines: dict[str, Location | None] = {}

    def of(self, entry_id: str, failing: Reason) -> Location | None:
        """The line that made the guard; without one, the first line of the entry's frame that made a graph node."""
        index = self._indexed(entry_id)
        base = _SIDE.sub("", failing.source)
        for key in (
            failing.expr,
            plain(failing.expr),
            (failing.source, failing.kind),
            (base, failing.kind),
            failing.source,
            base,
        ):
            found = index.get(key)
            if found is not None:
                return found
        return self._around(entry_id, base) or self._first_line(entry_id)

    def of_upper(self, entry_id: str, failing: Reason) -> Location | None:
        """The line that set the upper bound of a range; None where torch names one line for both bounds."""
        expr = plain(failing.expr)
        uppers = (guard.upper_location for guard in self._of_entry(entry_id) if plain(guard.expr) == expr)
        return next((place for place in uppers if place is not None), None)

    def named(self, entry_id: str, failing: Reason) -> Reason:
        """A guard on an object's identity with the name that the object had when it was compiled, where its entry's guards have it."""
        if failing.kind != "ID_MATCH" or not (failing.expected or "").endswith(UNNAMED):
            return failing
        start = f"___check_obj_id({failing.source}, "
        found = (guard.expr for guard in self._of_entry(entry_id) if guard.expr.startswith(start))
        name = next(found, "")[len(start) : -1]
        if not name or name.startswith("<") or name.isdecimal():
            return failing
        actual = f"{failing.actual}, another object" if failing.actual == name else failing.actual
        return failing._replace(expr=f"{failing.source} is {name}", expected=name, actual=actual)

    def _indexed(self, entry_id: str) -> dict[Any, Location]:
        index = self._index.get(entry_id)
        if index is None:
            index = self._index[entry_id] = {}
            for guard in self._of_entry(entry_id):
                if guard.location is not None:
                    for key in (guard.expr, plain(guard.expr), (guard.source, guard.kind), guard.source):
                        index.setdefault(key, guard.location)
        return index

    def _of_entry(self, entry_id: str) -> list[Guard]:
        if self._guards is None:
            self._guards = {}
            scratch = copy.copy(self._trace)
            scratch.losses = Losses()
            for guard in guards(scratch, self._places):
                self._guards.setdefault(guard.compile_id, []).append(guard)
        return self._guards.get(entry_id, [])

    def _around(self, entry_id: str, source: str) -> Location | None:
        """Of a check that torch makes without a guard of its own (a dict's length): the first guard on something inside it."""
        if not source.startswith(("L[", "G[")):
            return None
        inside = (
            guard.location
            for guard in self._of_entry(entry_id)
            if guard.source is not None and source in guard.source
        )
        return next((location for location in inside if location is not None), None)

    def _first_line(self, entry_id: str) -> Location | None:
        if entry_id not in self._first_lines:
            one = self._trace.compiles.get(entry_id)
            self._first_lines[entry_id] = None if one is None else self._read_first_line(one)
        return self._first_lines[entry_id]

    def _read_first_line(self, one: CompileTrace) -> Location | None:
        frame = self._places.compiled_frame(next(one.anywhere("dynamo_start"), None))
        lines = list(self._lines(one))
        if frame is not None:
            for line in lines:
                if (line.file, line.function) == (frame.file, frame.function):
                    return line
        users = (line for line in lines if not self._places.is_library(line.file))
        return next(users, None) or frame or next(iter(lines), None)

    def _lines(self, one: CompileTrace) -> Iterator[Location]:
        record = one.first("dynamo_output_graph")
        try:
            text = "" if record is None or record.payload is None else record.payload.read()
        except OSError:
            return
        for match in _FILE.finditer(text):
            file, line, function, code = match.groups()
            yield Location(self._places.shown(file), int(line), function, code.strip() or None)
