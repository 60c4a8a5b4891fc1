"""`compile-inspector cache`: what it prints of a folder, and what it removes; without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from compile_inspector import cli
from compile_inspector.engine.artifacts.header import (
    Difference,
    FunctionPrint,
    Header,
    ValuePrint,
    component,
    key_of,
)
from compile_inspector.engine.artifacts.misses import Miss
from compile_inspector.engine.artifacts.store import Store


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder with two artifacts; one has a name that would steer a terminal."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COMPILE_INSPECTOR_CACHE_ROOT", str(tmp_path))
    kept = Store(tmp_path / "artifacts")
    for program in ("m.Model", "m.\x1b[31mRed"):
        parts = (
            component("class", [program]),
            component("forward", ["def forward(self, x):", "    return x"]),
        )
        made = Header(
            key_of(parts),
            program,
            "",
            parts,
            (FunctionPrint("m.helper", "global:m", 0, "ab" * 32, "def helper(x): ...", "/p/m.py", 4),),
            (ValuePrint("L['self'].scale", "CONSTANT_MATCH", "cd" * 32, "1.5"),),
            "guards",
            None,
            "inductor",
            1.0,
            2_500_000_000,
            1,
        )
        kept.write(kept.group(program, "", "0 of 1"), made, bytes(5000))
    return kept.root


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = cli.main(["cache", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_list_has_a_line_an_artifact(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Program, size, age, loads, compile time; characters that steer a terminal are shown as `?`."""
    status, out, _ = run(capsys, "list")
    assert status == 0
    assert "m.Model, inductor, compiled in 2.5 s" in out
    assert "used 0 times" in out
    assert "m.?[31mRed" in out
    assert "\x1b" not in out
    assert out.splitlines()[-1].startswith("2 artifacts, 1")


def test_list_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as rows; a damaged artifact has a problem and no program."""
    (path, *_) = sorted(folder.glob("*/*.artifact"))
    path.write_bytes(b"")
    rows = json.loads(run(capsys, "list", "--json")[1])
    assert sorted(row["program"] is None for row in rows) == [False, True]
    damaged = next(row for row in rows if row["program"] is None)
    assert damaged["problem"].startswith("Compile cache file corrupted.")


def test_show_tells_what_an_artifact_was_made_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Key, traced functions with their lines, guarded values; the name may be cut where it stays clear."""
    name = next(line for line in run(capsys, "list")[1].splitlines() if "m.Model" in line).split()[0]
    status, out, _ = run(capsys, "show", name[:10])
    assert status == 0
    assert "m.helper  (m.py:4)" in out
    assert "L['self'].scale = 1.5" in out
    assert json.loads(run(capsys, "show", name, "--json")[1])["header"]["program"] == "m.Model"
    status, _, err = run(capsys, "show", "nothing")
    assert (status, "0 artifacts have a name" in err) == (2, True)


def test_show_tells_of_misses(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What lookups of other processes differed in, with both values and the line, the latest first; without what steers a terminal."""
    (path, *_) = sorted(folder.glob("*/*.artifact"))
    name = path.stem.rpartition("-")[2]
    assert "not the one: none" in run(capsys, "show", name)[1]
    kept = Store(folder)
    for now in ("2.5", "\x1b[31m9"):
        differs = (
            Difference("L['self'].scale", "1.5", now, "/p/m.py", 12),
            Difference("torch", "2.13", None),
        )
        kept.missed(path, Miss(1.0, differs))
    status, out, _ = run(capsys, "show", name)
    assert status == 0
    told = [line.strip() for line in out.splitlines() if "scale was" in line]
    assert told == [
        "L['self'].scale was 1.5, and is ?[31m9  (m.py:12)",
        "L['self'].scale was 1.5, and is 2.5  (m.py:12)",
    ]
    assert "torch was 2.13, and is nothing" in out
    rows = json.loads(run(capsys, "show", name, "--json")[1])["misses"]
    assert [row["differs"][0]["now"] for row in rows] == ["2.5", "\x1b[31m9"]


def test_prune_and_clear(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prune keeps what fits, clear keeps nothing; an empty folder says so; a size that is none is refused."""
    assert run(capsys, "prune", "--limit", "8k")[1] == "removed 1 artifacts\n"
    assert run(capsys, "clear")[1] == "removed 1 artifacts\n"
    assert "holds no artifact" in run(capsys, "list")[1]
    with pytest.raises(SystemExit):
        run(capsys, "prune", "--limit", "-5")


def test_it_needs_no_torch() -> None:
    """The command is there, and works, where torch is not imported."""
    code = "import sys; from compile_inspector import cli; cli._parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
