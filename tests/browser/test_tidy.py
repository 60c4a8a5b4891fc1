"""Graphviz from the explorer: a widget in a page whose Python is this process, with a dot that works, hangs, or is missing."""

from __future__ import annotations

import base64
import queue
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

import compile_inspector as ci
from browser.explorer import Explorer, Watch
from compile_inspector.views.answers import answer
from compile_inspector.views.bundles import bundle
from compile_inspector.views.dot_layout import DotLayouts

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("dot") is None, reason="there is no dot here"),
]

DATA = Path(__file__).parents[1] / "data"
LAYER = "layers.2"
SHOW = """async ([bundle, graph]) => {
    const { default: widget } = await import(URL.createObjectURL(new Blob([bundle], { type: "text/javascript" })));
    const heard = new Set();
    window.fromPython = (content) => heard.forEach((listener) => listener(content, []));
    const bytes = Uint8Array.from(atob(graph), (char) => char.charCodeAt(0));
    const model = {
        get: (name) => ({ graph: bytes, row: 0 })[name],
        set() {}, save_changes() {}, off() {},
        on: (event, callback) => event === "msg:custom" && heard.add(callback),
        send: (content) => void window.toPython(content),
    };
    const el = document.createElement("div");
    document.body.append(el);
    widget.render({ model, el });
}"""


class Host:
    """The Python behind the page: what was asked, and the answers, which `pump` hands to the page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[dict[str, Any]] = []
        self.answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self.layouts = DotLayouts(self.answers.put)
        page.expose_function("toPython", self._take)

    def _take(self, content: dict[str, Any]) -> None:
        self.asked.append(content)
        self.layouts.handle(content)

    def pump(self, until: Callable[[], bool]) -> None:
        """Hands on answers until something holds."""
        for _ in range(400):
            while not self.answers.empty():
                self.page.evaluate("content => window.fromPython(content)", self.answers.get())
            if until():
                return
            self.page.wait_for_timeout(25)
        pytest.fail("it did not come to that")


@pytest.fixture
def host(page: Page) -> Iterator[Host]:
    """The explorer of a decoder, with one layer open; afterwards, that nothing went out and no complaint was heard."""
    watch = Watch(page)
    host = Host(page)
    page.goto("about:blank")
    graph = answer(ci.load(DATA / "stages.log.gz"), "explore:0")
    page.evaluate(SHOW, [bundle("inspector.esm.js"), base64.b64encode(graph).decode()])
    seen = Explorer(page)
    page.evaluate(f"window.explorers.last().state.expand({LAYER!r})")
    seen.facts()
    yield host
    host.layouts.close()
    assert watch.nothing_else(), (watch.asked, watch.said)


def note(seen: Explorer) -> Locator:
    return seen.root.locator(".stage-note")


def pressed(seen: Explorer, name: str = "Tidy") -> None:
    seen.root.get_by_role("button", name=name).click()


def said(seen: Explorer, words: str) -> Callable[[], bool]:
    return lambda: words in note(seen).inner_text()


def test_all_that_is_open_is_laid_out_by_graphviz_and_back(page: Page, host: Host) -> None:
    """The button has every open group laid out, the largest last; what is in the middle stays there; again, and it is as it was."""
    seen = Explorer(page)
    before, facts = seen.sure_place(LAYER), seen.facts()
    pressed(seen)
    host.pump(said(seen, "Laid out by dot"))
    assert "3 groups" in note(seen).inner_text()
    assert len([message for message in host.asked if message["type"] == "layout"]) == 3
    after = seen.sure_place(LAYER)
    assert seen.facts()["boxes"] == facts["boxes"]
    assert abs(after["y"] - before["y"]) < 60
    moved = {name: seen.place(name) for name in ("layers.2.mlp", "layers.2.attention", "add_6")}
    pressed(seen)
    expect(note(seen)).to_have_text("As it was before Graphviz.")
    assert seen.sure_place(LAYER) == before
    assert {name: seen.place(name) for name in moved} != moved


def test_the_open_group_that_is_picked_is_laid_out_alone(page: Page, host: Host) -> None:
    """With the key, which the help has."""
    seen = Explorer(page)
    seen.click(LAYER)
    seen.press("t")
    host.pump(said(seen, "1 group."))
    assert len([message for message in host.asked if message["type"] == "layout"]) == 1
    seen.press("?")
    expect(seen.root.get_by_role("group", name="Graph menu")).to_contain_text("with Graphviz")


def test_a_layout_can_be_cancelled(page: Page, host: Host, tmp_path: Path) -> None:
    """While dot hangs the button stops it, and Python ends the process."""
    dot = tmp_path / "dot"
    dot.write_text("#!/bin/sh\nsleep 600\n")
    dot.chmod(0o755)
    host.layouts = DotLayouts(host.answers.put, timeout_s=600, binary=(str(dot), "dot"))
    seen = Explorer(page)
    before = seen.facts()
    pressed(seen)
    expect(note(seen)).to_contain_text("Graphviz lays out")
    pressed(seen, "Stop")
    expect(note(seen)).to_have_text("Cancelled: nothing was changed.")
    kinds = [message["type"] for message in host.asked]
    assert [kind for kind in kinds if kind != "part"] == ["layout", "cancel"]
    assert seen.facts()["boxes"] == before["boxes"]
    seen.canvas.focus()
    page.keyboard.press("t")
    page.keyboard.press("Escape")
    expect(note(seen)).to_have_text("Cancelled: nothing was changed.")


def test_where_graphviz_cannot_a_reader_is_told_why(
    page: Page, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any dot; the picture is as it was."""
    monkeypatch.setattr("compile_inspector.views.dot_layout.dot_binary", lambda: None)
    seen = Explorer(page)
    before = seen.sure_place(LAYER)
    pressed(seen)
    host.pump(said(seen, "no dot was found"))
    assert seen.sure_place(LAYER) == before


def test_opening_a_group_ends_it(page: Page, host: Host) -> None:
    """What comes for the view before is let be."""
    seen = Explorer(page)
    pressed(seen)
    page.evaluate("window.explorers.last().state.expand('layers.2.mlp')")
    host.pump(lambda: any(message["type"] == "cancel" for message in host.asked))
    expect(seen.root.get_by_role("button", name="Tidy")).to_be_visible()


def test_a_page_without_python_has_no_such_button(page: Page, tmp_path: Path) -> None:
    """Nor does its help speak of it."""
    path = tmp_path / "stages.html"
    ci.load(DATA / "stages.log.gz").graph().to_html(path)
    Watch(page)
    page.goto(path.as_uri())
    seen = Explorer(page)
    expect(seen.root.get_by_role("button", name="Fit", exact=False).first).to_be_visible()
    expect(seen.root.get_by_role("button", name="Tidy")).to_have_count(0)
    seen.press("t", "?")
    menu = seen.root.get_by_role("group", name="Graph menu")
    expect(menu).to_contain_text("search")
    expect(menu).not_to_contain_text("Graphviz")
