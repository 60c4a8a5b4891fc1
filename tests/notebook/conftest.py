"""A shell to try magics in, and how to run a cell in it."""

from __future__ import annotations

import atexit
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from compile_inspector.notebook.extension import load_ipython_extension, unload_ipython_extension

_VARYING = (
    (r"\[\d+\]", "[N]"),
    (r"<ipython-input-[^>]*>", "CELL"),
    (r"0x[0-9a-f]+", "ADDRESS"),
    (r"\x1b\[[\d;]*m", ""),
)


class Ran(NamedTuple):
    """What a cell did: what it printed, what it displayed, what it raised, what it gave."""

    text: str
    displayed: list[dict[str, Any]]
    error: BaseException | None
    value: Any


Run = Callable[..., Ran]


def constant(text: str) -> str:
    """A text without what differs from cell to cell: numbers of cells, names of their files, addresses, colours."""
    for pattern, replacement in _VARYING:
        text = re.sub(pattern, replacement, text)
    return text


@pytest.fixture
def bare() -> Iterator[InteractiveShell]:
    """IPython without the extension."""
    settings = Config()
    settings.HistoryManager.enabled = False
    settings.InteractiveShell.colors = "nocolor"
    hook = sys.excepthook
    shell = InteractiveShell.instance(config=settings)
    yield shell
    unload_ipython_extension(shell)
    shell.restore_sys_module_state()
    InteractiveShell.clear_instance()
    atexit.unregister(shell.atexit_operations)  # each would collect all garbage again when the process ends
    sys.excepthook = hook


@pytest.fixture
def shell(bare: InteractiveShell) -> InteractiveShell:
    """IPython with the extension loaded."""
    load_ipython_extension(bare)
    return bare


@pytest.fixture
def run(bare: InteractiveShell) -> Run:
    """Runs a cell as a user would."""

    def run_one(source: str, *, store_history: bool = True) -> Ran:
        with capture_output() as captured:
            result: ExecutionResult = bare.run_cell(source, store_history=store_history)
        return Ran(
            constant(captured.stdout + captured.stderr),
            [dict(output.data) for output in captured.outputs],
            result.error_before_exec or result.error_in_exec,
            result.result,
        )

    return run_one
