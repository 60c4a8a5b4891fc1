"""Diffs of two compiles and of two sessions."""

from __future__ import annotations

import pytest

from compile_inspector.analyze.diff import diff_compiles, diff_sessions
from compile_inspector.errors import InspectorError
from compile_inspector.model.environment import ConfigPatch, Environment
from compile_inspector.model.kernels import Kernel
from compile_inspector.model.symbols import Symbol
from compile_inspector.model.tables import Tables
from compile_inspector.model.text import hold
from factory import VIEW_LINE, make_compile, make_dim, make_graph, make_guard, make_tables

X0 = "L['x'].size()[0]"
GRAPH = 'class GraphModule(torch.nn.Module):\n    def forward(self, L_x_: "f32[4][1]cpu"):\n        l_x_ = L_x_\n        h: "f32[4][1]cpu" = l_x_.relu()\n        return (h,)\n'


def kernel(compile_id: str, source: str) -> Kernel:
    return Kernel(
        compile_id=compile_id, name="triton_0", language="triton", source=hold(source), node_names=None
    )


def both() -> Tables:
    """Two compiles of one function that differ in one row of each table."""
    return make_tables(
        compiles=[make_compile("0/0"), make_compile("0/1")],
        guards=[
            make_guard("0/0"),
            make_guard("0/1"),
            make_guard("0/0", source="L['n']", kind="EQUALS_MATCH", expr="L['n'] == 2"),
            make_guard("0/1", source="L['n']", kind="EQUALS_MATCH", expr="L['n'] == 3"),
            make_guard("0/1", source="L['m']", kind="TYPE_MATCH", expr="a type"),
        ],
        symbols=[Symbol("0/1", "s77", (X0,), 5, "[2, int_oo]", "backed", VIEW_LINE)],
        dims=[make_dim(), make_dim(compile_id="0/1", verdict="dynamic", symbol="s77", size=5)],
        graphs=[
            make_graph("0/0", text=GRAPH),
            make_graph("0/1", text=GRAPH.replace("[4]", "[s77]").replace("relu", "tanh")),
        ],
        kernels=[kernel("0/0", "a"), kernel("0/1", "b")],
    )


def test_two_compiles_are_told_apart_row_by_row() -> None:
    """What changed has both sides, what is new or gone has one; what is the same is not listed."""
    diff = diff_compiles(both(), "0/0", both(), "0/1")
    assert [(one.what, one.was, one.now) for one in diff.of("guards")] == [
        ("L['n'] (EQUALS_MATCH)", "L['n'] == 2", "L['n'] == 3"),
        ("L['m'] (TYPE_MATCH)", None, "a type"),
    ]
    assert [(one.what, one.was) for one in diff.of("symbols")] == [(X0, None)]
    assert [(one.was, one.now) for one in diff.of("dims")] == [("4 (static)", "s77 (dynamic)")]
    assert [one.what for one in diff.of("graphs")] == ["dynamo l_x_", "dynamo h"]
    assert "relu" in str(diff.of("graphs")[1].was)
    assert "tanh" in str(diff.of("graphs")[1].now)
    assert len(diff.of("kernels")) == 1
    assert {one.compile_ids for one in diff.changes} == {("0/0", "0/1")}
    assert diff.of("guards")[0].location == VIEW_LINE


def test_a_compile_does_not_differ_from_itself() -> None:
    """No change, in words too."""
    diff = diff_compiles(both(), "0/0", both(), "0/0")
    assert diff.changes == ()
    assert str(diff) == "0/0 and 0/0 do not differ"


def test_rows_that_stand_twice_are_matched_one_by_one() -> None:
    """Of two equal guards against three, one is new."""
    given = make_tables(
        compiles=[make_compile("0/0"), make_compile("0/1")],
        guards=[make_guard(f"0/{n}") for n in (0, 0, 1, 1, 1)],
    )
    (change,) = diff_compiles(given, "0/0", given, "0/1").changes
    assert (change.was, change.now is not None) == (None, True)


def test_a_compile_that_is_not_there_is_an_error() -> None:
    """The message lists those that are."""
    with pytest.raises(InspectorError, match=r"no compile '5/5'; there are: 0/0, 0/1"):
        diff_compiles(both(), "5/5", both(), "0/0")


def test_sessions_are_compared_by_function_and_order() -> None:
    """Ids do not matter: the second compile of a function is held against the second; the rest is new or gone; settings come first."""
    left = make_tables(
        environment=Environment(torch="2.12", config=(ConfigPatch("m", "a", "1", None),)),
        compiles=[make_compile("0/0"), make_compile("0/1")],
        dims=[make_dim()],
    )
    right = make_tables(
        environment=Environment(torch="2.13"),
        compiles=[make_compile("4/0")],
        dims=[make_dim(compile_id="4/0", size=8)],
    )
    diff = diff_sessions(left, right, names=("before", "after"))
    assert (diff.left, diff.right) == ("before", "after")
    assert [(one.table, one.what, one.was, one.now) for one in diff.changes] == [
        ("environment", "torch", "2.12", "2.13"),
        ("environment", "m.a", "1", None),
        ("dims", X0, "4 (static)", "8 (static)"),
        ("compiles", "forward, compile 2", "0/1 (ok, 6 nodes)", None),
    ]
    assert "  ~ torch: 2.12 -> 2.13" in str(diff)
