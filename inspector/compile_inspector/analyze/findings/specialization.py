"""Finds symbols that a line of the program pinned to one value, so that every other size compiles again."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from compile_inspector.analyze.findings.changes import Change
from compile_inspector.analyze.findings.guard_fixes import EACH_RANGE, INSTALLED
from compile_inspector.analyze.findings.merging import Group, grouped, recompile_severity
from compile_inspector.analyze.findings.names import at, cut, line, listed, often, statement
from compile_inspector.analyze.findings.observed import Observed
from compile_inspector.analyze.findings.partners import partner_fix, partners
from compile_inspector.analyze.findings.sites import Site
from compile_inspector.model.compiles import Compile
from compile_inspector.model.findings import Finding, Fix
from compile_inspector.model.locations import Location
from compile_inspector.model.symbols import Specialization

_LAYOUT = re.compile(r"\.stride\(\)\[\d+\]$|\.storage_offset\(\)$")
"""What follows from sizes and layout: no line of the program pins it."""

_OF_TENSOR = re.compile(r"\.(?:size|stride|storage_offset)\(")
_LAST = re.compile(r"[A-Za-z_]\w*")
_FEW = "where only a few come, each is compiled once and no more come (torch._dynamo.config.recompile_limit says how many may)"


def specialization(observed: Observed, changes: Iterable[Change]) -> list[Finding]:
    """Pinned sizes that cost compiles, then those that have cost none yet."""
    found = [_recompiled(observed, group) for group in grouped(observed, changes)]
    told = {(_place(one.cause), subject) for one in found for subject in one.subjects}
    waiting: dict[object, Finding] = {}
    for pin in observed.rows("specializations"):
        compiled = observed.compiles.get(pin.compile_id)
        if (
            not pin.sources
            or all(_LAYOUT.search(source) for source in pin.sources)
            or _violates(compiled)
            or any((_place(pin.location), s) in told for s in pin.sources)
        ):
            continue
        key = (observed.frame_key(pin.compile_id), _place(pin.location), pin.sources)
        known = waiting.get(key)
        waiting[key] = _pinned(observed, pin) if known is None else _again(known, pin)
    return [*found, *waiting.values()]


def _violates(compiled: Compile | None) -> bool:
    return (
        compiled is not None and compiled.error is not None and "ConstraintViolation" in compiled.error.type
    )


def _place(location: Location | None) -> tuple[str, int] | None:
    return None if location is None else (location.file, location.line)


def _recompiled(observed: Observed, group: Group) -> Finding:
    cost = group.cost_ns
    first = group.first
    compile_id, named = first.recompile.compile_id, group.named
    ids = (compile_id,) if first.entry is None else (first.entry.entry_id, compile_id)
    split = _in_ranges(observed, ids, group.subjects)
    return Finding(
        kind="specialization",
        severity=recompile_severity(cost, comes_back=True),
        title=f"{group.function} is compiled again for each range of {named} ({often(len(group.changes))}): "
        f"lines compare it with numbers{at(first.cause, ', the last at ')}"
        if split
        else f"{group.function} is compiled again for each {named} ({often(len(group.changes))}): "
        f"a line needs its value as a number{at(first.cause)}",
        subjects=group.subjects,
        cause=group.first.cause,
        evidence=(*_pins(observed, group), *group.evidence()),
        fix=_of_ranges(first.cause, named)
        if split
        else _fix(observed, compile_id, group.subjects, first.cause, group.first_site),
        count=len(group.changes),
        compile_ids=group.compile_ids,
        cost_ns=cost,
    )


def _in_ranges(observed: Observed, compile_ids: Iterable[str], subjects: Iterable[str]) -> bool:
    """Whether comparisons alone pinned sizes: two of them left one value between them, and other values have code of their own."""
    ids = tuple(compile_ids)
    pins = [observed.pins.get((one, subject)) for subject in subjects for one in ids]
    known = [pin for pin in pins if pin is not None]
    return bool(known) and all(pin.bound is not None for pin in known)


def _of_ranges(cause: Location | None, named: str) -> Fix:
    """What to do where comparisons split the sizes."""
    whose = "" if cause is None or not INSTALLED.search(cause.file) else ", which is a library's,"
    return Fix(
        None,
        f"no setting helps: {line(cause)}{whose} and what compared the size before leave one value between two bounds; "
        f"{EACH_RANGE.format(name=named)}",
    )


def _pins(observed: Observed, group: Group) -> tuple[str, ...]:
    entry = group.first.entry
    ids = (
        [group.first.recompile.compile_id]
        if entry is None
        else [entry.entry_id, group.first.recompile.compile_id]
    )
    rows = (observed.pins.get((one, subject)) for subject in group.subjects for one in ids)
    return tuple(dict.fromkeys(_pin_words(row) for row in rows if row is not None))


def _pin_words(pin: Specialization) -> str:
    return f"{pin.compile_id}: {pin.symbol} ({listed(pin.sources)}) was pinned to {pin.value} at {line(pin.location)}: {cut(pin.reason)}"


def _pinned(observed: Observed, pin: Specialization) -> Finding:
    return Finding(
        kind="specialization",
        severity="note",
        title=f"{listed(pin.sources)} is pinned to {pin.value} in {observed.function(pin.compile_id)}{at(pin.location)}: "
        "any other value compiles again",
        subjects=pin.sources,
        cause=pin.location,
        evidence=(_pin_words(pin),),
        fix=_of_ranges(pin.location, listed(pin.sources))
        if pin.bound is not None
        else _fix(observed, pin.compile_id, pin.sources, pin.location, observed.site(pin.compile_id)),
        compile_ids=(pin.compile_id,),
    )


def _again(known: Finding, pin: Specialization) -> Finding:
    if pin.compile_id in known.compile_ids:
        return known
    return msgspec.structs.replace(
        known,
        count=known.count + 1,
        compile_ids=(*known.compile_ids, pin.compile_id),
        evidence=(*known.evidence, _pin_words(pin))[:8],
    )


def _fix(
    observed: Observed, compile_id: str, sizes: tuple[str, ...], cause: Location | None, site: Site
) -> Fix:
    otherwise = rewrite(cause, sizes)
    others = partners(observed, compile_id, sizes, cause)
    if not others:
        return otherwise
    return partner_fix(sizes, others, site, f"Where the line fixes the size by itself, {otherwise.note}")


def _picks(code: str, subjects: tuple[str, ...]) -> bool:
    """Whether a line takes an item by one of these numbers."""
    names = [one for one in (_LAST.findall(subject)[-1:] for subject in subjects) if one]
    return any(re.search(rf"\w\[[^\[\]:]*\b{re.escape(name[0])}\b[^\[\]:]*\]", code) for name in names)


def rewrite(cause: Location | None, subjects: tuple[str, ...]) -> Fix:
    """What to write in the place of the line that pins a size; no line can be given where its meaning is not known."""
    sizes = listed(subjects)
    number = not any(map(_OF_TENSOR.search, subjects))
    code = statement(cause.code) if cause is not None else None
    if cause is None or not code:
        return Fix(
            None,
            f"torch did not keep the line that pinned {sizes}; session.why({subjects[0]!r}) shows its way",
        )
    if number and code.startswith(("for ", "while ")):
        advice = f"a loop is written out round by round, and each number of rounds is other code; {_FEW}, or write it as one operation"
    elif number and _picks(code, subjects):
        advice = f"each value picks another item, whose code is another; {_FEW}, or compile the items and pick outside"
    elif code.startswith(("for ", "while ")):
        advice = f"write the loop as an operation on the whole dimension, or pad {sizes} to a fixed size before the call"
    elif code.startswith(("if ", "elif ", "assert ")) or " if " in code:
        advice = f"decide it in the caller, before the compiled function, or with torch.cond or torch.where; a test on {sizes} alone compiles each outcome"
    elif any(word in code for word in ("int(", "item(", "float(", "bool(", "tolist(", "numpy(")):
        advice = f"use {sizes} as it is, without converting it to a Python number"
    else:
        advice = f"take the fixed number out of it: use -1, or a size read from a tensor, where the line fixes {sizes}"
    return Fix(None, f"no setting helps; rewrite `{code}` at {cause.short}: {advice}")
