"""Two kernels in a row on the notebook warm_start.ipynb: the second loads what the first compiled."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from compile_inspector.torch_seams import kept_code
from regenerate import NOTEBOOKS


def outcome(folder: Path) -> str:
    """What the first call of a kernel of its own did."""
    notebook = nbformat.read(NOTEBOOKS / "warm_start.ipynb", as_version=4)
    (asked,) = [at for at, cell in enumerate(notebook.cells) if "first_call_of_this_kernel =" in cell.source]
    notebook.cells = [*notebook.cells[: asked + 1], nbformat.v4.new_code_cell("first_call_of_this_kernel[0]")]
    own = {"COMPILE_INSPECTOR_CACHE_ROOT": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder / "config")}
    NotebookClient(notebook, timeout=300).execute(env=os.environ | own)
    return notebook.cells[-1].outputs[-1]["data"]["text/plain"]


@pytest.mark.skipif(
    not kept_code.keeps("aot_eager"), reason="this torch keeps nothing that aot_eager compiles"
)
@pytest.mark.filterwarnings("default")
def test_two_kernels_in_a_row(tmp_path: Path) -> None:
    """A miss, then a hit, though the cells' files have other names in each kernel."""
    assert [outcome(tmp_path), outcome(tmp_path)] == ["'miss'", "'hit'"]
