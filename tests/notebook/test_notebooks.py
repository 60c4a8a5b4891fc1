"""What is committed of the notebooks: whole, clean and free of any machine's particulars."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import nbformat
import pytest
from nbclient import NotebookClient

from regenerate import NOTEBOOKS, portable, tidied

FOUND = sorted(NOTEBOOKS.glob("*.ipynb"))
_FOLDER = re.compile(r"(?<![\w.:/])/(?:root|home|tmp|usr|opt|var|work|Users|mnt|srv)/")
_IMAGE = re.compile(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)")


def texts(notebook) -> Iterator[str]:
    """Every text of the outputs, drawings decoded."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            values = [output.get("text", ""), *output.get("data", {}).values()]
            for text in map(str, values):
                yield text
                yield from (base64.b64decode(found).decode() for found in _IMAGE.findall(text))


@pytest.fixture(params=FOUND, ids=[path.name for path in FOUND])
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def test_there_is_a_quickstart() -> None:
    """The notebook that README.md opens is there."""
    assert "quickstart.ipynb" in [path.name for path in FOUND]


def test_every_cell_was_run_in_order(notebook) -> None:
    """The outputs are those of one run from top to bottom, and none is an error or a warning."""
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {(output.output_type, output.get("name")) for cell in code for output in cell.outputs}
    assert kinds <= {("display_data", None), ("execute_result", None), ("stream", "stdout")}


def test_a_notebook_runs_again_in_its_kernel(tmp_path) -> None:
    """Whoever runs it once more reads the same: what was compiled before is not in the way."""
    notebook = nbformat.read(NOTEBOOKS / "recompiles.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and "%load_ext" not in cell.source]
    again = [nbformat.v4.new_code_cell(cell.source) for cell in code]
    notebook.cells = [nbformat.v4.new_code_cell("%load_ext compile_inspector"), *code, *again]
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    first, second = map(_printed, code), map(_printed, again)
    for index, (once, twice) in enumerate(zip(first, second, strict=True)):
        assert once == twice, code[index].source
    assert sum(bool(_printed(cell)) for cell in code) > 3


def _printed(cell) -> str:
    """What a cell printed, without the times in it."""
    text = "".join(output.text for output in cell.outputs if output.output_type == "stream")
    return re.sub(r"[\d.]+ [nµm]?s\b", "some time", text)


def test_no_widget_is_saved(notebook) -> None:
    """Neither widgets' state nor their views: a saved view would ask a network for its widget."""
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert set(notebook.metadata.language_info) == {"name"}
    kinds = {
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        for kind in output.get("data", {})
    }
    assert kinds <= {"text/plain", "text/html", "image/svg+xml"}


def test_no_folder_of_a_machine_is_in_an_output(notebook) -> None:
    """Paths of installed files begin at site-packages, those of cells are ``In [n]``; drawings are looked into."""
    assert [found.group() for text in texts(notebook) for found in _FOLDER.finditer(text)] == []


def test_outputs_pass_unchecked_only_where_they_show_installed_code(notebook) -> None:
    """A cell is excepted from comparison only where its output tells the inside of an installed library or a drawing."""
    excepted = [cell for cell in notebook.cells if "nbval-ignore-output" in cell.metadata.get("tags", ())]
    assert [cell.source for cell in excepted if not _tells_installed_code(cell)] == []


def _tells_installed_code(cell) -> bool:
    """Whether it shows a session, a graph, or what differs between graphs of an installed model."""
    shown = [output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    words = ("%%inspect", "graph(", "places", '.of("graphs")')
    return any(word in cell.source for word in words) or any("Graph of compile" in text for text in shown)


def test_tidying_keeps_what_a_reader_sees() -> None:
    """Widgets' views and emptied outputs go; text and HTML stay, without folders."""
    cell = nbformat.v4.new_code_cell("1", execution_count=1)
    cell.outputs = [
        nbformat.v4.new_output(
            "display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
        ),
        nbformat.v4.new_output("display_data", {}),
        nbformat.v4.new_output(
            "display_data", {"text/plain": "/a/lib/python3.11/site-packages/torch/nn.py:3"}
        ),
    ]
    tidy = tidied(nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {"x": 1}}))
    assert [output.data for output in tidy.cells[0].outputs] == [
        {"text/plain": "site-packages/torch/nn.py:3"}
    ]
    assert "widgets" not in tidy.metadata


def test_a_drawing_is_made_portable_too() -> None:
    """The text inside an encoded drawing loses its folders, and stays a drawing."""
    drawing = base64.b64encode(b"<svg><title>/x/site-packages/a.py</title></svg>").decode()
    (encoded,) = _IMAGE.findall(portable(f"<img src='data:image/svg+xml;base64,{drawing}'>"))
    assert base64.b64decode(encoded) == b"<svg><title>site-packages/a.py</title></svg>"


def test_the_ignored_folder_names_are_those_of_a_path() -> None:
    """The check for folders finds absolute paths, and no words with a slash in them."""
    assert _FOLDER.search('File "/home/someone/x.py"')
    assert not _FOLDER.search("site-packages/work/x.py and/or https://host/tmp/x")
