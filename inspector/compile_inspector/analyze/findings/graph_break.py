"""Finds lines at which torch ended a graph: each costs another compile, and keeps kernels from being fused across it."""

from __future__ import annotations

import re

from compile_inspector.analyze.findings.break_fixes import break_fix
from compile_inspector.analyze.findings.names import at, cut, line, statement, times
from compile_inspector.analyze.findings.observed import Observed, resumed
from compile_inspector.analyze.findings.recompile_limit import is_limit
from compile_inspector.model.breaks import GraphBreak
from compile_inspector.model.compiles import Compile, CompileFailure
from compile_inspector.model.findings import Finding, Severity

_QUOTED = re.compile(
    r"`([^`\n]{1,80})`|<(?:built-in function|method-wrapper|function|built-in method) ([\w.]+)"
)
_OBJECT = re.compile(r"<(?:bound |built-in )?(?:function|method) ([\w.<>]+?)(?: of .*)? at 0x[0-9a-f]+>$")
_EXAMPLE = re.compile(r"\(e\.g\. `[^`]*`\)")
_WORD = re.compile(r"\w+")
_CALLED = re.compile(r"(?<!def )\b([A-Za-z_][\w.]*)\(")
_ASKED = re.compile(
    r"torch\._dynamo\.graph_break|torch\.compiler\.disable|torch\._dynamo\.disable|marked as skipped by the user"
)
_REFUSED = frozenset({"Unsupported", "UserError"})
_SECTION = re.compile(
    r"^\s*(Explanation|Hint|Developer debug context|For more details about this graph break)[:,] ?",
    re.MULTILINE,
)
_REGISTRY = re.compile(r"/gb/gb(\d{4})\b")


def graph_break(observed: Observed) -> list[Finding]:
    """One finding for each distinct break, then those that made a ``fullgraph=True`` compile fail."""
    rows: tuple[GraphBreak, ...] = observed.rows("graph_breaks")
    found = [_finding(observed, row) for row in rows if not is_limit(f"{row.reason} {row.explanation or ''}")]
    told = {(one.cause.file, one.cause.line) for one in found if one.cause is not None}
    for row in observed.compiles.values():
        if row.error is None or not _refused(row, row.error):
            continue
        place = row.error.location
        if place is None or (place.file, place.line) not in told:
            found.append(_failed(observed, row, row.error))
    return found


def _finding(observed: Observed, row: GraphBreak) -> Finding:
    compiled = observed.compiles.get(row.compile_id)
    failed = (
        compiled is not None
        and compiled.status == "failed"
        and not is_limit(compiled.error.message if compiled.error else "")
    )
    after = _resumed(observed, row)
    code = (
        f" `{cut(statement(row.location.code), 80)}`"
        if row.location is not None and row.location.code
        else ""
    )
    return Finding(
        kind="graph-break",
        severity="error" if failed else _severity(row),
        title=f"{'No graph' if failed else 'The graph'} of {observed.function(row.compile_id)} {'goes past' if failed else 'ends at'}"
        f"{code or ' a line'}{at(row.location)}: {cut(row.reason.rstrip('.'), 200)}",
        subjects=subjects(row),
        cause=row.location,
        evidence=tuple(_evidence(row, after)),
        fix=break_fix(row),
        count=row.count,
        compile_ids=(row.compile_id, *after),
        cost_ns=observed.cost_ns((row.compile_id,)) if failed else observed.cost_ns(after),
    )


def _severity(row: GraphBreak) -> Severity:
    """A break that the program asks for by name is no surprise."""
    return "note" if _ASKED.search(f"{row.reason} {row.explanation or ''}") else "warning"


def _resumed(observed: Observed, row: GraphBreak) -> tuple[str, ...]:
    """The compiles of what follows the break: torch names them by function and line."""
    place = row.location
    if place is None:
        return ()
    found: list[str] = []
    for one in observed.compiles.values():
        begun = resumed(one)
        if (
            begun is not None
            and one.frame is not None
            and begun[1] == place.line
            and one.frame.location.file == place.file
        ):
            found.append(one.id)
    return tuple(found)


def subjects(row: GraphBreak) -> tuple[str, ...]:
    """What the break is about: what torch puts in quotes, and what the line calls."""
    said = f"{row.reason}\n{row.explanation or ''}"
    named = [_plain(first or second) for first, second in _QUOTED.findall(_EXAMPLE.sub("", said))]
    code = statement(row.location.code) if row.location is not None else ""
    words = frozenset(_WORD.findall(said))
    calls = _CALLED.findall(code)
    called = [name for name in calls if name.rpartition(".")[2] in words]
    return tuple(dict.fromkeys((*named, *(called if named or called else calls))))[:6] or (
        (code,) if code else ()
    )


def _plain(name: str) -> str:
    """``aside`` of ``<function aside at 0x7f..>``: an address names nothing."""
    found = _OBJECT.match(name)
    return name if found is None else found[1]


def _evidence(row: GraphBreak, after: tuple[str, ...]) -> list[str]:
    told = [f"{row.compile_id}: {line(row.location)}"]
    if row.explanation:
        told.append(cut(row.explanation, 300))
    if row.registry_id:
        told.append(f"torch's registry: {row.registry_id}")
    if row.count > 1:
        told.append(f"met in {times(row.count, 'compile')}")
    if after:
        told.append(f"what follows it was compiled on its own: {', '.join(after[:6])}")
    outer = row.stack[:-1][-3:]
    return [*told, *(f"called from {line(frame)}" for frame in reversed(outer))]


def _refused(row: Compile, error: CompileFailure) -> bool:
    kind = error.type.rpartition(".")[2]
    return row.status == "failed" and kind in _REFUSED and not is_limit(f"{kind} {error.message}")


def _failed(observed: Observed, row: Compile, error: CompileFailure) -> Finding:
    """A break of a compile that must have none: torch tells it as the compile's error."""
    head, *sections = _SECTION.split(error.message)
    told = dict[str, list[str]]()
    for name, text in zip(sections[::2], sections[1::2], strict=False):
        told.setdefault(name, []).append(" ".join(text.split()))
    registry = _REGISTRY.search(error.message)
    return _finding(
        observed,
        GraphBreak(
            compile_id=row.id,
            location=error.location,
            reason=cut(head, 200),
            explanation=" ".join(told.get("Explanation", ())) or None,
            hints=tuple(told.get("Hint", ())),
            registry_id=None if registry is None else f"GB{registry[1]}",
            count=1,
        ),
    )
