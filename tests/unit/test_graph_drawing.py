"""Drawing graphs as SVG, with and without Graphviz."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from compile_inspector.analyze.graph_fold import fold_graph
from compile_inspector.errors import DrawingError
from compile_inspector.model.graph import Graph
from compile_inspector.model.nodes import NodeOrigin
from compile_inspector.views import graph_drawing
from compile_inspector.views.graph_drawing import as_image, draw, run_dot
from compile_inspector.views.graph_style import clipped, short_target
from compile_inspector.views.graph_summary import graph_html
from compile_inspector.views.layering import layered as layer
from factory import HOSTILE, HOSTILE_TERMINAL, make_graph
from graph_samples import flat, layered

SVG = "{http://www.w3.org/2000/svg}"
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="there is no dot on the path")
engines = pytest.mark.parametrize("engine", [pytest.param("dot", marks=needs_dot), "plain"])


def hostile() -> Graph:
    """Text of a program that tries to get out of every place it is put."""
    bad = f'{HOSTILE}"]>&]]>{HOSTILE_TERMINAL}\\N\\"'.replace("\n", " ")
    text = (
        "class G(torch.nn.Module):\n    def forward(self, x):\n"
        f'        # File: /tmp/"{bad}.py:3 in <b>f</b>, code: {bad} -->\n'
        f'        a: "<f32>[{HOSTILE}]" = torch.ops.x.y(x, "{HOSTILE}")\n'
        f"        b = a.{{style}}<script>(x)\n        c = torch.sin(a)\n        return (c, b)\n"
    )
    origins = (
        ("c", NodeOrigin(f"m.{bad}", f"k.{bad}", None)),
        ("a", NodeOrigin(f"m.{bad}", f"k.{bad}", None)),
    )
    return make_graph(text=text, origins=origins)


def texts(svg: str) -> str:
    return " ".join("".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text"))


@engines
def test_a_drawing_shows_operations_and_types(engine: Any) -> None:
    """Each box says what it calls and what it gives; an engine asked for is the one used."""
    drawn = draw(layered(2), engine=engine)
    assert (drawn.engine, drawn.visible, drawn.total) == (engine, 12, 14)
    shown = texts(drawn.svg)
    for word in ("linear", "relu", "embedding", "f32", "mask"):
        assert word in shown
    assert drawn.note == "2 parameters, constants and sizes are not drawn"


@engines
def test_symbols_stand_out(engine: Any) -> None:
    """Symbolic sizes have a colour of their own."""
    assert "ci-fill-symbol" in draw(layered(1), engine=engine).svg


@engines
def test_hostile_text_is_inert(engine: Any) -> None:
    """The SVG is well-formed, holds no element but drawing's, no script, no handler and no address outside."""
    drawn = draw(hostile(), engine=engine)
    root = ElementTree.fromstring(drawn.svg)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {
        "svg",
        "style",
        "g",
        "title",
        "path",
        "polygon",
        "polyline",
        "ellipse",
        "rect",
        "text",
        "tspan",
    }
    attributes = {(name, value) for element in root.iter() for name, value in element.attrib.items()}
    assert not [name for name, _ in attributes if name.lower().startswith("on") or "href" in name]
    assert not [value for _, value in attributes if "script" in value or "://" in value]
    assert "<script" not in drawn.svg
    assert "\x1b" not in drawn.svg
    assert drawn.engine == engine


@engines
def test_tooltips_say_where_a_node_comes_from(engine: Any) -> None:
    """A box's title has its name, its module and the user's line; an edge's the values that flow."""
    text = (
        layered(1)
        .text.read()
        .replace("        n_0:", "        # File: /m.py:7 in f, code: norm(h)\n        n_0:")
    )
    titles = [
        node.text or ""
        for node in ElementTree.fromstring(draw(make_graph(text=text), engine=engine).svg).iter(f"{SVG}title")
    ]
    assert any("n_0" in title and "/m.py:7: norm(h)" in title for title in titles)
    assert any("n_0: layer_norm → linear" in title for title in titles)
    assert not any(title.startswith(("b0", "cluster")) for title in titles)


@engines
def test_a_large_graph_is_folded(engine: Any) -> None:
    """2,000 layers give a drawing of few boxes that says how often the layer is repeated, and that it is folded."""
    drawn = draw(layered(500), engine=engine)
    assert drawn.visible == 8
    assert "folded: 8 boxes for 2,004 nodes" in (drawn.note or "")
    assert "500" in texts(drawn.svg)
    assert len(drawn.svg) < 40_000


@engines
def test_an_image_is_the_drawing_without_what_is_not_seen(engine: Any) -> None:
    """It is smaller, has no tooltips, and says the same texts, whatever they look like."""
    text = layered(1).text.read().replace('"b8[s7]"', '"Sym(0.12345 id=x)"')
    drawn = draw(make_graph(text=text), engine=engine)
    image = as_image(drawn.svg)
    assert len(image) < len(drawn.svg)
    assert "<title>" not in image
    assert texts(image) == texts(drawn.svg)
    assert [node.tag for node in ElementTree.fromstring(image).iter() if node.tag != f"{SVG}title"] == [
        node.tag for node in ElementTree.fromstring(drawn.svg).iter() if node.tag != f"{SVG}title"
    ]


@pytest.mark.parametrize("graph", [layered(500, odd=3), flat(3_000), layered(37), hostile()])
def test_a_graph_in_a_saved_notebook_is_small(graph: Graph) -> None:
    """Its static HTML stays below 150 kB, however large the graph and its texts are."""
    assert 200 < len(graph_html(graph)) < 150_000


def test_a_drawing_that_is_too_large_is_folded_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the boxes of a drawing take too much room, fewer are drawn, and the note says that it is folded."""
    monkeypatch.setattr(graph_drawing, "dot_binary", lambda: None)
    names = ", ".join(f"x_{index}_{'n' * 60}" for index in range(140))
    body = "\n".join(
        f"        y_{index} = torch.{'o' * 30}_{index}(x_{index}_{'n' * 60})" for index in range(140)
    )
    text = f"class G(torch.nn.Module):\n    def forward(self, {names}):\n{body}\n        return (y_0,)\n"
    html = graph_html(make_graph(text=text))
    assert len(html) < 150_000
    assert "folded:" in html


@engines
def test_an_empty_graph_is_drawn(engine: Any) -> None:
    """A text without nodes gives an SVG and says what is wrong."""
    drawn = draw(make_graph(text=""), engine=engine)
    ElementTree.fromstring(drawn.svg)
    assert (drawn.visible, drawn.note) == (0, "not all of the graph could be read: the text holds no graph")


def test_without_dot_we_draw_ourselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing dot never fails a drawing; the note says what to install."""
    monkeypatch.setattr(graph_drawing, "dot_binary", lambda: None)
    drawn = draw(layered(2))
    assert drawn.engine == "plain"
    assert "install Graphviz" in (drawn.note or "")


def test_no_dot_on_the_path_means_the_bundled_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """graphviz-pure sets an absolute DOT_BINARY; graphviz alone leaves the bare name, which is none."""
    from graphviz.backend import dot_command

    monkeypatch.setattr(graph_drawing.shutil, "which", lambda _name: None)
    monkeypatch.setattr(dot_command, "DOT_BINARY", Path("dot"))
    assert graph_drawing.dot_binary() is None
    bundled = tmp_path / "dot"
    bundled.touch()
    monkeypatch.setattr(dot_command, "DOT_BINARY", bundled)
    assert graph_drawing.dot_binary() == (str(bundled), "graphviz-pure")


def test_a_dot_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drawing is ours then, and the note says why."""

    def never(*_args: object, **keywords: Any) -> None:
        raise subprocess.TimeoutExpired("dot", keywords["timeout"])

    monkeypatch.setattr(graph_drawing, "dot_binary", lambda: ("/bin/dot", "dot"))
    monkeypatch.setattr(graph_drawing.subprocess, "run", never)
    drawn = draw(layered(2))
    assert drawn.engine == "plain"
    assert "drawn without dot: it took longer than 5 s" in (drawn.note or "")


@pytest.mark.parametrize(
    ("binary", "said"),
    [("/nonexistent/dot", "could not be run"), ("/bin/false", "failed with code 1"), ("/bin/true", "code 0")],
)
def test_a_dot_that_fails_says_how(binary: str, said: str) -> None:
    """A missing, a failing and a silent binary each end in an error of ours."""
    with pytest.raises(DrawingError, match=said):
        run_dot("digraph {}", binary)


def test_layers_go_down() -> None:
    """In our own layout every box lies below what it reads, every box has a place, and long edges bend once a layer."""
    folded = fold_graph(layered(30))
    found = layer(folded)
    depth = {box: number for number, row in enumerate(found.layers) for box in row}
    assert set(depth) >= set(range(len(folded.boxes)))
    assert all(depth[edge.source] < depth[edge.target] for edge in folded.edges if not edge.carried)
    assert all(
        [depth[at] for at in chain] == list(range(depth[chain[0]], depth[chain[-1]] + 1))
        for chain in found.chains
    )


def test_our_layout_takes_many_boxes() -> None:
    """Ten thousand boxes in one column are laid out without recursion."""
    drawn = draw(flat(10_000), engine="plain", max_nodes=20_000)
    assert drawn.visible == 10_002
    ElementTree.fromstring(drawn.svg)


@pytest.mark.parametrize(
    ("target", "short"),
    [
        ("torch.ops.aten.mm.default", "mm"),
        ("torch.ops.higher_order.cond", "cond"),
        ("operator.and_", "and"),
        ("torch.ops.mine.op.default", "mine.op"),
        ("torch._C._nn.linear", "linear"),
        ("torch._functorch.predispatch._add_batch_dim", "_add_batch_dim"),
        ("view", "view"),
    ],
)
def test_targets_are_shortened(target: str, short: str) -> None:
    """A box says the operation, not where torch keeps it."""
    assert short_target(target) == short


def test_long_text_is_cut_in_the_middle() -> None:
    """Its end tells it apart as much as its start; line breaks and control characters are gone."""
    assert clipped("abcdefghij", 7) == "abcd…ij"
    assert clipped("a\nb\x00\x1b[1m\u202ec", 20) == "a b [1m c"
