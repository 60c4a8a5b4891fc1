"""Saving: a torch trace log with nothing lost."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compile_inspector.errors import LogError
from compile_inspector.model.records import Record
from compile_inspector.model.text import HeldText
from compile_inspector.recording.trace_file import read_log
from compile_inspector.recording.trace_writer import write_log

DATA = Path(__file__).parents[1] / "data"
HEADER = "V1206 15:18:15.925000 1500233 torch/_dynamo/utils.py:1288]"


def unnumbered(records: Sequence[Record]) -> list[Record]:
    """Records without the line they stood on."""
    return [msgspec.structs.replace(record, line=0) for record in records]


@pytest.mark.parametrize("name", ["recompiles.log.gz", "training.log.gz", "caches.log.gz"])
@pytest.mark.parametrize("ending", [".log", ".log.gz"])
def test_a_real_log_comes_back_equal(tmp_path: Path, name: str, ending: str) -> None:
    """Read, saved and read again, every record and every text is the same."""
    records = read_log(DATA / name).records
    again = read_log(write_log(records, tmp_path / f"again{ending}"))
    assert unnumbered(records) == unnumbered(again.records)
    assert again.losses == ()


def test_what_torch_wrote_is_written_again_byte_for_byte(tmp_path: Path) -> None:
    """A log that torch wrote and nobody touched is saved as it was."""
    original = gzip.decompress((DATA / "recompiles.log.gz").read_bytes())
    (tmp_path / "a.log").write_bytes(original)
    write_log(read_log(tmp_path / "a.log").records, tmp_path / "b.log")
    assert original == (tmp_path / "b.log").read_bytes()


def test_a_log_may_be_saved_over_itself(tmp_path: Path) -> None:
    """The payloads are read from the old file while the new one is written."""
    path = tmp_path / "a.log"
    path.write_bytes(gzip.decompress((DATA / "training.log.gz").read_bytes()))
    before = path.read_bytes()
    log = read_log(path)
    write_log(log.records, path)
    assert before == path.read_bytes()
    assert unnumbered(log.records) == unnumbered(read_log(path).records)


_text = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("\n\t\r\u2028\x85\x00\ud800"), max_size=40
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.none() | _text | _text.map(lambda text: text * 60), min_size=1, max_size=4),
    body=_json,
    compressed=st.booleans(),
)
def test_any_text_comes_back_equal(
    tmp_path: Path, texts: list[str | None], body: object, compressed: bool
) -> None:
    """Trailing line feeds, empty lines, carriage returns, tabs, surrogates: nothing is lost, long or short, compressed or not."""
    records = [
        Record(
            "artifact",
            {"name": "x", "of": body},
            {"frame_id": 1, "stack": [1]},
            None if text is None else HeldText(text),
            HEADER,
        )
        for text in texts
    ]
    again = read_log(write_log(records, tmp_path / ("a.log.gz" if compressed else "a.log")))
    assert again.losses == ()
    assert records == unnumbered(again.records)


def test_a_header_cannot_break_the_line(tmp_path: Path) -> None:
    """A record without a header gets one; line feeds in one do not begin a new line."""
    records = [Record("a", {}, {}), Record("b", {}, {}, header=HEADER.replace("utils", "ut\nils"))]
    again = read_log(write_log(records, tmp_path / "a.log"))
    assert [record.event for record in again.records] == ["a", "b"]
    assert again.losses == ()


class Gone(HeldText):
    """A text whose file is gone."""

    def read(self) -> str:
        raise OSError("gone")


def test_a_failed_save_leaves_what_was_there(tmp_path: Path) -> None:
    """The file is replaced only when all is written; nothing else stays behind."""
    path = tmp_path / "a.log"
    path.write_text("precious")
    with pytest.raises(LogError, match=r"a\.log cannot be written: gone"):
        write_log([Record("a", {}, {}, Gone(""))], path)
    assert path.read_text() == "precious"
    assert [path] == list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A missing folder and a folder in place of the file are errors of ours."""
    for path in (tmp_path / "missing" / "a.log", tmp_path):
        with pytest.raises(LogError, match="cannot be written"):
            write_log([Record("a", {}, {})], path)
    assert list(tmp_path.iterdir()) == []


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """No time or name gets into a compressed log."""
    records = read_log(DATA / "training.log.gz").records
    first = write_log(records, tmp_path / "a.log.gz").read_bytes()
    assert first == write_log(records, tmp_path / "b.log.gz").read_bytes()


@pytest.mark.skipif(shutil.which("tlparse") is None, reason="tlparse is not installed")
def test_tlparse_opens_what_is_saved(tmp_path: Path) -> None:
    """The tool that others read trace logs with finds every compile, and every checksum right."""
    path = write_log(read_log(DATA / "recompiles.log.gz").records, tmp_path / "a.log")
    command = ["tlparse", str(path), "-o", str(tmp_path / "out"), "--overwrite", "--no-browser"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "ok: " in done.stderr
    assert "fail" not in done.stderr
    directory = json.loads((tmp_path / "out" / "compile_directory.json").read_text())
    assert {"0/0", "0/1", "0/2", "7/2"} <= {
        key.strip("[]").replace("_", "/").removeprefix("-/") for key in directory
    }
