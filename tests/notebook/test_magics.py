"""What the magics record, keep, show and save."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError

import compile_inspector as ci
from compile_inspector.notebook.magics import DEFAULT_NAME

SETUP = """
import torch
def double(x): return x * 2
f = torch.compile(double, backend="eager")
"""


@pytest.fixture
def ready(shell, run):
    """A shell in which `f` is a compiled function."""
    assert run(SETUP).error is None
    return shell


def test_a_cell_is_recorded_shown_and_kept(ready, run) -> None:
    """The session of the cell stands in `_session`, and its text below the cell."""
    ran = run("%%inspect\nf(torch.ones(3))\nf(torch.ones(4)).sum()")
    session = ready.user_ns[DEFAULT_NAME]
    assert ran.error is None
    assert float(ran.value) == 8.0
    assert [row.id for row in session.compiles] == ["0/0", "0/1"]
    assert [row.compile_id for row in session.recompiles] == ["0/1"]
    assert [data["text/plain"] for data in ran.displayed] == [str(session)]


def test_lines_are_those_of_the_cell_without_the_magic(ready, run) -> None:
    """A cell is `In [n]`, and its first line the one below the magic; the lines' code is there."""
    run("%%inspect\nx = torch.ones(3)\nf(x)")
    session = ready.user_ns[DEFAULT_NAME]
    (trigger,) = [row.trigger for row in session.compiles]
    assert (trigger.file, trigger.line, trigger.code) == ("In [2]", 2, "f(x)")
    assert session.compiles[0].frame.location.file == "In [1]"


def test_names_views_files_and_provenance_are_options(ready, run, tmp_path) -> None:
    """``--name`` keeps it under a name, ``--view`` shows one table, ``--save`` writes a log that loads as the same session."""
    log = tmp_path / "a log.gz"
    ran = run(
        f"%%inspect --name sizes --view recompiles --save '{log}' --provenance\nf(torch.ones(3))\n_ = f(torch.ones(4))"
    )
    session = ready.user_ns["sizes"]
    assert ran.error is None
    assert DEFAULT_NAME not in ready.user_ns
    assert session.name == "sizes"
    (shown,) = [data["text/plain"] for data in ran.displayed]
    assert shown.splitlines()[-1].startswith("0/1")
    assert ci.load(log) == session


def test_an_expression_is_recorded(ready, run) -> None:
    """``%inspect`` records one expression; quotes, braces and dollars in it are left alone; options stand before it."""
    ran = run("%inspect --name one {'k': f(torch.ones(3))}['k'][0]")
    assert float(ran.value) == 2.0
    assert [row.id for row in ready.user_ns["one"].compiles] == ["0/0"]
    assert run("%inspect '$HOME {x}'").value == "$HOME {x}"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("%inspect", "what shall be recorded"),
        ("%inspect --nmae x 1", "--nmae"),
        ("%inspect --name", "--name"),
        ("%inspect --view nothing 1", "nothing"),
        ("%%inspect --name 1x\n1", "1x"),
        ("%%inspect --view nothing\n1", "nothing"),
        ("%%inspect stray\n1", "stray"),
        ("%inspector sideways", "sideways"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(shell, run, line: str, says: str) -> None:
    """A usage error names what was wrong, and nothing runs."""
    ran = run(line)
    assert isinstance(ran.error, UsageError)
    assert says in str(ran.error)
    assert "Traceback" not in ran.text


def test_a_failing_cell_keeps_its_session(ready, run) -> None:
    """What was compiled before the error is there to look at; nothing is shown above the traceback."""
    ran = run("%%inspect\nf(torch.ones(3))\n1/0")
    assert isinstance(ran.error, ZeroDivisionError)
    assert ran.displayed == []
    assert [row.id for row in ready.user_ns[DEFAULT_NAME].compiles] == ["0/0"]


def test_recordings_nest(ready, run) -> None:
    """A cell that records an expression within gives both sessions that compile."""
    run("%%inspect --name outer\n%inspect --name inner f(torch.ones(3))")
    assert [row.id for row in ready.user_ns["outer"].compiles] == ["0/0"]
    assert [row.id for row in ready.user_ns["inner"].compiles] == ["0/0"]


def test_a_session_that_cannot_be_saved_is_kept(ready, run, tmp_path) -> None:
    """The error names the file; the session is there all the same."""
    ran = run(f"%%inspect --save {tmp_path}/none/such.log\n_ = f(torch.ones(3))")
    assert isinstance(ran.error, UsageError)
    assert "such.log" in str(ran.error)
    assert len(ready.user_ns[DEFAULT_NAME].compiles) == 1


def test_how_a_session_is_shown_is_a_setting(ready, run) -> None:
    """``none`` shows nothing; ``text`` shows text."""
    run("%config CompileInspector.show = 'none'")
    assert run("%%inspect\n_ = f(torch.ones(3))").displayed == []
    run("%config CompileInspector.show = 'text'")
    assert [list(data) for data in run("%inspect None").displayed] == [["text/plain"]]
