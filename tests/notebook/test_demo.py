"""``compile-inspector demo``: a model compiled for real, its summary, and its page."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path

import pytest

from compile_inspector import cli


@pytest.fixture(autouse=True)
def _forget_the_program():
    yield
    sys.modules.pop("demo", None)
    linecache.cache.pop("demo.py", None)


def test_the_demonstration_recompiles_once_and_breaks_once(tmp_path: Path, capsys) -> None:
    """The summary tells the recompile for another batch size and the branch on a tensor's value, each with its line."""
    page = tmp_path / "demo.html"
    assert cli.main(["demo", "--out", str(page), "--backend", "eager"]) == 0
    printed = capsys.readouterr()
    assert "1 recompile, 1 graph break" in printed.out.splitlines()[0]
    assert "L['tokens'].size()[0] 2 -> 3" in " ".join(printed.out.split())
    assert "if last.max() > 1e6:" in printed.out
    assert printed.err == f"wrote {page}\n"
    assert page.read_text(encoding="utf-8").lower().startswith("<!doctype html>")


def test_its_lines_are_a_users(tmp_path: Path) -> None:
    """The program's functions, lines and calls are found under the name demo.py, none in the package's own files."""
    from compile_inspector import record

    run = cli._demonstration()
    with record() as recorder:
        run("eager")
    compiles = recorder.session.compiles
    assert {one.frame.location.file for one in compiles} == {"demo.py"}
    assert {one.trigger.file for one in compiles} == {"demo.py"}
    assert all(one.trigger.code for one in compiles)
    assert recorder.session.losses == ()


def test_a_backend_that_does_not_exist_is_refused(tmp_path: Path, capsys) -> None:
    """One line that names it, status 2, and no page."""
    page = tmp_path / "demo.html"
    assert cli.main(["demo", "--out", str(page), "--backend", "nonesuch"]) == 2
    assert "nonesuch" in capsys.readouterr().err
    assert not page.exists()
