"""The table of cache lookups."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compile_inspector.model.caches import CacheLookup, KeyComponent, KeyDifference
from compile_inspector.model.records import Loss, Record
from compile_inspector.model.text import HeldText
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.caches import caches
from compile_inspector.recording.trace_file import read_log

DATA = Path(__file__).parents[1] / "data"
FOREIGN = Path(__file__).parents[3] / "shared" / "traces"


def built(records: list[Record]) -> tuple[tuple[CacheLookup, ...], tuple[Loss, ...]]:
    trace = Trace(records)
    return caches(trace, Places(trace)), trace.losses.rows()


def lookup(
    name: str, components: list[str] | None = None, count: int = 0, payload: str | None = None, **fields: Any
) -> Record:
    text = json.dumps({"key": "k", "components": components or [], **fields}) if payload is None else payload
    return Record("artifact", {"name": name}, {"frame_id": 0, "frame_compile_id": count}, HeldText(text))


def miss(components: list[str], count: int = 0) -> Record:
    return lookup("fx_graph_cache_miss", components, count)


def test_the_lookups_of_a_real_recording() -> None:
    """A cold cache, a hit after a reset, and a miss for another size that names the input that differs."""
    rows, losses = built(read_log(DATA / "caches.log.gz").records)
    assert losses == ()
    assert [(row.compile_id, row.cache, row.outcome) for row in rows] == [
        ("0/0", "aot_autograd", "miss"),
        ("0/0", "fx_graph", "miss"),
        ("0/0#2", "fx_graph", "hit"),
        ("0/0#2", "aot_autograd", "hit"),
        ("0/1", "aot_autograd", "miss"),
        ("0/1", "fx_graph", "miss"),
    ]
    assert rows[1].key == rows[2].key != rows[5].key
    assert len(rows[1].components) == 635
    assert (rows[1].components[0].name, rows[1].differs) == ("gm", ())
    (difference,) = rows[5].differs
    assert difference.component == "example_inputs[0]"
    assert difference.was is not None
    assert difference.now is not None
    assert ("[8, 8]" in difference.was, "[9, 8]" in difference.now) == (True, True)


def test_a_miss_is_compared_with_the_nearest_lookup_before_it() -> None:
    """The nearest has the fewest differing parts; of equals the latest; other caches do not count."""
    rows, _ = built(
        [
            miss(["[a1] a: 1", "[b1] b: 1", "[c1] c: 1"], 0),
            miss(["[a2] a: 2", "[b2] b: 2", "[c1] c: 1"], 1),
            lookup("aotautograd_cache_miss", ["[a2] a: 2", "[b2] b: 2", "[c3] c: 3"], 1),
            miss(["[a2] a: 2", "[b2] b: 2", "[c3] c: 3"], 2),
        ]
    )
    assert rows[0].differs == rows[2].differs == ()
    assert rows[1].differs == (KeyDifference("a", "1", "2"), KeyDifference("b", "1", "2"))
    assert rows[3].differs == (KeyDifference("c", "1", "3"),)
    assert rows[3].components == (KeyComponent("a", "a2"), KeyComponent("b", "b2"), KeyComponent("c", "c3"))


def test_a_part_that_only_one_key_has_is_none_in_the_other() -> None:
    """Added and removed parts are told from empty ones."""
    rows, _ = built([miss(["[a] a: 1", "[b] b: "], 0), miss(["[a] a: 1", "[c] c: x"], 1)])
    assert rows[1].differs == (KeyDifference("c", None, "x"), KeyDifference("b", "", None))


def test_of_a_long_part_the_first_differing_line_is_shown() -> None:
    """A graph is part of the key: only where it differs is of use. Parts that read the same differ by their hash."""
    same = "\n".join(f"line {n}" for n in range(100))
    rows, _ = built(
        [
            miss([f"[g] gm: {same}\n  x = 1\nend"], 0),
            miss([f"[h] gm: {same}\n  x = 2\nend"], 1),
            miss([f"[i] gm: {same}\n  x = 2\nend"], 2),
        ]
    )
    assert rows[1].differs == (KeyDifference("gm", "x = 1", "x = 2"),)
    assert rows[2].differs == (KeyDifference("gm", "hash h", "hash i"),)


def test_a_bypass_has_a_reason_and_no_key() -> None:
    """The row has torch's words on why the cache was not asked."""
    record = lookup("aotautograd_cache_bypass", key=None, cache_bypass_reason="Unsupported call")
    (row,), losses = built([record])
    assert (row.outcome, row.key, row.reason, losses) == ("bypass", None, "Unsupported call", ())


@pytest.mark.parametrize(
    ("state", "outcome"), [("hit", "hit"), ("miss", "miss"), ("bypass", "bypass"), ("?", "miss")]
)
def test_early_torch_wrote_the_outcome_inside(state: str, outcome: str) -> None:
    """``aotautograd_cache_hash`` is one name for all outcomes."""
    (row,), _ = built([lookup("aotautograd_cache_hash", cache_state=state)])
    assert (row.cache, row.outcome) == ("aot_autograd", outcome)


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "{",
        "[]",
        '{"key": 3}',
        '{"components": [1]}',
        "null",
        '{"x": ' + "[" * 100_000,
        '{"key": "\ud800"}',
    ],
    ids=range(8),
)
def test_a_damaged_lookup_keeps_its_outcome(payload: str) -> None:
    """That the cache was missed is known from the record's name; its key is a loss."""
    (row,), losses = built([lookup("fx_graph_cache_miss", payload=payload)])
    assert (row.outcome, row.key, row.components) == ("miss", None, ())
    assert [loss.count for loss in losses] == [1]


def test_a_component_of_another_form_is_kept_as_it_is() -> None:
    """A newer torch may write parts otherwise."""
    (row,), losses = built([miss(["no hash here", "[a] nothing"])])
    assert row.components == (KeyComponent("no hash here", ""), KeyComponent("nothing", "a"))
    assert losses == ()


def test_artifacts_of_other_caches_are_no_lookups() -> None:
    """An unknown artifact is passed over."""
    assert built(
        [lookup("fx_graph_cache_warmth"), lookup("cache_miss"), lookup("x_fx_graph_cache_miss")]
    ) == ((), ())


@pytest.mark.skipif(not FOREIGN.is_dir(), reason="the logs recorded elsewhere are not here")
def test_lookups_of_an_early_torch() -> None:
    """Hits, misses and bypasses of a log recorded elsewhere."""
    rows, losses = built(read_log(FOREIGN / "cache_hit_miss.log").records)
    assert losses == ()
    assert [(row.cache, row.outcome) for row in rows] == [
        ("fx_graph", "miss"),
        ("aot_autograd", "bypass"),
        ("fx_graph", "hit"),
        ("aot_autograd", "bypass"),
        ("fx_graph", "miss"),
        ("aot_autograd", "bypass"),
    ]
    assert [difference.component for difference in rows[4].differs] == ["gm"]
    assert rows[1].reason is not None
    assert rows[1].reason.startswith("Unsupported call_function target flex_attention")
