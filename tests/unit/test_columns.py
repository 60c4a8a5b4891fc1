"""The columns that every view shares."""

from __future__ import annotations

import json

import pytest

from compile_inspector.model.caches import CacheLookup, KeyDifference
from compile_inspector.model.compiles import CompileFailure
from compile_inspector.model.tables import Tables
from compile_inspector.views.columns import (
    COLUMNS,
    PARTS,
    TITLES,
    change_text,
    columns_of,
    failure_text,
    title_of,
)
from factory import HOSTILE_TERMINAL, RECORDED, make_failing, make_graph, make_tables, sample_tables

PLAIN = (str, int, float, type(None))


def test_every_recorded_table_has_columns_and_a_title() -> None:
    """No recorded table is without columns, and no column belongs to a table that does not exist."""
    assert set(RECORDED) == set(COLUMNS) == set(TITLES)
    assert set(COLUMNS) <= set(Tables.names())


@pytest.mark.parametrize("name", [*COLUMNS, *PARTS])
def test_keys_and_titles_are_unique_in_a_table(name: str) -> None:
    """No two columns of a table share a key or a title."""
    columns = columns_of(name)
    assert (
        len(columns) == len({column.key for column in columns}) == len({column.title for column in columns})
    )


@pytest.mark.parametrize("name", COLUMNS)
def test_values_are_plain_and_visible(name: str) -> None:
    """Every value of the sample is plain data without control characters, of the sort its column says."""
    for row in sample_tables().rows(name):
        for column in columns_of(name):
            value = column.value(row)
            json.dumps(value)
            assert isinstance(value, list if column.kind == "list" and value is not None else PLAIN)
            assert "\x1b" not in str(value)
            assert "\u202e" not in str(value)
            if column.kind in {"number", "duration"}:
                assert value is None or isinstance(value, int | float)


def test_columns_do_not_parse_graphs() -> None:
    """Reading every column of a graph's row leaves its text unparsed."""
    graph = make_graph()
    shown = {column.key: column.value(graph) for column in columns_of("graphs")}
    assert (shown["compile_id"], shown["stage"], shown["name"]) == ("0/1", "dynamo", "dynamo_output_graph")
    assert "_parsed" not in vars(graph)


def test_columns_of_nodes_show_shape_and_line() -> None:
    """A node's row has its shape as text, its dtype, its line and its inputs."""
    node = {node.name: node for node in make_graph().nodes}["h_1"]
    row = {column.key: column.value(node) for column in columns_of("nodes")}
    assert (
        row["shape"],
        row["dtype"],
        row["location"],
    ) == ("[s77, 8, 16]", "f32", "/home/ada/project/model.py:35")
    assert row["inputs"] == ["h", "l_self_parameters_w_"]


def test_a_recompile_row_counts_the_nearest_entry() -> None:
    """A recompile's row speaks of its nearest entry and lists the earlier ones."""
    row = {column.key: column.value(sample_tables().recompiles[0]) for column in columns_of("recompiles")}
    assert (row["nearest"], row["failing"], row["unevaluated"], row["known"]) == ("0/1", 2, 1, "all guards")
    assert row["changes"] == ["L['self'].scale: 2.0 -> 3.0", "grad_mode: enabled -> disabled"]
    assert row["entries"] == ["0/1", "0/0"]


def test_a_difference_of_cache_keys_says_what_is_new_or_gone() -> None:
    """A part that only one of two keys has is called new or gone; any other shows both values."""
    parts = (
        KeyDifference("gm", "a", "b"),
        KeyDifference("extra", None, "c"),
        KeyDifference("old", "d", None),
    )
    lookup = CacheLookup("0/1", "fx_graph", "miss", "key", (), parts, None)
    row = {column.key: column.value(lookup) for column in columns_of("caches")}
    assert row["differs"] == ["gm: a -> b", "extra: new", "old: gone"]


@pytest.mark.parametrize(
    ("expected", "actual", "text"),
    [
        ("4", "5", "n: 4 -> 5"),
        ("4", None, "n: 4 -> ?"),
        (None, "5", "n: n == 4, was 5"),
        (None, None, "n == 4"),
    ],
)
def test_a_change_says_what_is_known(expected: str | None, actual: str | None, text: str) -> None:
    """A failing guard reads expected, then actual; the check itself where a value is unknown."""
    assert text == change_text(make_failing("n", expected, actual, expr="n == 4"))


def test_absent_and_unknown_tables_have_no_columns() -> None:
    """A name of no table has no columns, but a title."""
    assert columns_of("nonsense") == ()
    assert title_of("nonsense_words") == "Nonsense words"


def test_a_failure_is_its_type_and_message() -> None:
    """A failure reads as Python prints an exception; no failure has no text."""
    assert failure_text(CompileFailure(type="ValueError", message="too long")) == "ValueError: too long"
    assert failure_text(None) is None


def test_hostile_text_is_written_out() -> None:
    """A column's value has its control characters written out, not dropped."""
    tables = make_tables(graph_breaks=sample_tables().graph_breaks)
    reason = columns_of("graph_breaks")[1].value(tables.graph_breaks[1])
    assert HOSTILE_TERMINAL not in str(reason)
    assert "\\x1b[31mred\\x1b[0m [bold]loud[/bold] \\u202egnp.exe" in str(reason)
