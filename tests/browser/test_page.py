"""The interactive page in Chromium: offline, inert to users' text, readable by keyboard and by assistive technology."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from compile_inspector.model.tables import Tables
from compile_inspector.views.bundles import bundle
from compile_inspector.views.page import Budget, to_html
from factory import HOSTILE, make_compile, make_guard, make_tables, sample_tables

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "inspector" / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
READY = "[data-ready='1']"
TABS = (
    "overview", "findings", "compiles", "recompiles", "breaks", "graph", "guards", "dims", "symbols", "files", "kernels", "applied", "violations", "partitions", "ranges", "captures",
    "caches", "environment", "losses",
)  # fmt: skip


class Opened:
    """A page from a file, and what it said and asked for on the way."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.said: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, tables: Tables, path: Path, **options: Any) -> Page:
        to_html(tables, path, **options)
        self.page.goto(path.as_uri())
        self.page.wait_for_selector(READY)
        return self.page


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    page = browser.new_page(viewport={"width": 1180, "height": 800}, color_scheme="light")
    yield Opened(page)
    page.close()


def tab(page: Page, key: str) -> None:
    page.click(f".tab[data-tab='{key}']")


def panel(page: Page, key: str) -> Any:
    return page.locator(f"[data-panel='{key}']")


def rows(page: Page, key: str) -> Any:
    return panel(page, key).locator(".grid-body .grid-row")


def test_the_page_asks_for_nothing_and_complains_of_nothing(opened: Opened, tmp_path: Path) -> None:
    """From a file, with every tab opened, the one request is the file itself, and the console stays empty."""
    path = tmp_path / "page.html"
    page = opened.open(sample_tables(), path, title=HOSTILE)
    for key in TABS:
        tab(page, key)
        expect(panel(page, key)).to_be_visible()
    page.wait_for_selector(".graph-stage canvas", state="attached")
    assert opened.requests == [path.as_uri()]
    assert opened.said == []


def test_users_text_is_shown_as_text(opened: Opened, tmp_path: Path) -> None:
    """Markup in names, code and errors is read as the characters it is, and makes no element."""
    page = opened.open(sample_tables(), tmp_path / "page.html")
    for key in TABS:
        tab(page, key)
        assert panel(page, key).locator("script, img, iframe, b, [onclick]").count() == 0
    tab(page, "kernels")
    rows(page, "kernels").nth(2).click()
    expect(panel(page, "kernels").locator("pre")).to_contain_text(HOSTILE)


def test_the_headline_and_the_story_come_first(opened: Opened, tmp_path: Path) -> None:
    """The head counts what matters, and the first tab says what was compiled, what recompiled and why."""
    page = opened.open(sample_tables(), tmp_path / "page.html", title="training")
    expect(page.locator("h2")).to_have_text("training")
    assert page.locator(".fact").all_inner_texts()[0].split() == ["5", "compiles"]
    overview = panel(page, "overview")
    expect(overview).to_contain_text("forward (model.py:31) was compiled 3 times")
    expect(overview.locator(".reason").first).to_contain_text("L['self'].scale")


def test_the_overview_begins_with_the_findings(opened: Opened, tmp_path: Path) -> None:
    """Each has its severity, line and fix in sight and its evidence on demand; its name leads to the row; hostile text is text."""
    page = opened.open(sample_tables(), tmp_path / "page.html")
    block = panel(page, "overview").locator(".findings")
    expect(block.locator(".findings-list > li")).to_have_count(2)
    expect(block.locator(".badge")).to_have_text(["error", "warning"])
    expect(block).to_contain_text("<script>alert(1)</script>")
    expect(block.locator(".fix")).to_have_count(1)
    expect(block.locator("details ul").first).to_be_hidden()
    block.get_by_text("Evidence").first.click()
    expect(block.locator("details ul").first).to_be_visible()
    block.get_by_role("button", name="recompile", exact=True).click()
    expect(panel(page, "findings")).to_be_visible()


def test_tabs_follow_the_keyboard(opened: Opened, tmp_path: Path) -> None:
    """One tab is in the tab order; arrows, Home and End move and select; a tab names its panel."""
    page = opened.open(sample_tables(), tmp_path / "page.html")
    page.focus(".tab[data-tab='overview']")
    page.keyboard.press("ArrowRight")
    chosen = page.locator(".tab[aria-selected='true']")
    expect(chosen).to_have_attribute("data-tab", "findings")
    page.keyboard.press("End")
    expect(chosen).to_have_attribute("data-tab", "losses")
    page.keyboard.press("ArrowRight")
    expect(chosen).to_have_attribute("data-tab", "overview")
    assert page.locator(".tab[tabindex='0']").count() == 1
    expect(panel(page, "overview")).to_be_visible()
    expect(panel(page, "losses")).to_be_hidden()


def test_a_table_of_100_000_rows_keeps_few_in_the_document(opened: Opened, tmp_path: Path) -> None:
    """Only the rows in sight are elements, wherever one scrolls; the last row is reached."""
    guards = [make_guard("0/0", source=f"L['x'].layers[{index}]", stack=()) for index in range(100_000)]
    page = opened.open(make_tables(guards=guards), tmp_path / "page.html", row_limit=100_000)
    tab(page, "guards")
    expect(panel(page, "guards").locator(".tally")).to_have_text("100,000 guards")
    assert 0 < rows(page, "guards").count() < 100
    page.locator("[data-panel='guards'] .grid").evaluate("grid => { grid.scrollTop = grid.scrollHeight }")
    expect(rows(page, "guards").last).to_contain_text("L['x'].layers[99999]")
    assert rows(page, "guards").count() < 100


def test_a_search_counts_what_it_finds(opened: Opened, tmp_path: Path) -> None:
    """Searching narrows the rows, marks what was found, and says how many of how many; Escape shows all again."""
    guards = [make_guard("0/0", source=f"L['x'].layers[{index}].weight") for index in range(3012)]
    page = opened.open(make_tables(guards=guards), tmp_path / "page.html")
    tab(page, "guards")
    search = panel(page, "guards").get_by_role("searchbox")
    search.fill("LAYERS[30")
    tally = panel(page, "guards").locator(".tally")
    expect(tally).to_have_text("23 of 3,012")
    expect(rows(page, "guards").first.locator("mark")).to_have_text("layers[30")
    search.fill("nothing like it")
    expect(panel(page, "guards")).to_contain_text("No row matches.")
    search.press("Escape")
    expect(tally).to_have_text("3,012 guards")


def test_a_head_sorts_both_ways_and_says_so(opened: Opened, tmp_path: Path) -> None:
    """A column's head sorts by it, then the other way, then not; ``aria-sort`` says which."""
    page = opened.open(sample_tables(), tmp_path / "page.html")
    tab(page, "compiles")
    head = panel(page, "compiles").get_by_role("columnheader", name="Time")
    ids = rows(page, "compiles").locator(".cell:first-child")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert ids.all_inner_texts() == ["0/1", "0/0", "0/2", "1/0", "3/0", "2/0"]
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert ids.all_inner_texts() == ["3/0", "1/0", "0/2", "0/0", "0/1", "2/0"]
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "none")
    assert ids.all_inner_texts() == ["0/0", "0/1", "0/2", "1/0", "2/0", "3/0"]


def test_details_open_and_close_by_keyboard(opened: Opened, tmp_path: Path) -> None:
    """In a table arrows move, Enter opens the row's details with its stack, Escape closes them."""
    page = opened.open(sample_tables(), tmp_path / "page.html")
    tab(page, "guards")
    grid = panel(page, "guards").get_by_role("grid")
    grid.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    details = panel(page, "guards").get_by_role("region", name="Details")
    expect(details).to_contain_text("L['self'].scale == 2.0")
    expect(details).to_contain_text("/home/ada/project/train.py:17 in step: loss = model(batch, mask).mean()")
    active = grid.get_attribute("aria-activedescendant")
    assert active is not None
    expect(page.locator(f"#{active}")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(details).to_be_hidden()


def test_a_press_outlives_what_moves_the_list(opened: Opened, tmp_path: Path) -> None:
    """A table is drawn again between the press on a row and the release: that is still a click on the row."""
    page = opened.open(sample_tables(), tmp_path / "page.html")
    tab(page, "guards")
    grid = panel(page, "guards").get_by_role("grid")
    grid.get_by_role("row").nth(3).hover()
    page.mouse.down()
    grid.evaluate(
        """async (list) => {
          list.dispatchEvent(new Event("scroll"));
          for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
        }"""
    )
    page.mouse.up()
    details = panel(page, "guards").get_by_role("region", name="Details")
    expect(details).to_contain_text("L['self'].scale == 2.0")


def test_a_recompile_shows_every_failing_guard(opened: Opened, tmp_path: Path) -> None:
    """A card names the call, marks the nearest entry, and lists each failing guard: compiled for, this call, the user's line."""
    page = opened.open(sample_tables(), tmp_path / "page.html")
    tab(page, "recompiles")
    card = page.get_by_role("article", name="Recompile 0/2")
    expect(card.locator("header")).to_contain_text("train.py:17")
    expect(card.locator(".entry").first).to_contain_text("nearest entry")
    cells = (
        card.locator(".entry")
        .first.locator("tbody")
        .first.locator("tr")
        .first.locator("td")
        .all_inner_texts()
    )
    assert [cell.split()[0] for cell in cells] == ["L['self'].scale", "2.0", "3.0", "model.py:36"]
    card.get_by_text("1 guard could not be evaluated").click()
    expect(card).to_contain_text("the length check of L['ids'] failed before it")


def test_the_timeline_goes_by_keyboard(opened: Opened, tmp_path: Path) -> None:
    """Each compile is a bar; arrows move and show what failed, Enter compares with the nearest earlier entry."""
    page = opened.open(sample_tables(), tmp_path / "page.html")
    tab(page, "recompiles")
    bars = panel(page, "recompiles").locator(".track .bar")
    again = panel(page, "recompiles").locator(".track .bar.again")
    assert bars.count() > again.count() > 0
    bars.first.focus()
    name = again.first.get_attribute("aria-label").split(",")[0]
    for _ in range(bars.count()):
        if page.locator(".track .bar:focus").get_attribute("aria-label").startswith(f"{name},"):
            break
        page.keyboard.press("ArrowRight")
    told = panel(page, "recompiles").locator(".told")
    assert f"{name} compiled again" in told.inner_text()
    page.keyboard.press("Enter")
    changes = panel(page, "recompiles").locator(".changes")
    changes.locator("h4").wait_for()
    assert changes.locator("h4").inner_text().endswith(f"to {name}")
    assert page.locator(".card.chosen").count() == 1


def test_a_link_leads_to_the_guards_of_one_compile(opened: Opened, tmp_path: Path) -> None:
    """An earlier entry's id leads to its guards, and to them alone."""
    page = opened.open(sample_tables(), tmp_path / "page.html")
    tab(page, "recompiles")
    page.get_by_role("article", name="Recompile 0/2").locator(".entry .id").first.click()
    expect(panel(page, "guards").get_by_role("combobox", name="Only one compile")).to_have_value("0/1")
    assert set(rows(page, "guards").locator(".cell:first-child").all_inner_texts()) == {"0/1"}


def test_a_graph_opens_in_the_explorer(opened: Opened, tmp_path: Path) -> None:
    """A graph is drawn; a search finds its node, and its details and torch's printout tell of it."""
    page = opened.open(sample_tables(), tmp_path / "page.html")
    tab(page, "graph")
    graph = panel(page, "graph")
    expect(graph.locator(".graph-stage canvas").first).to_be_visible()
    graph.get_by_role("searchbox").fill("op:linear")
    graph.get_by_role("searchbox").press("Enter")
    expect(graph.locator("[data-panel-of=details]")).to_contain_text("torch._C._nn.linear")
    expect(graph.locator("[data-panel-of=details]")).to_contain_text("[s77, 8, 16]")
    graph.get_by_role("button", name="Sources").click()
    expect(graph.locator("[data-panel-of=sources]")).to_contain_text("torch._C._nn.linear")


def test_what_a_page_leaves_out_is_said_in_its_place(opened: Opened, tmp_path: Path) -> None:
    """A graph whose nodes are not in the page says so, and how to have them."""
    page = opened.open(sample_tables(), tmp_path / "page.html", budget=Budget(nodes=0))
    tab(page, "graph")
    expect(panel(page, "graph")).to_contain_text("This page holds 0 nodes at most; session.graph(")


def test_an_absent_table_gives_its_reason(opened: Opened, tmp_path: Path) -> None:
    """A table that the recording cannot have gives the reason; an empty one says what that means."""
    tables = make_tables(compiles=[make_compile()], kernels=None, absent={"kernels": "the log has none"})
    page = opened.open(tables, tmp_path / "page.html")
    tab(page, "kernels")
    expect(panel(page, "kernels")).to_contain_text("the log has none")
    tab(page, "recompiles")
    expect(panel(page, "recompiles")).to_contain_text("Nothing recompiled")


def test_a_table_that_was_cut_says_so(opened: Opened, tmp_path: Path) -> None:
    """Rows above the limit are not dropped in silence."""
    page = opened.open(make_tables(guards=[make_guard()] * 30), tmp_path / "page.html", row_limit=10)
    tab(page, "guards")
    expect(panel(page, "guards")).to_contain_text("The first 10 of 30 rows")


@pytest.mark.parametrize("name", ["applied", "violations", "partitions", "ranges"])
def test_what_the_decorator_did_has_tabs(opened: Opened, tmp_path: Path, name: str) -> None:
    """Each of the decorator's tables is a tab with all its rows; without rows it says what that means."""
    page = opened.open(sample_tables(), tmp_path / "page.html")
    tab(page, name)
    expect(rows(page, name)).to_have_count(len(sample_tables().rows(name)))
    quiet = opened.open(make_tables(compiles=[make_compile()]), tmp_path / "quiet.html")
    tab(quiet, name)
    expect(panel(quiet, name).locator(".nothing")).to_contain_text("No ")
    expect(quiet.locator(f".tab.none[data-tab='{name}'] .count")).to_have_text("0")


def test_every_tab_counts_its_rows_and_says_which_tables_are_absent(opened: Opened, tmp_path: Path) -> None:
    """A table without rows counts 0, one that the recording cannot have shows a dash, its reason on the tab and in the panel."""
    tables = make_tables(compiles=[make_compile()], kernels=None, absent={"kernels": "the log has none"})
    page = opened.open(tables, tmp_path / "page.html")
    expect(page.locator("[data-tab='compiles'] .count")).to_have_text("1")
    expect(page.locator("[data-tab='guards'] .count")).to_have_text("0")
    expect(page.locator("[data-tab='kernels'] .count")).to_have_text("\u2013")
    expect(page.locator("[data-tab='kernels']")).to_have_attribute("title", "the log has none")
    tab(page, "kernels")
    expect(panel(page, "kernels")).to_contain_text("the log has none")


def test_narrow_the_rail_is_a_menu(opened: Opened, tmp_path: Path) -> None:
    """480 pixels wide the tabs are behind a button; it opens and closes by keyboard, choosing closes it, and nothing is wider than the page."""
    opened.page.set_viewport_size({"width": 480, "height": 760})
    page = opened.open(sample_tables(), tmp_path / "page.html")
    menu, rail = page.locator(".menu"), page.get_by_role("tablist")
    expect(rail).to_be_hidden()
    menu.focus()
    page.keyboard.press("Enter")
    expect(rail).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-tab='findings']")).to_be_focused()
    page.keyboard.press("Escape")
    expect(rail).to_be_hidden()
    expect(menu).to_be_focused()
    expect(menu).to_contain_text("Findings")
    menu.click()
    page.click("[data-tab='guards']")
    expect(rail).to_be_hidden()
    expect(panel(page, "guards")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 480


def test_back_retraces_links(opened: Opened, tmp_path: Path) -> None:
    """A link leads to another tab, Back to the place it was followed from with what narrowed its rows, Forward there again."""
    page = opened.open(sample_tables(), tmp_path / "page.html")
    back, forward = (page.get_by_role("button", name=name, exact=True) for name in ("Back", "Forward"))
    expect(back).to_be_disabled()
    tab(page, "guards")
    panel(page, "guards").get_by_role("searchbox").fill("scale")
    rows(page, "guards").first.click()
    panel(page, "guards").get_by_role("navigation", name="Related").get_by_role("button").first.click()
    expect(panel(page, "guards")).to_be_hidden()
    page.keyboard.press("Alt+ArrowLeft")
    expect(panel(page, "guards")).to_be_visible()
    expect(panel(page, "guards").get_by_role("searchbox")).to_have_value("scale")
    expect(panel(page, "guards").get_by_role("region", name="Details")).to_be_visible()
    forward.click()
    expect(panel(page, "guards")).to_be_hidden()
    back.click()
    back.click()
    expect(panel(page, "overview")).to_be_visible()
    expect(back).to_be_disabled()


def test_rows_lead_to_what_belongs_to_them(opened: Opened, tmp_path: Path) -> None:
    """A compile leads to its guards alone, a guard to the recompile that it made, a recompile to its guard, a kernel to its code."""
    page = opened.open(sample_tables(), tmp_path / "page.html")

    def follow(key: str, name: str | Any) -> None:
        panel(page, key).get_by_role("navigation", name="Related").get_by_role(
            "button", name=name
        ).first.click()

    tab(page, "compiles")
    rows(page, "compiles").filter(has_text="0/1").first.click()
    follow("compiles", re.compile(r"guards?$"))
    expect(panel(page, "guards").get_by_role("combobox", name="Only one compile")).to_have_value("0/1")
    rows(page, "guards").filter(has_text="scale").first.click()
    follow("guards", "failed at 0/2")
    card = page.locator(".card.chosen")
    expect(card).to_have_attribute("aria-label", "Recompile 0/2")
    card.get_by_role("button", name="Show the guard on L['self'].scale").first.click()
    expect(panel(page, "guards").get_by_role("region", name="Details")).to_contain_text(
        "L['self'].scale == 2.0"
    )


def test_a_row_tells_why_step_by_step(opened: Opened, tmp_path: Path) -> None:
    """A dimension's details end with its chain: input, operations with their lines, decision, guard; a step leads to its row."""
    page = opened.open(sample_tables(), tmp_path / "page.html")
    tab(page, "symbols")
    rows(page, "symbols").first.click()
    why = panel(page, "symbols").locator(".why")
    expect(why.locator(".step.operation").first).to_contain_text("model.py:34")
    expect(why.locator(".step.operation .quoted").first).to_have_text("h = x.view(x.shape[0], -1, 16)")
    kinds = [kind.split()[0] for kind in why.locator(".step-kind").all_inner_texts()]
    assert kinds[0] == "Input"
    assert "Guard" in kinds
    tab(page, "recompiles")
    card = page.get_by_role("article", name="Recompile 0/2")
    card.get_by_text("Why, step by step").click()
    expect(card.locator(".step.guard").first).to_contain_text("L['self'].scale")


def test_the_view_fills_the_screen(opened: Opened, tmp_path: Path) -> None:
    """One button gives the view the whole screen and takes it back."""
    page = opened.open(sample_tables(), tmp_path / "page.html")
    page.get_by_role("button", name="Fill the screen").click()
    large = page.get_by_role("button", name="Back to its place")
    expect(large).to_have_attribute("aria-pressed", "true")
    large.click()
    expect(page.get_by_role("button", name="Fill the screen")).to_have_attribute("aria-pressed", "false")


def test_an_uncompressed_page_reads_the_same(opened: Opened, tmp_path: Path) -> None:
    """A page for browsers that cannot inflate shows the same recording."""
    page = opened.open(sample_tables(), tmp_path / "page.html", compress=False)
    tab(page, "guards")
    expect(rows(page, "guards")).to_have_count(len(sample_tables().guards))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, tmp_path: Path, scheme: str) -> None:
    """Axe reports no violation, whatever tab is open, with a row's details open, in light and dark."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: `npm ci` in inspector/frontend")
    page = browser.new_page(viewport={"width": 1180, "height": 800}, color_scheme=scheme)
    try:
        Opened(page).open(sample_tables(), tmp_path / "page.html")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        for key in TABS:
            tab(page, key)
            if key == "graph":
                page.wait_for_selector(".graph-stage canvas")
            if rows(page, key).count() > 0:
                rows(page, key).first.click()
            found = page.evaluate(
                "axe.run().then(({ violations }) => violations.map(v => `${v.id}: ${v.nodes[0].html}`))"
            )
            assert (key, found) == (key, [])
    finally:
        page.close()


def test_light_and_dark_differ(browser: Browser, tmp_path: Path) -> None:
    """The page takes the reader's colour scheme, and follows when it changes."""
    page = browser.new_page(color_scheme="light")
    try:
        Opened(page).open(sample_tables(), tmp_path / "page.html")
        root = page.locator(".ci-host .root")
        expect(root).to_have_css("background-color", "rgb(255, 255, 255)")
        page.emulate_media(color_scheme="dark")
        expect(root).to_have_css("background-color", "rgb(20, 24, 29)")
    finally:
        page.close()


def test_a_view_takes_itself_away(opened: Opened) -> None:
    """What ``render`` returns removes the view; the model keeps no listener of it, and the static view it hid is back."""
    page = opened.page
    page.goto("about:blank")
    page.set_content('<div class="ci-static">plain</div><div id="here"></div>')
    counts = page.evaluate(
        """async (source) => {
          const { render } = (await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })))).default;
          const listeners = [];
          const model = {
            get: () => new TextEncoder().encode("{}"),
            on: (event, callback) => listeners.push(callback),
            off: (event, callback) => listeners.splice(listeners.indexOf(callback), 1),
            send: () => {},
          };
          const el = document.querySelector("#here");
          const plain = document.querySelector(".ci-static");
          const dispose = render({ model, el });
          const during = [el.childElementCount, plain.hidden, el.classList.contains("ci-root")];
          await new Promise((resolve) => setTimeout(resolve, 100));
          dispose();
          return [during, [el.childElementCount, plain.hidden, el.classList.contains("ci-root"), listeners.length]];
        }""",
        bundle("inspector.esm.js"),
    )
    assert counts == [[1, True, True], [0, False, False, 0]]


def test_progress_runs_on_and_leaves_one_line(opened: Opened) -> None:
    """Progress names what is compiled, its time runs on between messages, and at the end one line stays."""
    page = opened.page
    page.goto("about:blank")
    page.set_content('<div id="here"></div>')
    page.evaluate(
        """async (source) => {
          const { render } = (await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })))).default;
          window.status_ = { compiles: 2, active: "0/2", phase: "backend_compile", elapsed_ns: 3e9, done: false, text: null };
          const model = { get: () => window.status_, on: (event, callback) => { window.changed = callback }, off: () => {} };
          render({ model, el: document.querySelector("#here") });
        }""",
        bundle("progress.esm.js"),
    )
    line = page.get_by_role("status")
    expect(line).to_contain_text("Compiling 0/2: backend compile, 2 compiles done")
    expect(page.locator(".time")).not_to_have_text("3.00 s")
    page.evaluate(
        "window.status_ = { ...window.status_, done: true, text: '3 compiles in 4.20 s' }; window.changed()"
    )
    expect(line).to_have_text("3 compiles in 4.20 s")
