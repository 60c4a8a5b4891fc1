"""The columns of what is said about the nodes of a graph: differences from another one, the way of a symbol, verdicts of dimensions."""

from __future__ import annotations

from compile_inspector.analyze.graph_diff import Difference
from compile_inspector.analyze.symbol_flow import FlowStep, NodeVerdict
from compile_inspector.views.column import Column, code_of, place

DIFFERENCES: tuple[Column[Difference], ...] = (
    Column("kind", "Kind", "badge", lambda row: row.kind),
    Column("left", "Left node", "number", lambda row: row.left),
    Column("right", "Right node", "number", lambda row: row.right),
    Column("what", "What", "badge", lambda row: row.what),
    Column("was", "Was", "code", lambda row: row.was),
    Column("is", "Is", "code", lambda row: row.now),
)
FLOW: tuple[Column[FlowStep], ...] = (
    Column("node", "Node", "number", lambda row: row.node),
    Column("role", "Role", "badge", lambda row: row.role),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("code", "Code", "code", lambda row: code_of(row.location)),
)
VERDICTS: tuple[Column[NodeVerdict], ...] = (
    Column("node", "Node", "number", lambda row: row.node),
    Column("verdict", "Verdict", "badge", lambda row: row.verdict),
    Column("why", "Why", "text", lambda row: row.why),
)
