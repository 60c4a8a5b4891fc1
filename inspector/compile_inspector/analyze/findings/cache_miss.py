"""Finds programs that were kept on disk and compiled again all the same, because something about them has changed."""

from __future__ import annotations

from collections.abc import Iterator

from compile_inspector.analyze.findings.observed import Observed
from compile_inspector.model.caches import CacheLookup, KeyDifference
from compile_inspector.model.findings import Finding, Fix
from compile_inspector.model.locations import Location

_LOAD_FAILED = ("Compile cache file corrupted", "others can write", "another user")
_LONGEST = 200
_ENVIRONMENT = {
    "torch": "torch, Python or a package that generates code",
    "devices": "the processor or GPU",
    "settings": "a setting of torch",
    "config": "the compilation configuration",
    "state": "the state of the process (grad mode, autocast, default dtype, threads)",
    "training": "train or eval mode",
    "rank": "the rank",
}


def cache_miss(observed: Observed) -> list[Finding]:
    """One finding for each miss that names what changed, each damaged artifact, and each program that could not be kept."""
    return [found for row in observed.rows("caches") if row.cache == "artifact" for found in _findings(row)]


def _findings(row: CacheLookup) -> Iterator[Finding]:
    if row.outcome == "bypass":
        yield _unkept(row)
    elif row.outcome == "miss" and any(not _is_a_size(part.component) for part in row.differs):
        yield _changed(row)
    elif row.outcome == "miss" and any(one in (row.reason or "") for one in _LOAD_FAILED):
        yield _damaged(row)


def _is_a_size(component: str) -> bool:
    """Whether only the size of an input is another: programs for several sizes are kept beside one another."""
    return component.endswith("]") and (".size()[" in component or ".stride()[" in component)


def _changed(row: CacheLookup) -> Finding:
    first = row.differs[0]
    more = f", and {len(row.differs) - 1} more" if len(row.differs) > 1 else ""
    return _finding(
        row,
        "note",
        f"{row.module} was kept on disk and compiled again: {_named(first)} changed{more}",
        tuple(part.component for part in row.differs),
        next((part.location for part in row.differs if part.location is not None), None),
        tuple(_told(part) for part in row.differs),
        "what is kept holds only for the program that it was made from; the next run of this one loads",
    )


def _damaged(row: CacheLookup) -> Finding:
    return _finding(
        row,
        "warning",
        f"an artifact of {row.module} could not be loaded, and it was compiled again",
        (),
        None,
        (row.reason or "",),
        "it was written anew; compile-inspector cache list names damaged files",
    )


def _unkept(row: CacheLookup) -> Finding:
    return _finding(
        row,
        "warning",
        f"{row.module} is not kept on disk, and every process compiles it: {_line(row.reason or '')}",
        (),
        None,
        (row.reason or "",),
        "the reason says what stands in the way",
    )


def _finding(
    row: CacheLookup,
    severity: str,
    title: str,
    subjects: tuple[str, ...],
    cause: Location | None,
    evidence: tuple[str, ...],
    note: str,
) -> Finding:
    return Finding(
        kind="cache-miss",
        severity="note" if severity == "note" else "warning",
        title=title,
        subjects=subjects,
        cause=cause,
        evidence=evidence,
        fix=Fix(None, note),
        compile_ids=() if row.compile_id is None else (row.compile_id,),
    )


def _named(part: KeyDifference) -> str:
    return _ENVIRONMENT.get(part.component, part.component)


def _told(part: KeyDifference) -> str:
    was, now = ("nothing" if one is None else _line(one) for one in (part.was, part.now))
    return f"{part.component} was {was}, and is {now}"


def _line(text: str) -> str:
    """A text in one line, cut where it is long."""
    joined = " ".join(text.split())
    return joined if len(joined) <= _LONGEST else f"{joined[: _LONGEST - 1]}…"
