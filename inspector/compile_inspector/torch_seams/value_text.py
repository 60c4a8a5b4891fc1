"""Short texts of values for people to read, made without running a line of the code the values bring along."""

from __future__ import annotations

import types
from collections.abc import Iterable
from enum import EnumMeta
from itertools import islice
from typing import Any

from compile_inspector.torch_seams.object_names import object_name, type_name
from compile_inspector.torch_seams.static_lookup import Unreadable, instance_dict, is_plain

LIMIT = 200
_SHOWN = 8
_NAMED = (
    types.FunctionType,
    types.MethodType,
    types.CodeType,
    types.ModuleType,
    types.BuiltinFunctionType,
)


def shorten(text: str) -> str:
    """The text, cut with a mark behind it where it is longer than `LIMIT` characters."""
    return text if len(text) <= LIMIT else text[: LIMIT - 1] + "…"


def text_of(value: object, *, depth: int = 2) -> str:
    """A value in at most `LIMIT` characters: itself where it is plain, its kind and name where it is not."""
    return shorten(_text(value, depth))


def _text(value: Any, depth: int) -> str:
    kind = type(value)
    if is_plain(value):
        return _plain(value)
    if kind in (list, tuple, set, frozenset, dict):
        return _collection(value, kind, depth)
    if issubclass(kind, type) or kind in _NAMED:
        return object_name(value)
    if kind in (range, slice):
        parts = ", ".join(_text(part, 0) for part in (value.start, value.stop, value.step))
        return f"{kind.__name__}({parts})"
    module = type_name(kind).partition(".")[0]
    if module == "torch":
        return _of_torch(value, kind)
    return member_name(value) or f"a {type_name(kind)} object"


def _plain(value: Any) -> str:
    if type(value) is int and value.bit_length() > 4 * LIMIT:
        return f"an integer of {value.bit_length()} bits"
    return repr(value[: LIMIT + 1]) if type(value) is str or type(value) is bytes else repr(value)


def _collection(value: Any, kind: type, depth: int) -> str:
    if depth == 0:
        return f"a {kind.__name__} of {len(value)}"
    more = [f"… {len(value)} in all"] if len(value) > _SHOWN else []
    if kind is dict:
        pairs = [
            f"{_text(key, depth - 1)}: {_text(held, depth - 1)}"
            for key, held in islice(value.items(), _SHOWN)
        ]
        return "{" + ", ".join(pairs + more) + "}"
    parts: Iterable[str] = [_text(part, depth - 1) for part in islice(value, _SHOWN)] + more
    opening, closing = {list: ("[", "]"), tuple: ("(", ",)" if len(value) == 1 else ")")}.get(
        kind, ("{", "}")
    )
    return opening + ", ".join(parts) + closing


def member_name(value: Any) -> str | None:
    """``Colour.RED`` for a member of an enumeration, None for anything else."""
    kind = type(value)
    if type(kind) is not EnumMeta:
        return None
    try:
        name = (instance_dict(value) or {}).get("_name_")
    except Unreadable:
        return None
    return f"{type_name(kind)}.{name}" if type(name) is str else None


def _of_torch(value: Any, kind: type) -> str:
    import torch

    if kind in (torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format):
        return repr(value)
    if issubclass(kind, torch.Tensor):
        return f"a {type_name(kind)}"
    held = instance_dict(value) or {}
    compiler = held.get("compiler_name")
    return f"backend {compiler!r}" if type(compiler) is str else f"a {type_name(kind)} object"
