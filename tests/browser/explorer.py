"""An explorer in a page of Chromium, as tests drive it: with the pointer and the keyboard, and with what the page says of its picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, Route

SCRIPT = Path(__file__).with_name("explorers.js")


class Explorer:
    """One explorer of a page.

    Args:
        page: The page; `watch` was called on it before it was opened.
        index: Which of its explorers, in the order they were made.
    """

    def __init__(self, page: Page, index: int = 0) -> None:
        self.page = page
        self.index = index
        page.evaluate("index => window.explorers.opened(index)", index)

    @property
    def root(self) -> Locator:
        """The element of it."""
        return self.page.locator(".explorer-frame").nth(self.index)

    @property
    def canvas(self) -> Locator:
        """The canvas of the graph that is shown."""
        return self.root.locator("canvas.canvas").last

    def facts(self) -> dict[str, Any]:
        """What it shows, once its picture stands still."""
        return self.page.evaluate("index => window.explorers.settled(index)", self.index)

    def shows(self, row: int) -> dict[str, Any]:
        """What it shows, once that is the graph of a row."""
        return self.page.evaluate("([row, index]) => window.explorers.shows(row, index)", [row, self.index])

    def place(self, which: str) -> dict[str, Any] | None:
        """Where a node's or a group's box is in the window; None where it is not drawn."""
        return self.page.evaluate(
            "([which, index]) => window.explorers.place(which, index)", [which, self.index]
        )

    def sure_place(self, which: str) -> dict[str, Any]:
        """Where a box is that must be drawn."""
        found = self.place(which)
        assert found is not None, f"{which} is not drawn"
        return found

    def edge(self, source: str, target: str) -> tuple[float, float]:
        """Where in the window the edge from one box to another comes to it."""
        found = self.page.evaluate(
            "([source, target, index]) => window.explorers.edge(source, target, index)",
            [source, target, self.index],
        )
        assert found is not None, f"no edge is drawn from {source} to {target}"
        return found["x"], found["y"]

    def click(self, which: str, *, twice: bool = False) -> None:
        """Clicks a node's box, or a group's name."""
        box = self.sure_place(which)
        x, y = box["x"] + box["width"] / 2, box["y"] + min(box["height"] / 2, 8)
        if twice:
            self.page.mouse.dblclick(x, y)
        else:
            self.page.mouse.click(x, y)

    def search(self, query: str) -> list[str]:
        """Types a query, and gives the names of the nodes that were found."""
        field = self.root.get_by_role("searchbox")
        field.fill(query)
        self.page.wait_for_function(
            "([query, index]) => window.explorers.kept[index].explorer.state.query === query",
            arg=[query, self.index],
        )
        return self.facts()["matches"]

    def press(self, *keys: str) -> dict[str, Any]:
        """Presses keys on the canvas, and gives what is shown then."""
        self.canvas.focus()
        for key in keys:
            self.page.keyboard.press(key)
        return self.facts()

    def choose(self, label: str, value: str) -> None:
        """Chooses an option, by its label or its value."""
        self.root.get_by_label(label, exact=True).select_option(value)

    def open_panel(self, name: str) -> None:
        """Shows a panel beside the canvas, if it is not shown."""
        button = self.root.get_by_role("group", name="Panels").get_by_role("button", name=name)
        if button.get_attribute("aria-expanded") == "false":
            button.click()


class Watch:
    """What a page asked for and said; nothing but the file itself may be asked for."""

    def __init__(self, page: Page) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        page.add_init_script(path=SCRIPT)
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.route("**/*", self._only_files)

    def _only_files(self, route: Route) -> None:
        if route.request.url.startswith(("file:", "blob:", "data:")):
            route.continue_()
        else:
            self.asked.append(route.request.url)
            route.abort()

    def nothing_else(self, allowed: Sequence[str] = ()) -> bool:
        """Whether nothing was asked of the network, and nothing was complained of."""
        return [*self.asked, *(line for line in self.said if line not in allowed)] == []
