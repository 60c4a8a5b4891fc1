"""Takes the screenshots of the quickstart notebook that README.md shows: ``python tests/browser/take_screenshots.py``."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser import lab

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


def main() -> None:
    """Runs the notebook and writes ``notebooks/images/quickstart-light.png`` and ``-dark.png``."""
    executable = lab.chromium()
    if executable is None:
        sys.exit("there is no Chromium here")
    with tempfile.TemporaryDirectory() as folder:
        root, scratch = Path(folder, "root"), Path(folder, "lab")
        root.mkdir()
        shutil.copy(NOTEBOOKS / "quickstart.ipynb", root)
        with lab.launched(executable) as browser, lab.served(root, scratch) as address:
            page = browser.new_page(viewport={"width": 1360, "height": 980}, device_scale_factor=1.5)
            lab.open_notebook(page, address, "quickstart.ipynb")
            lab.run_all(page)
            page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
            for name, theme in THEMES.items():
                lab.set_theme(page, theme)
                widget = page.locator(".ci-root[data-ready='1']").first
                widget.evaluate("element => element.closest('.jp-Cell').scrollIntoView({block: 'start'})")
                page.wait_for_timeout(800)
                page.screenshot(path=NOTEBOOKS / "images" / f"quickstart-{name}.png")


if __name__ == "__main__":
    main()
