"""The parts of a session that are sent when a reader opens them: what changed, why-chains, texts of programs."""

from __future__ import annotations

from compile_inspector.analyze.diff import diff_compiles
from compile_inspector.errors import InspectorError
from compile_inspector.model.graph import Graph
from compile_inspector.model.recompiles import Recompile
from compile_inspector.model.tables import Tables
from compile_inspector.views.columns import title_of
from compile_inspector.views.graph_parts import KINDS as GRAPH_KINDS
from compile_inspector.views.graph_parts import graph_part
from compile_inspector.views.summary import rows_of
from compile_inspector.views.why_parts import Whys
from compile_inspector.views.wire import ROW_LIMIT, WirePart, wire_rows
from compile_inspector.views.words import visible

TEXT_LIMIT = 2_000_000
"""Characters of one text that are sent."""


def part_keys(tables: Tables) -> list[str]:
    """The key of every part that a session has but its why-chains, those that a reader opens first in front."""
    graphs: tuple[Graph, ...] = rows_of(tables, "graphs")
    first = sorted(range(len(graphs)), key=lambda index: graphs[index].stage != "dynamo")
    kernels = [f"kernels:{i}" for i, row in enumerate(rows_of(tables, "kernels")) if row.source is not None]
    return [
        *(f"explore:{index}" for index in first),
        *_diff_keys(tables),
        *kernels,
        *(f"output_code:{index}" for index in range(len(rows_of(tables, "output_code")))),
        *(f"graphs:{index}" for index in first),
    ]


def _diff_keys(tables: Tables) -> list[str]:
    """The recompiles whose two compiles are both there."""
    known = {row.id for row in rows_of(tables, "compiles")}
    recompiles: tuple[Recompile, ...] = rows_of(tables, "recompiles")
    return [
        f"diff:{index}"
        for index, row in enumerate(recompiles)
        if row.nearest is not None and {row.compile_id, row.nearest.entry_id} <= known
    ]


def part(tables: Tables, key: str, *, row_limit: int = ROW_LIMIT, whys: Whys | None = None) -> WirePart:
    """One part of a session. A request that makes no sense is answered with its problem, as a text that cannot be read is.

    Args:
        tables: The session.
        key: ``diff:3`` for what changed at the fourth recompile; ``graphs:3`` for the printout of the fourth graph; ``kernels:3``,
            ``output_code:3`` likewise; ``why:dims:3`` for the chain of a row; those of `graph_part`.
        row_limit: Changes that are sent.
        whys: The session's chains, where several are asked for.
    """
    if key.startswith("why:"):
        return (whys or Whys(tables)).part(key)
    kind, _, number = key.partition(":")
    if kind in GRAPH_KINDS:
        try:
            return graph_part(tables, key, row_limit=row_limit)
        except OSError as error:
            return WirePart(key, problem=visible(f"The log it lies in can no longer be read: {error}"))
    table = "recompiles" if kind == "diff" else kind
    if (
        table not in ("graphs", "kernels", "output_code", "recompiles")
        or kind == "recompiles"
        or not number.isdecimal()
    ):
        return WirePart(key, problem="There is no such part.")
    rows = rows_of(tables, table)
    if int(number) >= len(rows):
        return WirePart(key, problem=f"There are only {len(rows):,} {title_of(table).lower()}.")
    row = rows[int(number)]
    try:
        if kind == "diff":
            return _diff(tables, key, row, row_limit)
        source = row.text if kind == "graphs" else row.source
        return (
            WirePart(key, problem="Its text was not recorded.")
            if source is None
            else _text(key, source.read())
        )
    except OSError as error:
        return WirePart(key, problem=visible(f"The log it lies in can no longer be read: {error}"))


def _diff(tables: Tables, key: str, row: Recompile, row_limit: int) -> WirePart:
    """What changed from the nearest earlier entry; ``text`` names the two compiles."""
    nearest = row.nearest
    if nearest is None:
        return WirePart(key, problem="No earlier entry is recorded.")
    try:
        diff = diff_compiles(tables, nearest.entry_id, tables, row.compile_id)
    except InspectorError as error:
        return WirePart(key, problem=visible(str(error)))
    changes = wire_rows("changes", diff.changes, row_limit)
    return WirePart(key, table=changes, text=visible(f"From {diff.left} to {diff.right}"))


def _text(key: str, text: str) -> WirePart:
    shown = visible(text[:TEXT_LIMIT])
    if len(text) > TEXT_LIMIT:
        left = len(text) - TEXT_LIMIT
        return WirePart(
            key, text=shown, problem=f"The first {TEXT_LIMIT:,} characters; {left:,} more are not shown."
        )
    return WirePart(key, text=shown)
