"""The user's own frames of the running thread."""

from __future__ import annotations

import linecache
from types import FrameType
from typing import Any

from compile_inspector.torch_seams.probe import lookup
from compile_inspector.torch_seams.value_text import shorten

_DEEPEST = 100


def user_stack(frame: FrameType | None) -> list[list[Any]]:
    """The frames from ``frame`` outwards that are not torch's own: ``[file, line, function, code]`` each, outermost first.

    At most the innermost hundred; the code is None where the source is not at hand.
    """
    root = lookup("torch").__file__.removesuffix("__init__.py")
    found: list[list[Any]] = []
    while frame is not None and len(found) < _DEEPEST:
        file = frame.f_code.co_filename
        if not file.startswith(root):
            code = shorten(linecache.getline(file, frame.f_lineno, frame.f_globals).strip())
            found.append([file, frame.f_lineno, frame.f_code.co_name, code or None])
        frame = frame.f_back
    return found[::-1]
