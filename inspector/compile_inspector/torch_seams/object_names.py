"""Names for the objects that guards hold by id, found without running anything of the user's.

No attribute of a user's object is asked for in a way that could run its code: what is read lies in C-level slots of known types.
"""

from __future__ import annotations

import types
from typing import Any

_type_qualname: Any = vars(type)["__qualname__"].__get__
_type_module: Any = vars(type)["__module__"].__get__
_module_dict: Any = vars(types.ModuleType)["__dict__"].__get__
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)
_CONSTANTS = (bool, int, float, type(None), type(Ellipsis), type(NotImplemented))
_LIMIT = 200


def type_name(found: type) -> str:
    """A type's name as it is written in code: ``collections.OrderedDict``, ``int``."""
    module = _type_module(found)
    qualname = _type_qualname(found, type)
    if not isinstance(module, str) or module in {"builtins", "__main__"}:
        return qualname[:_LIMIT]
    return f"{module}.{qualname}"[:_LIMIT]


def object_name(found: Any) -> str:
    """What a reader would call the object: ``torch.nn.functional.relu``, ``True``, ``<MyConfig object>``."""
    kind = type(found)
    if kind in _CONSTANTS:
        return repr(found)[:_LIMIT]
    if issubclass(kind, type):
        return type_name(found)
    if kind is types.ModuleType:
        name = _module_dict(found, kind).get("__name__")
        return str(name)[:_LIMIT] if isinstance(name, str) else "<module object>"
    if kind in _FUNCTIONS:
        return _qualified(found.__module__, found.__qualname__)
    if kind is types.CodeType:
        return f"{found.co_qualname} at {found.co_filename}:{found.co_firstlineno}"[:_LIMIT]
    if kind is types.MethodType and type(found.__func__) is types.FunctionType:
        return _qualified(found.__func__.__module__, found.__func__.__qualname__)
    return f"<{type_name(kind)} object>"


def _qualified(module: object, qualname: str) -> str:
    qualname = qualname.removeprefix("_VariableFunctionsClass.")  # torch.relu lives in it
    known = isinstance(module, str) and module not in {"builtins", "__main__"}
    return (f"{module}.{qualname}" if known else qualname)[:_LIMIT]
