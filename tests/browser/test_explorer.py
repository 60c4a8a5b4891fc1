"""The explorer of graphs in an exported page, from a file, with the network refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import compile_inspector as ci
from browser.explorer import Explorer, Watch
from compile_inspector.model.nodes import GraphNode

pytestmark = pytest.mark.browser

DATA = Path(__file__).parents[1] / "data"
RUN = "layers.0…1"
AXE = Path(__file__).parents[2] / "inspector" / "frontend" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def session() -> ci.Session:
    """A decoder of four layers, one unlike the others, through Inductor, twice."""
    return ci.load(DATA / "stages.log.gz")


@pytest.fixture(scope="module")
def file(session: ci.Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The session as one page."""
    path = tmp_path_factory.mktemp("page") / "stages.html"
    session.graph().to_html(path)
    return path


@pytest.fixture
def seen(page: Page, file: Path) -> Iterator[Explorer]:
    """The explorer of the page; afterwards, that nothing went out and no complaint was heard."""
    watch = Watch(page)
    page.goto(file.as_uri())
    yield Explorer(page)
    assert watch.nothing_else(), (watch.asked, watch.said)


def nodes_of(session: ci.Session, row: int = 0) -> dict[str, GraphNode]:
    return {node.name: node for node in session.graphs[row].nodes}


def test_it_opens_folded(seen: Explorer, session: ci.Session) -> None:
    """Four layers are one box, and the whole graph fits the eye."""
    facts = seen.facts()
    assert facts["count"] == len(session.graphs[0].nodes)
    assert facts["boxes"] < 20
    assert seen.sure_place(RUN)["open"] is False
    assert seen.place("layers.0") is None


def test_opening_keeps_the_place_and_closing_too(seen: Explorer) -> None:
    """A double click opens a group where it is; another closes it, and all is as before."""
    before, facts = seen.sure_place(RUN), seen.facts()
    seen.click(RUN, twice=True)
    assert seen.facts()["boxes"] > facts["boxes"]
    after = seen.sure_place(RUN)
    assert after["open"] is True
    assert middle(after) == pytest.approx(middle(before), abs=2)
    seen.click(RUN, twice=True)
    again = seen.sure_place(RUN)
    assert again["open"] is False
    assert middle(again) == pytest.approx(middle(before), abs=2)
    assert seen.facts()["boxes"] == facts["boxes"]


def middle(box: dict[str, float]) -> tuple[float, float]:
    """The middle of a box's upper edge."""
    return box["x"] + box["width"] / 2, box["y"]


def test_everything_opens_and_folds(seen: Explorer, session: ci.Session) -> None:
    """With everything open each call is drawn as itself; folding gives back the first picture."""
    first = seen.facts()["boxes"]
    seen.root.get_by_role("button", name="Expand all").click()
    seen.facts()
    called = [node.name for node in session.graphs[0].nodes if node.op == "call_function" and node.shape]
    assert [name for name in called if seen.place(name) is None] == []
    seen.root.get_by_role("button", name="Fold", exact=False).first.click()
    assert seen.facts()["boxes"] == first


def test_it_moves_and_zooms(seen: Explorer) -> None:
    """Dragging moves the picture with the pointer; Ctrl with the wheel zooms where the pointer is; Fit shows all."""
    box = seen.sure_place(RUN)
    seen.page.mouse.move(box["x"] - 60, box["y"] - 20)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + 40, box["y"] + 30, steps=4)
    seen.page.mouse.up()
    seen.facts()
    moved = seen.sure_place(RUN)
    assert (moved["x"] - box["x"], moved["y"] - box["y"]) == pytest.approx((100, 50), abs=1)
    pointer = middle(moved)
    seen.page.mouse.move(*pointer)
    seen.page.keyboard.down("Control")
    seen.page.mouse.wheel(0, -240)
    seen.page.keyboard.up("Control")
    seen.facts()
    zoomed = seen.sure_place(RUN)
    assert zoomed["width"] > 1.2 * moved["width"]
    assert middle(zoomed) == pytest.approx(pointer, abs=1)
    seen.root.get_by_role("button", name="Fit", exact=False).first.click()
    seen.facts()
    fitted, window = seen.sure_place("output"), seen.canvas.bounding_box()
    assert window is not None
    assert window["y"] <= fitted["y"] <= window["y"] + window["height"]


def test_the_wheel_scrolls_the_page_until_the_graph_is_focused(seen: Explorer) -> None:
    """Reading past a graph does not move it; in a graph that has the focus the wheel does."""
    before, box = seen.facts(), seen.sure_place(RUN)
    seen.page.mouse.move(box["x"] - 30, box["y"])
    seen.page.mouse.wheel(0, 120)
    assert seen.facts()["top"] == before["top"]
    seen.canvas.focus()
    seen.page.mouse.wheel(0, 120)
    assert seen.facts()["top"] > before["top"]


def uses(text: str, node: GraphNode) -> bool:
    """Whether a text stands in a node's shape or value."""
    return text in f"{node.shape} {node.value}".replace("(", " ").split()


SEARCHES = {
    "name:softmax": (0, lambda node: "softmax" in node.name),
    "op:softmax": (0, lambda node: "softmax" in node.target),
    "module:layers.2.mlp": (0, lambda node: "layers.2.mlp" in (node.module_path or "")),
    "module:layers.2.mlp op:linear": (
        0,
        lambda node: "layers.2.mlp" in (node.module_path or "") and "linear" in node.target,
    ),
    'shape:"3, 5, 48"': (0, lambda node: node.shape == (3, 5, 48)),
    "line:stages.py:30": (0, lambda node: node.location is not None and node.location.line == 30),
    "symbol:s27": (8, lambda node: "s27" in f"{node.shape} {node.stride} {node.value}"),
    "nothing_like_it": (0, lambda node: False),
}


def test_a_search_finds_what_it_should(seen: Explorer, session: ci.Session) -> None:
    """By name, operator, module, shape, line, symbol, and by two at once; Python's ``select`` finds the same."""
    for query, (row, wanted) in SEARCHES.items():
        seen.page.evaluate("row => window.explorers.last().state.showStage(row)", row)
        found, graph = seen.search(query), session.graphs[row]
        assert (query, found) == (query, [node.name for node in graph.nodes if wanted(node)])
        asked = session.graph(graph.compile_id, graph.stage).select(query)
        assert (query, found) == (query, [node.name for node in asked])


def test_what_is_being_typed_is_not_lost(seen: Explorer) -> None:
    """Another node is picked while a query is typed: the query stays, and is searched for."""
    seen.search("name:softmax")
    field = seen.root.get_by_role("searchbox")
    field.evaluate(
        """(box, index) => {
          box.value = "op:softmax";
          box.dispatchEvent(new Event("input"));
          window.explorers.kept[index].explorer.state.select([0]);
        }""",
        seen.index,
    )
    expect(field).to_have_value("op:softmax")
    assert seen.search("op:softmax") == seen.facts()["matches"] != []


def test_enter_goes_from_match_to_match(seen: Explorer) -> None:
    """Enter in the search field picks a match, opens what holds it and brings it on the screen; the tally counts along."""
    found = seen.search("op:softmax")
    field = seen.root.get_by_role("searchbox")
    window = seen.canvas.bounding_box()
    assert window is not None
    for at, name in enumerate(found):
        field.press("Enter")
        assert seen.facts()["selection"] == [name]
        box = seen.sure_place(name)
        assert window["x"] <= box["x"] <= window["x"] + window["width"]
        assert window["y"] <= box["y"] <= window["y"] + window["height"]
        expect(seen.root.locator(".explorer-bar .tally")).to_have_text(f"{at + 1} of {len(found)}")


def test_a_click_tells_all_of_a_node(seen: Explorer, session: ci.Session) -> None:
    """The details have dtype, shape, strides, inputs, users, the user's line, the module and the kernel; an input's name leads to it."""
    seen.press("e")
    seen.search("name:linear_2")
    seen.root.get_by_role("searchbox").press("Enter")
    seen.facts()
    seen.press("Escape", "Escape")
    seen.click("linear_2")
    assert seen.facts()["selection"] == ["linear_2"]
    node = nodes_of(session)["linear_2"]
    details = seen.root.locator(".details")
    assert node.location is not None
    users = [other.name for other in session.graphs[0].nodes if "linear_2" in other.inputs]
    said = [
        "torch._C._nn.linear",
        "[3, 5, 32]",
        "f32",
        "[160, 32, 1]",
        "stages.py:40",
        node.location.code,
        "layers",
        "mlp",
        "up",
    ]
    for words in [*said, *node.inputs, *users, *(node.kernels or ())]:
        expect(details).to_contain_text(words)
    details.get_by_role("button", name=users[0], exact=True).click()
    assert seen.facts()["selection"] == [users[0]]


def test_the_stage_changes_and_what_is_picked_stays(seen: Explorer, session: ci.Session) -> None:
    """A node picked in Dynamo's graph is picked as what it became in Inductor's, and again on the way back."""
    seen.search("name:mean_3")
    seen.root.get_by_role("searchbox").press("Enter")
    seen.facts()
    stage = seen.root.get_by_label("Stage", exact=True)
    last = [row for row, graph in enumerate(session.graphs) if graph.compile_id == "0/0"][-1]
    stage.select_option(str(last))
    facts = seen.shows(last)
    assert facts["stage"] == "post_grad"
    became = nodes_of(session, last)
    assert facts["selection"]
    homes = {became[name].module_path or "" for name in facts["selection"]}
    assert all(home == "layers.1.norm_2" for home in homes), homes
    stage.select_option("0")
    assert "mean_3" in seen.shows(0)["selection"]


def test_an_overlay_has_a_legend_and_follows_one_symbol(seen: Explorer, session: ci.Session) -> None:
    """By symbol, the legend counts the nodes that hold it; an entry leaves that symbol alone; by kernel, each kernel has an entry."""
    seen.choose("Compile", "0/1")
    seen.shows(8)
    seen.choose("Colour", "symbol")
    legend = seen.root.locator(".legend")
    entry = legend.get_by_role("button", name="s27")
    expect(entry).to_be_visible()
    entry.click()
    assert seen.facts()["overlay"] == {"kind": "symbol", "argument": "s27"}
    held = [node for node in session.graphs[8].nodes if "s27" in f"{node.shape} {node.stride} {node.value}"]
    expect(legend).to_contain_text(f"held by {len(held)} nodes")
    seen.choose("Colour", "kernels")
    names = {kernel for node in session.graphs[8].nodes for kernel in node.kernels or ()}
    for name in sorted(names)[:3]:
        expect(legend).to_contain_text(name)


def test_two_graphs_are_held_against_each_other(seen: Explorer, session: ci.Session) -> None:
    """The recompile against the first compile: what differs is listed, walked through with n and p, one over the other or side by side."""
    seen.choose("Compile", "0/1")
    seen.shows(8)
    seen.choose("Compare with", "0")
    expect(seen.root.locator(".difference-list")).to_be_visible()
    facts = seen.facts()
    assert facts["compare"]["row"] == 0
    assert facts["compare"]["differences"] > 0
    expect(seen.root.locator(".differences")).to_contain_text("[3, s27, 16]")
    first = seen.press("n")["selection"]
    second = seen.press("n")["selection"]
    assert first != second
    assert seen.press("p")["selection"] == first
    seen.root.get_by_role("button", name="side by side").click()
    expect(seen.root.locator("canvas.canvas")).to_have_count(2)
    seen.facts()
    seen.root.get_by_role("button", name="one over the other").click()
    expect(seen.root.locator("canvas.canvas")).to_have_count(1)
    seen.choose("Compare with", "nothing")
    assert seen.facts()["compare"] is None


def test_source_printout_and_kernel_follow_each_other(
    page: Page, session: ci.Session, tmp_path: Path
) -> None:
    """In the session's page what is picked is marked in all three texts; a line that is clicked in one picks its nodes."""
    session.to_html(tmp_path / "session.html")
    watch = Watch(page)
    page.goto((tmp_path / "session.html").as_uri())
    page.locator(".tab[data-tab='graph']").click()
    seen = Explorer(page)
    seen.open_panel("Sources")
    seen.search("name:gelu_1")
    seen.root.get_by_role("searchbox").press("Enter")
    marked = {
        name: seen.root.get_by_role("listbox", name=name).get_by_role("option", selected=True)
        for name in ("Your source", "FX printout", "Generated code")
    }
    expect(marked["FX printout"]).to_have_count(1)
    expect(marked["FX printout"]).to_contain_text("gelu_1")
    expect(marked["Your source"]).to_contain_text("self.act(self.up(x))")
    expect(marked["Generated code"].first).to_contain_text("gelu")
    printout = seen.root.get_by_role("listbox", name="FX printout")
    printout.get_by_role("option").filter(has_text="linear_7:").click()
    assert seen.facts()["selection"] == ["linear_7"]
    expect(marked["FX printout"]).to_contain_text("linear_7")
    assert watch.nothing_else(), (watch.asked, watch.said)


def test_the_generated_code_comes_when_the_session_has_come(page: Page, file: Path) -> None:
    """A reader who opens the sources before the rest of the session was read need not pick anything to see the code."""
    watch = Watch(page)
    page.goto(file.as_uri())
    seen = Explorer(page)
    seen.open_panel("Sources")
    pane = seen.root.get_by_role("region", name="Generated code")
    expect(pane.get_by_role("option").first).to_be_attached()
    expect(pane).not_to_contain_text("holds graphs only")
    assert watch.nothing_else(), (watch.asked, watch.said)


def test_a_graph_opens_in_the_room_that_it_has(seen: Explorer) -> None:
    """Until the reader moves it, all of it fits what the panels leave of the canvas; then it stays where it was put."""

    def inside() -> bool:
        canvas, outer = seen.canvas.bounding_box(), seen.sure_place("layers")
        assert canvas is not None
        right = outer["x"] + outer["width"]
        return canvas["x"] <= outer["x"] and right <= canvas["x"] + canvas["width"]

    seen.facts()
    assert inside()
    before = seen.sure_place("layers")
    seen.root.get_by_role("group", name="Panels").get_by_role("button", name="Sources").click()
    seen.page.set_viewport_size({"width": 900, "height": 860})
    seen.page.wait_for_timeout(200)
    seen.facts()
    assert inside()
    assert seen.sure_place("layers")["width"] < before["width"]
    seen.press("+", "+", "+")
    moved = seen.sure_place("layers")
    seen.page.set_viewport_size({"width": 1280, "height": 860})
    seen.page.wait_for_timeout(200)
    seen.facts()
    assert seen.sure_place("layers")["width"] == pytest.approx(moved["width"], abs=1)


def test_what_is_picked_stays_in_sight_in_a_smaller_canvas(seen: Explorer) -> None:
    """Panels that open beside and below it leave the node where it can be seen; so does a smaller window."""
    seen.search("name:weights_2")
    seen.root.get_by_role("searchbox").press("Enter")
    seen.facts()
    seen.open_panel("Sources")
    seen.open_panel("Outline")
    for width, height in ((1280, 860), (900, 620)):
        seen.page.set_viewport_size({"width": width, "height": height})
        seen.page.wait_for_function(
            """width => {
                const { camera, element } = window.explorers.last().view;
                return innerWidth === width && camera.width === element.clientWidth && camera.height === element.clientHeight;
            }""",
            arg=width,
        )
        seen.facts()
        box, canvas = seen.sure_place("weights_2"), seen.canvas.bounding_box()
        assert canvas is not None
        assert canvas["x"] <= box["x"] <= canvas["x"] + canvas["width"] - box["width"]
        assert canvas["y"] <= box["y"] <= canvas["y"] + canvas["height"] - box["height"]


def test_a_graph_held_against_itself_says_so(seen: Explorer) -> None:
    """As Python may ask for: the choice names the graph, and there is no difference."""
    seen.page.evaluate("window.explorers.last().state.compareWith(0)")
    choice = seen.root.get_by_label("Compare with", exact=True)
    expect(choice).to_have_value("0")
    assert seen.facts()["compare"]["differences"] == 0
    choice.select_option("")
    assert seen.facts()["compare"] is None
    assert choice.locator("option[value='0']").count() == 0


def test_a_pick_that_another_stage_does_not_have_is_told_of(seen: Explorer) -> None:
    """In the panel, and to readers who do not see the canvas."""
    seen.page.evaluate(
        """() => {
            const { state } = window.explorers.last();
            state.select([0]);
            state.source.correspondence = async (left, right) => ({ left, right, pairs: new Uint32Array(0), told: null });
        }"""
    )
    seen.choose("Stage", "7")
    assert seen.shows(7)["selection"] == []
    expect(seen.root.locator(".details")).to_contain_text("Nothing here corresponds to the 1 node of dynamo")
    expect(seen.root.locator("[aria-live=polite]").last).to_contain_text("Nothing here corresponds")


def test_it_goes_by_keyboard_alone(seen: Explorer) -> None:
    """Tab reaches the graph; arrows go along edges, Enter opens, the slash searches, Escape comes back, the question mark helps."""
    for _ in range(40):
        seen.page.keyboard.press("Tab")
        if seen.page.evaluate(
            "document.querySelector('.ci-host').shadowRoot.activeElement?.matches('canvas')"
        ):
            break
    seen.page.keyboard.press("Home")
    first = seen.facts()["selection"]
    assert first
    seen.page.keyboard.press("ArrowDown")
    assert seen.facts()["group"] == "embed"
    seen.page.keyboard.press("Enter")
    assert seen.sure_place("embed")["open"] is True
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("op:softmax")
    seen.page.keyboard.press("Enter")
    picked = seen.facts()["selection"]
    assert picked == ["weights"]
    seen.page.keyboard.press("Escape")
    seen.page.keyboard.press("?")
    expect(seen.root.get_by_text("Keys, with the graph focused")).to_be_visible()
    seen.page.keyboard.press("Escape")
    said = seen.root.locator(".graph-stage [aria-live]").first
    expect(said).to_contain_text("weights")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, file: Path, scheme: str) -> None:
    """Axe reports no violation, folded, with a node picked and all panels open, and while two graphs are compared."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: `npm ci` in inspector/frontend")
    page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme=scheme)
    try:
        Watch(page)
        page.goto(file.as_uri())
        seen = Explorer(page)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        asked = "axe.run().then(({ violations }) => violations.map(v => `${v.id}: ${v.nodes[0].html}`))"
        assert page.evaluate(asked) == []
        seen.search("name:gelu_1")
        seen.root.get_by_role("searchbox").press("Enter")
        for name in ("Outline", "Details", "Sources"):
            seen.open_panel(name)
        seen.facts()
        assert page.evaluate(asked) == []
        seen.choose("Compile", "0/1")
        seen.shows(8)
        seen.choose("Compare with", "0")
        expect(seen.root.locator(".difference-list")).to_be_visible()
        seen.press("n", "?")
        assert page.evaluate(asked) == []
    finally:
        page.close()
