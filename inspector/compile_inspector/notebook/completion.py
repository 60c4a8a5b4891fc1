"""Completions after the magics: options, their values, and what follows ``%inspector``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from compile_inspector.notebook.magics import ACTIONS, CAPTURE_MODES, DYNAMIC_SHAPES, MODES, POLICIES
from compile_inspector.notebook.show import VIEWS

if TYPE_CHECKING:
    from collections.abc import Sequence

_OPTIONS_OF = {
    "inspect": ("--name", "--save", "--view", "--provenance"),
    "support_torch_compile": (
        "--mode",
        "--backend",
        "--dynamic-shapes",
        "--dropped-guards",
        "--split",
        "--undo",
    ),
    "capture_graphs": ("--mode", "--no-measure", "--max-seconds", "--max-pool-bytes", "--name", "--undo"),
}
_VALUES = {
    "inspect": {"--view": tuple(VIEWS)},
    "support_torch_compile": {
        "--mode": MODES,
        "--dynamic-shapes": DYNAMIC_SHAPES,
        "--dropped-guards": POLICIES,
    },
    "capture_graphs": {"--mode": CAPTURE_MODES},
}
_LINE = re.compile(r"^\s*%{1,2}(inspect|inspector|support_torch_compile|capture_graphs)\s(.*)$", re.DOTALL)


@context_matcher(identifier="compile_inspector")  # pyright: ignore[reportUntypedFunctionDecorator]
def complete(context: CompletionContext) -> SimpleMatcherResult:
    """What may stand at the cursor on a line of one of the magics."""
    match = _LINE.match(context.text_until_cursor)
    if match is None:
        return _found((), "")
    magic, written = match.groups()
    words = re.split(r"[\s=]+", written)
    before, last = words[:-1], words[-1]
    if magic == "inspector":
        return _found(() if any(before) else ACTIONS, last)
    if before and before[-1] in _VALUES[magic]:
        return _found(_VALUES[magic][before[-1]], last)
    if last.startswith("-"):
        return _found([option for option in _OPTIONS_OF[magic] if option not in before], last)
    return _found((), "")


def _found(offered: Sequence[str], typed: str) -> SimpleMatcherResult:
    fitting = [SimpleCompletion(text, type="param") for text in offered if text.startswith(typed)]
    return {"completions": fitting, "matched_fragment": typed, "suppress": bool(fitting), "ordered": True}
