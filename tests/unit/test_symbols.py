"""The tables of symbols and of specializations from records made by hand."""

from __future__ import annotations

from compile_inspector.recording.tables.symbols import specializations, symbols
from narrated import build, event, fact, frame


def created(symbol: str, source: str, val: str = "6", **changes):
    body = {
        "symbol": symbol,
        "val": val,
        "vr": "[2, int_oo]",
        "source": source,
        "user_stack": [frame(9, "x + 1")],
    }
    return event("create_symbol", body | changes)


def pinned(symbol: str = "s77", value: str = "5", line: int = 12, **changes):
    body = {"symbol": symbol, "sources": ["L['x'].size()[0]"], "value": value, "reason": "solve"}
    return event(
        "symbolic_shape_specialization",
        body | {"user_stack": [frame(3, "model(x)"), frame(line, "view")]} | changes,
    )


def test_a_fact_gives_every_source_and_the_event_the_line() -> None:
    """The fact knows all sources and the final range; the line that made the symbol is torch's own word."""
    value = {
        "settings": {},
        "symbols": [["s77", ["L['x'].size()[0]", "L['y'].size()[1]"], 6, "[3, int_oo]", "backed"]],
        "replacements": [["s77", "2*s9", None]],
        "inputs": [],
        "parameters": [],
        "stacks": [],
    }
    (row,), lost = build(symbols, [created("s77", "L['x'].size()[0]"), fact("shapes", value)])
    assert lost == ()
    assert (row.name, row.sources, row.hint, row.range) == (
        "s77",
        ("L['x'].size()[0]", "L['y'].size()[1]"),
        6,
        "[3, int_oo]",
    )
    assert (row.kind, row.created.line, row.replaced_by) == ("backed", 9, "2*s9")


def test_a_foreign_log_gives_what_torch_narrates() -> None:
    """Symbols in the order of making, backed and unbacked; a hint that is no number is None; what pinned one is its replacement."""
    unbacked = event(
        "create_unbacked_symbol",
        {"symbol": "u0", "node_id": 1, "vr": "[-int_oo, int_oo]", "user_stack": None},
    )
    rows, lost = build(
        symbols, [created("s77", "L['x'].size()[0]"), unbacked, created("zf1", "L['f']", "0.5"), pinned()]
    )
    assert lost == ()
    assert [(row.name, row.kind, row.hint, row.sources, row.replaced_by) for row in rows] == [
        ("s77", "backed", 6, ("L['x'].size()[0]",), "5"),
        ("u0", "unbacked", None, (), None),
        ("zf1", "backed", None, ("L['f']",), None),
    ]
    assert rows[1].created is None


def test_symbols_are_those_of_the_attempt_that_shipped() -> None:
    """A symbol of an attempt that was thrown away is no row."""
    thrown = created("s1", "L['x'].size()[0]")
    kept = event("create_symbol", {"symbol": "s2", "val": "4", "source": "L['x'].size()[0]"}, attempt=1)
    rows, _ = build(symbols, [thrown, kept])
    assert [row.name for row in rows] == ["s2"]


def test_a_specialization_has_torchs_words_and_the_users_line() -> None:
    """Each symbol and value once, with the deepest line of the user's stack."""
    rows, lost = build(specializations, [pinned(), pinned(line=99), pinned("s9", "7", user_stack=None)])
    assert lost == ()
    assert [(row.symbol, row.value, row.reason) for row in rows] == [
        ("s77", "5", "solve"),
        ("s9", "7", "solve"),
    ]
    assert (rows[0].location.line, len(rows[0].stack)) == (12, 2)
    assert rows[1].location is None


def test_numbers_as_values_are_text() -> None:
    """A version of torch that writes the value as a number gives the same row."""
    (row,), _ = build(specializations, [pinned(value=5)])
    assert row.value == "5"


def test_damaged_records_are_losses() -> None:
    """A record of another form is counted; the rest is read."""
    records = [
        event("create_symbol", {"val": "1"}),
        created("s1", "L['x'].size()[0]"),
        event("create_symbol", None),
    ]
    rows, lost = build(symbols, records)
    assert [row.name for row in rows] == ["s1"]
    assert len(lost) == 1
