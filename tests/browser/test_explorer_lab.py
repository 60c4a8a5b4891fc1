"""The explorer in JupyterLab: Python and the reader work on one view, and it goes on when the kernel is gone."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from browser import lab
from browser.explorer import SCRIPT, Explorer

pytestmark = pytest.mark.browser

LOG = Path(__file__).parents[1] / "data" / "stages.log.gz"
RUN = "layers.0…1"
CELLS = (
    'import compile_inspector as ci\nsession = ci.load("stages.log.gz")\nview = session.graph()\nview',
    "other = session.graph()\nother",
    "import torch\n\n\ndef program(x):\n    doubled = x * 2\n    return doubled.relu()\n\n\n"
    'with ci.record() as recorder:\n    torch.compile(program, backend="eager")(torch.randn(3))\n'
    "recorder.session.graph()",
    "late = session.graph().open()\nlate",
)


@pytest.fixture(scope="module")
def opened(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, list[str]]]:
    """A notebook with three explorers and one whose graph is not read yet, and the requests that tried to leave the machine."""
    root = tmp_path_factory.mktemp("notebooks")
    shutil.copy(LOG, root)
    lab.write_notebook(root / "graphs.ipynb", CELLS)
    with lab.served(root, tmp_path_factory.mktemp("lab")) as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.add_init_script(path=SCRIPT)
        outside = lab.only_local(page)
        lab.open_notebook(page, address, "graphs.ipynb")
        lab.run_all(page)
        yield page, outside
        page.close()


@pytest.fixture
def page(opened: tuple[Page, list[str]]) -> Page:
    return opened[0]


def explorer(page: Page, index: int = 0) -> Explorer:
    """The explorer of one of the cells, in sight."""
    found = Explorer(page, index)
    found.root.scroll_into_view_if_needed()
    found.facts()
    return found


def test_each_cell_shows_one_explorer(page: Page) -> None:
    """Each is painted, folded, in place of the static drawing that readers without widgets have."""
    assert [explorer(page, index).facts()["count"] for index in range(3)] == [178, 178, 4]
    assert explorer(page).sure_place(RUN)["open"] is False
    statics: Locator = page.locator(".ci-static")
    assert statics.count() == 3
    assert [statics.nth(index).is_visible() for index in range(3)] == [False] * 3


def test_it_is_ready_before_its_graph_is_read(page: Page) -> None:
    """While the kernel reads, all but the graph is made, out of sight; then the graph is opened in it."""
    frame = page.locator(".explorer-frame").nth(3)
    waiting = page.get_by_text("Reading the graph…")
    waiting.scroll_into_view_if_needed()
    expect(waiting).to_be_visible()
    expect(frame).to_be_hidden()
    assert frame.locator("canvas.canvas").count() == 1
    frame.evaluate("element => (element.dataset.first = '1')")
    lab.ask(page, "None", "late.read()")
    facts = explorer(page, 3).facts()
    assert (facts["row"], facts["count"], facts["problem"]) == (0, 178, None)
    expect(frame).to_be_visible()
    expect(frame).to_have_attribute("data-first", "1")
    expect(frame.get_by_label("Stage", exact=True)).to_have_value("0")
    expect(waiting).to_have_count(0)


def test_python_picks_and_opens(page: Page) -> None:
    """``view.select`` picks nodes and brings them into sight; ``expand`` and ``collapse`` open and close; the other view stays."""
    seen, other = explorer(page), explorer(page, 1)
    untouched = other.facts()
    names = ast.literal_eval(
        lab.ask(page, "[node.name for node in picked]", "picked = view.select('op:softmax')")
    )
    page.wait_for_timeout(300)
    assert names == ["weights", "weights_1", "weights_2", "weights_3"]
    assert seen.facts()["selection"] == names
    assert seen.place("weights")
    lab.ask(page, "None", f"view.expand('layers.2.mlp'); view.collapse({RUN!r})")
    page.wait_for_timeout(300)
    seen.facts()
    assert seen.place("silu")
    assert seen.sure_place(RUN)["open"] is False
    lab.ask(page, "None", "view.overlay('symbol', 's27')")
    page.wait_for_timeout(300)
    assert seen.facts()["overlay"] == {"kind": "symbol", "argument": "s27"}
    now = other.facts()
    assert (now["selection"], now["boxes"], now["overlay"]) == ([], untouched["boxes"], untouched["overlay"])


def test_python_is_told_what_a_reader_picks(page: Page) -> None:
    """``view.selection`` has the nodes that were clicked, and ``view.graph`` the graph that was chosen."""
    seen = explorer(page)
    seen.search("name:linear_2")
    seen.root.get_by_role("searchbox").press("Enter")
    page.wait_for_timeout(300)
    assert lab.ask(page, "[node.name for node in view.selection]") == "['linear_2']"
    lab.ask(page, "None", "view.show('0/1', 'inference')")
    assert seen.shows(11)["stage"] == "inference"
    seen.choose("Stage", "8")
    seen.shows(8)
    page.wait_for_timeout(300)
    assert lab.ask(page, "(view.graph.compile_id, view.graph.stage)") == "('0/1', 'dynamo')"


def test_what_python_asks_is_done_in_order(page: Page) -> None:
    """A graph that is shown and compared at once is compared when it has come; ``compare(None)`` ends it."""
    seen = explorer(page)
    lab.ask(page, "None", "view.show('0/0', 'dynamo')")
    seen.shows(0)
    lab.ask(page, "None", "view.show('0/1').compare('0/0').collapse_all()")
    expect(seen.root.locator(".difference-list")).to_be_visible()
    facts = seen.facts()
    assert (facts["row"], facts["compare"]["row"]) == (8, 0)
    assert facts["compare"]["differences"] > 0
    lab.ask(page, "None", "view.compare(None)")
    expect(seen.root.locator(".difference-list")).to_be_hidden()


def test_the_cells_own_code_stands_beside_the_graph(page: Page) -> None:
    """Of a program that was recorded here, the whole source is shown, and a line of it picks its node."""
    seen = explorer(page, 2)
    seen.open_panel("Sources")
    source = seen.root.get_by_role("listbox", name="Your source")
    line = source.get_by_role("option").filter(has_text="doubled = x * 2")
    expect(source.get_by_role("option").filter(has_text="import torch")).to_be_visible()
    line.click()
    assert seen.facts()["selection"] == ["doubled"]


def test_keys_stay_in_the_explorer(page: Page) -> None:
    """Letters that are commands of JupyterLab's are the explorer's while it has the focus."""
    seen = explorer(page)
    cells = page.locator(".jp-Cell").count()
    seen.press("d", "d", "a", "b", "x")
    assert page.locator(".jp-Cell").count() == cells
    first = seen.press("c")["boxes"]
    assert seen.press("e")["boxes"] > first
    seen.press("c")


@pytest.mark.skipif(shutil.which("dot") is None, reason="there is no dot here")
def test_graphviz_lays_out_what_is_open(page: Page) -> None:
    """The kernel runs it, and says what was done; pressed again, it is as it was."""
    seen = explorer(page)
    seen.press("c")
    lab.ask(page, "None", "view.expand('layers.2')")
    page.wait_for_timeout(300)
    before = seen.facts()["boxes"]
    note = seen.root.locator(".stage-note")
    seen.root.get_by_role("button", name="Tidy").click()
    expect(note).to_contain_text("Laid out by dot")
    assert seen.facts()["boxes"] == before
    seen.press("t")
    expect(note).to_have_text("As it was before Graphviz.")


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_it_follows_the_theme(page: Page, theme: str) -> None:
    """The canvas is painted on the theme's background."""
    lab.set_theme(page, theme)
    seen = explorer(page)
    seen.facts()
    shade = seen.canvas.evaluate(
        """canvas => {
            const [r, g, b, a] = canvas.getContext("2d").getImageData(4, canvas.height - 4, 1, 1).data;
            if (a > 0) return (r + g + b) / 3;
            let around = canvas;
            while (around && /rgba\\(0, 0, 0, 0\\)|transparent/.test(getComputedStyle(around).backgroundColor))
                around = around.parentElement || around.getRootNode().host;
            const [x, y, z] = getComputedStyle(around).backgroundColor.match(/[\\d.]+/g).map(Number);
            return (x + y + z) / 3;
        }"""
    )
    assert (shade < 100) == (theme == "JupyterLab Dark")


def test_nothing_left_the_machine(opened: tuple[Page, list[str]]) -> None:
    """No request went to another machine."""
    assert opened[1] == []


def test_it_goes_on_without_a_kernel(page: Page) -> None:
    """With the kernel gone, what is there can be opened, searched, coloured and saved; what is not there says why."""
    seen = explorer(page, 1)
    lab.kill_kernel(page)
    first = seen.facts()["boxes"]
    assert seen.press("e")["boxes"] > first
    seen.press("t")
    expect(seen.root.locator(".stage-note")).to_contain_text("its kernel is gone")
    assert seen.search("op:gelu") == ["gelu", "gelu_1", "gelu_2"]
    seen.choose("Colour", "dtype")
    expect(seen.root.locator(".legend")).to_contain_text("f32")
    seen.root.get_by_role("button", name="Save", exact=False).first.click()
    with page.expect_download() as saved:
        seen.root.get_by_role("button", name="SVG").click()
    assert "<svg" in Path(saved.value.path()).read_text(encoding="utf-8")
