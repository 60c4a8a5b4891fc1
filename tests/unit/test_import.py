"""Importing the package: quick, lazy, and without torch or Jupyter."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "IPython", "anywidget", "ipywidgets", "traitlets", "rich", "graphviz", "numpy")

WITHOUT_TORCH = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "IPython", "anywidget", "ipywidgets", "traitlets"}:
            raise ModuleNotFoundError(f"{name} is not there", name=name)

sys.meta_path.insert(0, Blocked())
"""


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_heavy() -> None:
    """``import compile_inspector`` loads neither torch, nor Jupyter, nor what only views need."""
    found = run(f"import sys, compile_inspector; print([name for name in {HEAVY!r} if name in sys.modules])")
    assert found == "[]"


def test_the_public_names_are_listed_before_they_are_loaded() -> None:
    """``dir()`` and ``__all__`` name what the package offers, and looking loads nothing."""
    code = """
import sys, compile_inspector as ci
names = {"record", "inspect", "load", "Session"}
print(names <= set(dir(ci)), names <= set(ci.__all__), "compile_inspector.api" in sys.modules)
"""
    assert run(code) == "True True False"


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt public name fails as it does for any module."""
    code = """
import compile_inspector
try:
    compile_inspector.recrod
except AttributeError as error:
    print(error)
"""
    assert run(code) == "module 'compile_inspector' has no attribute 'recrod'"


@pytest.mark.parametrize(
    "module",
    [
        "model.tables",
        "model.graph",
        "recording.assemble",
        "recording.fold",
        "views.columns",
        "views.summary",
        "views.text",
        "views.static_html",
        "views.wire",
        "views.page",
        "views.graph_drawing",
    ],
)
def test_pure_rooms_work_without_torch(module: str) -> None:
    """Where neither torch nor Jupyter is installed, logs can still be assembled and shown as text and HTML."""
    code = f"{WITHOUT_TORCH}\nimport compile_inspector.{module}\nprint('torch' in sys.modules)"
    assert run(code) == "False"
