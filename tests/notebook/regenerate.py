"""Runs the notebooks and commits their outputs in the form the tests compare: ``python tests/notebook/regenerate.py [NOTEBOOK…]``.

Kept are the outputs a reader sees. Left out is what belongs to one run or one machine: widgets' state and views, emptied progress
outputs, versions, the folders of installed files. Inductor's cache is empty at the start, so that its lookups tell of misses.
"""

from __future__ import annotations

import base64
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
SECONDS_A_CELL = 300

_PORTABLE = (
    (re.compile(r"(?:/[^\s'\"<>(:;,]*)?/(?:site|dist)-packages/"), "site-packages/"),
    (re.compile(r"(?:/[^\s'\"<>(:;,]*)?/lib/python3\.\d+/"), "lib/python3/"),
    (re.compile(r"/[^\s'\"<>(:;,]*ipykernel_\d+/\d+\.py"), "cell.py"),
    (re.compile(r"/[^\s'\"<>(:;,]*torchinductor_?[^\s'\"<>(:;,]*/"), "torchinductor/"),
)
_DATA_URI = re.compile(r"(data:image/svg\+xml;base64,)([A-Za-z0-9+/=]+)")


def regenerate(path: Path) -> None:
    """Runs one notebook in its folder and writes it back with its outputs.

    Raises:
        CellExecutionError: A cell failed; the file stays as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=SECONDS_A_CELL,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    with tempfile.TemporaryDirectory() as cache:
        client.execute(env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache})
    nbformat.write(tidied(notebook), path)


def tidied(notebook: NotebookNode) -> NotebookNode:
    """A run notebook without what belongs to this run and this machine."""
    notebook.metadata = NotebookNode(
        kernelspec=NotebookNode(KERNEL), language_info=NotebookNode(name="python")
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in map(_output, cell.outputs) if output is not None]
    return notebook


def _output(output: NotebookNode) -> NotebookNode | None:
    output.pop("transient", None)
    if output.output_type == "stream":
        output.text = portable(output.text)
        return output
    data = output.get("data")
    if data is None:
        return output
    data.pop(WIDGET_VIEW, None)
    for kind, value in data.items():
        if isinstance(value, str):
            data[kind] = portable(value)
    return output if data else None


def portable(text: str) -> str:
    """A text without folders of this machine, in drawings too."""
    return _DATA_URI.sub(_portable_image, _replaced(text))


def _portable_image(match: re.Match[str]) -> str:
    drawing = base64.b64decode(match[2]).decode("utf-8")
    return match[1] + base64.b64encode(_replaced(drawing).encode("utf-8")).decode("ascii")


def _replaced(text: str) -> str:
    for pattern, replacement in _PORTABLE:
        text = pattern.sub(replacement, text)
    return text


def main(names: Sequence[str], *, say: Callable[[str], object] = print) -> None:
    """Regenerates the named notebooks, all of them when none is named."""
    for path in [Path(name) for name in names] or sorted(NOTEBOOKS.glob("*.ipynb")):
        regenerate(path)
        say(f"regenerated {path.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
