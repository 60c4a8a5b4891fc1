"""Which files Dynamo read code from: the compiled frame's own and those of the functions it inlined.

Source: `torch._dynamo.symbolic_convert.InliningInstructionTranslator.inline_call_`; the end of an attempt is
`torch._dynamo.output_graph.OutputGraph.cleanup`.
"""

from __future__ import annotations

import functools
import hashlib
import linecache
import os
import re
import sys
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

from compile_inspector.torch_seams.probe import Capability, Emit, Faults, Undo, lookup, patch, probe_names

NAME = "traced_files"
USES = (
    "torch._dynamo.symbolic_convert:InliningInstructionTranslator.inline_call_",
    "torch._dynamo.output_graph:OutputGraph.cleanup",
    "torch._dynamo.exc:RestartAnalysis",
)
_RESUMED = re.compile(r"torch_dynamo_resume_in_(.+)_at_\d+$")
_Inlined = Counter[tuple[str, str]]


def probe() -> Capability:
    """Whether this torch lets us see what it inlines."""
    return probe_names(USES)


def install(emit: Emit, faults: Faults) -> Undo:
    """Emits the fact ``traced_files`` at the end of each attempt that is not started over."""
    restart = lookup("torch._dynamo.exc:RestartAnalysis")
    inlined: dict[int, tuple[weakref.ref[Any], _Inlined]] = {}
    wanted = True

    def count(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def inline_call_(self: Any, *args: Any, **kwargs: Any) -> Any:
            if wanted:
                try:
                    _counts(inlined, self.output)[self.f_code.co_filename, self.f_code.co_qualname] += 1
                except Exception as error:
                    faults.count(NAME, error)
            return original(self, *args, **kwargs)

        return inline_call_

    def end(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def cleanup(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                counts = _counts(inlined, self)
                del inlined[id(self)]
                if wanted and self.root_tx is not None and not isinstance(sys.exc_info()[1], restart):
                    emit("traced_files", _rows(self.root_tx.f_code, counts))
            except Exception as error:
                faults.count(NAME, error)
            finally:
                returned = original(self, *args, **kwargs)
            return returned

        return cleanup

    translator = lookup("torch._dynamo.symbolic_convert:InliningInstructionTranslator")
    restore = (
        patch(translator, "inline_call_", count),
        patch(lookup("torch._dynamo.output_graph:OutputGraph"), "cleanup", end),
    )

    def undo() -> None:
        nonlocal wanted
        wanted = False
        for put_back in reversed(restore):
            put_back()
        inlined.clear()

    return undo


def _counts(inlined: dict[int, tuple[weakref.ref[Any], _Inlined]], output: Any) -> _Inlined:
    """The counts of one OutputGraph, which cannot be a key itself: it compares by value and has no hash."""
    known = inlined.get(id(output))
    if known is None or known[0]() is not output:
        known = inlined[id(output)] = (weakref.ref(output), Counter())
    return known[1]


def _rows(frame: Any, counts: _Inlined) -> list[list[Any]]:
    """``[file, functions, inline count, hash]`` of each file, the compiled frame's first."""
    functions: dict[str, set[str]] = {frame.co_filename: {_original(frame.co_qualname)}}
    calls: Counter[str] = Counter()
    for (file, function), count in counts.items():
        functions.setdefault(file, set()).add(_original(function))
        calls[file] += count
    return [[file, sorted(names), calls[file], content_hash(file)] for file, names in functions.items()]


def _original(function: str) -> str:
    """The user's function behind one that Dynamo made to go on after a graph break."""
    found = _RESUMED.search(function)
    return function[: found.start()] + found.group(1) if found else function


def content_hash(file: str) -> str | None:
    """SHA-256 of a file's bytes, or of a notebook cell's text as linecache has it; None where neither is at hand."""
    try:
        state = os.stat(file)
    except (OSError, ValueError):
        lines = linecache.cache.get(file)
        text = (
            "".join(lines[2]) if lines is not None and len(lines) == 4 else "".join(linecache.getlines(file))
        )
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() if text else None
    return _hash_of(file, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=1024)
def _hash_of(file: str, _mtime_ns: int, _size: int) -> str | None:
    try:
        with open(file, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return None
