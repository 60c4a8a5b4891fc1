"""The columns of sizes: input dimensions, the symbols they became, and what pinned a symbol."""

from __future__ import annotations

from compile_inspector.model.symbols import Dim, Specialization, Symbol
from compile_inspector.views.column import Column, code_of, place, stack_of

DIMS: tuple[Column[Dim], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("source", "Input", "code", lambda row: row.source),
    Column("dim", "Dim", "number", lambda row: row.dim),
    Column("size", "Size", "number", lambda row: row.size),
    Column("symbol", "Symbol", "code", lambda row: row.symbol),
    Column("verdict", "Verdict", "badge", lambda row: row.verdict),
    Column("why", "Why", "text", lambda row: row.why),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("role", "Role", "badge", lambda row: "parameter" if row.is_parameter else "input"),
    Column("code", "Code", "code", lambda row: code_of(row.location), detail=True),
)

SYMBOLS: tuple[Column[Symbol], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("name", "Symbol", "code", lambda row: row.name),
    Column("sources", "Stands for", "list", lambda row: list(row.sources)),
    Column("hint", "Value", "number", lambda row: row.hint),
    Column("range", "Range", "code", lambda row: row.range),
    Column("kind", "Kind", "badge", lambda row: row.kind),
    Column("replaced_by", "Found equal to", "code", lambda row: row.replaced_by),
    Column("created", "Made at", "location", lambda row: place(row.created)),
    Column("code", "Code", "code", lambda row: code_of(row.created), detail=True),
)

SPECIALIZATIONS: tuple[Column[Specialization], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("symbol", "Symbol", "code", lambda row: row.symbol),
    Column("sources", "Stands for", "list", lambda row: list(row.sources)),
    Column("value", "Pinned to", "code", lambda row: row.value),
    Column("reason", "Reason", "text", lambda row: row.reason),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("code", "Code", "code", lambda row: code_of(row.location)),
    Column("stack", "Stack", "list", lambda row: stack_of(row.stack), detail=True),
)
