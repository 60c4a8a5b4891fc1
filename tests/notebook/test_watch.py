"""``%inspector on``: every cell recorded, one line under those that compiled."""

from __future__ import annotations

import logging

import pytest

from compile_inspector.notebook.magics import DEFAULT_NAME

SETUP = """
import torch
def double(x): return x * 2
f = torch.compile(double, backend="eager")
"""


@pytest.fixture
def on(shell, run):
    """A shell that records every cell."""
    run(SETUP)
    assert "inspector on" in run("%inspector on").text
    return shell


def badges(ran) -> list[str]:
    return [data["text/plain"] for data in ran.displayed]


def test_a_line_appears_only_under_a_cell_that_compiled(on, run) -> None:
    """The line counts what this cell compiled; a cell that compiled nothing stays as it is."""
    assert run("x = torch.ones(3)").displayed == []
    (badge,) = badges(run("y = f(x)"))
    assert badge.startswith("1 compile in ")
    assert badge.endswith(f"· {DEFAULT_NAME}")
    assert run("y = f(x)").displayed == []
    (badge,) = badges(run("y = f(torch.ones(4))"))
    assert "1 compile in" in badge
    assert "1 recompile" in badge
    assert on.user_ns[DEFAULT_NAME].recompiles[0].compile_id == "0/1"


def test_a_failing_cell_gets_its_line_too(on, run) -> None:
    """The error is that of the cell; the line and the session are there."""
    ran = run("f(torch.ones(3))\n1/0")
    assert isinstance(ran.error, ZeroDivisionError)
    assert len(badges(ran)) == 1


def test_a_cell_that_awaits_is_recorded(on, run) -> None:
    """Recording goes by events, so a cell may await."""
    (badge,) = badges(run("import asyncio\nawait asyncio.sleep(0)\ny = f(torch.ones(3))"))
    assert badge.startswith("1 compile")


def test_a_cell_that_records_itself_gets_no_line(on, run) -> None:
    """``%%inspect`` shows its session, and that is all."""
    assert len(run("%%inspect --name own\ny = f(torch.ones(3))").displayed) == 1
    assert len(on.user_ns["own"].compiles) == 1


def test_a_cell_run_by_a_cell_is_part_of_it(on, run) -> None:
    """One line for both, after the outer one."""
    ran = run("_ = get_ipython().run_cell('y = f(torch.ones(3))')\nz = f(torch.ones(4))")
    assert [badge.split(" in ")[0] for badge in badges(ran)] == ["2 compiles"]


def test_off_ends_it_and_status_counts(on, run) -> None:
    """After ``off`` nothing is attached; the counts tell what was recorded; ``reset`` forgets them and the session."""
    run("y = f(torch.ones(3))")
    assert "inspector on: 1 cell recorded, 1 compile" in run("%inspector").text
    assert "inspector off: 2 cells recorded, 1 compile" in run("%inspector off").text
    assert run("y = f(torch.ones(4))").displayed == []
    assert "inspector off" in run("%inspector status").text
    assert DEFAULT_NAME in on.user_ns
    assert "inspector off: no cells recorded, no compiles" in run("%inspector reset").text
    assert DEFAULT_NAME not in on.user_ns
    assert [
        handler
        for handler in logging.getLogger("torch.__trace").handlers
        if "compile_inspector" in type(handler).__module__
    ] == []


def test_a_cell_whose_end_was_missed_does_not_stop_the_next(on, run) -> None:
    """Where IPython never told of a cell's end, the next cell is recorded on its own."""
    on.events.trigger("pre_run_cell", type("Info", (), {"raw_cell": "lost", "store_history": True})())
    (badge,) = badges(run("y = f(torch.ones(3))"))
    assert badge.startswith("1 compile")
