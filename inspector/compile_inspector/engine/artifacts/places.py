"""Where in the live program the parts of a lookup key come from: the line that a person would change."""

from __future__ import annotations

import inspect
import types
from collections.abc import Sequence
from typing import Any

import msgspec

from compile_inspector.engine.artifacts import fingerprints
from compile_inspector.engine.artifacts.header import Component, Difference, shared_lines

_OF_THE_CLASS = ("class", "modules", "parameters")
_OF_THE_CALL = ("arguments", "state", "training")
_OURS = ("torch", "compile_inspector")
Place = tuple[str | None, int | None]


def placed(differs: Sequence[Difference], was: Sequence[Component], program: Any) -> tuple[Difference, ...]:
    """Differences of components with their lines.

    The forward's first line that differs; of what the class sets up, its ``__init__``; of what the call brings along, the call. The others
    (settings, versions, devices) have no line.
    """
    return tuple(_placed(one, was, program) for one in differs)


def _placed(one: Difference, was: Sequence[Component], program: Any) -> Difference:
    if one.component == "forward":
        file, line = _of_forward(was, program.wrapper.original)
    elif one.component in _OF_THE_CLASS:
        file, line = _of_class(program.cls)
    elif one.component in _OF_THE_CALL:
        file, line = _of_call()
    else:
        return one
    return msgspec.structs.replace(one, file=file, line=line)


def _of_forward(was: Sequence[Component], forward: types.FunctionType) -> Place:
    code = forward.__code__
    before = next((one.text for one in was if one.name == "forward"), "")
    after = fingerprints.source_of(code) or ""
    shared = 0 if before == after else shared_lines(before, after)  # alike: a default or a wrapper is another
    return code.co_filename, code.co_firstlineno + shared


def _of_class(cls: type) -> Place:
    """Its own ``__init__``, the author's; where it has none, its forward."""
    for name in ("__init__", "forward"):
        found = [
            one for one in fingerprints.functions_in(cls.__dict__.get(name)) if not _is_ours(one.__globals__)
        ]
        if found:
            return found[-1].__code__.co_filename, found[-1].__code__.co_firstlineno
    return None, None


def _of_call() -> Place:
    """The innermost line of the running thread that is neither torch's nor the engine's."""
    frame = inspect.currentframe()
    while frame is not None:
        if not _is_ours(frame.f_globals) and not frame.f_code.co_filename.startswith("<the engine"):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None, None


def _is_ours(scope: dict[str, Any]) -> bool:
    return str(scope.get("__name__", "")).partition(".")[0] in _OURS
