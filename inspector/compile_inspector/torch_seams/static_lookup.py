"""Reading values as Python would, without running a line of the code they bring along.

Properties, ``__getattr__``, ``__eq__``, ``__len__``, ``__repr__`` and metaclasses of users are never called: attributes are found in the
dictionaries of the classes and of the object itself, and a text is made of a value only where its type is Python's or torch's own.
What cannot be read so is said to be unreadable. No private name of torch is used here.
"""

from __future__ import annotations

import types
from itertools import chain
from typing import Any, NamedTuple

_mro = vars(type)["__mro__"].__get__
_members = vars(type)["__dict__"].__get__

ABSENT: Any = object()
PLAIN = (int, str, float, bool, type(None), complex, bytes, type(...))
"""Types whose values compare, hash and print without anybody else's code."""
PLAIN_IDS = frozenset(id(kind) for kind in PLAIN)
_HOLDERS = (dict, list, tuple, set, frozenset)
_SLOTS = (types.GetSetDescriptorType, types.MemberDescriptorType)


class _Pair(NamedTuple):
    first: object


_BOUND_BY_C = (
    staticmethod,
    classmethod,
    types.ClassMethodDescriptorType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.BuiltinFunctionType,
    type(vars(_Pair)["first"]),
)
_GENERIC_GETATTRIBUTE = tuple(vars(owner)["__getattribute__"] for owner in (object, type, types.ModuleType))


class Missing(Exception):  # noqa: N818
    """What was looked for is not there; the guard that reads it fails."""


class Unreadable(Exception):  # noqa: N818
    """It cannot be read without running somebody's code; the message says why."""


def static(kind: type, name: str) -> Any:
    """What a class or its bases have under a name, descriptors unbound; `ABSENT` where none has."""
    for base in _mro(kind):
        found = _members(base).get(name, ABSENT)
        if found is not ABSENT:
            return found
    return ABSENT


def is_plain(value: object) -> bool:
    """Whether a value's exact type is one of Python's scalars."""
    return id(type(value)) in PLAIN_IDS


def is_c_slot(kind: type, name: str) -> bool:
    """Whether a special method of a class is absent, None or written in C."""
    found = static(kind, name)
    return found is ABSENT or found is None or type(found) in (*_BOUND_BY_C, types.BuiltinMethodType)


def instance_dict(value: object) -> Any:
    """The object's own dictionary (a class's: read-only), None where it has none.

    Raises:
        Unreadable: Its class puts something of its own in the place of ``__dict__``.
    """
    kind = type(value)
    if issubclass(kind, type):
        return _members(value)
    found = static(kind, "__dict__")
    if found is ABSENT:
        return None
    if type(found) in _SLOTS:
        return found.__get__(value, kind)
    raise Unreadable("its class has a __dict__ of its own")


def attribute(value: object, name: str, *, module_getattr: Any = None) -> Any:
    """``getattr(value, name)``.

    Args:
        value: The object.
        name: The attribute.
        module_getattr: ``torch.nn.Module.__getattr__``: its lookup in parameters, buffers and submodules is followed.

    Raises:
        Missing: There is no such attribute.
        Unreadable: Finding it would run code.
    """
    kind = type(value)
    getattribute = static(kind, "__getattribute__")
    if not any(getattribute is known for known in _GENERIC_GETATTRIBUTE) and isinstance(
        getattribute, types.FunctionType
    ):
        raise Unreadable("its class has a __getattribute__")
    found = static(kind, name)
    if found is not ABSENT and static(type(found), "__set__") is not ABSENT:
        return _bound(found, value, name)
    if issubclass(kind, type):
        own = static(value, name)  # type: ignore[arg-type]
        if own is not ABSENT:
            return _bound(own, None, name, owner=value)
    else:
        own = (instance_dict(value) or {}).get(name, ABSENT)
        if own is not ABSENT:
            return own
    if found is not ABSENT:
        return _bound(found, value, name)
    return _fallback(value, name, module_getattr)


def _bound(found: Any, value: Any, name: str, *, owner: Any = None) -> Any:
    kind = type(found)
    if kind in _SLOTS or kind in _BOUND_BY_C:
        try:
            return (
                found.__get__(value, owner if value is None else type(value))
                if kind is not types.BuiltinFunctionType
                else found
            )
        except AttributeError as error:
            raise Missing(name) from error
    if kind is types.FunctionType:
        return found if value is None else types.MethodType(found, value)
    if kind is property and value is None:
        return found
    if static(kind, "__get__") is ABSENT:
        return found
    raise Unreadable(f"{name} is a property")


def _fallback(value: object, name: str, module_getattr: Any) -> Any:
    hook = static(type(value), "__getattr__")
    if hook is ABSENT and type(value) is types.ModuleType:
        hook = (instance_dict(value) or {}).get("__getattr__", ABSENT)
    if hook is ABSENT:
        raise Missing(name)
    if module_getattr is not None and hook is module_getattr:
        own = instance_dict(value) or {}
        for table in ("_parameters", "_buffers", "_modules"):
            held = own.get(table)
            if type(held) is dict and name in held:
                return held[name]
        raise Missing(name)
    raise Unreadable("its class has a __getattr__")


def has_plain_keys(table: Any) -> bool:
    """Whether a dict, set or sequence holds nothing but Python's scalars (a dict: as keys)."""
    base = next((one for one in _HOLDERS if issubclass(type(table), one)), None)
    return base is not None and PLAIN_IDS.issuperset(map(id, map(type, base.__iter__(table))))


def compares_in_c(value: object, *, depth: int = 3) -> bool:
    """Whether ``==`` on a value, and on what it holds, is written in C throughout."""
    kind = type(value)
    if id(kind) in PLAIN_IDS:
        return True
    if not is_c_slot(kind, "__eq__"):
        return False
    if kind is slice:
        return all(is_plain(part) for part in (value.start, value.stop, value.step))  # type: ignore[attr-defined]
    base = next((one for one in _HOLDERS if issubclass(kind, one)), None)
    if base is None:
        return True
    return depth > 0 and all(compares_in_c(part, depth=depth - 1) for part in _parts(value, base))


def _parts(value: Any, base: type) -> Any:
    return chain.from_iterable(dict.items(value)) if base is dict else base.__iter__(value)  # type: ignore[attr-defined]
