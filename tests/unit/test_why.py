"""Why-chains: from a name or a row to the guard or constant that decided."""

from __future__ import annotations

import pytest

from compile_inspector.analyze.findings import judge
from compile_inspector.analyze.why import why
from compile_inspector.errors import InspectorError
from compile_inspector.model.locations import Location
from compile_inspector.model.recompiles import Recompile
from compile_inspector.model.symbols import Specialization, Symbol
from compile_inspector.model.tables import Tables
from factory import (
    CALL_LINE,
    VIEW_LINE,
    make_compile,
    make_dim,
    make_entry,
    make_failing,
    make_graph,
    make_guard,
    make_tables,
)

X0 = "L['x'].size()[0]"
PIN_LINE = Location("/home/ada/project/model.py", 9, "forward", "if h.size(0) == 5:")
GRAPH = """
class GraphModule(torch.nn.Module):
    def forward(self, s77: "Sym(s77)", L_x_: "f32[s77, 4][4, 1]cpu", L_y_: "f32[4][1]cpu"):
        l_x_ = L_x_
        l_y_ = L_y_

        # File: /home/ada/project/model.py:7 in forward, code: h = x.relu()
        h: "f32[s77, 4][4, 1]cpu" = l_x_.relu();  l_x_ = None

        # File: /home/ada/project/model.py:8 in forward, code: t = h.sum(-1)
        t: "f32[s77][1]cpu" = h.sum(-1);  h = None

        # File: /home/ada/project/model.py:12 in forward, code: return t.sum() * y
        r: "f32[4][1]cpu" = l_y_ * 2;  l_y_ = None
        return (t, r)
"""


def tables() -> Tables:
    """Two compiles: in the first the size is pinned, the second recompiled because of it."""
    guard = make_guard(source=X0, kind="LAMBDA_GUARD", expr=f"{X0} == 5", location=PIN_LINE)
    return make_tables(
        compiles=[make_compile("0/0"), make_compile("0/1")],
        graphs=[make_graph("0/0", text=GRAPH)],
        guards=[
            make_guard(),
            guard,
            make_guard(source=None, kind="GLOBAL_STATE", expr="___check_global_state()", location=None),
        ],
        symbols=[
            Symbol("0/0", "s77", (X0,), 5, "[5, 5]", "backed", VIEW_LINE, "5"),
            Symbol("0/1", "u0", (), None, "[0, int_oo]", "unbacked", VIEW_LINE),
        ],
        specializations=[Specialization("0/0", "s77", (X0,), "5", "range_refined_to_singleton", PIN_LINE)],
        dims=[
            make_dim(verdict="specialized", size=5, why="specialized to 5", location=PIN_LINE),
            make_dim("L['y']", size=4),
        ],
        recompiles=[
            Recompile(
                "0/1",
                CALL_LINE,
                (
                    make_entry("0/0", make_failing(X0, "5", "6")),
                    make_entry("9/9", make_failing(), make_failing()),
                ),
            )
        ],
    )


@pytest.mark.parametrize("name", [X0, "x.size()[0]", "x.shape[0]", "x.size(0)", "s77"])
def test_a_dimension_is_told_from_the_input_to_the_line_that_pinned_it(name: str) -> None:
    """By any of its names: input, symbol, operations with their lines, the pin, the guards, the recompile."""
    chain = why(tables(), name)
    assert (chain.subject, chain.compile_id, chain.verdict) == (X0, "0/0", "specialized to 5")
    assert [step.kind for step in chain.steps] == [
        "input",
        "symbol",
        "operation",
        "operation",
        "decision",
        "guard",
        "guard",
        "recompile",
    ]
    assert [step.location.line for step in chain.steps if step.kind == "operation" and step.location] == [
        7,
        8,
    ]
    assert chain.steps[4].location == PIN_LINE
    assert chain.steps[-1].text == f"0/1 was compiled because {X0} was 5, is 6"


def test_a_chain_ends_with_its_findings() -> None:
    """The findings about the subject come last."""
    found = judge(tables()).findings
    assert why(tables(), "x.shape[0]", findings=found).steps[-1].kind == "finding"


def test_an_input_without_a_symbol_is_followed_through_the_graph() -> None:
    """A static dimension is told by the operations that read its input."""
    chain = why(tables(), "y.shape[0]")
    assert [step.location.line for step in chain.steps if step.kind == "operation" and step.location] == [12]


def test_a_recompile_is_told_by_its_guards_and_what_decided_them() -> None:
    """By the row or by its id: the call, the guard that failed, the pin behind it, the other entries."""
    row = tables().recompiles[0]
    chain = why(tables(), row)
    assert chain == why(tables(), "0/1")
    assert chain.verdict == f"it does not fit 0/0: {X0} was 5, is 6"
    assert [step.kind for step in chain.steps] == ["input", "guard", "decision", "recompile"]
    assert chain.steps[0].location == CALL_LINE


def test_rows_can_be_asked_about() -> None:
    """A guard, a symbol, a dimension, a specialization, a failing guard and a finding each have a chain."""
    given = tables()
    assert why(given, given.guards[1]).steps[-1].text == f"LAMBDA_GUARD: {X0} == 5"
    assert why(given, given.guards[2]).verdict == "it guards the state of the process"
    assert why(given, given.symbols[0]).subject == X0
    assert why(given, given.symbols[1]).verdict == "it comes from data: no input has this size"
    assert why(given, given.dims[0]).subject == X0
    assert why(given, given.specializations[0]).subject == X0
    assert why(given, make_failing("L['z']")).verdict.startswith("no compile of the recording holds it")
    finding = judge(given).findings[0]
    assert why(given, finding, findings=(finding,)).subject == X0


def test_a_name_that_is_nowhere_is_an_error_with_near_ones() -> None:
    """The message has the names that are like it."""
    with pytest.raises(
        InspectorError, match=r"nothing in this recording is named 'x.shape\[7\]'; near it: .*x.size\(\)\[0\]"
    ):
        why(tables(), "x.shape[7]")


def test_a_chain_prints_its_steps() -> None:
    """Each step on a line, with its kind and its line of code."""
    text = str(why(tables(), "x.shape[0]"))
    assert text.startswith(f"{X0} in 0/0: specialized to 5\n  1. input: L['x'], dimension 0, was 5")
    assert "[model.py:9: if h.size(0) == 5:]" in text


def test_nothing_recorded_answers_nothing() -> None:
    """An empty recording knows no name, and a recompile without entries says that it is not recorded."""
    empty = make_tables()
    with pytest.raises(InspectorError):
        why(empty, "x")
    assert why(empty, Recompile("0/1", None, ())).verdict == "which guards failed is not recorded"
