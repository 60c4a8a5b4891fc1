"""Finds dimensions that the user marked as dynamic and the program's own code pins: torch refuses to compile."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from compile_inspector.analyze.findings.fixes import marking, marks
from compile_inspector.analyze.findings.merging import merged
from compile_inspector.analyze.findings.names import at, cut, line
from compile_inspector.analyze.findings.observed import Observed
from compile_inspector.analyze.findings.partners import partner_fix, partners
from compile_inspector.analyze.findings.sites import Site
from compile_inspector.model.compiles import Compile, CompileFailure
from compile_inspector.model.findings import Finding, Fix
from compile_inspector.model.locations import Location

_NAMED = re.compile(r"Constraints violated \((.*?)\)!", re.DOTALL)
_SIZE = re.compile(r"[LG]\[(?:'[^']*'|\"[^\"]*\")\](?:[^\s,()]|\(\))*?\.size\(\)\[\d+\]")
_LINE = re.compile(r'^\s*File "([^"\n]+)", line (\d{1,9}), in ([^\n]*)\n\s*([^\n]*)', re.MULTILINE)
_WORDS = re.compile(r"^\s*- (.*)$", re.MULTILINE)
_MARK = "If you're using"


def constraint_violation(observed: Observed) -> list[Finding]:
    """One finding for each marked dimension that did not stay dynamic, by the line that pinned it."""
    found = (
        finding
        for row in observed.compiles.values()
        if row.error is not None and _is_violation(row.error)
        for finding in _of_compile(observed, row, row.error)
    )
    return merged(found, _union)


def _is_violation(error: CompileFailure) -> bool:
    return "ConstraintViolation" in error.type or "Constraints violated" in error.message


def _of_compile(observed: Observed, row: Compile, error: CompileFailure) -> Iterator[Finding]:
    named = _NAMED.search(error.message)
    subjects = tuple(dict.fromkeys(_SIZE.findall(named[1] if named else error.message)))
    by_line: dict[Location | None, list[str]] = {}
    for subject in subjects:
        by_line.setdefault(_cause(observed, row, error, subject), []).append(subject)
    for cause, together in by_line.items() if by_line else ((_line_in(error.message), []),):
        yield _finding(observed, row, error, tuple(together), cause)


def _cause(observed: Observed, row: Compile, error: CompileFailure, subject: str) -> Location | None:
    pin = observed.pins.get((row.id, subject))
    if pin is not None and pin.location is not None:
        return pin.location
    dim = observed.dim(row.id, subject)
    decided = dim is not None and dim.verdict == "specialized"
    return (
        (dim.location if dim is not None and decided else None)
        or _line_in(error.message)
        or (dim.location if dim is not None else error.location)
    )


def _line_in(message: str) -> Location | None:
    """The user's line that torch's message ends with."""
    found = _LINE.findall(message.partition("User stack:")[2])
    if not found:
        return None
    file, number, function, code = found[-1]
    return Location(file, int(number), function.strip() or None, code.strip() or None)


def _finding(
    observed: Observed, row: Compile, error: CompileFailure, subjects: tuple[str, ...], cause: Location | None
) -> Finding:
    named = " and ".join(subjects) or "a dimension"
    function = observed.function(row.id)
    return Finding(
        kind="constraint-violation",
        severity="error",
        title=f"{function} could not be compiled: {named} is marked as dynamic, but the code decides its size{at(cause)}",
        subjects=subjects,
        cause=cause,
        evidence=tuple(
            f"{row.id}: {cut(words.partition(_MARK)[0], 300)}" for words in _WORDS.findall(error.message)[:8]
        )
        or (f"{row.id}: {cut(error.message, 300)}",),
        fix=_fix(subjects, cause, observed.site(row.id), partners(observed, row.id, subjects, cause)),
        compile_ids=(row.id,),
        cost_ns=observed.cost_ns((row.id,)),
    )


def _fix(subjects: tuple[str, ...], cause: Location | None, site: Site, others: tuple[str, ...]) -> Fix:
    rewriting = f"to keep it dynamic, take the fixed size out of {line(cause)}"
    if others:
        return partner_fix((), others, site, f"Where the line fixes the size by itself: {rewriting}")
    marked = marks(subjects, "maybe_mark_dynamic")
    if marked is None:
        return Fix(None, f"use maybe_mark_dynamic in the place of mark_dynamic; {rewriting}")
    code, where = marking(marked, site)
    return Fix(code, f"{where}, and no mark_dynamic: it compiles, once for each size; {rewriting}", marked)


def _union(one: Finding, other: Finding) -> Finding:
    ids = tuple(dict.fromkeys((*one.compile_ids, *other.compile_ids)))
    cost = (
        None if one.cost_ns is None and other.cost_ns is None else (one.cost_ns or 0) + (other.cost_ns or 0)
    )
    evidence = tuple(dict.fromkeys((*one.evidence, *other.evidence)))[:8]
    return msgspec.structs.replace(
        one, count=one.count + other.count, compile_ids=ids, cost_ns=cost, evidence=evidence
    )
