"""What a function does and what a value is, as hashes that are equal in every process where they are the same.

Of a function count its instructions, constants and names, of a value what a program can have been made for: never a file, a line, an
address or a process id.
"""

from __future__ import annotations

import enum
import functools
import inspect
import linecache
import types
from collections.abc import Iterator
from typing import Any

import torch

from compile_inspector.engine.artifacts.header import TEXT_LIMIT, digest
from compile_inspector.torch_seams import platform

_PLAIN = (int, float, complex, bool, str, bytes, type(None), type(...), range)
_TORCH = (torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Size)
_BUILTIN = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.ClassMethodDescriptorType,
)
_LONGEST = 200
_DEEPEST = 6


class Unrecognizable(Exception):  # noqa: N818
    """A value whose like could not be told in another process; the message says what it is."""


@functools.lru_cache(maxsize=4096)
def code_hash(code: types.CodeType) -> str:
    """A hash of what a code object does: of nothing that only says where it was written."""
    consts = [code_hash(one) if isinstance(one, types.CodeType) else _constant(one) for one in code.co_consts]
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return digest(
        code.co_name, code.co_code, code.co_exceptiontable, repr(counts), repr(names), "\n".join(consts)
    )


def _constant(value: object) -> str:
    if isinstance(value, tuple | frozenset):
        parts = [_constant(one) for one in value]
        return f"{type(value).__name__}({', '.join(parts if isinstance(value, tuple) else sorted(parts))})"
    return f"{type(value).__name__}:{value!r}"


def function_hash(function: types.FunctionType) -> str:
    """A hash of a function: its code, and the defaults of its parameters."""
    defaults = [*(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items())]
    return digest(code_hash(function.__code__), *(_default(one) for one in defaults))


def _default(value: Any) -> str:
    try:
        return value_hash(value)
    except Unrecognizable:
        return _class_name(type(value))


def deep_hash(function: types.FunctionType) -> str:
    """A hash of a function and of what its instructions name: functions and plain values of modules, theirs in turn, but for torch's."""
    seen: dict[Any, str] = {}
    _follow(function, seen)
    return digest(*sorted(seen.values()))


def _follow(function: types.FunctionType, seen: dict[Any, str]) -> None:
    if id(function) in seen or function.__module__.partition(".")[0] == "torch":
        return
    seen[id(function)] = function_hash(function)
    scopes = [function.__globals__]
    for name in sorted(_names(function.__code__)):
        for scope in scopes:
            held = scope.get(name)
            if isinstance(held, types.ModuleType) and not held.__name__.startswith("torch"):
                scopes.append(held.__dict__)
            elif isinstance(held, types.FunctionType):
                _follow(held, seen)
            elif type(held) in _PLAIN and held is not None:
                seen[id(function), name] = f"{name}={held!r}"
            if held is not None:
                break
    for cell in function.__closure__ or ():
        for held in functions_in(cell.cell_contents):
            _follow(held, seen)


def _names(code: types.CodeType) -> set[str]:
    below = (_names(one) for one in code.co_consts if isinstance(one, types.CodeType))
    return set(code.co_names).union(*below)


def source_of(code: types.CodeType) -> str | None:
    """The text of a function, from its file or its cell; None where there is none."""
    try:
        lines = inspect.getblock(linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :])
    except (IndexError, SyntaxError, OSError, UnicodeError):
        return None
    text = "".join(lines)
    return text[:TEXT_LIMIT] or None


def functions_in(value: object) -> Iterator[types.FunctionType]:
    """The Python functions behind what a class or a module holds: a method's, a property's, those that a wrapper wraps."""
    for _ in range(16):
        if isinstance(value, types.FunctionType):
            yield value
        elif isinstance(value, property):
            yield from (one for one in (value.fget, value.fset) if isinstance(one, types.FunctionType))
        wrapped = _wrapped(value)
        if wrapped is None:
            return
        value = wrapped


def _wrapped(value: object) -> object | None:
    if isinstance(value, staticmethod | classmethod | types.MethodType):
        return value.__func__
    if isinstance(value, functools.partial | functools.cached_property):
        return value.func
    held: Any = inspect.getattr_static(value, "__dict__", None)
    if isinstance(value, types.FunctionType):
        held = value.__dict__
    return held.get("__wrapped__") if isinstance(held, dict) else None


def value_hash(value: object) -> str:
    """A hash of what a value is.

    Raises:
        Unrecognizable: Nothing about it would be the same in another process, or not all of it can be told.
    """
    return digest(_told(value, 0))


def value_text(value: object) -> str:
    """A value for people, in one line."""
    if isinstance(value, torch.Tensor):
        text = _tensor_text(value)
    elif isinstance(value, types.FunctionType):
        text = f"{value.__module__}.{value.__qualname__}"
    elif isinstance(value, (*_PLAIN, *_TORCH)):
        text = repr(value)
    elif isinstance(value, type):
        text = f"class {_class_name(value)}"
    elif isinstance(value, types.ModuleType):
        text = f"module {value.__name__}"
    else:
        text = _class_name(type(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _told(value: object, depth: int) -> str:
    kind = type(value)
    if kind in _PLAIN or kind in _TORCH:
        return f"{kind.__name__}:{value!r}"
    if isinstance(value, torch.Tensor):
        return _tensor(value)
    if isinstance(value, types.FunctionType):
        return f"function {value.__qualname__} {function_hash(value)}"
    if isinstance(value, types.MethodType):
        return f"method {_told(value.__func__, depth)}"
    if isinstance(value, type):
        return f"class {_class_name(value)}"
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, types.CodeType):
        return f"code {code_hash(value)}"
    if kind in _BUILTIN:
        return f"builtin {getattr(value, '__module__', None)} {getattr(value, '__qualname__', value.__class__.__qualname__)}"
    return _held(value, depth)


def _held(value: Any, depth: int) -> str:
    kind = type(value)
    if isinstance(value, enum.Enum):
        return f"{_class_name(kind)}.{value.name}={_told(value._value_, depth + 1)}"
    if depth < _DEEPEST and kind in (tuple, list):
        return f"{kind.__name__}({', '.join(_told(one, depth + 1) for one in value)})"
    if depth < _DEEPEST and kind in (set, frozenset):
        return f"{kind.__name__}({', '.join(sorted(_told(one, depth + 1) for one in value))})"
    if depth < _DEEPEST and kind is dict:
        items = (f"{_told(key, depth + 1)}: {_told(item, depth + 1)}" for key, item in value.items())
        return f"dict({', '.join(items)})"
    if platform.is_operator(value):
        return f"operator {value}"
    msg = f"an object of the class {_class_name(kind)}"
    raise Unrecognizable(msg)


def shallow_hash(value: object) -> str:
    """A hash of the type of a value, where a guard looks no further; of a container also how much it holds, and plain keys."""
    kind = type(value)
    if isinstance(value, dict) and kind.__module__ in ("builtins", "collections"):
        keys = [_told(key, 0) if type(key) in _PLAIN else _class_name(type(key)) for key in value]
        return digest(_class_name(kind), *keys)
    if kind in (tuple, list, set, frozenset):
        return digest(_class_name(kind), str(len(value)))  # type: ignore[arg-type]
    return digest(_class_name(kind))


def _tensor(value: torch.Tensor) -> str:
    place = str(value.device)
    marks = ["requires_grad"] * value.requires_grad + ["inference"] * value.is_inference()
    return " ".join(
        (_class_name(type(value)), str(value.dtype), f"{value.ndim} dims", place, str(value.layout), *marks)
    )


def _tensor_text(value: torch.Tensor) -> str:
    own = "" if type(value) in (torch.Tensor, torch.nn.Parameter) else f"{_class_name(type(value))} "
    layout = "" if value.layout is torch.strided else f" {value.layout}"
    marks = " requires_grad" * value.requires_grad + " inference" * value.is_inference()
    dtype = str(value.dtype).removeprefix("torch.")
    return f"{own}{dtype} {value.ndim}-d on {value.device}{layout}{marks}"


def _class_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


class_name = _class_name
