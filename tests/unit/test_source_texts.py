"""The text of source files: which may be read, and that only what was recorded is shown."""

from __future__ import annotations

import hashlib
import linecache
import os
from pathlib import Path

import pytest

from compile_inspector.model.files import TracedFile
from compile_inspector.model.tables import Tables
from compile_inspector.views.source_texts import source_keys, source_text
from compile_inspector.views.wire_parts import part
from factory import make_graph, make_tables


def traced(file: str, text: str | bytes | None) -> TracedFile:
    raw = text.encode() if isinstance(text, str) else text
    return TracedFile(file, ("f",), 0, None if raw is None else hashlib.sha256(raw).hexdigest(), ("0/0",))


def recorded(*rows: TracedFile) -> Tables:
    return make_tables(traced_files=rows)


def test_a_file_is_shown_as_it_was_recorded(tmp_path: Path) -> None:
    """Its text, line by line; the part of the wire holds the same."""
    file = tmp_path / "model.py"
    file.write_bytes(b"def f(x):\r\n    return x\r\n")
    given = recorded(traced(str(file), file.read_bytes()))
    assert source_text(given, str(file)) == ("def f(x):\n    return x\n", None)
    assert part(given, f"source:{file}").text == "def f(x):\n    return x\n"
    assert list(source_keys(given)) == [f"source:{file}"]


def test_a_file_that_was_changed_is_not_shown(tmp_path: Path) -> None:
    """Lines of another text would be pointed at."""
    file = tmp_path / "model.py"
    file.write_text("new\n")
    text, problem = source_text(recorded(traced(str(file), "old\n")), str(file))
    assert text is None
    assert "has changed" in str(problem)


def test_what_python_kept_of_a_changed_file_is_shown(tmp_path: Path) -> None:
    """The text that ran is still in linecache, and it is what was recorded."""
    file = tmp_path / "model.py"
    file.write_text("old\n")
    linecache.getlines(str(file))
    file.write_text("new\n")
    try:
        assert source_text(recorded(traced(str(file), "old\n")), str(file)) == ("old\n", None)
    finally:
        linecache.cache.pop(str(file), None)


def test_a_file_that_the_recording_does_not_name_is_refused(tmp_path: Path) -> None:
    """Whatever a page asks for: nothing else is read, by whatever way it is spelled."""
    file = tmp_path / "model.py"
    file.write_text("a\n")
    other = tmp_path / "secret"
    other.write_text("a\n")
    given = recorded(traced(str(file), "a\n"))
    for asked in (str(other), "/etc/passwd", f"{file.parent}/./{file.name}", "", "..", f"{file}\0"):
        text, problem = source_text(given, asked)
        assert text is None
        assert problem == "The recording traced no code from this file."


def test_a_file_without_a_hash_is_not_shown(tmp_path: Path) -> None:
    """A foreign log names files but not what they held."""
    file = tmp_path / "model.py"
    file.write_text("a\n")
    text, problem = source_text(recorded(traced(str(file), None)), str(file))
    assert text is None
    assert "does not say" in str(problem)
    assert list(source_keys(recorded(traced(str(file), None)))) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_only_plain_files_are_read(tmp_path: Path) -> None:
    """A log that names a pipe, a device, a folder or another machine's file makes nobody wait."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for file in (str(pipe), "/dev/zero", str(tmp_path), "//host/share/a.py", r"\\host\share\a.py", "a\0b"):
        assert source_text(recorded(traced(file, "")), file)[0] is None


def test_control_characters_of_a_file_are_written_out(tmp_path: Path) -> None:
    """A file cannot turn the direction of what stands around it."""
    file = tmp_path / "model.py"
    file.write_text("x = '\u202e'\n", encoding="utf-8")
    text, _ = source_text(recorded(traced(str(file), file.read_bytes())), str(file))
    assert text == "x = '\\u202e'\n"


def test_a_cell_is_shown_from_the_kernel_that_ran_it() -> None:
    """Its text is what Python kept under the cell's temporary name; in another kernel it is not there, and that is said."""
    name = "/tmp/ipykernel_7/31.py"
    given = make_tables(traced_files=[traced("In [3]", "y = 1\n")], graphs=[make_graph(cells=((name, 3),))])
    text, problem = source_text(given, "In [3]")
    assert text is None
    assert "not in this kernel" in str(problem)
    linecache.cache[name] = (6, None, ["y = 1\n"], name)
    try:
        assert source_text(given, "In [3]") == ("y = 1\n", None)
    finally:
        del linecache.cache[name]
