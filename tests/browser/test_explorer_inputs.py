"""The explorer given graphs that nobody wishes for: empty, huge, damaged, hostile. Each shows something true, and nothing breaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.explorer import Explorer, Watch
from compile_inspector.model.graph import Graph
from compile_inspector.views.graph_view import GraphView
from factory import HOSTILE, make_graph, make_tables
from graph_samples import layered

pytestmark = pytest.mark.browser

HEAD = "class G(torch.nn.Module):\n    def forward(self, {}):\n"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light")
    page.set_default_timeout(15_000)
    yield page
    page.close()


def opened(page: Page, graph: Graph, folder: Path) -> tuple[Explorer, Watch]:
    """The explorer of one graph, in a page."""
    path = folder / "graph.html"
    GraphView(make_tables(graphs=[graph]), 0).to_html(path)
    watch = Watch(page)
    page.goto(path.as_uri())
    return Explorer(page), watch


def printed(*lines: str, inputs: str = "x", output: str = "()") -> Graph:
    """A graph from lines as torch prints them."""
    body = "".join(f"        {line}\n" for line in (*lines, f"return {output}"))
    return make_graph(text=HEAD.format(inputs) + body)


def test_an_empty_graph_says_so(page: Page, tmp_path: Path) -> None:
    """A graph whose text is empty is said to have no nodes, or why it was not read."""
    seen, watch = opened(page, make_graph(text=""), tmp_path)
    assert seen.facts()["count"] == 0
    expect(seen.root.locator(".stage-note")).to_be_visible()
    assert watch.nothing_else()


def test_one_node_is_drawn(page: Page, tmp_path: Path) -> None:
    """An input that is returned is two boxes with an edge."""
    seen, watch = opened(page, printed(output="(x,)"), tmp_path)
    assert seen.place("x")
    assert seen.place("output")
    assert watch.nothing_else()


def test_a_node_with_5000_users(page: Page, tmp_path: Path) -> None:
    """It is drawn, the first of its users are listed with their number, and all of them can be picked."""
    lines = [f"y_{at} = torch.sin(x)" for at in range(5000)]
    seen, watch = opened(page, printed(*lines, output="(y_0,)"), tmp_path)
    seen.page.evaluate("window.explorers.last().state.select([0], { reveal: true })")
    details = seen.root.locator(".details")
    expect(details).to_contain_text("Pick all 5,000")
    details.get_by_role("button", name="Pick all 5,000").click()
    assert len(seen.facts()["selection"]) == 5000
    assert watch.nothing_else()


def test_a_chain_50000_long(page: Page, tmp_path: Path) -> None:
    """It opens, all of it opens, and its last node is found: nothing goes down it by recursion."""
    lines = ["y_0 = torch.sin(x)", *(f"y_{at} = torch.sin(y_{at - 1})" for at in range(1, 50_000))]
    seen, watch = opened(page, printed(*lines, output="(y_49999,)"), tmp_path)
    assert seen.facts()["count"] == 50_002
    assert seen.search("name:y_49999") == ["y_49999"]
    seen.root.get_by_role("searchbox").press("Enter")
    seen.facts()
    assert seen.place("y_49999")
    assert watch.nothing_else()


def test_50000_nodes_in_layers(page: Page, tmp_path: Path) -> None:
    """Layers alike are one box; opened all, each node is a box; the page answers and complains of nothing."""
    seen, watch = opened(page, layered(12_500), tmp_path)
    first = seen.facts()
    assert first["count"] > 50_000
    assert first["boxes"] < 40
    seen.press("e")
    assert seen.facts()["boxes"] > 50_000
    assert len(seen.search("op:layer_norm")) == 12_500
    seen.press("c")
    assert seen.facts()["boxes"] == first["boxes"]
    assert watch.nothing_else()


def test_a_large_graph_is_laid_out_in_its_worker_again_and_again(page: Page, tmp_path: Path) -> None:
    """Opened, folded and opened, with constants and without, it is laid out each time."""
    seen, watch = opened(page, layered(200), tmp_path)
    folded = seen.facts()["boxes"]
    everything = seen.press("e")["boxes"]
    assert everything > 800
    assert seen.press("c")["boxes"] == folded
    assert seen.press("e")["boxes"] == everything
    assert seen.press("h")["boxes"] > everything
    assert seen.press("h")["boxes"] == everything
    assert seen.root.locator(".stage-note.problem").count() == 0
    assert watch.nothing_else()


def test_a_damaged_graph_with_a_cycle(page: Page, tmp_path: Path) -> None:
    """Nodes that read each other, as no compiler makes them, are all drawn."""
    lines = ["a = torch.sin(c)", "b = torch.cos(a)", "c = torch.add(b, x)", "d = d + d"]
    seen, watch = opened(page, printed(*lines, output="(c,)"), tmp_path)
    assert [name for name in ("a", "b", "c", "d") if seen.place(name) is None] == []
    assert watch.nothing_else()


HOSTILE_LINES = (
    f'quoted: "f32[s0, 2*s1 + 3]" = torch.ops.aten.einsum.default("ij,jk->ik{HOSTILE}", [x, x])',
    'arabic_مرحبا: "f32[2]" = torch.sin(quoted)',
    'emoji_1: "i64[1][1]cuda:0" = torch.ops.my_lib.op_\U0001f600(arabic_مرحبا)',
    "nested = torch.sin(emoji_1)",
    "missing = something_unknown()",
)


def test_hostile_text_is_text(page: Page, tmp_path: Path) -> None:
    """Markup, quotes, emoji, right-to-left text: shown in full, searched and saved, and no element comes of it."""
    graph = printed(
        f"# File: {HOSTILE}.py:1 in {HOSTILE}, code: <img src=x onerror=alert(1)> \u202egnp", *HOSTILE_LINES,
        output="(nested,)",
    )  # fmt: skip
    seen, watch = opened(page, graph, tmp_path)
    seen.open_panel("Sources")
    seen.press("e")
    for name in ("quoted", "emoji_1", "missing"):
        seen.page.evaluate(
            "name => { const { state } = window.explorers.last(); state.select([state.graph.nodeOf(name)], { reveal: true }); }",
            name,
        )
        assert seen.facts()["selection"] == [name]
        assert seen.root.locator("script, img, iframe, [onerror]").count() == 0
    seen.page.evaluate(
        "() => { const { state } = window.explorers.last(); state.select([state.graph.nodeOf('quoted')]); }"
    )
    expect(seen.root.locator(".details")).to_contain_text(HOSTILE)
    assert seen.search("name:emoji") == ["emoji_1"]
    assert seen.search(HOSTILE)
    saved = save(seen, "SVG", tmp_path)
    words = "".join(ElementTree.fromstring(saved.read_text(encoding="utf-8")).itertext())
    assert "einsum" in words
    assert not list(ElementTree.fromstring(saved.read_bytes()).iter("{http://www.w3.org/2000/svg}script"))
    assert watch.nothing_else()


def test_it_is_saved_as_a_picture_and_as_a_page(page: Page, browser: Browser, tmp_path: Path) -> None:
    """SVG with the names of what is open, PNG of the right kind, and the page itself, which opens again by itself."""
    seen, watch = opened(page, layered(6, odd=2), tmp_path)
    drawing = ElementTree.fromstring(save(seen, "SVG", tmp_path).read_bytes())
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    words = " ".join(drawing.itertext())
    assert "layers" in words
    assert "embed" in words
    assert save(seen, "PNG", tmp_path).read_bytes().startswith(b"\x89PNG")
    copy = save(seen, "HTML", tmp_path)
    again = browser.new_page()
    second = Watch(again)
    again.goto(copy.as_uri())
    assert Explorer(again).facts()["count"] == seen.facts()["count"]
    again.close()
    assert watch.nothing_else()
    assert second.nothing_else()


def save(seen: Explorer, kind: str, folder: Path) -> Path:
    """Saves by the menu."""
    seen.root.get_by_role("button", name="Save", exact=False).first.click()
    with seen.page.expect_download() as waiting:
        seen.root.get_by_role("button", name=kind).click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path
