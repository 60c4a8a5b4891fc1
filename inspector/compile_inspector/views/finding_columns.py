"""The columns of the table of findings."""

from __future__ import annotations

from compile_inspector.model.findings import Finding
from compile_inspector.views.column import Column, place

FINDINGS: tuple[Column[Finding], ...] = (
    Column("severity", "Severity", "badge", lambda row: row.severity),
    Column("kind", "Kind", "badge", lambda row: row.kind),
    Column("title", "What", "text", lambda row: row.title),
    Column("cause", "Line", "location", lambda row: place(row.cause)),
    Column("code", "Code", "code", lambda row: None if row.cause is None else row.cause.code),
    Column("fix", "Fix", "code", lambda row: row.fix.code),
    Column("note", "About the fix", "text", lambda row: row.fix.note),
    Column("count", "Times", "number", lambda row: row.count),
    Column("cost_ns", "Cost", "duration", lambda row: row.cost_ns),
    Column("compile_ids", "Compiles", "list", lambda row: list(row.compile_ids)),
    Column("subjects", "About", "list", lambda row: list(row.subjects), detail=True),
    Column("evidence", "Evidence", "list", lambda row: list(row.evidence), detail=True),
)
