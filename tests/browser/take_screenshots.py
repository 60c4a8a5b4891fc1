"""Takes the screenshots that README.md shows: ``python tests/browser/take_screenshots.py [quickstart] [explorer]``."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import Browser, Page

from browser import lab
from browser.explorer import SCRIPT, Explorer

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
IMAGES = NOTEBOOKS / "images"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
LLAMA, SYMBOL, KERNELS, COMPARED = 0, 1, 3, 4
"""The explorers of graph_explorer.ipynb, in their order."""


@contextmanager
def ran(browser: Browser, name: str) -> Iterator[Page]:
    """A notebook in JupyterLab, after a run of all its cells."""
    with tempfile.TemporaryDirectory() as folder:
        root, scratch = Path(folder, "root"), Path(folder, "lab")
        root.mkdir()
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}/inductor"
        shutil.copy(NOTEBOOKS / name, root)
        with lab.served(root, scratch) as address:
            page = browser.new_page(viewport={"width": 1360, "height": 980}, device_scale_factor=1.5)
            page.add_init_script(path=SCRIPT)
            lab.open_notebook(page, address, name)
            lab.run_all(page)
            page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
            yield page
            page.close()


def quickstart(browser: Browser) -> None:
    """The first session of the quickstart."""
    with ran(browser, "quickstart.ipynb") as page:
        for name, theme in THEMES.items():
            lab.set_theme(page, theme)
            widget = page.locator(".ci-root[data-ready='1']").first
            widget.evaluate("element => element.closest('.jp-Cell').scrollIntoView({block: 'start'})")
            page.wait_for_timeout(800)
            page.screenshot(path=IMAGES / f"quickstart-{name}.png")


def folded(page: Page) -> Explorer:
    """The Llama as it opens."""
    seen = Explorer(page, LLAMA)
    seen.page.evaluate("index => window.explorers.kept[index].explorer.state.select([])", seen.index)
    seen.press("c", "0")
    return seen


def expanded(page: Page) -> Explorer:
    """One layer open where it is, its attention picked."""
    seen = folded(page)
    seen.press("1")
    seen.search("module:layers.5.self_attn op:scaled_dot_product")
    seen.root.get_by_role("searchbox").press("Enter")
    seen.facts()
    seen.press("Escape")
    return seen


def overlay(page: Page) -> Explorer:
    """The way of a symbol through a layer."""
    seen = Explorer(page, SYMBOL)
    seen.press("Escape", "c", "0")
    return seen


def compared(page: Page) -> Explorer:
    """The recompile over the first compile, the first difference picked."""
    seen = Explorer(page, COMPARED)
    seen.page.wait_for_timeout(1500)
    seen.press("n", "n", "0")
    return seen


def linked(page: Page) -> Explorer:
    """Source, printout and generated code of one kernel's nodes."""
    seen = Explorer(page, KERNELS)
    seen.open_panel("Sources")
    seen.search("op:var")
    seen.root.get_by_role("searchbox").press("Enter")
    seen.facts()
    seen.press("Escape")
    return seen


SCENES: dict[str, Callable[[Page], Explorer]] = {
    "folded": folded,
    "expanded": expanded,
    "overlay": overlay,
    "compared": compared,
    "linked": linked,
}
WHOLE = ("folded", "overlay", "compared")


def explorer(browser: Browser) -> None:
    """The scenes of the explorer."""
    with ran(browser, "graph_explorer.ipynb") as page:
        page.set_viewport_size({"width": 1360, "height": 860})
        for name, theme in THEMES.items():
            lab.set_theme(page, theme)
            for scene, act in SCENES.items():
                seen = act(page)
                seen.root.get_by_role("button", name="Fill the screen").click()
                seen.facts()
                if scene in WHOLE:
                    seen.press("0")
                page.mouse.move(5, 300)
                page.evaluate("document.activeElement.blur()")
                page.wait_for_timeout(600)
                page.screenshot(path=IMAGES / f"explorer-{scene}-{name}.png")
                seen.root.get_by_role("button", name="Back to its place").click()
                seen.facts()


ALL = {"quickstart": quickstart, "explorer": explorer}


def main() -> None:
    """Runs the notebooks and writes the pictures to ``notebooks/images``."""
    executable = lab.chromium()
    if executable is None:
        sys.exit("there is no Chromium here")
    with lab.launched(executable) as browser:
        for name in sys.argv[1:] or ALL:
            ALL[name](browser)


if __name__ == "__main__":
    main()
