"""A ``forward`` of ours in front of a class's own, and which instances it stands for.

The wrapper has the parameters of the function that it wraps, written out, so that a call binds nothing. What belongs to an instance lies
in tables here, by identity, never in the instance: a copy or a pickle of it holds nothing of ours. One instance alone is wrapped by giving
it a subclass of its class that looks like it and pickles as it.
"""

from __future__ import annotations

import copyreg
import functools
import inspect
import keyword
import types
import weakref
from collections.abc import Callable
from typing import Any

import torch

from compile_inspector.engine.context import forward_context_or_none
from compile_inspector.errors import NotDecoratable

_MARK = "__compile_inspector__"
_RECONSTRUCT = copyreg._reconstructor  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]


class Wrapper:
    """One wrapped forward.

    Attributes:
        original: The function behind it.
        hot: By the id of an instance, what its next call tries first: a check of the call's locals (None: no check), and what to run.
        bind: Called as the original; gives the call's locals as Dynamo would see them.
        function: The wrapper itself.
    """

    def __init__(self, original: types.FunctionType, slow: Callable[..., Any]) -> None:
        self.original = original
        self.hot: dict[int, tuple[Callable[..., bool] | None, Callable[..., Any]]] = {}
        self.bind, self.function = _functions(original, self.hot, functools.partial(slow, self))
        functools.update_wrapper(self.function, original)
        self.bind.__defaults__ = self.function.__defaults__ = original.__defaults__
        self.bind.__kwdefaults__ = original.__kwdefaults__
        self.function.__kwdefaults__ = original.__kwdefaults__
        setattr(self.function, _MARK, self)


def wrapper_of(function: Any) -> Wrapper | None:
    """The wrapper that a function is; None for any other function."""
    found = getattr(function, "__dict__", {}).get(_MARK)
    return found if isinstance(found, Wrapper) and found.function is function else None


def forward_of(cls: type) -> types.FunctionType:
    """The class's forward, without our wrapper.

    Raises:
        NotDecoratable: It has none, or it is no Python function.
    """
    function = inspect.getattr_static(cls, "forward", None)
    wrapper = wrapper_of(function)
    if wrapper is not None:
        return wrapper.original
    if function is None or function is getattr(torch.nn.Module, "forward", None):
        msg = "decorated class should have a forward method."
        raise NotDecoratable(msg)
    if not isinstance(function, types.FunctionType):
        msg = f"{cls.__name__}.forward is a {type(function).__name__}, not a Python function; it cannot be wrapped"
        raise NotDecoratable(msg)
    return function


def _functions(
    original: types.FunctionType, hot: dict[int, Any], slow: Callable[..., Any]
) -> tuple[types.FunctionType, types.FunctionType]:
    code = original.__code__
    header, call, items = _texts(code)
    first = self_in(code)
    if first is None:
        msg = f"{original.__qualname__} takes no positional parameter for the instance; it cannot be wrapped"
        raise NotDecoratable(msg)
    cells = [f"{name!r}: _ci_cells[{index}].cell_contents" for index, name in enumerate(code.co_freevars)]
    held = "{" + ", ".join([*items, *cells]) + "}"
    if any(keyword.iskeyword(name) or not name.isidentifier() for name in code.co_varnames[: len(items)]):
        msg = f"{original.__qualname__} has parameters that cannot be written out; it cannot be wrapped"
        raise NotDecoratable(msg)
    source = f"""
def factory(_ci_compiling, _ci_original, _ci_hot, _ci_context, _ci_slow, _ci_cells, _ci_id):
    def bind({header}):
        return {held}
    def forward({header}):
        if _ci_compiling():
            return _ci_original({call})
        _ci_found = _ci_hot(_ci_id({first}))
        _ci_around = _ci_context()
        if _ci_found is None or (_ci_around is not None and _ci_around.skip_compiled):
            return _ci_slow({call})
        _ci_check, _ci_run = _ci_found
        if _ci_check is None or _ci_check({held}):
            return _ci_run({call})
        return _ci_slow({call})
    return bind, forward
"""
    scope: dict[str, Any] = {}
    exec(compile(source, f"<the engine's wrapper of {original.__qualname__}>", "exec"), scope)
    return scope["factory"](
        torch.compiler.is_compiling,
        original,
        hot.get,
        forward_context_or_none,
        slow,
        original.__closure__ or (),
        id,
    )


def self_in(code: types.CodeType) -> str | None:
    """The expression for the instance within a forward: its first parameter, or the first of its arguments; None where it takes neither."""
    if code.co_argcount:
        return code.co_varnames[0]
    return f"{code.co_varnames[code.co_kwonlyargcount]}[0]" if code.co_flags & inspect.CO_VARARGS else None


def forwarding(original: types.FunctionType, invariants: Callable[..., Any] | None) -> types.FunctionType:
    """A function to be traced in the original's place: it calls the invariants, if any, and then the original, with its parameters."""
    header, call, _ = _texts(original.__code__)
    before = "" if invariants is None else f"    _ci_invariants({call})\n"
    source = f"def forward({header}):\n{before}    return _ci_original({call})\n"
    scope: dict[str, Any] = {"__name__": __name__, "_ci_invariants": invariants, "_ci_original": original}
    exec(compile(source, f"<the engine's forward of {original.__qualname__}>", "exec"), scope)
    function: types.FunctionType = scope["forward"]
    function.__defaults__, function.__kwdefaults__ = original.__defaults__, original.__kwdefaults__
    function.__name__, function.__qualname__ = original.__name__, original.__qualname__
    return function


def _texts(code: types.CodeType) -> tuple[str, str, list[str]]:
    """The parameter list (defaults are set afterwards), the arguments that pass it on, and the locals as items of a dict."""
    names = list(code.co_varnames)
    positional, count = names[: code.co_argcount], code.co_argcount
    only = names[count : count + code.co_kwonlyargcount]
    rest = names[count + code.co_kwonlyargcount :]
    star = rest.pop(0) if code.co_flags & inspect.CO_VARARGS else None
    double = rest.pop(0) if code.co_flags & inspect.CO_VARKEYWORDS else None
    header: list[str] = []
    for index, name in enumerate(positional):
        header.append(name)
        if index + 1 == code.co_posonlyargcount:
            header.append("/")
    call = list(positional)
    if star is not None:
        header.append(f"*{star}")
        call.append(f"*{star}")
    elif only:
        header.append("*")
    header += only
    call += [f"{name}={name}" for name in only]
    if double is not None:
        header.append(f"**{double}")
        call.append(f"**{double}")
    held = [*positional, *only, *(one for one in (star, double) if one is not None)]
    return ", ".join(header), ", ".join(call), [f"{name!r}: {name}" for name in held]


class Instances:
    """What belongs to each instance, as long as it lives."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[weakref.ref[Any], Any]] = {}

    def get(self, instance: object) -> Any:
        """What is held for an instance; None when nothing is."""
        found = self._held.get(id(instance))
        return None if found is None else found[1]

    def put(self, instance: object, value: Any, on_death: Callable[[int], None]) -> None:
        """Holds a value for an instance; when it dies, ``on_death`` gets its id before another object can have it."""
        key, held = id(instance), self._held

        def forget(reference: weakref.ref[Any]) -> None:
            found = held.get(key)
            if found is not None and found[0] is reference:
                del held[key]
                on_death(key)

        held[key] = (weakref.ref(instance, forget), value)

    def pop(self, instance: object) -> Any:
        """Lets go of an instance."""
        found = self._held.pop(id(instance), None)
        return None if found is None else found[1]

    def values(self) -> list[Any]:
        """What is held, of every instance that lives."""
        return [value for _, value in list(self._held.values())]


_subclasses: weakref.WeakKeyDictionary[type, weakref.ref[type]] = weakref.WeakKeyDictionary()


def base_of(instance: object) -> type:
    """The class of an instance as its author wrote it."""
    cls = type(instance)
    return cls.__mro__[1] if _MARK in cls.__dict__ else cls


def adopt(instance: Any, slow: Callable[..., Any]) -> Wrapper:
    """Gives one instance the wrapped subclass of its class.

    Raises:
        NotDecoratable: Its forward was replaced in the instance itself, or its class allows no such subclass.
    """
    if "forward" in getattr(instance, "__dict__", {}):
        msg = (
            f"this {type(instance).__name__} has a forward of its own, put into the instance (hooks of accelerate do so); "
            "take it away first, it would hide the compiled one"
        )
        raise NotDecoratable(msg)
    base = base_of(instance)
    known = _subclasses.get(base)
    subclass = None if known is None else known()
    if subclass is None or subclass.__dict__[_MARK].original is not forward_of(base):
        subclass = _subclass(base, slow)
        _subclasses[base] = weakref.ref(subclass)
    try:
        instance.__class__ = subclass
    except TypeError as error:
        msg = f"an instance of {base.__qualname__} cannot be given a subclass of its class: {error}"
        raise NotDecoratable(msg) from error
    return subclass.__dict__[_MARK]


def release(instance: Any) -> None:
    """Gives an instance its own class back."""
    if _MARK in type(instance).__dict__:
        instance.__class__ = base_of(instance)


def _subclass(base: type, slow: Callable[..., Any]) -> type:
    wrapper = Wrapper(forward_of(base), slow)
    body: dict[str, Any] = {
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
        "__reduce_ex__": _reduce_ex,
        "forward": wrapper.function,
        _MARK: wrapper,
    }
    for name in ("__deepcopy__", "__copy__"):
        if hasattr(base, name):
            body[name] = _copying(name)
    try:
        return type(base)(base.__name__, (base,), body)
    except Exception as error:
        msg = f"{base.__qualname__} allows no subclass ({type(error).__name__}: {error}); its instances cannot be wrapped one by one"
        raise NotDecoratable(msg) from error


def _reduce_ex(self: Any, protocol: Any) -> Any:
    """How the instance is pickled and copied: as an instance of its own class, with nothing of ours.

    pickle refuses `copyreg.__newobj__` for a class that is not the instance's, so that the same is said in another way.
    """
    subclass = next(cls for cls in type(self).__mro__ if _MARK in cls.__dict__)
    reduced = super(subclass, self).__reduce_ex__(protocol)
    if not isinstance(reduced, tuple) or len(reduced) < 2:
        return reduced
    base: Any = subclass.__mro__[1]
    make, given = reduced[0], tuple(base if one is subclass else one for one in reduced[1])
    name = getattr(make, "__name__", "")
    if make is subclass:
        make = base
    elif name == "__newobj__" and given == (base,) and base.__new__ is object.__new__:
        make, given = _RECONSTRUCT, (base, object, None)
    elif name == "__newobj__":
        make = base.__new__
    elif name == "__newobj_ex__":
        make, given = functools.partial(base.__new__, given[0], *given[1], **given[2]), ()
    return (make, given, *reduced[2:])


def _copying(name: str) -> Callable[..., Any]:
    """The class's own way of copying, whose result is of the class and not of our subclass."""

    def copying(self: Any, *args: Any) -> Any:
        subclass = next(cls for cls in type(self).__mro__ if _MARK in cls.__dict__)
        copied = getattr(super(subclass, self), name)(*args)
        if copied is not self:
            release(copied)
        return copied

    copying.__name__ = name
    return copying
