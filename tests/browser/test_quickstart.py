"""The quickstart notebook in JupyterLab, in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page

from browser import lab

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"
ERROR = "[data-mime-type='application/vnd.jupyter.error']"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def opened(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, list[str]]]:
    """The notebook after a run of all its cells, and the requests that tried to leave the machine."""
    root = tmp_path_factory.mktemp("notebooks")
    shutil.copy(NOTEBOOK, root)
    with lab.served(root, tmp_path_factory.mktemp("lab")) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        outside = lab.only_local(page)
        lab.open_notebook(page, address, NOTEBOOK.name)
        lab.run_all(page)
        yield page, outside
        page.close()


@pytest.fixture
def page(opened) -> Page:
    return opened[0]


def first_widget(page: Page) -> Locator:
    widget = page.locator(".ci-root[data-ready='1']").first
    widget.scroll_into_view_if_needed()
    return widget


def test_every_cell_runs_without_an_error(page: Page) -> None:
    """No cell of the notebook shows an error, and each has run."""
    assert page.locator(ERROR).count() == 0
    assert page.locator(".jp-CodeCell .jp-InputPrompt").get_by_text("[ ]:").count() == 0
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0


def test_each_session_is_seen_once_as_a_widget(page: Page) -> None:
    """Every session's widget is painted, and the static view before it is hidden."""
    page.wait_for_function("document.querySelectorAll(\".ci-root:not([data-ready='1'])\").length === 0")
    widgets, statics = page.locator(".ci-root"), page.locator(".ci-static")
    assert widgets.count() == statics.count() > 2
    assert [statics.nth(index).is_visible() for index in range(statics.count())] == [False] * statics.count()


def test_progress_is_gone_when_a_cell_has_ended(page: Page) -> None:
    """No progress line is left in any cell."""
    assert page.locator(".ci-progress").count() == 0


def test_tabs_go_by_keyboard(page: Page) -> None:
    """Arrow keys move between the tabs; Home and End reach the first and the last; each shows its panel."""
    widget = first_widget(page)
    tabs = widget.get_by_role("tab")
    tabs.first.focus()
    names = []
    for _ in range(tabs.count()):
        chosen = widget.locator("[role=tab][aria-selected=true]")
        assert chosen.count() == 1
        names.append(chosen.inner_text())
        assert widget.get_by_role("tabpanel").locator("visible=true").count() == 1
        page.keyboard.press("ArrowRight")
    assert len(set(names)) == tabs.count()
    page.keyboard.press("End")
    assert widget.locator("[role=tab][aria-selected=true]").inner_text() == names[-1]
    page.keyboard.press("Home")
    assert widget.locator("[role=tab][aria-selected=true]").inner_text() == names[0]


def test_keys_in_the_widget_do_not_reach_the_notebook(page: Page) -> None:
    """What is typed into a widget's search stays there: to JupyterLab the same keys insert and delete cells."""
    widget = first_widget(page)
    cells = page.locator(".jp-Cell").all_inner_texts()
    widget.get_by_role("tab", name="Guards").click()
    search = widget.get_by_role("searchbox").locator("visible=true").first
    page.keyboard.press("Escape")
    search.click()
    page.keyboard.type("add")
    assert search.input_value() == "add"
    assert len(page.locator(".jp-Cell").all_inner_texts()) == len(cells)
    assert page.locator(".jp-Cell.jp-mod-active").count() == 1
    search.fill("")


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_the_widget_follows_the_theme(page: Page, theme: str) -> None:
    """The text of the widget stands out from its background in either theme."""
    lab.set_theme(page, theme)
    widget = first_widget(page)
    ink, paper = widget.get_by_role("tab").first.evaluate(
        """element => {
            const luminance = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number); return (r * 2 + g * 5 + b) / 8; };
            let paper = element;
            while (paper && /rgba\\(0, 0, 0, 0\\)|transparent/.test(getComputedStyle(paper).backgroundColor))
                paper = paper.parentElement || paper.getRootNode().host;
            return [luminance(getComputedStyle(element).color), luminance(getComputedStyle(paper).backgroundColor)];
        }"""
    )
    assert (paper < 100) == (theme == "JupyterLab Dark")
    assert abs(ink - paper) > 90


def test_nothing_is_fetched_from_elsewhere(opened) -> None:
    """Running and showing everything made no request to another machine."""
    assert opened[1] == []
