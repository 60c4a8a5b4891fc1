"""The table of dimensions from records made by hand: every verdict from facts, what a foreign log gives, damaged records."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compile_inspector.model.records import Record
from compile_inspector.model.symbols import Dim
from compile_inspector.recording.tables.dims import dims
from narrated import artifact, build, event, fact, frame

SETTINGS = {"automatic_dynamic": True, "assume_static": True, "specialize_zero_one": True, "duck_shape": True}
USE = [["/home/ada/project/model.py", 7, "forward", "y = x * 2"]]


def shapes(*inputs: list[Any], **changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "settings": SETTINGS,
        "symbols": [],
        "replacements": [],
        "inputs": list(inputs),
        "parameters": [],
        "stacks": [USE],
    }
    return value | changes


def tensor(
    size: int | None = 4,
    became: int | str = 4,
    symbol: str | None = None,
    policy: str = "static",
    mark: str | None = None,
):
    return ["L['x']", [size], [became], [symbol], [policy], [mark], 0]


def only(*records: Record) -> Dim:
    (row,), lost = build(dims, records)
    assert lost == ()
    return row


def changed(
    was: str, now: str, dim: int | str = 0, *, reason: str = "size change", at: str = "0/1", attempt: int = 0
) -> Record:
    args = {"name": "L['x']", "dim_changed": dim, "reason": reason, "cached": was, "new": now}
    payload = json.dumps({"name": "automatic_dynamic", "ph": "i", "args": args})
    return event("chromium_event", {}, payload, at=at, attempt=attempt)


@pytest.mark.parametrize(
    ("row", "settings", "verdict", "words"),
    [
        (tensor(), {}, "static", "until a second size is seen"),
        (tensor(), {"automatic_dynamic": False}, "static", "dynamic=False"),
        (tensor(), {"assume_static": False}, "static", "numbers"),
        (tensor(mark="mark_static"), {}, "static", "mark_static"),
        (tensor(1, 1, None, "duck"), {"assume_static": False}, "zero-one", "size 1 is always specialised"),
        (tensor(0, 0, None, "dynamic"), {}, "zero-one", "size 0 is always specialised"),
        (
            tensor(1, 1, None, "dynamic", "mark_dynamic"),
            {},
            "zero-one",
            "although it was marked with mark_dynamic",
        ),
        (tensor(1, 1), {}, "static", "until a second size is seen"),
        (tensor(4, "s77", "s77", "dynamic", "maybe_mark_dynamic"), {}, "marked", "maybe_mark_dynamic: s77"),
        (tensor(4, "s77", "s77", "duck"), {"assume_static": False}, "dynamic", "dynamic=True"),
        (tensor(4, "s77", "s77", "dynamic", "automatic"), {}, "dynamic", "seen another size before"),
        (tensor(5, "u0", "u0", "unbacked", "mark_unbacked"), {}, "unbacked", "mark_unbacked: u0"),
        (tensor(None, "u0", "u0", "dynamic"), {}, "unbacked", "comes from data"),
        (
            tensor(5, 5, "s77", "dynamic", "mark_dynamic"),
            {},
            "specialized",
            "marked with mark_dynamic, but specialized to 5",
        ),
        (tensor(5, 5, None, "unbacked", "mark_unbacked"), {}, "specialized", "specialized to 5"),
    ],
)
def test_verdicts(row: list[Any], settings: dict[str, bool], verdict: str, words: str) -> None:
    """What became of a dimension, how torch was to treat it and the settings decide the verdict."""
    dim = only(fact("shapes", shapes(row, settings=SETTINGS | settings)))
    assert (dim.verdict, words in dim.why) == (verdict, True), dim.why
    assert dim.location is not None
    assert dim.location.line == 7


def test_a_parameter_is_static_by_design() -> None:
    """A parameter needs no reason of a line."""
    dim = only(fact("shapes", shapes(parameters=[["L['self'].w", [16]]])))
    assert (dim.source, dim.size, dim.verdict, dim.is_parameter, dim.location) == (
        "L['self'].w",
        16,
        "static",
        True,
        None,
    )


def test_a_shared_symbol_names_its_partners() -> None:
    """Up to four partners are named; of more, three and the number of the others; a size that is no tensor's counts too."""
    sources = ["L['x'].size()[0]", *(f"L['y{number}'].size()[0]" for number in range(5)), "L['n']"]
    row = tensor(6, "s77", "s77", "duck")
    dim = only(fact("shapes", shapes(row, symbols=[["s77", sources, 6, "[2, int_oo]", "backed"]])))
    assert dim.verdict == "duck-shared"
    assert "L['y0'].size()[0], L['y1'].size()[0], L['y2'].size()[0] and 3 more" in dim.why
    assert "all were 6" in dim.why


def test_a_chain_of_replacements_is_told_step_by_step() -> None:
    """s27 became s77, s77 became 5: each step has its guard and its line; the last step's line decided."""
    equal = event("guard_added_fast", {"expr": "Eq(s27, s77)", "user_stack": [frame(11, "z = x + y")]})
    guard = event("guard_added_fast", {"expr": "Eq(4*s77, 20)", "user_stack": [frame(12, "z.view(4, 5)")]})
    pinned = event(
        "symbolic_shape_specialization",
        {
            "symbol": "s77",
            "sources": ["L['x'].size()[0]"],
            "value": "5",
            "reason": "solve",
            "user_stack": [frame(12, "z.view(4, 5)")],
        },
    )
    value = shapes(tensor(5, 5, "s27", "duck"), replacements=[["s27", "s77", None], ["s77", "5", None]])
    dim = only(equal, guard, pinned, fact("shapes", value))
    assert dim.verdict == "specialized"
    assert dim.why == (
        "specialized to 5: s27 == s77 at model.py:11 (z = x + y); "
        "s77 == 5 because of Eq(4*s77, 20) at model.py:12 (z.view(4, 5))"
    )
    assert dim.location is not None
    assert dim.location.line == 12


def test_a_circle_of_replacements_ends() -> None:
    """A damaged fact whose replacements go round does not hang."""
    value = shapes(tensor(5, 5, "s1", "duck"), replacements=[["s1", "s2", "one.py:1"], ["s2", "s1", None]])
    assert only(fact("shapes", value)).why == "specialized to 5: s1 == s2 at one.py:1; s2 == s1"


def test_only_sizes_count_as_a_change() -> None:
    """A change of stride, of a scalar or of the number of dimensions is not a change of this dimension's size."""
    row = tensor(5, "s77", "s77", "dynamic", "automatic")
    for record in (
        changed("4", "5", reason="stride change"),
        changed("4", "5", "all"),
        changed("4", "5", "scalar"),
    ):
        assert "seen another size" in only(record, fact("shapes", shapes(row), at="0/1")).why
    assert "it was 4, then 5" in only(changed("4", "5"), fact("shapes", shapes(row), at="0/1")).why


def test_a_change_seen_in_an_earlier_attempt_counts() -> None:
    """A change is narrated once, in the first attempt; the attempt that ships may be a later one."""
    row = tensor(5, "s77", "s77", "dynamic", "automatic")
    dim = only(changed("4", "5"), fact("shapes", shapes(row), at="0/1", attempt=2))
    assert dim.why == "dynamic after a change: it was 4, then 5"


@pytest.mark.parametrize(
    "payload",
    [
        "{",
        "[]",
        '{"settings": {}}',
        '{"settings": {}, "symbols": [["s1"]], "replacements": [], "inputs": [], "parameters": [], "stacks": []}',
        '{"settings": {}, "symbols": [], "replacements": [], "inputs": [["L", 1]], "parameters": [], "stacks": []}',
    ],
)
def test_a_damaged_fact_is_a_loss(payload: str) -> None:
    """A fact that cannot be read gives no rows and one loss."""
    rows, lost = build(dims, [artifact("compile_inspector.shapes", payload)])
    assert rows == ()
    assert len(lost) == 1


def test_rows_of_uneven_length_are_left_out() -> None:
    """An input whose fields disagree about its number of dimensions is left out; a stack that is not there is no location."""
    uneven = ["L['x']", [4, 5], [4], [None], ["static"], [None], None]
    far = ["L['y']", [4], [4], [None], ["static"], [None], 9]
    dim = only(fact("shapes", shapes(uneven, far)))
    assert (dim.source, dim.location) == ("L['y']", None)


def test_a_foreign_log_pairs_tensors_with_sources() -> None:
    """Without our fact, inputs come from the pairs of describe_tensor and describe_source, symbols from create_symbol."""
    records = [
        event(
            "describe_tensor", {"id": 0, "describer_id": 3, "size": [4, 1, 8], "dynamo_dynamic_indices": [2]}
        ),
        event("describe_source", {"id": 0, "describer_id": 3, "source": "L['x']"}),
        event("describe_tensor", {"id": 1, "describer_id": 3, "size": [16], "is_parameter": True}),
        event("describe_source", {"id": 1, "describer_id": 3, "source": "L['self'].w"}),
        event("describe_tensor", {"id": 0, "describer_id": 4, "size": [99]}),
        event("describe_source", {"id": 7, "describer_id": 4, "source": "L['lost']"}),
        event(
            "create_symbol",
            {
                "symbol": "s3",
                "val": "8",
                "vr": "[2, int_oo]",
                "source": "L['x'].size()[2]",
                "user_stack": [frame(9, "x + 1")],
            },
        ),
    ]
    rows, lost = build(dims, records)
    assert lost == ()
    assert [(row.source, row.dim, row.size, row.symbol, row.verdict) for row in rows] == [
        ("L['x']", 0, 4, None, "static"),
        ("L['x']", 1, 1, None, "static"),
        ("L['x']", 2, 8, "s3", "marked"),
        ("L['self'].w", 0, 16, None, "static"),
    ]
    assert rows[2].location.line == 9


def test_damaged_events_of_a_foreign_log_are_losses() -> None:
    """Events of another form are counted and left out; the others are read."""
    records = [
        event("describe_tensor", {"id": "zero"}),
        event("describe_tensor", [1, 2]),
        event("describe_tensor", {"id": 0, "describer_id": 0, "size": [4]}),
        event("describe_source", {"id": 0, "describer_id": 0, "source": "L['x']"}),
        event("create_symbol", {"symbol": 5}),
        event("symbolic_shape_specialization", {"symbol": "s1"}),
        event("guard_added_fast", "text"),
        event("chromium_event", {}, '{"name": "automatic_dynamic", "args": {"name": 5}}'),
        event("an_event_of_tomorrow", {"x": 1}),
    ]
    rows, lost = build(dims, records)
    assert [(row.source, row.verdict) for row in rows] == [("L['x']", "static")]
    assert len(lost) == 6
