"""The tab Captures of a recording from a GPU, in JupyterLab: what it says, and that everybody can read it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from browser import lab

pytestmark = pytest.mark.browser

TOP = Path(__file__).parents[2]
AXE = TOP / "inspector" / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
RECORDING = TOP / "notebooks" / "cuda_graphs.log.gz"
CELL = 'import compile_inspector as ci\nsession = ci.load("cuda_graphs.log.gz")\nsession'
ASKED = """axe.run('.ci-host').then(({ violations, passes }) => ({
    violations: violations.map(v => `${v.id}: ${v.nodes[0].target}: ${v.nodes[0].html}`),
    named: passes.filter(p => p.id === 'button-name').flatMap(p => p.nodes).length,
}))"""


@pytest.fixture(scope="module")
def opened(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, list[str]]]:
    """A notebook that shows the recording, and the requests that tried to leave the machine."""
    root = tmp_path_factory.mktemp("notebooks")
    shutil.copy(RECORDING, root)
    lab.write_notebook(root / "recorded.ipynb", (CELL,))
    with lab.served(root, tmp_path_factory.mktemp("lab")) as address:
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        outside = lab.only_local(page)
        lab.open_notebook(page, address, "recorded.ipynb")
        lab.run_all(page)
        page.locator(".ci-host").get_by_role("tab", name="Captures").click()
        yield page, outside
        page.close()


@pytest.fixture
def panel(opened: tuple[Page, list[str]]) -> Locator:
    """The tab's contents."""
    found = opened[0].locator(".ci-host").get_by_role("tabpanel", name="Captures")
    expect(found).to_be_visible()
    return found


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark", "forced colours"])
def test_axe_finds_nothing(opened: tuple[Page, list[str]], panel: Locator, theme: str) -> None:
    """No violation in light, in dark and in the colours of the system's own, with a row's details open."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: `npm ci` in inspector/frontend")
    page = opened[0]
    page.emulate_media(forced_colors="active" if theme == "forced colours" else "none")
    if theme.startswith("JupyterLab"):
        lab.set_theme(page, theme)
    page.wait_for_timeout(1000)
    panel.get_by_role("button", name="Show 64 FULL").first.click()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(ASKED)
    assert found["violations"] == []
    assert found["named"] > 30, "axe looked into the widget"


def test_bars_are_seen_in_the_systems_colours(opened: tuple[Page, list[str]], panel: Locator) -> None:
    """Where the system replaces every colour, the bars of times and of captures are no part of the background, nor alike."""
    page = opened[0]
    page.emulate_media(forced_colors="active")
    background = "one => getComputedStyle(one).backgroundColor"
    canvas = page.locator(".ci-host .root").evaluate(background)
    seen = [
        panel.locator(bar).first
        for bar in (".time-line .compiled", ".time-line .replay", ".bar.first", ".bar.again")
    ]
    compiled, replay, first, again = (bar.evaluate(background) for bar in seen)
    assert canvas not in {compiled, replay, first, again}
    assert compiled != replay
    assert first != again
    page.emulate_media(forced_colors="none")


def test_the_share_is_told_in_words(panel: Locator) -> None:
    """Graphs, calls from them of all that were counted, and the kernels that these launched."""
    expect(panel.locator(".captures-share")).to_have_text(
        "46 CUDA graphs; 207 of 233 calls of code that was asked to have some (89 %) ran from one, which launched 10,607 kernels."
    )


def test_the_last_bar_of_the_timeline_lies_within_it(panel: Locator) -> None:
    """However short its capture was."""
    again = panel.locator(".bar.again")
    track = again.locator("xpath=..")
    bar, lane = again.bounding_box(), track.bounding_box()
    assert bar is not None
    assert lane is not None
    assert bar["width"] >= 6
    assert bar["x"] + bar["width"] <= lane["x"] + lane["width"] + 0.5


def test_nothing_leaves_the_machine(opened: tuple[Page, list[str]]) -> None:
    """The tab asks for nothing outside."""
    assert opened[1] == []
