"""What a forward does beside computing: Python objects that it changes, which a replay of a graph does not change again."""

from __future__ import annotations

import dis
import inspect
import re
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

_COMPILED = "__compiled_fn"
_METHODS = frozenset({"append", "clear", "extend", "setstate", "update"})
_VARIABLES = ("STORE_GLOBAL", "STORE_DEREF", "DELETE_GLOBAL")
_STORES = ("STORE_SUBSCR", "STORE_SLICE", "DELETE_SUBSCR", *_VARIABLES)
_CODE = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    torch.Tensor,
)
_ROOT = re.compile(r"^L\['(\w+)'\]|^G\['(\w+)'\]")
_IMPORTED = re.compile(r"^__import_\w+?\.(?=\w)")
_PLAIN = (torch.Tensor, int, float, str, type(None))


class Attributes:
    """What the attributes of a module and of those in it are, and what lists and dicts among them hold."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module
        self._held = dict(_attributes(module))

    def changed(self) -> list[str]:
        """The names of those that are something else now, or hold something else."""
        now = dict(_attributes(self._module))
        names = [*self._held, *(name for name in now if name not in self._held)]
        return [name for name in names if not _same(self._held.get(name), now.get(name))]


class Objects:
    """What lists, dicts, sets and objects hold that compiled code goes to, whoever has them.

    Args:
        places: By place, as torch's guards name it, what stands there.
    """

    def __init__(self, places: Mapping[str, Any]) -> None:
        own = {place: one for place, one in places.items() if not place.endswith(".__dict__")}
        self._held = {id(one): (place, one, _held_by(one)) for place, one in own.items()}

    def changed(self) -> list[str]:
        """The places of those that hold something else now; of an object, its attributes."""
        found: list[str] = []
        for place, one, was in self._held.values():
            now = _held_by(one)
            if was is not None and now is not None and not _same(was, now):
                found.append(_spelled(place))
        return found


def _held_by(value: Any) -> list[Any] | None:
    """What it holds; None for what is no container, or code."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | set | deque):
        return list(value)
    if isinstance(value, _CODE):
        return None
    try:
        attributes = vars(value)
    except TypeError:
        return None
    return [*attributes.keys(), *attributes.values(), *attributes.get("_buffers", {}).values()]


def _spelled(place: str) -> str:
    """``L['self'].stats`` as ``self.stats``, ``G['__import_package_dot_module'].kept`` as ``kept``."""
    return _IMPORTED.sub("", _ROOT.sub(lambda found: found[1] or found[2], place))


def _attributes(module: torch.nn.Module) -> Iterator[tuple[str, list[Any]]]:
    for path, part in module.named_modules():
        before = f"{path}." if path else ""
        for name, value in vars(part).items():
            if name in ("_buffers", "_parameters"):
                yield from ((f"{before}{key}", [one]) for key, one in value.items())
            elif name != "_modules":
                yield f"{before}{name}", [value, *_inside(value)]


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return (*value.keys(), *value.values())
    return tuple(value) if isinstance(value, list | set) else ()


def _same(was: list[Any] | None, now: list[Any] | None) -> bool:
    if was is None or now is None or len(was) != len(now):
        return False
    return all(one is other or _equal(one, other) for one, other in zip(was, now, strict=True))


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and isinstance(one, int | float | str | bytes) and one == other


def told(
    module_changed: list[str], objects_changed: list[str], code: types.CodeType, outputs: Any
) -> str | None:
    """Why a replay would leave something undone that a call does; None where nothing was found.

    Args:
        module_changed: Attributes that a call was seen to change.
        objects_changed: Places of other objects that it was seen to change.
        code: What Dynamo made of the forward: it changes Python's objects after the graph has run.
        outputs: What the call returned. Objects of classes are filled like those that exist already: with some in it the code tells of
            variables alone.
    """
    if module_changed:
        names = ", ".join(module_changed[:3])
        return f"each call sets {names} of the module anew, which a replay does not"
    if objects_changed:
        return f"each call changes what {', '.join(objects_changed[:3])} holds, which a replay does not"
    if _changes(code, containers=_is_plain(outputs)):
        return "each call changes a list, dict or variable outside of it, which a replay does not"
    return None


def _changes(code: types.CodeType, *, containers: bool) -> bool:
    """Whether Dynamo's code changes some after its graph has run; the dict of the call's own keywords is nobody else's.

    Args:
        code: It.
        containers: Look for containers too, not for variables alone.
    """
    after, own, before = False, _keywords(code), None
    for one in dis.get_instructions(code):
        after = after or (one.opname == "LOAD_GLOBAL" and _COMPILED in str(one.argval))
        is_method = containers and one.opname in ("LOAD_METHOD", "LOAD_ATTR") and one.argval in _METHODS
        if after and (one.opname in (_STORES if containers else _VARIABLES) or (is_method and before != own)):
            return True
        before = one.argval if one.opname.startswith("LOAD_FAST") else None
    return False


def _keywords(code: types.CodeType) -> str:
    place = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & inspect.CO_VARARGS)
    return code.co_varnames[place] if code.co_flags & inspect.CO_VARKEYWORDS else ""


def _is_plain(value: Any) -> bool:
    if type(value) in (tuple, list):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, value.values()))
    return isinstance(value, _PLAIN)
