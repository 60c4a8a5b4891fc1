"""Compiles from before the recorder: what torch still holds of them.

Source: `torch._dynamo.eval_frame._debug_get_cache_entry_list`, `torch._dynamo.convert_frame.input_codes`,
`torch._dynamo.utils.get_compilation_metrics`. Nothing is hooked. `torch._dynamo.reset` and freed functions take the entries away.
"""

from __future__ import annotations

import dataclasses
import types
import weakref
import zlib
from collections.abc import Iterator
from typing import Any

from compile_inspector.torch_seams.object_names import object_name, type_name
from compile_inspector.torch_seams.probe import Capability, lookup, probe_names

NAME = "existing"
USES = (
    "torch._dynamo.eval_frame:_debug_get_cache_entry_list",
    "torch._dynamo.convert_frame:input_codes.seen",
    "torch._dynamo.utils:get_compilation_metrics",
    "torch._dynamo.guards:GuardManagerWrapper",
)
MISSING = "compiled before the recording began: its graphs, symbols, phases, caches and the users' stacks of its guards cannot be recovered"
NO_METRICS = "; torch no longer holds its timings"
_TEXT_LIMIT = 2000

Trees = weakref.WeakKeyDictionary[Any, bytes]

_printed: Trees = weakref.WeakKeyDictionary()
"""Guard trees printed by the last reading, compressed: each recording reads them anew, and printing 3,700 guards takes 60 ms."""


def probe() -> Capability:
    """Whether this torch lets its cache be read."""
    return probe_names(USES)


def existing() -> list[dict[str, Any]]:
    """What torch holds of each compile whose code it may still use, by frame, oldest first.

    Each is ``{"id", "function", "file", "line", "backend", "guards", "metrics", "objects", "missing"}``; ``guards`` is the tree as
    ``dynamo_cpp_guards_str`` has it, ``metrics`` the plain part of torch's record of the compile (None once torch forgot it).
    """
    global _printed
    metrics, printed = _metrics(), Trees()
    found = {one["id"]: one for code in _codes() for one in _of_code(code, metrics, printed)}
    _printed = printed
    return sorted(found.values(), key=lambda one: _order(one["id"]))


def _codes() -> Iterator[types.CodeType]:
    for reference in list(lookup("torch._dynamo.convert_frame:input_codes.seen")):
        code = reference()
        if code is not None:
            yield code


def _of_code(
    code: types.CodeType, metrics: dict[tuple[str, str, int], dict[str, Any]], printed: Trees
) -> Iterator[dict[str, Any]]:
    for entry in lookup("torch._dynamo.eval_frame:_debug_get_cache_entry_list")(code):
        compile_id = str(entry.compile_id)
        measured = metrics.get((compile_id, code.co_filename, code.co_firstlineno))
        yield {
            "id": compile_id,
            "function": code.co_name,
            "file": code.co_filename,
            "line": code.co_firstlineno,
            "backend": _backend(entry.backend),
            "guards": _tree(entry.guard_manager, printed),
            "metrics": measured,
            "objects": _objects(entry.guard_manager),
            "missing": MISSING if measured is not None else MISSING + NO_METRICS,
        }


def _order(compile_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in compile_id.lstrip("!").split("/") if part.isdigit())


def _tree(manager: Any, printed: Trees) -> str:
    text = _printed.get(manager)
    if text is None:
        text = zlib.compress(str(manager).encode("utf-8", "surrogatepass"), 1)
    printed[manager] = text
    return zlib.decompress(text).decode("utf-8", "surrogatepass")


def _objects(manager: Any) -> dict[str, str]:
    """Names of what the tree holds by id, as far as torch kept it in reach; types and constants come with the tree's text."""
    references = getattr(manager, "id_matched_objs", None) or {}
    alive = (reference() for reference in list(references.values()) if type(reference) is weakref.ref)
    return {str(id(one)): object_name(one) for one in alive if one is not None}


def _backend(backend: Any) -> str | None:
    if type(backend) is types.FunctionType:
        return backend.__name__
    if backend is not None and type_name(type(backend)).startswith("torch."):
        name = getattr(backend, "compiler_name", None)
        return name if isinstance(name, str) else None
    return None


def _metrics() -> dict[tuple[str, str, int], dict[str, Any]]:
    """The forward compiles that torch remembers (the last 64 of any kind), the latest of each id."""
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for one in lookup("torch._dynamo.utils:get_compilation_metrics")():
        if getattr(one, "is_forward", True) is False or one.compile_id is None:
            continue
        plain = {field.name: _plain(getattr(one, field.name)) for field in dataclasses.fields(one)}
        kept = {name: value for name, value in plain.items() if value is not None}
        found[str(one.compile_id), str(one.co_filename), one.co_firstlineno or 0] = kept
    return found


def _plain(value: Any) -> Any:
    """The value where JSON holds it as it is and it is short; sets become sorted lists; None otherwise."""
    if isinstance(value, (set, frozenset, list, tuple)):
        items = [_plain(item) for item in value]
        return sorted(items, key=str) if isinstance(value, (set, frozenset)) else items
    if isinstance(value, str):
        return value if len(value) <= _TEXT_LIMIT else None
    return value if isinstance(value, (bool, int, float)) else None
