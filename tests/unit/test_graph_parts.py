"""What relates graphs, as parts of the wire."""

from __future__ import annotations

import pytest

from compile_inspector.model.recompiles import Recompile
from compile_inspector.views.graph_parts import graph_part_keys, graphdiff_part
from compile_inspector.views.wire import WirePart
from compile_inspector.views.wire_parts import part
from factory import HOSTILE_TERMINAL, make_entry, make_graph, make_tables

TEXT = """\
class G(torch.nn.Module):
    def forward(self, L_x_: "f32[4]"):
        a: "f32[4]" = torch.sin(L_x_)
        b: "f32[4]" = torch.cos(a)
        return (b,)
"""


def column(found: WirePart, key: str) -> list[object]:
    assert found.table is not None
    [one] = [column for column in found.table.columns if column.key == key]
    if one.words is None or one.codes is None:
        return list(one.numbers or [])
    return [None if code < 0 else one.words[code] for code in one.codes]


def test_correspondence_is_sent_as_pairs() -> None:
    """Left, right, left, right, from either side."""
    tables = make_tables(graphs=[make_graph("0/0", text=TEXT), make_graph("0/1", text=TEXT)])
    assert part(tables, "correspond:0:1").pairs == [0, 0, 1, 1, 2, 2, 3, 3]
    assert part(tables, "correspond:1:0").pairs == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_diff_is_sent_as_a_table_with_its_pairs() -> None:
    """Columns by name; a side that lacks the node is None; ``text`` names both graphs."""
    changed = TEXT.replace("torch.cos(a)", "torch.tanh(a)").replace(
        "        return", '        c: "f32[4]" = b + 1\n        return'
    )
    tables = make_tables(graphs=[make_graph("0/0", text=TEXT), make_graph("0/1", text=changed)])
    found = part(tables, "graphdiff:0:1")
    assert column(found, "kind") == ["changed", "added"]
    assert column(found, "left") == [2, None]
    assert column(found, "right") == [2, 3]
    assert column(found, "what") == ["target", None]
    assert column(found, "was") == ["torch.cos", None]
    assert column(found, "is") == ["torch.tanh", "operator.add(b, 1) f32[4]"]
    assert found.pairs == [0, 0, 1, 1, 2, 2, 3, 4]
    assert found.text == "From 0/0 dynamo to 0/1 dynamo"


def test_texts_of_a_diff_are_made_visible() -> None:
    """Arguments from a hostile program reach no terminal or page as they are."""
    hostile = TEXT.replace("torch.cos(a)", f"torch.cos(a, '{HOSTILE_TERMINAL}')")
    found = graphdiff_part("k", make_graph("0/0", text=TEXT), make_graph(text=hostile))
    assert "\x1b" not in str(column(found, "is"))
    assert "\\x1b" in str(column(found, "is"))


@pytest.mark.parametrize(
    "key",
    ["correspond:0", "correspond:0:1", "graphdiff:0:-1", "graphdiff:a:0", "correspond:0:0:0", "graphdiff:",
     "correspond:99999999999999999999:0"],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_answered(key: str) -> None:
    """With a sentence."""
    assert part(make_tables(graphs=[make_graph("0/0", text=TEXT)]), key).problem == "There is no such part."


def test_a_page_is_offered_the_pairs_that_are_likely_to_be_asked_for() -> None:
    """Stages of a compile with each other, and a recompile with its nearest entry, stage by stage."""
    tables = make_tables(
        graphs=[
            make_graph("0/0", text=TEXT),
            make_graph("0/0", text=TEXT, stage="forward"),
            make_graph("0/1", text=TEXT),
            make_graph("0/1", text=TEXT, stage="forward"),
        ],
        recompiles=[Recompile("0/1", None, (make_entry("0/0"),))],
    )
    keys = list(graph_part_keys(tables))
    assert {"correspond:0:1", "correspond:2:3", "correspond:0:2", "graphdiff:0:2", "graphdiff:1:3"} <= set(
        keys
    )
    assert "graphdiff:0:1" not in keys
    assert all(part(tables, key).problem is None for key in keys)
