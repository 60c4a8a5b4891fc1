"""Reading ordinary lines of a printed graph at once gives what reading them carefully gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compile_inspector.model.graph_lines import ORDINARY, inputs_in, ordinary_parameters
from compile_inspector.model.graph_reader import GraphReader
from compile_inspector.recording.assemble import assemble
from compile_inspector.recording.trace_file import read_log
from graph_samples import flat, layered

DATA = Path(__file__).parents[1] / "data"
HEAD = "class GraphModule(torch.nn.Module):\n    def forward(self, x, s7, dim):\n"

NAMES = st.sampled_from(("x", "s7", "dim", "y", "mul_1", "return", "getattr", "self", "x_2", "é", "None"))
NUMBERS = st.sampled_from(("0", "-1", "0.125", "1e-05", "12", "torch.float32", "x.T", "inf"))
ATOMS = st.one_of(NAMES, NUMBERS)
OPERATORS = st.sampled_from(("+", "-", "*", "**", "//", "==", "<", "and", "or", "is", "@", "%"))


def _call(parts: list[str]) -> str:
    return f"{parts[0]}({', '.join(parts[1:])})"


VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map(_call),
        st.lists(inner, max_size=3).map(lambda parts: f"torch.add({', '.join(parts)})"),
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        st.lists(inner, max_size=3).map(lambda parts: f"({', '.join(parts)})"),
        st.tuples(NAMES, inner).map(lambda pair: f"{pair[0]}[{pair[1]}]"),
        st.tuples(NAMES, inner).map(lambda pair: f"f(x, {pair[0]} = {pair[1]})"),
        st.tuples(NAMES, inner).map(lambda pair: f"{pair[0]}.view({pair[1]})"),
        st.tuples(inner, OPERATORS, inner).map(" ".join),
        inner.map(lambda text: f"-{text}"),
    ),
    max_leaves=6,
)
TYPES = st.sampled_from(("", ': "f32[s7, 2][2, 1]cpu"', ': "Sym(s7)"', ': ""', " : f32", ': "'))
TAILS = st.sampled_from(
    ("", ";  x = None", ";  x = y = None", "; ", ";  (", ";  'a'", "  # a comment", " ", ")", "]")
)
STATEMENTS = st.tuples(NAMES, TYPES, VALUES, TAILS).map(
    lambda parts: f"        {parts[0]}{parts[1]} = {parts[2]}{parts[3]}"
)
LINES = st.one_of(
    STATEMENTS,
    st.sampled_from(
        (
            "",
            "        # File: /m.py:3 in f, code: y = x",
            "        return (y, x)",
            "    class body_0(torch.nn.Module):",
            "        def forward(self, a, b):",
            "        y += 1;  z = y;  y = None",
            "\ty = torch.add(x, 1)",
            "        y = torch.add(",
            "            x, 1)",
        )
    ),
)


def check(text: str) -> None:
    """Both ways of reading give the same nodes and miss the same lines."""
    quick, careful = GraphReader(text, {}), GraphReader(text, {}, careful=True)
    quick.read()
    careful.read()
    assert quick.nodes == careful.nodes
    assert (quick.unread, quick.problem()) == (careful.unread, careful.problem())


@settings(max_examples=400, deadline=None)
@given(lines=st.lists(LINES, max_size=8))
def test_ordinary_lines_are_read_as_carefully_as_others(lines: list[str]) -> None:
    """Whatever stands on a line, reading it at once or carefully gives the same."""
    check(HEAD + "\n".join(lines))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damage_is_read_alike(data: st.DataObject) -> None:
    """A text that lost, gained or doubled characters anywhere is read the same in both ways."""
    text = layered(2).text.read()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 12))
        text = (
            text[:at]
            + data.draw(st.sampled_from(("", "(", '"', ")", "#", " = ", ";", "\n", "'", "]", ", ")))
            + text[at + length :]
        )
    check(text)


@pytest.mark.parametrize(
    "log", sorted([*DATA.glob("*.log.gz"), *DATA.glob("cases/*.log.gz")]), ids=lambda path: path.name
)
def test_recorded_graphs_are_read_alike(log: Path) -> None:
    """Every graph of every recorded trace gives the same nodes in both ways."""
    graphs = assemble(read_log(log).records).read("graphs") or ()
    for graph in graphs:
        check(graph.text.read())


@pytest.mark.parametrize("text", [layered(3).text.read(), flat(60).text.read()], ids=["layered", "flat"])
def test_nearly_every_line_is_ordinary(text: str) -> None:
    """A printout's statements are recognised as ordinary: the time that reading takes rests on it."""
    statements = [line for line in text.split("\n") if " = " in line]
    assert [line for line in statements if ORDINARY.fullmatch(line) is None] == []


def test_inputs_are_whole_names() -> None:
    """A name that a longer name, a number, an attribute or a keyword argument begins with is no input; a name is taken once."""
    known = {name: name for name in ("x", "dim", "e", "attn_mas", "torch", "y")}
    assert inputs_in("dim1, 1e5, a.x, x.T, xx, (y, [x, -y])", known) == ("x", "y")
    assert inputs_in("x, attn_mask = y, dim = 3, e = y", known) == ("x", "y")


def test_a_signature_with_anything_else_is_read_carefully() -> None:
    """Defaults, comments, unquoted types and further brackets are not ordinary."""
    assert ordinary_parameters('    def forward(self, x: "f32[2, 3]", *args):') == [
        ("self", ""), ("x", "f32[2, 3]"), ("*args", ""),
    ]  # fmt: skip
    for inside in ("self, x=None", "self, x: f32", "self, x:", "", "self,", 'self, x: "a\\"b"'):
        assert ordinary_parameters(f"    def forward({inside}):") is None


@pytest.mark.parametrize(
    "text", ["(" * 4000, "f(" * 2000, "x[" * 2000, "a " * 4000, "f(a)" * 2000, '"' * 4001]
)
def test_a_line_made_to_be_slow_is_not(text: str) -> None:
    """Long lines of opening brackets, words and quotes are refused in one pass; a pattern that went back over them would not end."""
    assert ORDINARY.fullmatch(f"        y = {text * 20}!") is None
    assert ordinary_parameters(f"    def forward(self, {text * 20}):") is None
