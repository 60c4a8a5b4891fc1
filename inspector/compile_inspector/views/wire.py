"""What the front end is sent: one typed value for a session, and parts of it (changes, chains, texts) that are sent when asked for.

Tables go column by column. A column of texts sends each distinct text once, and a number a row that says which; that is small, and
lets the browser search and sort distinct texts instead of rows. The front end's types are made from the classes of this module
(``npm run types``). Nothing here knows Jupyter.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from compile_inspector.model.chains import StepKind
from compile_inspector.model.compiles import Compile
from compile_inspector.model.environment import Environment
from compile_inspector.model.recompiles import EntryCheck, Recompile
from compile_inspector.model.tables import Tables
from compile_inspector.views.columns import COLUMNS, Column, Kind, columns_of, title_of
from compile_inspector.views.summary import Absence, Fact, Sentence, rows_of, summarise
from compile_inspector.views.words import visible

ROW_LIMIT = 20_000
"""Rows of one table that are sent; the table's note says how many were left out."""

_COMPRESS_ABOVE = 512


class WireColumn(msgspec.Struct, frozen=True):
    """One column.

    Attributes:
        words: Its distinct values, None for a column of numbers.
        codes: By row: the index in ``words``, -1 where the row says nothing; None for a column of numbers.
        numbers: By row; None for a column of texts.
    """

    key: str
    title: str
    kind: Kind
    detail: bool
    words: list[str | list[str]] | None
    codes: list[int] | None
    numbers: list[int | float | None] | None


class WireTable(msgspec.Struct, frozen=True):
    """One table.

    Attributes:
        count: Rows that are sent.
        total: Rows that there are.
        note: What was left out, None when all is here.
        absent: Why there is no such table, None where there is one.
    """

    name: str
    title: str
    count: int
    total: int
    columns: list[WireColumn]
    note: str | None = None
    absent: str | None = None


class WireEntry(msgspec.Struct, frozen=True):
    """One earlier entry that a recompile was held against."""

    entry_id: str
    nearest: bool
    complete: bool
    torch_reason: str | None
    failing: WireTable
    unevaluated: WireTable


class WireRecompile(msgspec.Struct, frozen=True):
    """One recompile, its earlier entries newest first."""

    compile_id: str
    function: str | None
    trigger: str | None
    trigger_code: str | None
    entries: list[WireEntry]


class WireTimeline(msgspec.Struct, frozen=True):
    """The phases of one compile.

    Attributes:
        start_ns: From the start of the first compile, nanoseconds; None where that is not known.
    """

    compile_id: str
    start_ns: int | None
    elapsed_ns: int | None
    phases: WireTable


class WirePair(msgspec.Struct, frozen=True):
    """A name and its value."""

    name: str
    value: str


class WireEnvironment(msgspec.Struct, frozen=True):
    """Where the recording was made."""

    versions: list[WirePair]
    packages: list[WirePair]
    config: list[WirePair]


class Wire(msgspec.Struct, frozen=True):
    """One session.

    Attributes:
        view: The tab that is shown first; None for the first.
        live: True where parts can be asked for from Python; False in a page, which holds some of them.
        left_out: In a page: by key of a part, why it is not held.
    """

    version: Literal[1]
    name: str | None
    view: str | None
    live: bool
    headline: str
    facts: tuple[Fact, ...]
    sentences: tuple[Sentence, ...]
    not_recorded: tuple[Absence, ...]
    tables: list[WireTable]
    recompiles: list[WireRecompile]
    timelines: list[WireTimeline]
    environment: WireEnvironment
    left_out: dict[str, str]


class WireStep(msgspec.Struct, frozen=True):
    """One step of a why-chain: what happened, and the user's line of it."""

    kind: StepKind
    text: str
    location: str | None
    code: str | None


class WireChain(msgspec.Struct, frozen=True):
    """Why one thing is as it is: the answer in one sentence, and its steps from the input to what decided."""

    subject: str
    compile_id: str | None
    verdict: str
    steps: list[WireStep]


class WirePart(msgspec.Struct, frozen=True):
    """The answer to a request: one of its fields, or the problem that prevented it.

    Attributes:
        pairs: Nodes of two graphs that correspond: left, right, left, right.
    """

    key: str
    table: WireTable | None = None
    chain: WireChain | None = None
    pairs: list[int] | None = None
    text: str | None = None
    problem: str | None = None


def to_wire(
    tables: Tables,
    *,
    name: str | None = None,
    view: str | None = None,
    live: bool = True,
    row_limit: int = ROW_LIMIT,
    left_out: dict[str, str] | None = None,
    compress: bool = True,
) -> bytes:
    """A session as bytes for the front end: JSON, compressed with zlib.

    Args:
        tables: What to send.
        name: The session's name.
        view: The tab that is shown first, the first one when None.
        live: Whether the front end can ask for parts.
        row_limit: Rows of one table that are sent.
        left_out: By key of a part, why a page does not hold it.
        compress: False for a reader that cannot inflate.
    """
    summary = summarise(tables)
    wire = Wire(
        version=1,
        name=None if name is None else visible(name),
        view=view,
        live=live,
        headline=summary.headline,
        facts=summary.facts,
        sentences=summary.sentences,
        not_recorded=summary.not_recorded,
        tables=[wire_table(tables, table, row_limit) for table in COLUMNS],
        recompiles=_recompiles(tables, row_limit),
        timelines=_timelines(tables, row_limit),
        environment=_environment(tables.environment),
        left_out=left_out or {},
    )
    return pack(wire, compress=compress)


def pack(value: Wire | WirePart, *, compress: bool = True) -> bytes:
    """A value as the front end reads it; small ones stay uncompressed, which their first byte tells."""
    data = msgspec.json.encode(value)
    return zlib.compress(data, 3) if compress and len(data) > _COMPRESS_ABOVE else data


def wire_table(tables: Tables, table: str, row_limit: int = ROW_LIMIT) -> WireTable:
    """One table of a session, or the reason why it has none."""
    rows = tables.read(table)
    if rows is None:
        return WireTable(table, title_of(table), 0, 0, [], absent=visible(tables.why_absent(table) or ""))
    return wire_rows(table, rows, row_limit)


def wire_rows(table: str, rows: Sequence[Any], row_limit: int = ROW_LIMIT) -> WireTable:
    """Rows by the columns of their table; more than ``row_limit`` are cut, and the note says so."""
    sent = rows[:row_limit]
    note = None
    if len(sent) < len(rows):
        note = f"The first {len(sent):,} of {len(rows):,} rows; the session itself holds them all."
    return WireTable(
        table,
        title_of(table),
        len(sent),
        len(rows),
        [_column(column, sent) for column in columns_of(table)],
        note=note,
    )


def _column(column: Column[Any], rows: Sequence[Any]) -> WireColumn:
    if column.kind in ("number", "duration"):
        numbers: list[int | float | None] = [_number(column.get(row)) for row in rows]
        return WireColumn(column.key, column.title, column.kind, column.detail, None, None, numbers)
    words: list[str | list[str]] = []
    codes: list[int] = []
    known: dict[Any, int] = {}
    for row in rows:
        value = column.get(row)
        if value is None or value == []:
            codes.append(-1)
            continue
        distinct = tuple(value) if isinstance(value, list) else value
        code = known.get(distinct)
        if code is None:
            code = known[distinct] = len(words)
            words.append(
                [visible(item) for item in value] if isinstance(value, list) else visible(str(value))
            )
        codes.append(code)
    return WireColumn(column.key, column.title, column.kind, column.detail, words, codes, None)


def _number(value: object) -> int | float | None:
    return value if isinstance(value, (int, float)) else None


def _recompiles(tables: Tables, row_limit: int) -> list[WireRecompile]:
    functions = {row.id: row.function for row in rows_of(tables, "compiles")}
    return [
        _recompile(row, functions.get(row.compile_id), row_limit)
        for row in rows_of(tables, "recompiles")[:row_limit]
    ]


def _recompile(row: Recompile, function: str | None, row_limit: int) -> WireRecompile:
    trigger = row.trigger
    return WireRecompile(
        compile_id=visible(row.compile_id),
        function=None if function is None else visible(function),
        trigger=None if trigger is None else visible(str(trigger)),
        trigger_code=None if trigger is None or trigger.code is None else visible(trigger.code),
        entries=[_entry(entry, entry is row.nearest, row_limit) for entry in row.entries],
    )


def _entry(entry: EntryCheck, nearest: bool, row_limit: int) -> WireEntry:
    return WireEntry(
        entry_id=visible(entry.entry_id),
        nearest=nearest,
        complete=entry.complete,
        torch_reason=None if entry.torch_reason is None else visible(entry.torch_reason),
        failing=wire_rows("failing", entry.failing, row_limit),
        unevaluated=wire_rows("unevaluated", entry.unevaluated, row_limit),
    )


def _timelines(tables: Tables, row_limit: int) -> list[WireTimeline]:
    rows: tuple[Compile, ...] = rows_of(tables, "compiles")[:row_limit]
    first = min((row.start_ns for row in rows if row.start_ns is not None), default=0)
    return [
        WireTimeline(
            visible(row.id),
            None if row.start_ns is None else row.start_ns - first,
            row.elapsed_ns,
            wire_rows("phases", row.phases, row_limit),
        )
        for row in rows
    ]


def _environment(environment: Environment) -> WireEnvironment:
    versions = {
        "torch": environment.torch,
        "Python": environment.python,
        "CUDA": environment.cuda,
        "GPU": environment.gpu,
        "ranks": ", ".join(str(rank) for rank in environment.ranks) or None,
    }
    return WireEnvironment(
        versions=[WirePair(name, visible(value)) for name, value in versions.items() if value is not None],
        packages=[WirePair(visible(name), visible(version)) for name, version in environment.packages],
        config=[
            WirePair(
                visible(f"{patch.module}.{patch.name}"),
                visible(patch.value)
                + ("" if patch.default is None else f" (default {visible(patch.default)})"),
            )
            for patch in environment.config
        ],
    )
