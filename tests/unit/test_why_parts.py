"""Why-chains on the wire: one for each row that can be asked about, bounded in a page."""

from __future__ import annotations

import base64
import re
import zlib

import msgspec
import pytest

from compile_inspector.analyze.why import why
from compile_inspector.views.page import Budget, to_html
from compile_inspector.views.why_parts import ASKED, Whys, why_keys
from compile_inspector.views.wire import Wire, WirePart
from compile_inspector.views.wire_parts import part
from compile_inspector.views.words import visible
from factory import HOSTILE, make_compile, make_dim, make_guard, make_tables, sample_tables

_BLOCK = re.compile(r'<script type="application/octet-stream" data-key="([^"]*)">([^<]*)</script>')


def blocks(page: str) -> dict[str, bytes]:
    found = {key: base64.b64decode(text) for key, text in _BLOCK.findall(page)}
    return {key: data if data[:1] == b"{" else zlib.decompress(data) for key, data in found.items()}


def test_every_row_that_can_be_asked_about_has_its_chain() -> None:
    """Each row of dims, symbols, specializations, guards and recompiles has a part that says what `why` says."""
    tables = sample_tables()
    keys = list(why_keys(tables))
    assert len(keys) == len(set(keys)) == sum(len(tables.read(table) or ()) for table in ASKED)
    whys = Whys(tables)
    for key in keys:
        _, table, number = key.split(":")
        row = (tables.read(table) or ())[int(number)]
        chain = why(tables, row, findings=tables.read("findings") or ())
        sent = whys.part(key).chain
        assert sent is not None
        assert (sent.subject, sent.compile_id) == (visible(chain.subject), chain.compile_id)
        assert sent.verdict == visible(chain.verdict)
        assert [(step.kind, step.text) for step in sent.steps] == [
            (step.kind, visible(step.text)) for step in chain.steps
        ]
        assert part(tables, key) == whys.part(key)


@pytest.mark.parametrize(
    "key", ["why:", "why:dims", "why:dims:", "why:dims:-1", "why:dims:9999", "why:compiles:0", "why:dims:²"]
)
def test_a_question_that_makes_no_sense_is_answered(key: str) -> None:
    """Whatever is asked, the answer has its key and a problem in words, and no chain."""
    answer = part(sample_tables(), key)
    assert (answer.key, answer.chain) == (key, None)
    assert answer.problem


def test_a_chain_shows_hostile_text_as_text() -> None:
    """Control characters of a source are visible in each text of its chain."""
    tables = make_tables(compiles=[make_compile("0/0")], guards=[make_guard(source=f"L['{HOSTILE}']")])
    sent = part(tables, "why:guards:0").chain
    assert sent is not None
    told = [sent.subject, sent.verdict, *(step.text for step in sent.steps)]
    assert not [text for text in told if re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", text)]


def test_a_page_holds_the_first_chains_and_says_that_there_are_more() -> None:
    """Above the budget of chains or of time the rest is left out, and one sentence says so; below it nothing is."""
    tables = sample_tables()
    every = blocks(to_html(tables))
    assert {key for key in every if key.startswith("why:")} == set(why_keys(tables))
    found = msgspec.json.decode(every[next(iter(why_keys(tables)))], type=WirePart)
    assert found.chain is not None
    few = blocks(to_html(tables, budget=Budget(chains=2)))
    assert [key for key in few if key.startswith("why:")] == list(why_keys(tables))[:2]
    assert list(msgspec.json.decode(few["payload"], type=Wire).left_out) == ["why"]
    ticks = iter(range(10_000))
    late = blocks(
        to_html(tables, budget=Budget(comparing_s=1e6, chain_s=1.0), clock=lambda: float(next(ticks)))
    )
    assert len([key for key in late if key.startswith("why:")]) == 1


def test_inputs_come_before_parameters() -> None:
    """A page that cannot hold every chain holds those of inputs first."""
    tables = make_tables(
        compiles=[make_compile("0/0")],
        dims=[
            make_dim(source="L['self'].weight", is_parameter=True),
            make_dim(source="L['x']"),
        ],
    )
    assert list(why_keys(tables)) == ["why:dims:1", "why:dims:0"]
