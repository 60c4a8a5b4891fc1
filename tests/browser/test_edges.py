"""Edges of the explorer in a page: met by the pointer, picked, walked along by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import compile_inspector as ci
from browser.explorer import Explorer, Watch
from compile_inspector.model.graph import Graph
from compile_inspector.model.nodes import GraphNode, NodeOrigin
from compile_inspector.views.graph_view import GraphView
from factory import make_graph, make_tables

pytestmark = pytest.mark.browser

DATA = Path(__file__).parents[1] / "data"
MODULES = 14


@pytest.fixture(scope="module")
def session() -> ci.Session:
    """A decoder of four layers."""
    return ci.load(DATA / "stages.log.gz")


@pytest.fixture
def seen(page: Page, session: ci.Session, tmp_path: Path) -> Iterator[Explorer]:
    """The explorer of the decoder; afterwards, that nothing went out and no complaint was heard."""
    path = tmp_path / "stages.html"
    session.graph().to_html(path)
    watch = Watch(page)
    page.goto(path.as_uri())
    yield Explorer(page)
    assert watch.nothing_else(), (watch.asked, watch.said)


def nodes_of(session: ci.Session, row: int = 0) -> dict[str, GraphNode]:
    return {node.name: node for node in session.graphs[row].nodes}


def two_modules() -> Graph:
    """Two values of `first` are read by three nodes of `second`; each module is of so many nodes that it opens closed."""
    lines = ['a: "f32[2, 3]" = torch.sin(x)', 'b: "f32[2, 4]" = torch.cos(x)']
    origins = [(name, NodeOrigin("first", "m.First", None)) for name in ("a", "b")]
    for number in range(MODULES):
        lines.append(f"s_{number} = torch.add(a, {'b' if number == 0 else number})")
        origins.append((f"s_{number}", NodeOrigin("second", "m.Second", None)))
    body = "".join(f"        {line}\n" for line in (*lines, f"return (s_{MODULES - 1},)"))
    text = f"class G(torch.nn.Module):\n    def forward(self, x):\n{body}"
    return make_graph(text=text, origins=tuple(origins))


def test_an_edge_tells_what_flows_along_it(seen: Explorer, session: ci.Session) -> None:
    """Under the pointer in a line, picked in the panel: the value, its type, where it goes; its ends are links."""
    seen.search("name:matmul_4")
    seen.root.get_by_role("searchbox").press("Enter")
    seen.facts()
    x, y = seen.edge("q_2", "matmul_4")
    node = nodes_of(session)["q_2"]
    shape = f"[{', '.join(map(str, node.shape or ()))}]"
    seen.page.mouse.move(x + 3, y)
    tip = seen.root.locator(".edge-tip")
    expect(tip).to_have_text(f"q_2 f32{shape} → matmul_4")
    line, canvas = tip.bounding_box(), seen.canvas.bounding_box()
    assert line is not None
    assert canvas is not None
    assert canvas["x"] <= line["x"] <= canvas["x"] + canvas["width"] - line["width"]
    seen.page.mouse.click(x + 3, y)
    assert seen.facts()["edge"] == [["q_2", "matmul_4"]]
    assert seen.facts()["selection"] == []
    panel = seen.root.locator(".details")
    expect(panel).to_contain_text(f"{shape} {node.dtype}")
    seen.page.mouse.move(x + 200, y - 20)
    expect(tip).to_be_hidden()
    panel.get_by_role("button", name="matmul_4").click()
    assert (seen.facts()["edge"], seen.facts()["selection"]) == (None, ["matmul_4"])


def test_an_edge_between_closed_groups_stands_for_all_its_values(page: Page, tmp_path: Path) -> None:
    """The line says how many; every value and every reader is a link."""
    path = tmp_path / "graph.html"
    GraphView(make_tables(graphs=[two_modules()]), 0).to_html(path)
    watch = Watch(page)
    page.goto(path.as_uri())
    seen = Explorer(page)
    page.evaluate("window.explorers.last().state.expandTo(1)")
    seen.facts()
    x, y = seen.edge("first", "second")
    page.mouse.move(x, y)
    expect(seen.root.locator(".edge-tip")).to_have_text(f"2 values: a, b → {MODULES} readers")
    page.mouse.click(x, y)
    panel = seen.root.locator(".details")
    expect(panel.get_by_role("heading", level=3)).to_have_text("Edge of 2 values")
    expect(panel).to_contain_text("[2, 3]")
    assert panel.locator("li .link").count() == 2 + MODULES + 1
    page.evaluate("window.explorers.last().state.expandAll()")
    assert len(seen.facts()["edge"]) == MODULES + 1
    panel.get_by_role("button", name="Pick 2 values").click()
    assert seen.facts()["selection"] == ["a", "b"]
    assert watch.nothing_else(), (watch.asked, watch.said)


def test_edges_are_walked_by_keyboard(seen: Explorer) -> None:
    """From what is picked along its edges, and to their ends; each is told of."""
    seen.search("name:permute_2")
    seen.root.get_by_role("searchbox").press("Enter")
    assert seen.facts()["selection"] == ["permute_2"]
    found = [seen.press("o")["edge"] for _ in range(4)]
    assert found == [[["permute_2", name]] for name in ("q_2", "k_2", "v_2", "q_2")]
    live = seen.root.locator("[aria-live=polite]").last
    expect(live).to_contain_text("Edge: permute_2 f32")
    assert seen.press("ArrowDown")["selection"] == ["q_2"]
    assert seen.press("i")["edge"] == [["permute_2", "q_2"]]
    assert seen.press("ArrowUp")["selection"] == ["permute_2"]
    assert seen.press("Escape")["edge"] is None


def test_a_called_graph_is_joined_to_its_caller(page: Page, tmp_path: Path) -> None:
    """With a stroke of their own, which the legend names, its arguments go in and its results come back; the group says who calls it."""
    text = (
        "class G(torch.nn.Module):\n    def forward(self, x, p):\n        y = torch.sin(x)\n"
        "        true_0 = self.true_0\n        false_0 = self.false_0\n"
        "        cond = torch.ops.higher_order.cond(p, true_0, false_0, (x, y))\n        return (cond,)\n\n"
        "    class true_0(torch.nn.Module):\n        def forward(self, a, b):\n            c = torch.add(a, b)\n            return (c,)\n\n"
        "    class false_0(torch.nn.Module):\n        def forward(self, d, e):\n            f = torch.mul(d, e)\n            return (f,)\n"
    )
    path = tmp_path / "graph.html"
    GraphView(make_tables(graphs=[make_graph(text=text)]), 0).to_html(path)
    watch = Watch(page)
    page.goto(path.as_uri())
    seen = Explorer(page)
    seen.press("e")
    for source, target in (
        ("y", "[true_0]"),
        ("y", "[false_0]"),
        ("true_0.c", "cond"),
        ("false_0.f", "cond"),
    ):
        seen.edge(source, target)
    expect(seen.root.locator(".legend")).to_contain_text("into and out of a graph that an operator calls")
    page.mouse.click(*seen.edge("true_0.c", "cond"))
    assert seen.facts()["edge"] == [["true_0.c", "cond"]]
    seen.click("[true_0]")
    expect(seen.root.locator(".details")).to_contain_text("Called by")
    seen.root.locator(".details").get_by_role("button", name="cond", exact=True).click()
    assert seen.facts()["selection"] == ["cond"]
    dashed = seen.page.evaluate(
        "() => { const { picture } = window.explorers.last().view; return [...picture.callPieces].filter(Boolean).length; }"
    )
    assert dashed >= 6
    assert watch.nothing_else(), (watch.asked, watch.said)
