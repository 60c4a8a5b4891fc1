"""Chromium for the browser tests; they are skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

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


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium, running."""
    with lab.launched(chromium) as running:
        yield running
