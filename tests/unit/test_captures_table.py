"""The table of captures, from what the engine and the seam on torch's trees tell."""

from __future__ import annotations

from typing import Any

import pytest

from compile_inspector.model.captures import key_of, size_of
from compile_inspector.model.records import Record
from compile_inspector.recording.assemble import assemble
from compile_inspector.recording.tables.captures import captures
from factory import make_capture
from narrated import artifact, build, event, fact, frame


def told(number: int = 1, **changes: Any) -> dict[str, Any]:
    values = {
        "id": number,
        "key": f"capture-{number}",
        "source": "engine",
        "mode": "FULL",
        "event": "captured",
        "batch": {
            "num_tokens": 4,
            "num_reqs": None,
            "uniform": False,
            "has_lora": False,
            "num_active_loras": 0,
        },
        "capture_ns": 2_000_000,
        "replay_count": 0,
    }
    return values | changes


def test_a_capture_has_its_size_and_its_compile() -> None:
    """Fields that say nothing beside the size are left out of the key; the compile is the record's."""
    rows, lost = build(captures, [event("dynamo_start", at="0/1"), fact("captures", told(), at="0/1")])
    assert [(row.number, row.compile_id, row.size, row.key, row.capture_ns) for row in rows] == [
        (1, "0/1", 4, "4", 2_000_000)
    ]
    assert lost == ()


def test_what_is_told_again_replaces_what_was_told() -> None:
    """Counts grow; the row stays one, at the place of its first time."""
    facts = [told(1), told(2), told(1, replay_count=30, launch_ns=7)]
    rows, lost = build(captures, [fact("captures", one) for one in facts])
    assert [(row.number, row.replay_count) for row in rows] == [(1, 30), (2, 0)]
    assert lost == ()


def test_a_place_becomes_a_location() -> None:
    """The line behind a reason is told as a place."""
    place = {"file": "/home/ada/model.py", "line": 31, "function": "forward", "code": "x.add_(1)"}
    (row,), _ = build(
        captures, [fact("captures", told(event="skipped", reason="mutated inputs", location=place))]
    )
    assert row.location is not None
    assert (row.location.line, row.location.code) == (31, "x.add_(1)")


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"event": "exploded"}, "an event or source that is none: exploded, engine"),
        ({"source": "elsewhere"}, "an event or source that is none: captured, elsewhere"),
        ({"id": "one"}, "compile_inspector.captures cannot be read: Expected `int`, got `str` - at `$.id`"),
        (
            {"batch": 4},
            "compile_inspector.captures cannot be read: Expected `object | null`, got `int` - at `$.batch`",
        ),
    ],
)
def test_what_cannot_be_read_is_counted(changes: dict[str, Any], lost: str) -> None:
    """A row of another version or a damaged one is a loss; the others stay."""
    rows, losses = build(captures, [fact("captures", told(2)), fact("captures", told(1, **changes))])
    assert [row.number for row in rows] == [2]
    assert losses == (lost,)


def test_damaged_text_is_counted() -> None:
    """A payload that is no JSON is a loss, and what is there otherwise is read."""
    rows, losses = build(
        captures, [artifact("compile_inspector.captures", '{"id": 1'), fact("captures", told())]
    )
    assert len(rows) == 1
    assert len(losses) == 1


def test_a_log_without_our_facts_has_no_such_table() -> None:
    """Torch narrates no captures: None, with the reason; a recording without captures has an empty table."""
    foreign = assemble([event("dynamo_start", {"stack": [frame(3, "f(x)")]})])
    assert foreign.read("captures") is None
    assert (foreign.why_absent("captures") or "").startswith("torch does not narrate CUDA-graph captures")
    ours = fact("environment", {"torch": "2.13.0"})
    assert assemble([Record(ours.event, ours.body, {}, ours.payload)]).read("captures") == ()


@pytest.mark.parametrize(
    ("batch", "symints", "key", "size"),
    [
        (None, None, None, None),
        ({"num_tokens": 8}, None, "8", 8),
        (
            {"num_tokens": 8, "num_reqs": 2, "uniform": True},
            None,
            "num_tokens=8, num_reqs=2, uniform=True",
            8,
        ),
        ({"descriptor": "decode"}, None, "decode", None),
        (None, [4], "4", 4),
        (None, [4, 7], "(4, 7)", None),
    ],
)
def test_keys(batch: Any, symints: Any, key: str | None, size: int | None) -> None:
    """What tells batches apart, as text and as a size."""
    assert (key_of(batch, symints), size_of(batch, symints)) == (key, size)


@pytest.mark.parametrize(
    ("changes", "pays"),
    [
        ({}, 10),
        ({"capture_ns": 2_000_001}, 11),
        ({"capture_ns": 0}, 0),
        ({"replay_ns": 400_000}, None),
        ({"replay_ns": 300_000}, None),
        ({"replay_ns": None}, None),
        ({"compiled_ns": None}, None),
        ({"capture_ns": None}, None),
    ],
)
def test_break_even(changes: dict[str, Any], pays: int | None) -> None:
    """Capture time over what one replay saves, rounded up; none where it never pays or is not known."""
    assert make_capture(**changes).break_even == pays


def test_memory_that_a_capture_added() -> None:
    """After less before; unknown where one is."""
    assert make_capture().pool_bytes == 1 << 20
    assert make_capture(pool_bytes_before=None).pool_bytes is None
