"""Chromium for the browser tests; they are skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from browser import lab


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is."""
    found = lab.chromium()
    if found is None:
        pytest.skip(
            "there is no Chromium here: `apt-get install chromium`, or the like, to run the browser tests"
        )
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium, running for one module: while it does, playwright holds an event loop open, in which IPython cannot await."""
    with lab.launched(chromium) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page, light; a module that shares one between its tests has its own."""
    made = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light")
    yield made
    made.close()
