"""`support_torch_compile`, `ignore_torch_compile`: what they do to a class, and what an instance gets when it is built or first called."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import threading
import types
import typing
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, overload

from compile_inspector.engine import dims, narration
from compile_inspector.engine.artifacts import keeping
from compile_inspector.engine.compiled import Options, Program
from compile_inspector.engine.config import CompilationMode
from compile_inspector.engine.context import check_config, forward_context_or_none, get_current_vllm_config
from compile_inspector.engine.counters import compilation_counter
from compile_inspector.engine.wrapping import Instances, Wrapper, base_of, forward_of, wrapper_of
from compile_inspector.errors import InvalidDims, NotDecoratable, NotLoaded

_C = TypeVar("_C", bound=type)
_log = logging.getLogger(__name__)

programs = Instances()
"""The program of each instance that has one."""
_decorations: weakref.WeakKeyDictionary[type, Options | None] = weakref.WeakKeyDictionary()
"""By class: what it was decorated with; None for an ignored one."""
_building = threading.local()
_INIT = "__compile_inspector_init__"


@overload
def support_torch_compile(cls: _C) -> _C: ...
@overload
def support_torch_compile(
    *,
    dynamic_arg_dims: dims.Dims | None = None,
    mark_unbacked_dims: dims.Dims | None = None,
    enable_if: Callable[[Any], bool] | None = None,
    is_encoder: bool = False,
    shape_invariants: Callable[..., Any] | None = None,
) -> Callable[[_C], _C]: ...
def support_torch_compile(
    cls: Any = None,
    *,
    dynamic_arg_dims: dims.Dims | None = None,
    mark_unbacked_dims: dims.Dims | None = None,
    enable_if: Callable[[Any], bool] | None = None,
    is_encoder: bool = False,
    shape_invariants: Callable[..., Any] | None = None,
) -> Any:
    """Lets the instances of a class compile their forward at their first call.

    Args:
        cls: The class; decorated as it is, no other is made.
        dynamic_arg_dims: The dynamic dimensions of each argument: a dimension, a list of them, or a mapping of dimension to shape_id.
            None: dimension 0 of each argument annotated as a tensor, an `IntermediateTensors`, or an optional one.
        mark_unbacked_dims: Dimensions to mark as unbacked, whatever the kind of dynamic shapes.
        enable_if: Called with the configuration when an instance is built; False leaves it uncompiled.
        is_encoder: The last range of sizes has no end, and compile time is booked as the encoder's.
        shape_invariants: Called with forward's arguments, and traced, right before it; a place for `torch._check`.

    Raises:
        NotDecoratable: The class has no forward (a TypeError).
        InvalidDims: No dimension is dynamic, or what was given cannot fit the forward (a ValueError).
    """
    given = {
        "dynamic_arg_dims": dynamic_arg_dims,
        "mark_unbacked_dims": mark_unbacked_dims,
        "enable_if": enable_if,
        "is_encoder": is_encoder,
        "shape_invariants": shape_invariants,
    }
    if cls is not None:
        return _decorate(cls, given)
    return lambda decorated: _decorate(decorated, given)


def ignore_torch_compile(cls: _C) -> _C:
    """Leaves the instances of a class uncompiled, though a class it inherits from is decorated; decorated submodules still compile."""
    _check_class(cls)
    _decorations[cls] = None
    return cls


def should_torch_compile_mm_encoder(vllm_config: Any) -> bool:
    """Whether multimodal encoders are compiled under this configuration; for ``enable_if``."""
    return bool(vllm_config.compilation_config.compile_mm_encoder)


def options_of(cls: type, given: dict[str, Any]) -> Options:
    """What was given for a class, checked against its forward, its dims inferred where none were.

    Raises:
        NotDecoratable, InvalidDims: As `support_torch_compile`.
    """
    forward = forward_of(cls)
    dynamic, unbacked = given["dynamic_arg_dims"], given["mark_unbacked_dims"]
    if dynamic is None:
        dynamic = dims.infer(forward)
    else:
        dims.check(dynamic, forward, cls, "dynamic_arg_dims")
    if unbacked is not None:
        dims.check(unbacked, forward, cls, "mark_unbacked_dims")
    if not dynamic:
        msg = f"No dynamic dimensions found in the forward method of {cls}. Please provide dynamic_arg_dims explicitly."
        raise InvalidDims(msg)
    for name in ("enable_if", "shape_invariants"):
        if given[name] is not None and not callable(given[name]):
            msg = f"{name} must be a function, got {given[name]!r}"
            raise NotDecoratable(msg)
    return Options(
        dict(dynamic),
        dict(unbacked or {}),
        given["enable_if"],
        bool(given["is_encoder"]),
        given["shape_invariants"],
    )


def _check_class(cls: Any) -> None:
    if not isinstance(cls, type):
        msg = f"only a class can be decorated, got {cls!r}; use apply for an instance"
        raise NotDecoratable(msg)


def _decorate(cls: Any, given: dict[str, Any]) -> Any:
    _check_class(cls)
    _decorations[cls] = options_of(cls, given)
    _wrap_forward(cls)
    _wrap_init(cls)
    if not any("__call__" in one.__dict__ for one in cls.__mro__):
        cls.__call__ = _call
    for name, made in {**_properties(), **_methods()}.items():
        if not hasattr(cls, name):
            setattr(cls, name, made)
    for subclass in _below(cls):
        if "forward" in subclass.__dict__:
            _wrap_forward(subclass)
    return cls


def _call(self: Any, *args: Any, **kwargs: Any) -> Any:
    return self.forward(*args, **kwargs)


def _below(cls: type) -> Iterable[type]:
    for subclass in type.__subclasses__(cls):
        yield subclass
        yield from _below(subclass)


def _wrap_forward(cls: Any) -> Wrapper:
    """The wrapper that the class's calls go through; put there where there is none."""
    found = wrapper_of(inspect.getattr_static(cls, "forward", None))
    if found is None:
        found = Wrapper(forward_of(cls), dispatch)
        cls.forward = found.function
    return found


def dispatch(wrapper: Wrapper, instance: Any, /, *args: Any, **kwargs: Any) -> Any:
    """A call that its wrapper could not serve at once."""
    program = programs.get(instance)
    if program is None:
        program = _establish(instance, None, "")
    around = forward_context_or_none()
    if (
        program is None
        or program.do_not_compile
        or program.wrapper is not wrapper
        or (around is not None and around.skip_compiled)
    ):
        return wrapper.original(instance, *args, **kwargs)
    return program.call(instance, args, kwargs)


def _nearest(cls: type) -> tuple[bool, Options | None]:
    """Whether a class or one that it inherits from was decorated or ignored, and how the nearest was."""
    for one in cls.__mro__:
        if one in _decorations:
            return True, _decorations[one]
    return False, None


def _establish(instance: Any, vllm_config: Any, prefix: str) -> Program | None:
    """Gives an instance its program; None where its class is not decorated."""
    decorated, options = _nearest(base_of(instance))
    if not decorated:
        return None
    config = vllm_config or getattr(instance, "__dict__", {}).get("vllm_config") or get_current_vllm_config()
    check_config(config)
    off = config.compilation_config.mode in (CompilationMode.NONE, CompilationMode.STOCK_TORCH_COMPILE)
    off = off or options is None or (options.enable_if is not None and not options.enable_if(config))
    wrapper = _wrap_forward(base_of(instance))
    program = Program(
        instance,
        wrapper,
        options or Options({}),
        config,
        prefix=prefix,
        do_not_compile=off,
        how="decorated" if options else "ignored",
    )
    programs.put(instance, program, functools.partial(_forget, wrapper))
    if not off:
        compilation_counter.add("num_models_seen")
        keeping.prepare(config.compilation_config)
    narration.applied(program.applied_fact())
    return program


def _forget(wrapper: Wrapper, key: int) -> None:
    wrapper.hot.pop(key, None)


def _wrap_init(cls: Any) -> None:
    original = cls.__init__
    if hasattr(original, _INIT):
        return
    named = _named(original)

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, vllm_config: Any = None, prefix: str = "", **kwargs: Any) -> None:  # noqa: N807
        under: dict[int, tuple[Any, str]] = _building.__dict__.setdefault("under", {})
        outer = under.get(id(self))
        if outer is not None:
            vllm_config, prefix = vllm_config or outer[0], prefix or outer[1]
        vllm_config = vllm_config or get_current_vllm_config()
        taken = _check_positional(self, original, args)
        vllm_config, prefix = taken.get("vllm_config", vllm_config), taken.get("prefix", prefix)
        check_config(vllm_config)
        passed = {"vllm_config": vllm_config, "prefix": prefix}
        kwargs |= {name: passed[name] for name in named if name not in taken}
        if outer is not None:
            original(self, *args, **kwargs)
            return
        under[id(self)] = (vllm_config, prefix)
        try:
            original(self, *args, **kwargs)
        finally:
            del under[id(self)]
        self.vllm_config = vllm_config
        self.compilation_config = vllm_config.compilation_config
        _establish(self, vllm_config, prefix)

    setattr(__init__, _INIT, True)
    cls.__init__ = __init__


def _named(init: Callable[..., Any]) -> tuple[str, ...]:
    try:
        parameters = inspect.signature(init).parameters
    except (TypeError, ValueError):
        return ()
    return tuple(name for name in ("vllm_config", "prefix") if name in parameters)


def _check_positional(self: Any, init: Callable[..., Any], args: tuple[Any, ...]) -> dict[str, Any]:
    """The positional arguments by name.

    Raises:
        NotDecoratable: One is not of the class that its parameter is annotated with.
    """
    if not args:
        return {}
    parameters = list(inspect.signature(init).parameters.values())[1:]
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    taken = dict(zip((one.name for one in positional), args, strict=False))
    for parameter, value in zip(positional, args, strict=False):
        classes = _classes(parameter.annotation, init)
        if not classes or isinstance(value, classes) or (value is None and parameter.default is None):
            continue
        name, kind = type(self).__name__, type(value).__name__
        msg = (
            f"'{name}.__init__' received a positional argument of type '{kind}', but no parameter of that type was found in the "
            f"method signature. Please either annotate '{name}.__init__' or pass it as a keyword argument."
        )
        raise NotDecoratable(msg)
    return taken


def _classes(annotation: Any, init: Callable[..., Any]) -> tuple[type, ...]:
    """The classes that an annotation admits; none where it cannot be told or where it asks for more than a class."""
    if isinstance(annotation, str):
        function: Any = inspect.unwrap(init)
        try:
            annotation = eval(annotation, getattr(function, "__globals__", {}))
        except Exception:  # noqa: BLE001  an annotation is any code at all
            return ()
    if annotation is inspect.Parameter.empty:
        return ()
    if annotation is None:
        return (type(None),)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        parts = [_classes(one, init) for one in typing.get_args(annotation)]
        return tuple(cls for part in parts for cls in part) if all(parts) else ()
    if typing.get_origin(annotation) is not None or not isinstance(annotation, type):
        return ()
    try:
        isinstance(None, annotation)
    except TypeError:
        return ()
    return {float: (float, int), complex: (complex, float, int)}.get(annotation, (annotation,))


def _program(instance: Any) -> Program:
    found = programs.get(instance) or _establish(instance, None, "")
    assert found is not None
    return found


def _methods() -> dict[str, Callable[..., Any]]:
    def aot_compile(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Compiles for such a call, or loads what was kept for one, and makes it once; gives what was compiled, to be called with the module first.

        It is written by `save_aot_compiled_function`, and at once under ``use_aot_compile``.

        Raises:
            NotKept: What this module's configuration compiles could not be kept.
        """
        return _program(self).aot_compile(self, args, kwargs)

    def save_aot_compiled_function(self: Any, path: Any = None) -> Any:
        """Writes what `aot_compile` compiled, to another file as well where one is given, for `load_aot_compiled_function`; its path.

        What was loaded is not written again.

        Raises:
            NotKept: Nothing was compiled that could be kept, or it could not be written.
        """
        return _program(self).save_aot_compiled_function(None if path is None else Path(path))

    def load_aot_compiled_function(self: Any, path: Any) -> Any:
        """What was kept in a file, compared with this module as far as it can be before a call; the next call loads it, and checks its guards.

        Raises:
            NotLoaded: It is not there, not to be trusted, or was made for something else.
        """
        return _program(self).load_aot_compiled_function(self, Path(path))

    def _try_load_aot_compiled_fn(self: Any, path: Any) -> Any:
        """As `load_aot_compiled_function`, but None where that fails; a file that is there and is not loaded is warned of.

        Raises:
            NotLoaded: It failed, under ``force_aot_load``.
        """
        program = _program(self)
        try:
            return program.load_aot_compiled_function(self, Path(path))
        except NotLoaded as error:
            if os.path.exists(path):
                _log.warning("Compiling model again due to a load failure from %s, reason: %s", path, error)
            if getattr(program.config, "force_aot_load", False):
                raise
            return None

    made = (aot_compile, save_aot_compiled_function, load_aot_compiled_function, _try_load_aot_compiled_fn)
    return {one.__name__: one for one in made}


def _properties() -> dict[str, property]:
    def read(name: str) -> Callable[[Any], Any]:
        def get(self: Any) -> Any:
            program = programs.get(self) or _establish(self, None, "")
            return getattr(program, name)

        return get

    def switch(self: Any, value: bool) -> None:
        program = programs.get(self) or _establish(self, None, "")
        if program is not None:
            program.switch(do_not_compile=bool(value))

    texts = {
        "do_not_compile": "Whether every call runs the forward as it is; can be set.",
        "compiled": "Whether something has been compiled.",
        "aot_compiled_fn": "What was compiled to be kept, or loaded; None otherwise.",
        "was_aot_compile_fn_loaded_from_disk": "Whether it was loaded.",
    }
    return {
        name: property(read(name), switch if name == "do_not_compile" else None, doc=text)
        for name, text in texts.items()
    }
