"""One table as plain text: every row, for pipes, terminals and ``--view``."""

from __future__ import annotations

from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compile_inspector.model.tables import Tables
from compile_inspector.views.columns import Column, Value, columns_of, title_of
from compile_inspector.views.words import duration, one_line, short_place

_CELL = 60


def print_table(tables: Tables, name: str, width: int = 140) -> str:
    """The rows of one table in aligned columns, without a final newline; columns that say nothing are left out.

    Raises:
        KeyError: No table has this name.
        TableAbsent: The recording cannot have it.
    """
    rows = tables.rows(name)
    if not rows:
        return f"{title_of(name)}: none"
    columns = [column for column in columns_of(name) if not column.detail]
    cells = {column.key: [_cell(column, column.value(row)) for row in rows] for column in columns}
    shown = [column for column in columns if any(cells[column.key])]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in shown:
        right = column.kind in {"number", "duration"}
        table.add_column(
            column.title, justify="right" if right else "left", no_wrap=True, overflow="ellipsis"
        )
    for index in range(len(rows)):
        table.add_row(*(Text(cells[column.key][index]) for column in shown))
    file = StringIO()
    Console(
        file=file,
        width=width,
        color_system=None,
        force_terminal=False,
        legacy_windows=False,
        force_jupyter=False,
    ).print(table)
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().split("\n"))


def _cell(column: Column[object], value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return one_line(", ".join(value), _CELL)
    if isinstance(value, str):
        return one_line(short_place(value) if column.kind == "location" else value, _CELL)
    return duration(value) if column.kind == "duration" else f"{value:,}"
