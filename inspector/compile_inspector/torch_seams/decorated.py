"""What a compiled function that a decorator made stands for: the method of a module, or the function that was decorated.

torch knows such code by the name that it has within the decorator (``wrapper``). Source: `torch._dynamo.convert_frame._compile`.
"""

from __future__ import annotations

import inspect
import operator
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any, NamedTuple

from compile_inspector.torch_seams.probe import lookup

USES = ("torch.nn:Module",)
_MODULE_FILE = "nn/modules/module.py"
_MODULE_CALLS = frozenset({"_call_impl", "_wrapped_call_impl"})
_DEEPEST = 16
"""How many decorators are looked through."""


def decorated_name(frame: FrameType | None, code: CodeType) -> str | None:
    """``Llama.forward`` of a decorator's code that was called for it; None of other code, and where no object at hand tells.

    Args:
        frame: Of the compile that begins, within torch.
        code: That is compiled.
    """
    root = lookup("torch").__file__.removesuffix("__init__.py")
    inner = __file__.removesuffix("decorated.py")
    made: _Made | None = None
    while frame is not None and frame.f_code.co_filename.startswith((root, inner)):
        file, name = frame.f_code.co_filename.removeprefix(root), frame.f_code.co_name
        found: str | None = None
        if file == "_dynamo/convert_frame.py" and name == "_compile":
            made = _Made(code, frame.f_locals.get("closure"))
            found = made.by_module(_first(frame.f_locals.get("locals"), code))
        elif made is not None and file == _MODULE_FILE and name in _MODULE_CALLS:
            found = made.by_module(frame.f_locals.get("self"))
        elif made is not None and name == "compile_wrapper":
            found = made.by_callable(frame.f_locals.get("fn"))
        if found is not None:
            return found
        frame = frame.f_back
    return None


def _first(given: Any, code: CodeType) -> Any:
    """The first argument of a call: of its own, or of those that ``*args`` takes."""
    if type(given) is not dict or not code.co_varnames:
        return None
    if code.co_argcount:
        return given.get(code.co_varnames[0])
    rest = given.get(code.co_varnames[code.co_kwonlyargcount]) if code.co_flags & inspect.CO_VARARGS else None
    return rest[0] if type(rest) is tuple and rest else None


class _Made(NamedTuple):
    """A function that was called: its code, which one decorator gives to many, and its cells, which it has alone."""

    code: CodeType
    closure: Any

    def by_module(self, module: Any) -> str | None:
        """The module's ``forward``, where that is what was called."""
        if not issubclass(type(module), lookup("torch.nn:Module")):
            return None
        forward = vars(module).get("forward") or inspect.getattr_static(type(module), "forward", None)
        function = forward.__func__ if type(forward) is MethodType else forward
        return f"{type(module).__name__}.forward" if self._within(function) else None

    def by_callable(self, given: Any) -> str | None:
        """The function or method, where that is what was called."""
        function = given.__func__ if type(given) is MethodType else given
        if not self._within(function):
            return None
        if type(given) is MethodType:
            owner: Any = given.__self__ if issubclass(type(given.__self__), type) else type(given.__self__)
            return f"{owner.__name__}.{function.__name__}"
        return function.__qualname__.rpartition("<locals>.")[2]

    def _within(self, function: Any) -> bool:
        """Whether it is a decorated function, or one that its decorators stand around, with a name that its code has not."""
        for _ in range(_DEEPEST):
            if type(function) is not FunctionType:
                return False
            renamed = function.__name__ != self.code.co_name
            if function.__code__ is self.code and renamed and _same_cells(function.__closure__, self.closure):
                return True
            function = vars(function).get("__wrapped__")
        return False


def _same_cells(one: Any, other: Any) -> bool:
    held, given = tuple(one or ()), tuple(other or ())
    return len(held) == len(given) and all(map(operator.is_, held, given))
