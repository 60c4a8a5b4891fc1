"""The tables of a recording: built once, on first read; absent with a reason; plain when asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from compile_inspector.errors import InspectorError, TableAbsent
from compile_inspector.model.environment import Environment
from compile_inspector.model.tables import Table, Tables
from factory import HOSTILE, RECORDED, make_compile, make_guard, make_tables, quiet_tables, sample_tables


def counting(rows: tuple[Any, ...], calls: list[int]) -> Callable[[], tuple[Any, ...]]:
    def build() -> tuple[Any, ...]:
        calls.append(1)
        return rows

    return build


def test_the_names_are_those_of_the_contract() -> None:
    """Every table of the contract is there, in its order."""
    expected = (
        "compiles graphs guards guard_costs guard_filters symbols specializations dims graph_breaks recompiles traced_files applied ranges "
        "violations partitions captures kernels output_code caches artifacts findings losses"
    )
    assert tuple(expected.split()) == Tables.names() == tuple(make_tables())


def test_a_table_is_built_on_first_read_and_once() -> None:
    """Making tables builds none; reading one by any road builds it a single time."""
    calls: list[int] = []
    rows = (make_compile(),)
    tables = Tables({"compiles": counting(rows, calls)})
    assert calls == []
    assert rows == tables.compiles == tables.read("compiles") == tables.rows("compiles")
    assert calls == [1]


def test_threads_that_read_at_once_build_once() -> None:
    """Eight threads that read one table together get the same rows from one build."""
    calls: list[int] = []
    tables = Tables({"guards": counting((make_guard(),), calls)})
    barrier = threading.Barrier(8)
    found: list[object] = []

    def read() -> None:
        barrier.wait()
        found.append(tables.guards)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]
    assert len(found) == 8
    assert all(rows is found[0] for rows in found)


def test_a_builder_may_read_other_tables() -> None:
    """A table built from another one does not wait for itself."""
    tables = Tables({"compiles": lambda: (make_compile(),), "guards": lambda: tuple(tables.compiles)})
    assert (make_compile(),) == tables.guards


def test_an_absent_table_is_none_with_a_reason() -> None:
    """A table without a builder is None, says why, and asking for its rows says the same."""
    why = "torch does not narrate CUDA-graph captures"
    tables = make_tables(captures=None, absent={"captures": why})
    reason = tables.why_absent("captures")
    assert tables.read("captures") is None
    assert reason is not None
    assert "captures" in reason
    with pytest.raises(
        TableAbsent, match="there is no table of captures: torch does not narrate CUDA-graph captures"
    ):
        tables.rows("captures")
    with pytest.raises(InspectorError):
        tables.to_dicts("captures")


def test_a_table_absent_without_words_still_has_a_reason() -> None:
    """Where no reason was given, there is a general one."""
    assert Tables({}).why_absent("findings") == "this version does not record it"


def test_an_empty_table_is_not_an_absent_one() -> None:
    """No rows is an answer: the table is an empty tuple and has no reason to be absent."""
    tables = make_tables()
    assert tables.guards == ()
    assert tables.why_absent("guards") is None


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    """A misspelt table is an error that lists the tables."""
    with pytest.raises(KeyError, match=r"no table is named 'gaurds'; there are compiles, graphs, guards"):
        make_tables().read("gaurds")


def plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(item) for key, item in value.items())
    if isinstance(value, tuple):
        return all(plain(item) for item in value)
    return value is None or type(value) in {str, int, float, bool}


def test_to_dicts_gives_what_json_can_hold() -> None:
    """Every table's plain rows are dicts, tuples, strings, numbers and None, and have every field of the row."""
    tables = sample_tables()
    for name in RECORDED:
        rows = tables.to_dicts(name)
        assert len(tables.rows(name)) == len(rows)
        assert plain(tuple(rows))
        json.dumps(rows)
        assert [set(row.__struct_fields__) for row in tables.rows(name)] == [set(row) for row in rows]


def test_to_dicts_leaves_long_texts_and_nodes_out() -> None:
    """Plain rows hold no graph's text, no kernel's source, and parse no graph."""
    tables = sample_tables()
    assert "torch.nn.Module" not in json.dumps(tables.to_dicts("graphs"))
    assert "triton.jit" not in json.dumps(tables.to_dicts("kernels"))
    assert all("_parsed" not in vars(graph) for graph in tables.graphs)


def test_to_dicts_keeps_hostile_text_as_it_is() -> None:
    """Plain rows are data: nothing in them is escaped."""
    assert HOSTILE in {row["frame"]["function"] for row in sample_tables().to_dicts("compiles")}


def test_tables_are_equal_by_their_rows_and_environment() -> None:
    """Two recordings with the same rows are equal; another row or environment makes them differ."""
    assert sample_tables() == sample_tables()
    assert sample_tables() != quiet_tables()
    assert make_tables() != make_tables(environment=Environment(torch="2.13.0"))
    assert make_tables() != "tables"


def test_tables_have_no_hash() -> None:
    """Tables are compared by content that may take long to build, so they are no key of a dict."""
    with pytest.raises(TypeError):
        hash(make_tables())


def test_the_class_attribute_is_the_table_itself() -> None:
    """Read from the class, a table is its descriptor with its name."""
    assert isinstance(Tables.guards, Table)
    assert Tables.guards.name == "guards"


def test_every_recorded_table_of_the_sample_has_rows() -> None:
    """The sample leaves no recorded table empty, so that tests of views see all of them."""
    assert [name for name in RECORDED if not sample_tables().rows(name)] == []


def test_the_factory_refuses_a_table_that_does_not_exist() -> None:
    """A misspelt table in a test is an error of the test."""
    with pytest.raises(TypeError, match="gaurds"):
        make_tables(gaurds=[])
