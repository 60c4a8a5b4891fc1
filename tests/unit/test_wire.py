"""What the front end is sent."""

from __future__ import annotations

import importlib.util
import zlib
from pathlib import Path

import msgspec
import pytest

from compile_inspector.model.kernels import Kernel
from compile_inspector.model.text import Text, hold
from compile_inspector.views.answers import answer
from compile_inspector.views.columns import COLUMNS
from compile_inspector.views.graph_wire import MAGIC
from compile_inspector.views.wire import Wire, WirePart, WireTable, pack, to_wire, wire_table
from compile_inspector.views.wire_parts import part, part_keys
from factory import (
    HOSTILE,
    HOSTILE_TERMINAL,
    make_compile,
    make_graph,
    make_guard,
    make_tables,
    sample_tables,
)

FRONTEND = Path(__file__).parents[2] / "inspector" / "frontend"


def read(data: bytes) -> Wire:
    return msgspec.json.decode(data if data[:1] == b"{" else zlib.decompress(data), type=Wire)


def column(table: WireTable, key: str) -> list[object]:
    found = next(column for column in table.columns if column.key == key)
    if found.numbers is not None:
        return list(found.numbers)
    assert found.words is not None
    assert found.codes is not None
    return [None if code < 0 else found.words[code] for code in found.codes]


def test_every_table_arrives_in_the_order_of_the_columns() -> None:
    """All tables that views show are sent, each with as many rows as the session has."""
    tables = sample_tables()
    wire = read(to_wire(tables))
    assert [table.name for table in wire.tables] == list(COLUMNS)
    assert [table.count for table in wire.tables] == [len(tables.rows(name)) for name in COLUMNS]
    assert all(len(column(table, c.key)) == table.count for table in wire.tables for c in table.columns)


def test_a_distinct_text_is_sent_once() -> None:
    """A column of texts holds each distinct text once, and by row which it is; -1 where the row says nothing."""
    tables = make_tables(
        guards=[
            make_guard("0/0"),
            make_guard("0/0", source=None),
            make_guard("0/0", source="L['y']"),
            make_guard("0/0"),
        ]
    )
    source = next(c for c in wire_table(tables, "guards").columns if c.key == "source")
    assert source.words == ["L['x']", "L['y']"]
    assert source.codes == [0, -1, 1, 0]


def test_rows_above_the_limit_are_cut_and_said() -> None:
    """A table that is cut says how many rows there are and that the session has them all."""
    table = wire_table(make_tables(guards=[make_guard() for _ in range(12)]), "guards", row_limit=5)
    assert (table.count, table.total) == (5, 12)
    assert table.note == "The first 5 of 12 rows; the session itself holds them all."


def test_an_absent_table_says_why() -> None:
    """A table that the recording cannot have is sent without rows, with the reason."""
    table = wire_table(make_tables(kernels=None, absent={"kernels": "the log has none"}), "kernels")
    assert (table.count, table.columns, table.absent) == (0, [], "the log has none")


def test_the_nearest_entry_is_marked() -> None:
    """Each recompile has exactly one nearest entry, the one that the row names."""
    tables = sample_tables()
    for sent, row in zip(read(to_wire(tables)).recompiles, tables.recompiles, strict=True):
        assert row.nearest is not None
        assert [entry.entry_id for entry in sent.entries if entry.nearest] == [row.nearest.entry_id]
        assert [entry.failing.count for entry in sent.entries] == [
            len(entry.failing) for entry in row.entries
        ]


def test_no_control_character_of_user_text_is_sent() -> None:
    """Escapes and marks in users' text are written out wherever it stands; markup is sent as the text it is."""
    text = zlib.decompress(to_wire(sample_tables(), name=HOSTILE_TERMINAL)).decode()
    assert "\\u001b" not in text.lower()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert HOSTILE in text


def test_a_small_value_stays_uncompressed() -> None:
    """What is small, or is asked for plain, starts with a brace; the rest is zlib."""
    assert pack(WirePart("graphs:0"))[:1] == b"{"
    assert to_wire(sample_tables())[:1] == b"\x78"
    assert read(to_wire(sample_tables(), compress=False)) == read(to_wire(sample_tables()))


def test_the_phases_of_each_compile_are_sent() -> None:
    """There is one timeline a compile, in the order of the compiles."""
    tables = make_tables(compiles=[make_compile("0/0"), make_compile("0/1", phases=())])
    timelines = read(to_wire(tables)).timelines
    assert [(t.compile_id, t.phases.count) for t in timelines] == [("0/0", 5), ("0/1", 0)]


def test_nodes_are_not_in_the_payload() -> None:
    """A graph's nodes are sent when they are asked for."""
    tables = make_tables(graphs=[make_graph()])
    assert "torch._C._nn.linear" not in zlib.decompress(to_wire(tables)).decode()


def test_a_diff_is_a_part() -> None:
    """What changed at a recompile is a table, and its title names the two compiles; a row that is not there has a problem."""
    answer = part(sample_tables(), "diff:1")
    assert answer.text == "From 0/0 to 0/1"
    assert answer.table is not None
    assert answer.table.count == len(column(answer.table, "what")) > 0
    assert part(sample_tables(), "diff:99").problem
    assert part(sample_tables(), "recompiles:0").problem


def test_a_timeline_begins_with_the_first_compile() -> None:
    """Starts are counted from the earliest one, so that a browser's numbers hold them; unknown ones stay unknown."""
    tables = make_tables(
        compiles=[
            make_compile("0/0", start_ns=1_700_000_000_000_000_500),
            make_compile("0/1", start_ns=1_700_000_000_000_000_000),
            make_compile("0/2", start_ns=None),
        ]
    )
    wire = msgspec.json.decode(to_wire(tables, compress=False), type=Wire)
    assert [one.start_ns for one in wire.timelines] == [500, 0, None]


def test_a_text_is_a_part() -> None:
    """The text of a graph, a kernel and generated code is sent when asked for."""
    tables = sample_tables()
    assert part(tables, "graphs:0").text == tables.graphs[0].text.read()
    assert "triton.jit" in (part(tables, "kernels:0").text or "")
    assert "def call" in (part(tables, "output_code:0").text or "")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "graphs",
        "graphs:",
        "graphs:-1",
        "graphs:9",
        "graphs:1:2",
        "guards:0",
        "__class__:0",
        "kernels:1",
        "graphs:²",
    ],
)
def test_a_request_that_makes_no_sense_is_answered(key: str) -> None:
    """Whatever is asked for, the answer is a part with that key, and its problem in words."""
    answer = part(sample_tables(), key)
    assert answer.key == key
    assert answer.problem


def test_a_text_that_is_gone_is_a_problem() -> None:
    """A text in a file that was removed is answered with the reason."""

    class Gone(Text):
        def read(self) -> str:
            msg = "no such file: trace.log"
            raise FileNotFoundError(msg)

    tables = make_tables(kernels=[Kernel("0/0", "k", "triton", Gone(), None)])
    assert (
        part(tables, "kernels:0").problem
        == "The log it lies in can no longer be read: no such file: trace.log"
    )


def test_a_long_text_is_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text above the limit is cut, and the part says how much is missing."""
    monkeypatch.setattr("compile_inspector.views.wire_parts.TEXT_LIMIT", 4)
    tables = make_tables(kernels=[Kernel("0/0", "k", "triton", hold("abcdefgh"), None)])
    assert part(tables, "kernels:0").text == "abcd"
    assert part(tables, "kernels:0").problem == "The first 4 characters; 4 more are not shown."


def test_every_key_is_a_part_of_the_session() -> None:
    """What is listed as a part can be asked for; kernels without a source are not listed."""
    tables = sample_tables()
    keys = part_keys(tables)
    assert len(keys) == len(set(keys))
    assert "kernels:1" not in keys
    for key in keys:
        data = answer(tables, key)
        if key.startswith("explore:"):
            assert zlib.decompress(data)[:4] == MAGIC
            continue
        found = msgspec.json.decode(data if data[:1] == b"{" else zlib.decompress(data), type=WirePart)
        assert found.problem is None or found.text or found.table


def test_the_front_ends_types_are_current() -> None:
    """The committed TypeScript types are what the classes of the wire give."""
    path = FRONTEND / "scripts" / "wire_types.py"
    spec = importlib.util.spec_from_file_location("wire_types", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (FRONTEND / "src" / "wire.ts").read_text(encoding="utf-8") == module.typescript()
