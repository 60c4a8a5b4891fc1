"""The command line: what it prints, and its exit status for input that is no log."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from compile_inspector import __version__, cli

ENVELOPES = (
    {
        "dynamo_start": {"stack": [{"line": 3, "name": "f", "filename": 0}]},
        "frame_id": 0,
        "frame_compile_id": 0,
        "attempt": 0,
    },
    {
        "compilation_metrics": {
            "co_name": "f",
            "co_filename": "/program/model.py",
            "co_firstlineno": 3,
            "guard_count": 2,
        },
        "frame_id": 0,
        "frame_compile_id": 0,
        "attempt": 0,
    },
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A small log of one compile."""
    prefix = "V1123 12:00:00.000000 7 torch/_logging/structured.py:28] "
    lines = [
        prefix + json.dumps({"str": ["/program/model.py", 0]}),
        *(prefix + json.dumps(one) for one in ENVELOPES),
    ]
    path = tmp_path / "trace.log"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    status = cli.main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_a_log_is_shown_as_text(capsys, log: Path) -> None:
    """``show`` prints the summary and succeeds."""
    status, out, err = run(capsys, "show", log)
    assert (status, err) == (0, "")
    assert "1 compile of 1 function" in out.splitlines()[0]


def test_one_table_is_printed(capsys, log: Path) -> None:
    """``--table`` prints its rows under headings; a table without rows says so."""
    status, out, _ = run(capsys, "show", log, "--table", "compiles")
    assert status == 0
    assert out.splitlines()[1].split()[:2] == ["0/0", "f"]
    assert run(capsys, "show", log, "--table", "recompiles")[1] == "Recompiles: none\n"


def test_json_is_the_rows(capsys, log: Path) -> None:
    """``--json`` prints what `Session.to_dicts` gives; without a table all of them, and why others are absent."""
    from compile_inspector import load

    session = load(log)
    rows = json.loads(json.dumps(session.to_dicts("compiles")))
    assert json.loads(run(capsys, "show", log, "--table", "compiles", "--json")[1]) == rows
    everything = json.loads(run(capsys, "show", log, "--json")[1])
    assert everything["compiles"] == rows
    assert set(everything) - {"environment", "absent"} == {
        name for name in session if session.read(name) is not None
    }
    assert everything["absent"] == {
        name: session.why_absent(name) for name in session if session.read(name) is None
    }


def test_a_page_is_written(capsys, log: Path, tmp_path: Path) -> None:
    """``--html`` writes the page, says where, and prints nothing else."""
    page = tmp_path / "page.html"
    status, out, err = run(capsys, "show", log, "--html", page)
    assert (status, out) == (0, "")
    assert str(page) in err
    assert page.read_text(encoding="utf-8").lower().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("content", "arguments", "says"),
    [
        (None, (), "such.log"),
        (b"", (), "such.log"),
        (b"\x00\xff\x80 nothing of the kind\n" * 50, (), "such.log"),
        (b"only words\n", (), "such.log"),
        (b"", ("--table", "guardz"), "guards"),
        (b"", ("--table", "captures"), "such.log"),
    ],
)
def test_input_that_cannot_be_used_is_one_line_and_status_two(
    capsys, tmp_path: Path, content: bytes | None, arguments: tuple[str, ...], says: str
) -> None:
    """A missing, empty or foreign file, or a table that is none: one line on stderr that names it, nothing on stdout, status 2."""
    path = tmp_path / "such.log"
    if content is not None:
        path.write_bytes(content)
    status, out, err = run(capsys, "show", path, *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("compile-inspector: ")
    assert says in err


def test_a_table_that_a_log_cannot_have_says_why(capsys, log: Path) -> None:
    """The reason is that of the session."""
    status, _, err = run(capsys, "show", log, "--table", "captures")
    assert status == 2
    assert "torch does not narrate CUDA-graph captures" in err


def test_a_page_that_cannot_be_written_is_refused(capsys, log: Path, tmp_path: Path) -> None:
    """The message names the file."""
    status, _, err = run(capsys, "show", log, "--html", tmp_path / "none" / "page.html")
    assert status == 2
    assert "page.html" in err


@pytest.mark.parametrize("arguments", [[], ["shout"], ["show"]])
def test_wrong_usage_is_status_two(arguments: list[str], capsys) -> None:
    """Argparse's own message and status."""
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert "usage: compile-inspector" in capsys.readouterr().err


def test_the_version_is_the_packages(capsys) -> None:
    """``--version`` prints it."""
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"compile-inspector {__version__}\n"


def test_a_reader_that_goes_away_is_no_error(log: Path) -> None:
    """``compile-inspector show LOG | head`` ends quietly."""
    program = f"import sys; from compile_inspector.cli import main; sys.exit(main(['show', {str(log)!r}, '--json']))"
    shown = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert shown.stdout is not None
    assert shown.stderr is not None
    shown.stdout.close()
    assert shown.stderr.read() == b""
    shown.stderr.close()
    assert shown.wait(60) == 0


def test_showing_a_log_imports_no_torch(log: Path) -> None:
    """A log is shown where there is no torch."""
    program = f"import sys; from compile_inspector.cli import main; main(['show', {str(log)!r}]); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
