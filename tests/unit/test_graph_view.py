"""The explorer as Python holds it."""

from __future__ import annotations

import gc
import re
import shutil
from pathlib import Path

import msgspec
import pytest

from compile_inspector.errors import DrawingError, InspectorError
from compile_inspector.model.tables import Tables
from compile_inspector.views import graph_drawing
from compile_inspector.views.graph_view import GraphView, find_graph, joined
from factory import make_compile, make_graph, make_tables
from graph_samples import layered


def tables() -> Tables:
    first = msgspec.structs.replace(layered(4), compile_id="0/0")
    lowered = msgspec.structs.replace(layered(4), compile_id="0/0", stage="post_grad")
    again = msgspec.structs.replace(layered(4, odd=1), compile_id="0/1")
    return make_tables(graphs=(first, lowered, again))


def test_a_view_names_its_graph() -> None:
    """Its representation and its text say which graph it is; nothing of it needs a notebook."""
    view = GraphView(tables(), 0)
    assert repr(view) == "<GraphView: compile 0/0, dynamo, 22 nodes>"
    assert str(view).startswith("Graph of compile 0/0, dynamo: 22 nodes, 4 inputs\n")
    assert "torch._C._nn.linear" in str(view)


def test_what_is_selected_by_words_by_name_and_by_node() -> None:
    """`select` gives the nodes, and `selection` has them."""
    view = GraphView(tables(), 0)
    found = view.select("op:relu")
    assert [node.name for node in found] == ["r_0", "r_1", "r_2", "r_3"]
    assert view.selection == found
    assert view.select(found[1]) == view.selection == (found[1],)
    assert [node.name for node in view.select(["a_0", found[2]])] == ["a_0", "r_2"]
    with pytest.raises(InspectorError, match="no node 'r_9' in this graph; near: r_"):
        view.select(["r_9"])


def test_groups_are_opened_by_path() -> None:
    """A module's path and a run's will do; another is an error with near ones."""
    view = GraphView(tables(), 0)
    assert view.expand("layers.0…3").expand("layers.0.mlp").collapse("layers.0.mlp") is view
    with pytest.raises(InspectorError, match=r"no group 'layers\.9' in this graph; near: layers\."):
        view.expand("layers.9")


def test_another_graph_is_shown() -> None:
    """The stage stays where the other compile has it; what there is not is said."""
    view = GraphView(tables(), 0)
    view.select(["a_1"])
    assert view.show("0/1").graph.compile_id == "0/1"
    assert [node.name for node in view.selection] == ["a_1"]
    assert view.show("0/0", "post_grad").graph.stage == "post_grad"
    with pytest.raises(InspectorError, match="there are: 0/0 dynamo, 0/0 post_grad, 0/1 dynamo"):
        view.show("0/7")
    with pytest.raises(InspectorError, match="none at all"):
        find_graph(make_tables(graphs=(), compiles=(make_compile("0/0"),)), None, None)


def test_where_nothing_was_compiled_the_reason_is_said() -> None:
    """No graph, as nothing was compiled while recording, nor where all there is was compiled before: what to do is named."""
    before = make_compile("0/0", recovered=True)
    for compiles in ((), (before,)):
        with pytest.raises(
            InspectorError, match=r"Nothing was compiled .*torch\.compiler\.reset\(\) forgets"
        ):
            find_graph(make_tables(graphs=(), compiles=compiles), None, None)


def test_of_several_printouts_the_last_is_found() -> None:
    """Of two records of one stage, the later one is what was lowered."""
    both = make_tables(graphs=(make_graph("0/0", "post_grad"), make_graph("0/0", "post_grad", "again")))
    assert find_graph(both, "0/0", "post_grad") == 1
    assert find_graph(both, None, None) == 0


def test_an_overlay_that_there_is_not() -> None:
    """Its name is refused, with those that there are."""
    with pytest.raises(InspectorError, match="no overlay 'rainbow'; there are: family, dtype"):
        GraphView(tables(), 0).overlay("rainbow")  # type: ignore[arg-type]


def test_another_session_is_joined() -> None:
    """Its graphs follow, under names that tell them from this session's."""
    both = joined(tables(), make_tables(graphs=(make_graph("0/0"),)))
    assert [graph.compile_id for graph in both.graphs] == ["0/0", "0/0", "0/1", "other 0/0"]


def test_saved_drawings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SVG needs no engine; PNG without one says what to do."""
    view = GraphView(tables(), 0)
    assert view.to_svg(tmp_path / "g.svg") == (tmp_path / "g.svg").read_text(encoding="utf-8")
    assert view.to_svg().startswith("<svg")
    if shutil.which("dot"):
        assert view.to_png(tmp_path / "g.png")[:4] == b"\x89PNG"
        assert (tmp_path / "g.png").stat().st_size > 1_000
    monkeypatch.setattr(graph_drawing, "dot_binary", lambda: None)
    with pytest.raises(DrawingError, match="install Graphviz, or save it from the explorer"):
        view.to_png()


def test_a_page_of_one_graph(tmp_path: Path) -> None:
    """The page holds the graph, the session's others, what is picked and what was opened; it names nothing outside."""
    view = GraphView(tables(), 1)
    view.select(["a_1"])
    view.expand_all()
    page = view.to_html(tmp_path / "g.html")
    keys = re.findall(r'data-key="([^"]*)"', page)
    assert {"graph", "row", "selection", "script", "explore:0", "explore:2", "graphs:1", "session"} <= set(
        keys
    )
    assert "explore:1" not in keys
    assert "https://" not in page.split("<script>")[0]


def test_the_widget_follows_both_ways() -> None:
    """What is called in Python is in the widget's traits, and what a reader picks is in the view."""
    pytest.importorskip("anywidget", reason="anywidget is not installed")
    view = GraphView(tables(), 0)
    view.select("op:relu")
    view.overlay("symbol", "s7")
    widget = view.widget
    assert (widget.row, widget.selection, widget.script) == (
        0,
        ["r_0", "r_1", "r_2", "r_3"],
        [["overlay", "symbol", "s7"]],
    )
    view.expand("layers.1")
    assert widget.script[-1] == ["expand", "layers.1"]
    widget.selection = ["a_0", "gone"]
    assert [node.name for node in view.selection] == ["a_0"]
    widget.row = 2
    assert view.graph.compile_id == "0/1"
    with pytest.raises(Exception, match="row 9 of 3 graphs"):
        widget.row = 9
    view.compare(make_tables(graphs=(make_graph("0/1"),)), "dynamo")
    assert widget.script[-1] == ["compare", 3, "over"]
    assert GraphView(tables(), 0).widget is not widget


@pytest.mark.parametrize("on", [True, False])
def test_a_widget_leaves_the_collector_as_it_was(on: bool) -> None:
    """Python's search for cycles is put off while a widget is made, and is afterwards on or off as before."""
    pytest.importorskip("anywidget", reason="anywidget is not installed")
    before = gc.isenabled()
    try:
        gc.enable() if on else gc.disable()
        assert GraphView(tables(), 0).widget.graph
        assert gc.isenabled() == on
    finally:
        gc.enable() if before else gc.disable()
