"""The explorer's panels in an exported page: outline, details, linked sources, legend, and the links that lead there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from compile_inspector.views.page import to_html
from factory import HOSTILE, sample_tables

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The sample's page at its tab of graphs, with everything that went wrong on the way in ``page.said``."""
    path = tmp_path / "page.html"
    to_html(sample_tables(), path)
    opened = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme="light")
    said: list[str] = []
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("console", lambda message: said.append(message.text))
    opened.on("request", lambda request: said.append(request.url) if request.url != path.as_uri() else None)
    opened.goto(path.as_uri())
    opened.wait_for_selector("[data-ready='1']")
    opened.click(".tab[data-tab='graph']")
    opened.wait_for_selector(".outline-row")
    yield opened
    assert [line for line in said if not line.startswith(("blob:", "data:"))] == []
    opened.close()


def row(page: Page, name: str) -> Locator:
    """The outline's row of a node or a group."""
    return page.locator(".outline-row").filter(has_text=name).first


def pick(page: Page, name: str) -> Locator:
    """Picks a node in the outline; the panel of its details."""
    page.get_by_role("searchbox", name="Search nodes").fill(f"name:{name}")
    page.get_by_role("searchbox", name="Search nodes").press("Enter")
    details = page.locator(".details")
    expect(details.locator("h3")).to_contain_text(name)
    return details


def field(details: Locator, name: str) -> Locator:
    """What the details say under a name."""
    return details.locator(f"dt:text-is('{name}') + dd")


def test_the_outline_is_a_tree_that_picks_by_keyboard(page: Page) -> None:
    """Arrows move through it, Enter picks, the picked node is told in the details; typing a name goes to it."""
    tree = page.get_by_role("tree", name="Outline of the graph")
    tree.focus()
    page.keyboard.press("End")
    active = tree.get_attribute("aria-activedescendant")
    expect(page.locator(f"#{active}")).to_contain_text("output")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    active = tree.get_attribute("aria-activedescendant")
    chosen = page.locator(f"#{active}")
    expect(chosen).to_have_attribute("aria-selected", "true")
    name = chosen.locator(".outline-name").inner_text()
    expect(page.locator(".details h3")).to_contain_text(name)
    page.keyboard.type("h_2")
    active = tree.get_attribute("aria-activedescendant")
    expect(page.locator(f"#{active} .outline-name")).to_have_text("h_2")


def test_a_node_is_told_in_full_and_leads_on(page: Page) -> None:
    """Its operator, shape, strides, line and code, inputs and users are there; a user picks itself when clicked."""
    details = pick(page, "h_1")
    expect(field(details, "Computes")).to_contain_text("linear")
    expect(field(details, "Shape")).to_contain_text("[s77, 8, 16]")
    expect(field(details, "Strides")).to_contain_text("[128, 16, 1]")
    expect(field(details, "Your line")).to_contain_text("h = x.view(x.shape[0], -1, 16)")
    expect(field(details, "Symbols")).to_contain_text("s77")
    field(details, "Users").get_by_role("button", name="h_2").click()
    expect(details.locator("h3")).to_contain_text("h_2")
    field(details, "Inputs").get_by_role("button", name="h_1").click()
    expect(details.locator("h3")).to_contain_text("h_1")


def test_a_symbol_of_a_node_colours_the_graph_by_it(page: Page) -> None:
    """The symbol is the overlay then, and the legend says how many nodes hold it; an entry of it picks them."""
    field(pick(page, "h_1"), "Symbols").get_by_role("button", name="s77").click()
    legend = page.get_by_role("region", name="Legend")
    expect(legend.locator("summary")).to_contain_text("s77")
    entries = legend.locator(".legend-entry")
    numbers = [int(number) for number in entries.locator(".dim").all_inner_texts()]
    assert sum(numbers) >= 4
    for place, number in enumerate(numbers):
        entries.nth(place).click()
        expect(page.locator(".details h3")).to_contain_text(
            f"{number} nodes" if number > 1 else re.compile("call|placeholder")
        )


def test_the_guards_of_an_input_lead_to_their_rows(page: Page) -> None:
    """An input lists the guards on it; one of them opens in the tab of guards, and Back returns to the node."""
    details = pick(page, "l_x_")
    guards = field(details, "Guards")
    guards.get_by_role("button").first.click()
    panel = page.locator("[data-panel='guards']")
    expect(panel.get_by_role("region", name="Details")).to_contain_text("L['x']")
    page.get_by_role("button", name="Back", exact=True).click()
    expect(page.locator(".details h3")).to_contain_text("l_x_")


def test_the_sources_mark_what_is_picked_and_pick_what_is_chosen(page: Page) -> None:
    """The same node is marked in the user's source and in torch's printout; a line of either picks its nodes, a comment those below it."""
    page.get_by_role("button", name="Sources", exact=True).click()
    pick(page, "h_2")
    source = page.get_by_role("region", name="Your source")
    printout = page.get_by_role("region", name="FX printout")
    expect(source.locator(".code-line.marked")).to_contain_text("h = h * self.scale")
    expect(printout.locator(".code-line.marked")).to_contain_text("h_2:")
    source.locator(".code-line").filter(has_text="x.view").click()
    expect(page.locator(".details h3")).to_have_text("2 nodes")
    printout.get_by_role("listbox").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator(".details h3 code")).to_have_text("h")
    expect(printout.locator(".t-comment").first).to_contain_text("# File:")


def test_a_link_from_elsewhere_picks_the_nodes_of_its_line(page: Page) -> None:
    """A guard's line leads to the nodes that it made, a compile to its own graph."""
    page.click(".tab[data-tab='guards']")
    panel = page.locator("[data-panel='guards']")
    panel.locator(".grid-row").filter(has_text="L['self'].scale").first.click()
    panel.get_by_role("button", name="nodes of model.py:36").click()
    expect(page.locator(".details h3")).to_contain_text("h_2")
    page.click(".tab[data-tab='compiles']")
    panel = page.locator("[data-panel='compiles']")
    panel.locator(".grid-row").filter(has_text="2/0").first.click()
    panel.get_by_role("navigation", name="Related").get_by_role("button", name="graph", exact=True).click()
    expect(page.locator(".details h3")).to_contain_text("2/0")


def test_panels_close_and_change_their_size_by_keyboard(page: Page) -> None:
    """A button hides each panel and shows it again; the bar beside a panel moves with the arrow keys and says where it is."""
    outline = page.get_by_role("tree", name="Outline of the graph")
    button = page.get_by_role("button", name="Outline", exact=True)
    expect(button).to_have_attribute("aria-expanded", "true")
    button.click()
    expect(outline).to_be_hidden()
    button.click()
    bar = page.get_by_role("separator", name="Width of the outline")
    before = int(bar.get_attribute("aria-valuenow") or 0)
    width = outline.bounding_box()["width"]
    bar.focus()
    page.keyboard.press("ArrowRight")
    assert int(bar.get_attribute("aria-valuenow") or 0) > before
    assert outline.bounding_box()["width"] > width


def test_narrow_the_panels_lie_under_the_canvas(page: Page) -> None:
    """480 pixels wide nothing is wider than the page, and the details begin below the canvas."""
    page.set_viewport_size({"width": 480, "height": 900})
    canvas, details = page.locator("canvas").first, page.locator(".details")
    page.wait_for_function("innerWidth === 480")
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= 480
    assert canvas.bounding_box()["y"] + canvas.bounding_box()["height"] <= details.bounding_box()["y"] + 1


def test_users_text_is_text_in_every_panel(page: Page) -> None:
    """No markup of a name, a line or a kernel becomes an element of the panels."""
    page.get_by_role("button", name="Sources", exact=True).click()
    for name in ("h_1", "l_x_"):
        pick(page, name)
    root: Any = page.locator(".explorer-frame")
    assert root.locator("script, img, iframe, b, [onclick]").count() == 0
    assert HOSTILE not in page.evaluate("document.documentElement.innerHTML.split('<script')[0]")
