"""A recorded cell runs, shows and fails as it would without the magic."""

from __future__ import annotations

import pickle
import re

import pytest

from compile_inspector.notebook import magics

FAILING = (
    "1/0",
    "def f():\n    g()\ndef g():\n    raise ValueError('x')\nf()",
    "x = (",
    "x = 1\nreturn",
    "  y = 1\n z = 2",
    "import sys\nsys.exit(3)",
    "raise KeyboardInterrupt",
    "try:\n    1/0\nexcept Exception as e:\n    raise KeyError('a') from e",
    "try:\n    1/0\nexcept Exception as e:\n    raise KeyError('a')",
    "exec('1/0')",
    "import json\njson.loads('{')",
    "class E(Exception):\n    __slots__ = ()\nraise E('q')",
    "def r(n):\n    return r(n - 1) if n else 1/0\nr(30)",
    "%nosuchmagic",
    "%%time\n1/0",
    "f'{1/0}'",
)


def untimed(text: str) -> str:
    """What a cell printed without the times that ``%%time`` tells."""
    return re.sub(r"(CPU times|Wall time):.*", r"\1", text)


@pytest.fixture(autouse=True)
def _quiet(shell):
    """The session itself is not shown: what remains is the cell's own output."""
    shell.run_line_magic("config", "CompileInspector.show = 'none'")


@pytest.mark.filterwarnings("ignore:To exit")
@pytest.mark.parametrize("mode", ["Context", "Plain", "Verbose", "Minimal"])
@pytest.mark.parametrize("source", FAILING)
def test_a_traceback_reads_as_without_the_magic(shell, run, source: str, mode: str) -> None:
    """The type and message of the error and every line of its traceback are those of the bare cell."""
    shell.InteractiveTB.set_mode(mode)
    alone, recorded = run(source), run(f"%%inspect\n{source}")
    assert alone.error is not None
    assert type(recorded.error).__name__ == type(alone.error).__name__
    assert untimed(recorded.text) == untimed(alone.text)
    assert recorded.text.count("compile_inspector") == 0


def test_an_error_is_as_it_was_once_its_cell_has_ended(run, shell) -> None:
    """Nothing of the printing stays on the exception: it pickles, and a later traceback has all its frames."""
    failed = run("%%inspect\nerror = ValueError('kept')\nraise error")
    assert vars(failed.error) == {}
    assert str(pickle.loads(pickle.dumps(failed.error))) == "kept"
    assert shell.events.callbacks["post_run_cell"] == []


@pytest.mark.parametrize(
    "source", ["1 + 1", "1 + 1;", "1\n2", "x = 3", "print('a')\n4", "# nothing", "if True:\n    5"]
)
@pytest.mark.parametrize("shown", ["last_expr", "last", "all", "none", "last_expr_or_assign"])
def test_values_are_shown_as_without_the_magic(run, shell, source: str, shown: str) -> None:
    """The last expression is shown and kept as in a bare cell, whatever IPython is set to show; a semicolon silences it."""
    shell.ast_node_interactivity = shown
    alone, recorded = run(source), run(f"%%inspect\n{source}")
    assert (recorded.text, recorded.value) == (alone.text, alone.value)


def test_a_cell_sees_and_makes_the_users_names(run, shell) -> None:
    """Names come from the user's namespace and stay there; functions know their source."""
    run("a = 2")
    run("%%inspect\nb = a + 1\ndef f(): return b")
    import inspect

    assert shell.user_ns["b"] == 3
    assert inspect.getsource(shell.user_ns["f"]) == "def f(): return b\n"


def test_other_magics_work_inside(run, shell) -> None:
    """A recorded cell is IPython, not only Python."""
    assert run("%%inspect\n%%capture said\nprint('inner')").error is None
    assert shell.user_ns["said"].stdout == "inner\n"
    assert "hello" in run("%%inspect\n!echo hello").text


def test_a_top_level_await_is_refused_before_anything_runs(run, shell) -> None:
    """The message names the magic that can record it."""
    refused = run("%%inspect\nran = True\nimport asyncio\nawait asyncio.sleep(0)")
    assert "%inspector on" in str(refused.error)
    assert "ran" not in shell.user_ns


def test_a_future_import_counts_for_the_cell_it_stands_in(run, shell) -> None:
    """What follows the import in the cell, and later cells, are compiled under it, as without the magic."""
    run("%%inspect\nfrom __future__ import annotations\ndef f(x: undefined_name): pass")
    assert shell.user_ns["f"].__annotations__ == {"x": "undefined_name"}


def test_an_expression_gives_its_value(run, shell) -> None:
    """`%inspect` gives what the expression gives, to the cell's output and to an assignment."""
    assert run("%inspect 6 * 7").value == 42
    run("kept = %inspect 'a b'.split(' ')")
    assert shell.user_ns["kept"] == ["a", "b"]
    run("%inspect made = 5")
    assert shell.user_ns["made"] == 5
    assert run("%inspect 1 +").error is not None
    assert isinstance(shell.user_ns[magics.DEFAULT_NAME].compiles, tuple)
