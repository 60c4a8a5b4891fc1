"""Reading trace logs: every format, and everything that can be wrong with one."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compile_inspector.errors import InspectorError, LogError, NotATraceLog, SeveralRanks
from compile_inspector.model.records import Loss
from compile_inspector.model.text import CompressedText, FileText, HeldText
from compile_inspector.recording import log_bytes
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.log_bytes import pieces
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.caches import caches
from compile_inspector.recording.tables.compiles import compiles
from compile_inspector.recording.tables.environment import environment
from compile_inspector.recording.trace_file import Limits, read_log
from compile_inspector.recording.trace_writer import encode_record

REPOSITORY = Path(__file__).parents[2]
DATA = REPOSITORY / "tests" / "data"
FOREIGN = REPOSITORY.parent / "shared" / "traces"
HEADER = "V1206 15:18:15.925000 1500233 torch/_dynamo/utils.py:1288]"

needs_foreign = pytest.mark.skipif(not FOREIGN.is_dir(), reason="the logs recorded elsewhere are not here")


def line(
    event: str = "dynamo_start", body: object = None, payload: str | None = None, **envelope: object
) -> str:
    """One record of a log, with its payload and a right checksum."""
    content = {event: body or {}, **envelope}
    if payload is None:
        return f"{HEADER} {json.dumps(content)}\n"
    content["has_payload"] = hashlib.md5(payload.encode()).hexdigest()
    return f"{HEADER} {json.dumps(content)}\n" + "".join(f"\t{part}\n" for part in payload.split("\n"))


def written(folder: Path, text: str | bytes, name: str = "a.log") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_record_has_its_event_envelope_header_line_and_payload(tmp_path: Path) -> None:
    """A line and the indented lines behind it are one record."""
    path = written(
        tmp_path,
        line("str", ["a.py", 0]) + line("artifact", {"name": "x"}, "one\n\ntwo\n", frame_id=3, attempt=0),
    )
    log = read_log(path)
    _, record = log.records
    assert (record.event, record.artifact, record.line) == ("artifact", "x", 2)
    assert record.envelope == {"frame_id": 3, "attempt": 0}
    assert record.header == HEADER
    assert record.payload is not None
    assert record.payload.read() == "one\n\ntwo\n"
    assert log.losses == ()
    assert log.path == path


def test_long_payloads_stay_in_the_file_and_short_ones_in_memory(tmp_path: Path) -> None:
    """What a text keeps in memory is bounded by its length."""
    path = written(tmp_path, line(payload="short") + line(payload="long\n" * 1000))
    short, long = (record.payload for record in read_log(path).records)
    assert isinstance(short, HeldText)
    assert isinstance(long, FileText)
    assert long.read() == "long\n" * 1000


def test_long_payloads_of_a_compressed_log_are_compressed(tmp_path: Path) -> None:
    """A compressed log is known by its bytes, whatever its name."""
    path = written(tmp_path, gzip.compress((line(payload="long\n" * 1000)).encode()), "a.log")
    (record,) = read_log(path).records
    assert isinstance(record.payload, CompressedText)
    assert record.payload.read() == "long\n" * 1000


def test_a_text_is_still_right_when_the_log_has_been_replaced(tmp_path: Path) -> None:
    """The log stays open: saving over it does not change the texts that were read from it."""
    path = written(tmp_path, line(payload="before\n" * 500))
    (record,) = read_log(path).records
    other = written(tmp_path, line(payload="after\n" * 700), "b.log")
    other.replace(path)
    assert record.payload is not None
    assert record.payload.read() == "before\n" * 500


def test_a_text_whose_file_was_cut_says_so(tmp_path: Path) -> None:
    """A log that became shorter gives an OSError, not half a text."""
    path = written(tmp_path, line(payload="text\n" * 500))
    (record,) = read_log(path).records
    os.truncate(path, 300)
    assert record.payload is not None
    with pytest.raises(OSError, match=r"a\.log has become shorter"):
        record.payload.read()


def test_a_rank_before_the_header_is_read(tmp_path: Path) -> None:
    """``[rank3]:`` before a line belongs to its header, and names the rank."""
    log = read_log(written(tmp_path, "[rank3]:" + line() + line(rank=5)))
    assert log.records[0].header == "[rank3]:" + HEADER
    trace = Trace(log.records)
    assert environment(trace, Places(trace)).ranks == (3, 5)


def test_line_ends_of_windows_are_not_part_of_a_payload(tmp_path: Path) -> None:
    """A log with CR LF line ends gives the texts torch wrote; a CR inside a text of another log stays."""
    text = "one\ntwo\n"
    windows = read_log(written(tmp_path, line(payload=text).replace("\n", "\r\n")))
    unix = read_log(written(tmp_path, line(payload="one\r\ntwo\r"), "b.log"))
    assert [windows.losses, unix.losses] == [(), ()]
    assert [record.payload.read() for record in windows.records + unix.records if record.payload] == [
        text,
        "one\r\ntwo\r",
    ]


def test_blank_lines_without_their_tab_belong_to_the_payload(tmp_path: Path) -> None:
    """Editors strip the tab of blank lines."""
    path = written(tmp_path, line(payload="one\n\ntwo").replace("\n\t\n", "\n\n") + "\n" + line())
    log = read_log(path)
    assert log.records[0].payload == HeldText("one\n\ntwo\n")
    assert [record.line for record in log.records] == [1, 6]


def test_what_only_pythons_json_allows_is_read(tmp_path: Path) -> None:
    """Logs are written with Python's json: NaN and lone surrogates are in logs."""
    path = written(tmp_path, f'{HEADER} {{"a": {{"x": "\\ud800", "y": Infinity}}}}\n')
    assert read_log(path).records[0].body == {"x": "\ud800", "y": float("inf")}


def test_an_unknown_event_is_kept_and_is_no_loss(tmp_path: Path) -> None:
    """A newer torch's events, and its new envelope keys, are records like any other."""
    log = read_log(written(tmp_path, line("of_2031", {"a": 1}, frame_id=0, frame_compile_id=0, universe=3)))
    assert log.records[0].event == "of_2031"
    assert log.losses == ()
    trace = Trace(log.records)
    assert [row.status for row in compiles(trace, Places(trace))] == ["unfinished"]
    assert trace.losses.rows() == ()


def losses_of(path: Path, **limits: int) -> list[tuple[str, str, int]]:
    log = read_log(path, limits=Limits(**limits))
    return [(loss.where.removeprefix(f"{path}:"), loss.what, loss.count) for loss in log.losses]


@pytest.mark.parametrize(
    ("damaged", "expected"),
    [
        ("garbage\n\tand more\n", ("2", "not a trace record", 2)),
        (f"{HEADER} {{not json\n", ("2", "a record that is not JSON", 1)),
        (f"{HEADER} {{}}\n", ("2", "a record without the name of an event", 1)),
        (f'{HEADER} {{"rank": 0, "frame_id": 1}}\n', ("2", "a record without the name of an event", 1)),
        (line(frame_id="x"), ("2", "a record whose frame_id is not a number; read without it", 1)),
        (
            line(payload="ab").replace("\tab", "\tac"),
            ("2", "the payload of dynamo_start is damaged: it does not match its checksum; kept as it is", 1),
        ),
        (line(payload="ab").replace("\tab\n", ""), ("2", "the payload of dynamo_start is missing", 1)),
        (
            line() + "\tab\n",
            ("2", "the lines behind dynamo_start are not announced by it; kept as its payload", 1),
        ),
        (b"\x80\xff\x00\n", ("2", "not a trace record", 1)),
    ],
)
def test_a_damaged_line_is_one_loss_and_the_rest_is_read(
    tmp_path: Path, damaged: str | bytes, expected: tuple[str, str, int]
) -> None:
    """What is wrong is named with its line; the records around it are all there."""
    damaged = damaged.encode() if isinstance(damaged, str) else damaged
    path = written(tmp_path, line("before").encode() + damaged + line("after").encode())
    events = [record.event for record in read_log(path).records]
    assert (events[0], events[-1]) == ("before", "after")
    assert losses_of(path) == [expected]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (
            line(payload="abc\ndef")[:-5],
            "the payload of dynamo_start is damaged, or cut short by the end of the log: it does not match its checksum; kept as it is",
        ),
        (
            line(payload="abc").partition("\t")[0],
            "the payload of dynamo_start is missing: the log ends before it",
        ),
        (line()[:-8], "the log ends inside this record"),
        (line()[:10], "not a trace record"),
    ],
)
def test_a_log_that_ends_early_says_where(tmp_path: Path, end: str, expected: str) -> None:
    """A truncated log is read up to its end."""
    path = written(tmp_path, line() + end)
    assert losses_of(path) == [("2", expected, 1)]


def test_losses_of_one_kind_are_counted_together_after_the_first(tmp_path: Path) -> None:
    """A log full of garbage does not make a loss a line."""
    path = written(tmp_path, line() + "garbage\n" * 1000)
    found = losses_of(path, named=2)
    assert found == [
        ("2", "not a trace record", 1),
        ("3", "not a trace record", 1),
        ("4 and later lines", "not a trace record", 998),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n\n", "holds no record of torch's trace"),
        (b"\x00\x01\x02" * 5000, "holds no record of torch's trace: line 1: not a trace record"),
        (b"hello\nworld\n", "holds no record of torch's trace: line 1: not a trace record"),
        (gzip.compress(b""), "is empty"),
        (gzip.compress(b"hello"), "holds no record of torch's trace"),
        (b"\x1f\x8bnonsense", "line 1: the compressed data is damaged from here on"),
    ],
)
def test_a_file_without_a_record_is_no_trace_log(tmp_path: Path, content: bytes, message: str) -> None:
    """The error names the file and what it is."""
    path = written(tmp_path, content)
    with pytest.raises(NotATraceLog) as caught:
        read_log(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["missing.log", "missing/a.log", "nul\0.log", "x" * 5000])
def test_a_missing_path_is_named(tmp_path: Path, name: str) -> None:
    """What is not there is a LogError, whatever is wrong with its name."""
    with pytest.raises(LogError, match=r"does not exist|cannot be opened") as caught:
        read_log(tmp_path / name)
    assert name in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Only regular files are opened."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LogError, match="not a regular file"):
        read_log(tmp_path / "pipe")


def test_a_folder_with_one_log_is_that_log(tmp_path: Path) -> None:
    """The names that torch gives are looked for first; other files and empty logs do not count."""
    expected = written(tmp_path, line(), "dedicated_log_torch_trace_rank_0_ab.log")
    written(tmp_path, "", "dedicated_log_torch_trace_rank_1_cd.log")
    written(tmp_path, "notes", "notes.log")
    assert read_log(tmp_path).path == expected


def test_a_folder_with_one_log_of_another_name_is_that_log(tmp_path: Path) -> None:
    """A saved session in a folder is found by what it begins with."""
    written(tmp_path, "notes", "notes.txt")
    expected = written(tmp_path, gzip.compress(line().encode()), "session.log.gz")
    assert read_log(tmp_path).path == expected


def test_a_folder_with_several_ranks_lists_them(tmp_path: Path) -> None:
    """Which one to open is the user's choice."""
    names = [f"dedicated_log_torch_trace_rank_{rank}_x.log" for rank in range(2)]
    for name in names:
        written(tmp_path, line(), name)
    with pytest.raises(SeveralRanks) as caught:
        read_log(tmp_path)
    assert all(str(tmp_path / name) in str(caught.value) for name in names)


def test_a_folder_without_a_log_is_an_error(tmp_path: Path) -> None:
    """It is named."""
    written(tmp_path, "notes", "notes.txt")
    with pytest.raises(LogError, match="holds no torch trace log") as caught:
        read_log(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_cut_or_damaged_compressed_log_is_read_up_to_there(tmp_path: Path) -> None:
    """What was decompressed before the damage is kept."""
    noise = [line(body={"x": hashlib.sha256(str(n).encode()).hexdigest()}) for n in range(2000)]
    packed = gzip.compress("".join(noise).encode())
    cut = read_log(written(tmp_path, packed[: len(packed) // 2]))
    assert 500 < len(cut.records) < 1500
    assert cut.losses[-1].what == "the compressed log is cut short"
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 0xFF
    damaged = read_log(written(tmp_path, bytes(flipped), "b.log"))
    assert len(damaged.records) > 500
    assert any("compressed data is damaged" in loss.what for loss in damaged.losses)


def test_several_compressed_members_are_one_log(tmp_path: Path) -> None:
    """``cat a.gz b.gz`` is a gzip file."""
    path = written(tmp_path, gzip.compress(line("one").encode()) + gzip.compress(line("two").encode()))
    assert [record.event for record in read_log(path).records] == ["one", "two"]


def test_a_decompression_bomb_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that grows beyond the limit, or three hundredfold beyond the size looked at, is cut with a loss."""
    packed = zlib.compressobj(9, wbits=31)
    content = (
        packed.compress(line().encode())
        + b"".join(packed.compress(b"\t" * (1 << 20)) for _ in range(40))
        + packed.flush()
    )
    path = written(tmp_path, content)
    (_, loss) = read_log(path, limits=Limits(total_bytes=10 << 20)).losses
    assert loss.what == "the compressed log is larger than 12 MB; the rest was not read"
    monkeypatch.setattr(log_bytes, "_EXPANDED", 20 << 20)
    assert any(found.what.startswith("the compressed log is larger than") for found in read_log(path).losses)


def test_limits_leave_out_what_is_too_long(tmp_path: Path) -> None:
    """Records, lines and payloads have a limit each."""
    path = written(tmp_path, line("a", "x" * 5000) + line(payload="y\n" * 5000) + line("b") + line("c"))
    found = losses_of(path, line_bytes=1000, payload_bytes=6000, records=2)
    assert found == [
        ("1", "a record whose line is too long", 1),
        ("2", "the payload of dynamo_start is too long", 1),
        ("5005", "the log has more than 2 records; the rest was not read", 1),
    ]


@given(st.binary(max_size=300), st.integers(1, 40))
def test_pieces_do_not_depend_on_how_the_bytes_arrive(content: bytes, size: int) -> None:
    """A log read in stretches of any size falls into the same pieces, and they are all of it."""
    whole = list(pieces([content], 1 << 20))
    stretches = [content[start : start + size] for start in range(0, len(content), size)]
    assert list(pieces(stretches, 1 << 20)) == whole
    assert b"".join(piece.raw for piece in whole) == content
    assert [piece.offset for piece in whole] == [
        sum(len(p.raw) for p in whole[:i]) for i in range(len(whole))
    ]


@pytest.fixture(scope="module")
def real() -> bytes:
    """Some compiles of a real log: a break, two failures, a skipped frame, a limit."""
    records = read_log(DATA / "recompiles.log.gz").records
    return b"".join(
        encode_record(record) for record in records if record.envelope.get("frame_id") in {None, 3, 4, 5, 7}
    )


def read_all(path: Path) -> None:
    """Everything this topic makes of a log."""
    log = read_log(path)
    trace = Trace(log.records, losses=log.losses, path=str(log.path))
    places = Places(trace)
    compiles(trace, places)
    caches(trace, places)
    environment(trace, places)
    assert all(isinstance(loss, Loss) and loss.count > 0 for loss in trace.losses.rows())


fuzzed = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@fuzzed
@given(content=st.binary(max_size=2000), compressed=st.booleans())
def test_random_bytes_never_raise_anything_else(tmp_path: Path, content: bytes, compressed: bool) -> None:
    """Whatever a file holds, reading it ends, with records or an error of ours."""
    path = written(tmp_path, gzip.compress(content) if compressed else content)
    with pytest.raises(InspectorError):
        read_log(path)


@fuzzed
@given(data=st.data())
def test_a_damaged_real_log_never_raises_anything_else(
    tmp_path: Path, real: bytes, data: st.DataObject
) -> None:
    """Cut, flipped and overwritten bytes of a real log cost losses, never more."""
    content = bytearray(real)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content) - 1))
        patch = data.draw(
            st.one_of(
                st.binary(min_size=1, max_size=8),
                st.sampled_from([b"\n", b"\n\t", b"{", b'"', b"}", b"\r\n", b"null", b"[[["]),
            )
        )
        removed = data.draw(st.sampled_from([0, 1, len(patch), 500]))
        content[place : place + removed] = patch
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    path = written(tmp_path, bytes(content))
    with contextlib.suppress(InspectorError):
        read_all(path)


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@fuzzed
@given(data=st.data())
def test_well_formed_nonsense_never_raises(tmp_path: Path, real: bytes, data: st.DataObject) -> None:
    """Fields of any type in place of those torch writes, payloads too, are at most losses."""
    records = read_log(written(tmp_path, real)).records
    lines: list[str] = []
    for _ in range(8):
        record = data.draw(st.sampled_from(records))
        body = dict(record.body) if isinstance(record.body, dict) else record.body
        if isinstance(body, dict) and body:
            body[data.draw(st.sampled_from(sorted(body)))] = data.draw(_values)
        envelope = dict(record.envelope)
        if envelope:
            envelope[data.draw(st.sampled_from(sorted(envelope)))] = data.draw(_values)
        payload = None if record.payload is None else json.dumps(data.draw(_values))
        lines.append(line(record.event, body, payload, **envelope))
    path = written(tmp_path, "".join(lines), "b.log")
    read_all(path)


@needs_foreign
@pytest.mark.parametrize(
    ("name", "records", "rows", "losses"),
    [
        ("simple.log", 76, 1, 0),
        ("simple_corrupted_json.log", 76, 1, 1),
        ("comp_failure.log", 21, 1, 0),
        ("cache_hit_miss.log", 380, 6, 0),
        ("inductor_provenance_jit_cuda_log.txt", 140, 1, 0),
        ("export.log", 60, 0, 1),
        ("multi_rank/dedicated_log_torch_trace_rank_0.log", 21, 1, 0),
        ("multi_rank/dedicated_log_torch_trace_rank_1.log", 810, 15, 0),
    ],
)
def test_logs_of_other_torches_are_read_whole(name: str, records: int, rows: int, losses: int) -> None:
    """Each record of logs that torch wrote elsewhere is read; only what is damaged in them is a loss."""
    log = read_log(FOREIGN / name)
    trace = Trace(log.records, losses=log.losses, path=str(log.path))
    assert (len(log.records), len(compiles(trace, Places(trace))), len(trace.losses.rows())) == (
        records,
        rows,
        losses,
    )


@needs_foreign
def test_a_folder_of_ranks_recorded_elsewhere_lists_both() -> None:
    """The folder as torch leaves it after a job of two ranks."""
    with pytest.raises(SeveralRanks, match=r"rank_0\.log\n.*rank_1\.log"):
        read_log(FOREIGN / "multi_rank")
