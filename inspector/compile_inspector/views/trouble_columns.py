"""The columns of what goes wrong between calls: guards, recompiles with what failed, graph breaks, changes from one compile to another."""

from __future__ import annotations

from compile_inspector.model.breaks import GraphBreak
from compile_inspector.model.guards import Guard
from compile_inspector.model.recompiles import EntryCheck, FailingGuard, Recompile, Unevaluated
from compile_inspector.views.column import Column, code_of, place, stack_of


def change_text(guard: FailingGuard) -> str:
    """A failing guard in one text: ``L['x'].size()[0]: 4 -> 5``; the check itself where no value is known."""
    if guard.actual is None and guard.expected is None:
        return guard.expr
    if guard.expected is None:
        return f"{guard.source}: {guard.expr}, was {guard.actual}"
    return f"{guard.source}: {guard.expected} -> {'?' if guard.actual is None else guard.actual}"


def _dropped(guard: Guard) -> str | None:
    if not guard.dropped:
        return None if guard.dropped is None else "checked"
    return "dropped" if guard.checked_by is None else f"checked by the {guard.checked_by}"


def _failing(entry: EntryCheck | None) -> list[str]:
    if entry is None:
        return []
    if not entry.failing and entry.torch_reason:
        return [entry.torch_reason]
    return [change_text(guard) for guard in entry.failing]


def _known(entry: EntryCheck | None) -> str | None:
    return None if entry is None else "all guards" if entry.complete else "torch's first reason"


GUARDS: tuple[Column[Guard], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("kind", "Kind", "badge", lambda row: row.kind),
    Column("source", "Source", "code", lambda row: row.source),
    Column("expr", "Check", "code", lambda row: row.expr),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("module_path", "Module", "code", lambda row: row.module_path),
    Column("dropped", "State", "badge", _dropped),
    Column("category", "Category", "badge", lambda row: row.category),
    Column("code", "Code", "code", lambda row: code_of(row.location), detail=True),
    Column("hint", "Remark", "text", lambda row: row.hint, detail=True),
    Column("parent", "Under", "code", lambda row: row.parent, detail=True),
    Column("stack", "Stack", "list", lambda row: stack_of(row.stack), detail=True),
)

GRAPH_BREAKS: tuple[Column[GraphBreak], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("reason", "Reason", "text", lambda row: row.reason),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("code", "Code", "code", lambda row: code_of(row.location)),
    Column("hints", "Hints", "list", lambda row: list(row.hints)),
    Column("registry_id", "Registry", "code", lambda row: row.registry_id),
    Column("count", "Compiles", "number", lambda row: row.count),
    Column("explanation", "Explanation", "text", lambda row: row.explanation, detail=True),
    Column("stack", "Stack", "list", lambda row: stack_of(row.stack), detail=True),
)

RECOMPILES: tuple[Column[Recompile], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("trigger", "Called from", "location", lambda row: place(row.trigger)),
    Column("code", "Calling line", "code", lambda row: code_of(row.trigger)),
    Column("nearest", "Nearest entry", "id", lambda row: row.nearest.entry_id if row.nearest else None),
    Column("failing", "Failing", "number", lambda row: len(row.nearest.failing) if row.nearest else None),
    Column("changes", "What failed", "list", lambda row: _failing(row.nearest)),
    Column(
        "unevaluated",
        "Not evaluable",
        "number",
        lambda row: len(row.nearest.unevaluated) if row.nearest else None,
    ),
    Column("known", "Known", "badge", lambda row: _known(row.nearest)),
    Column(
        "entries",
        "Earlier entries",
        "list",
        lambda row: [entry.entry_id for entry in row.entries],
        detail=True,
    ),
)

FAILING: tuple[Column[FailingGuard], ...] = (
    Column("source", "Source", "code", lambda row: row.source),
    Column("expected", "Expected", "code", lambda row: row.expected),
    Column("actual", "Actual", "code", lambda row: row.actual),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("code", "Code", "code", lambda row: code_of(row.location)),
    Column("kind", "Kind", "badge", lambda row: row.kind),
    Column("expr", "Check", "code", lambda row: row.expr),
)

UNEVALUATED: tuple[Column[Unevaluated], ...] = (
    Column("source", "Source", "code", lambda row: row.source),
    Column("kind", "Kind", "badge", lambda row: row.kind),
    Column("expr", "Check", "code", lambda row: row.expr),
    Column("reason", "Why not", "text", lambda row: row.reason),
)
