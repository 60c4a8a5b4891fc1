"""What a call had where a guard failed: reading the value that a guard's source names, without running the program's code."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import msgspec

from compile_inspector.torch_seams.probe import lookup

NAME = "guard_reading"
USES = ("torch._C:DisableTorchFunction",)
_LONGEST = 200


class Reading(msgspec.Struct, frozen=True):
    """Where to read: a call's locals and the globals that its guards were made for."""

    f_locals: dict[str, Any]
    scope: dict[str, Any]


class _Unreadable(Exception):  # noqa: N818
    pass


def actual_of(source: str, reading: Reading) -> str | None:
    """The text of the value at a source; None where it is not there or could not be read without running code of the program."""
    try:
        return _text(_value(ast.parse(source, mode="eval").body, reading))
    except (_Unreadable, SyntaxError, LookupError, TypeError, AttributeError, ValueError, RecursionError):
        return None


def _value(node: ast.expr, reading: Reading) -> Any:
    if isinstance(node, ast.Name):
        if node.id in {"L", "G"}:
            return reading.f_locals if node.id == "L" else reading.scope["G"]
        raise _Unreadable
    if isinstance(node, ast.Subscript):
        return _item(_value(node.value, reading), ast.literal_eval(node.slice))
    if isinstance(node, ast.Attribute):
        return _attribute(_value(node.value, reading), node.attr)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
        return _sizes(_value(node.func.value, reading), node.func.attr)
    raise _Unreadable


def _item(owner: Any, key: Any) -> Any:
    if type(owner) in {dict, list, tuple} or type(owner).__name__ in {"Size", "OrderedDict"}:
        return owner[key]
    raise _Unreadable


def _attribute(owner: Any, name: str) -> Any:
    held = inspect.getattr_static(owner, "__dict__", {})
    held = getattr(owner, "__dict__", {}) if not isinstance(held, dict) else held
    if name == "__dict__":
        return held
    if name in held:
        return held[name]
    for table in ("_parameters", "_buffers", "_modules"):
        if name in held.get(table, {}):
            return held[table][name]
    found = inspect.getattr_static(type(owner), name)
    if hasattr(type(found), "__get__"):
        raise _Unreadable
    return found


def _sizes(owner: Any, name: str) -> Any:
    import torch

    if name in {"size", "stride", "storage_offset"} and isinstance(owner, torch.Tensor):
        with lookup("torch._C:DisableTorchFunction")():
            return getattr(owner, name)()
    raise _Unreadable


def _text(value: Any) -> str:
    import torch

    if value is None or isinstance(value, bool | int | float | str | bytes | complex):
        text = repr(value)
    elif isinstance(value, torch.Tensor):
        text = f"a {type(value).__name__} of shape {tuple(value.shape)}, {value.dtype}, on {value.device}"
    elif isinstance(value, type):
        text = f"the class {value.__qualname__}"
    else:
        text = f"a {type(value).__qualname__}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
