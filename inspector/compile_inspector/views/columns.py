"""The columns of every table: what each view shows of a row, in which order and under which title.

One definition serves the text, the static HTML, the widget and the command line. Values are plain (str, int, float, None, list of str)
and safe to show (`words.visible`); how they are drawn is each view's own affair. The columns of a group of tables lie in a file of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compile_inspector.model.chains import Change
from compile_inspector.views.artifact_columns import ARTIFACTS
from compile_inspector.views.capture_columns import CAPTURES
from compile_inspector.views.column import Column, Kind, Value, place
from compile_inspector.views.compile_columns import (
    CACHES,
    COMPILES,
    GRAPHS,
    KERNELS,
    LOSSES,
    NODES,
    OUTPUT_CODE,
    PHASES,
    TRACED_FILES,
    failure_text,
)
from compile_inspector.views.decorator_columns import APPLIED, PARTITIONS, RANGES, VIOLATIONS, unmarked_text
from compile_inspector.views.finding_columns import FINDINGS
from compile_inspector.views.graph_columns import DIFFERENCES, FLOW, VERDICTS
from compile_inspector.views.guard_columns import GUARD_COSTS, GUARD_FILTERS
from compile_inspector.views.size_columns import DIMS, SPECIALIZATIONS, SYMBOLS
from compile_inspector.views.trouble_columns import (
    FAILING,
    GRAPH_BREAKS,
    GUARDS,
    RECOMPILES,
    UNEVALUATED,
    change_text,
)

__all__ = [
    "COLUMNS",
    "PARTS",
    "TITLES",
    "Column",
    "Kind",
    "Value",
    "change_text",
    "columns_of",
    "failure_text",
    "title_of",
    "unmarked_text",
]


def columns_of(table: str) -> tuple[Column[Any], ...]:
    """The columns of a table, or of a part (``nodes``, ``phases``, ``failing``, ``unevaluated``); none for one without rows to show."""
    return COLUMNS.get(table) or PARTS.get(table, ())


def title_of(table: str) -> str:
    """A table's heading."""
    return TITLES.get(table, table.replace("_", " ").capitalize())


COLUMNS: Mapping[str, tuple[Column[Any], ...]] = {
    "findings": FINDINGS,
    "compiles": COMPILES,
    "recompiles": RECOMPILES,
    "graph_breaks": GRAPH_BREAKS,
    "graphs": GRAPHS,
    "guards": GUARDS,
    "guard_costs": GUARD_COSTS,
    "guard_filters": GUARD_FILTERS,
    "dims": DIMS,
    "symbols": SYMBOLS,
    "specializations": SPECIALIZATIONS,
    "traced_files": TRACED_FILES,
    "kernels": KERNELS,
    "output_code": OUTPUT_CODE,
    "applied": APPLIED,
    "violations": VIOLATIONS,
    "partitions": PARTITIONS,
    "ranges": RANGES,
    "captures": CAPTURES,
    "caches": CACHES,
    "artifacts": ARTIFACTS,
    "losses": LOSSES,
}
"""By table, in the order in which views show them: what compiled, for which inputs, into what code, what the decorator did, how it was recorded."""

_CHANGES: tuple[Column[Change], ...] = (
    Column("table", "In", "badge", lambda row: title_of(row.table)),
    Column("what", "What", "code", lambda row: row.what),
    Column("was", "Was", "code", lambda row: row.was),
    Column("now", "Is", "code", lambda row: row.now),
    Column("location", "Line", "location", lambda row: place(row.location)),
)

PARTS: Mapping[str, tuple[Column[Any], ...]] = {
    "changes": _CHANGES,
    "differences": DIFFERENCES,
    "flow": FLOW,
    "verdicts": VERDICTS,
    "nodes": NODES,
    "phases": PHASES,
    "failing": FAILING,
    "unevaluated": UNEVALUATED,
}
"""Rows within a row: a graph's nodes, a compile's phases, a recompile's failing and unevaluated guards, what differs between two graphs."""

TITLES: Mapping[str, str] = {
    "findings": "Findings",
    "compiles": "Compiles",
    "recompiles": "Recompiles",
    "graph_breaks": "Graph breaks",
    "graphs": "Graphs",
    "guards": "Guards",
    "guard_costs": "Guard costs",
    "guard_filters": "Guard filters",
    "dims": "Input dimensions",
    "symbols": "Symbols",
    "specializations": "Specializations",
    "traced_files": "Traced files",
    "kernels": "Kernels",
    "output_code": "Generated code",
    "applied": "Applied modules",
    "violations": "Violations",
    "partitions": "Partitions",
    "ranges": "Compile ranges",
    "captures": "Captures",
    "caches": "Caches",
    "artifacts": "Kept on disk",
    "losses": "Losses",
}
