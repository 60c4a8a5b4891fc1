"""What a compiled program was made of: each traced function and each guarded value, written down, and held against a live program.

A function is found again by where it lies, never by a file: in a class of one of the instance's modules, in a module of Python's, or at the
source of a guard. One that could not be found again makes the program one that cannot be kept.
"""

from __future__ import annotations

import inspect
import os
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import torch

from compile_inspector.engine.artifacts import fingerprints
from compile_inspector.engine.artifacts.header import (
    Difference,
    FunctionPrint,
    ValuePrint,
    digest,
    first_difference,
    shared_lines,
)
from compile_inspector.torch_seams.custom_operators import Called
from compile_inspector.torch_seams.kept_guards import Unkeepable

_SHALLOW = frozenset(
    {
        "TYPE_MATCH",
        "TENSOR_MATCH",
        "NOT_NONE",
        "HASATTR",
        "DICT_KEYS",
        "DICT_KEYS_MATCH",
        "DICT_CONTAINS",
        "DICT_NOT_CONTAINS",
        "SET_CONTAINS",
        "SET_NOT_CONTAINS",
        "SEQUENCE_LENGTH",
        "TUPLE_ITERATOR_LEN",
        "RANGE_ITERATOR_MATCH",
        "DUPLICATE_INPUT",
        "EMPTY_NN_MODULE_HOOKS_DICT",
        "NOT_PRESENT_IN_GENERIC_DICT",
        "TENSOR_SUBCLASS_METADATA_MATCH",
        "DISPATCH_KEY_SET_MATCH",
        "DYNAMIC_INDICES",
        "BOOL_MATCH",
        "MAPPING_KEYS_CHECK",
        "DICT_ITERATOR_LEN",
    }
)
"""Kinds of guards that say in their own text what they want of a value, beyond its type."""


class Traced(NamedTuple):
    """A function whose instructions Dynamo followed.

    Attributes:
        module: The module whose globals it has.
        code: Its code object.
    """

    module: str
    code: types.CodeType

    @property
    def name(self) -> str:
        """Its module and qualified name."""
        return f"{self.module}.{self.code.co_qualname}"


def of_users(found: Iterable[Traced]) -> list[Traced]:
    """Those that are not torch's own, each once: torch's version stands for its own."""
    folder = os.path.join(os.path.dirname(torch.__file__), "")
    return list({id(one.code): one for one in found if not one.code.co_filename.startswith(folder)}.values())


Chain = tuple[types.FunctionType, ...]
"""A function and those that it wraps, outermost first."""


class Place(NamedTuple):
    """Where a function was found: the place, what lies there, and which of it holds the function."""

    at: str
    chain: Chain
    depth: int


class Finder:
    """Finds functions where they lie in a live program.

    Args:
        original: The forward that is compiled.
        instance: The module.
        extra: More functions that the engine itself put in front: the shape invariants.
    """

    def __init__(self, original: types.FunctionType, instance: Any, extra: Iterable[Any] = ()) -> None:
        self._original = original
        self._modules = _paths(instance)
        self._extra = tuple(one for each in extra for one in fingerprints.functions_in(each))

    def at(self, place: str, name: str, values: Mapping[str, Any]) -> Chain:
        """What lies at a place; nothing where there is no such function."""
        kind, _, where = place.partition(":")
        if kind == "forward":
            return (self._original,)
        if kind == "invariants":
            return self._extra
        if kind == "module":
            return _in_class(type(self._modules[where]), name) if where in self._modules else ()
        if kind == "global":
            return _in_module(where, name.removeprefix(f"{where}."))
        return _at_value(values.get(where), name)

    def place(self, traced: Traced, values: Mapping[str, Any]) -> Place | None:
        """Where a traced function lies; None where it cannot be found."""
        for at in self._places(traced, values):
            chain = self.at(at, traced.name, values)
            for depth, found in enumerate(chain):
                if _holds(found.__code__, traced.code):
                    return Place(at, chain, depth)
        return None

    def _places(self, traced: Traced, values: Mapping[str, Any]) -> Iterator[str]:
        yield from ("forward", "invariants")
        yield from (f"module:{path}" for path in self._modules)
        yield f"global:{traced.module}"
        yield from (f"guard:{source}" for source in values)


def _paths(instance: Any) -> dict[str, Any]:
    """One module of each class, by its path."""
    if not isinstance(instance, torch.nn.Module):
        return {"": instance}
    found: dict[type, str] = {}
    named = list(instance.named_modules())
    for path, one in named:
        found.setdefault(type(one), path)
    wanted = set(found.values())
    return {path: one for path, one in named if path in wanted}


def _in_class(cls: type, name: str) -> Chain:
    """A method by its full name, looked for in a class and those that it inherits from, without running anything of theirs."""
    for wanted in _enclosing(name):
        attribute = wanted.rpartition(".")[2]
        for base in cls.__mro__:
            chain = tuple(fingerprints.functions_in(base.__dict__.get(attribute)))
            names = {*map(_full, chain), f"{base.__module__}.{base.__qualname__}.{attribute}"}
            if chain and wanted in names:
                return chain
    return ()


def _enclosing(name: str) -> Iterator[str]:
    """A function's name, then those of the functions that it is written within."""
    while name:
        yield name
        name = name.rpartition(".<locals>.")[0]


def _in_module(module: str, qualname: str) -> Chain:
    found: Any = sys.modules.get(module)
    for part in qualname.partition(".<locals>")[0].split("."):
        found = inspect.getattr_static(found, part, None)
    return tuple(fingerprints.functions_in(found))


def _at_value(value: Any, name: str) -> Chain:
    chain = tuple(fingerprints.functions_in(value))
    return chain or _in_class(value if isinstance(value, type) else type(value), name)


def _full(function: types.FunctionType) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _holds(code: types.CodeType, wanted: types.CodeType) -> bool:
    """Whether a code object is the one that is wanted, or holds it: what is within a function is hashed with it."""
    return code == wanted or any(
        _holds(one, wanted) for one in code.co_consts if isinstance(one, types.CodeType)
    )


def _hash(chain: Chain) -> str:
    return digest(*map(fingerprints.function_hash, chain))


def functions(
    traced: Iterable[Traced], finder: Finder, values: Mapping[str, Any]
) -> tuple[FunctionPrint, ...]:
    """Every traced function, written down once.

    Raises:
        Unkeepable: One could not be found again in another process.
    """
    found: dict[tuple[str, int], FunctionPrint] = {}
    for one in traced:
        place = finder.place(one, values)
        if place is None:
            msg = f"the traced function {one.name} ({one.code.co_filename}:{one.code.co_firstlineno}) cannot be found again by its name"
            raise Unkeepable(msg)
        found.setdefault((_hash(place.chain), place.depth), _print(place, one.name))
    return tuple(found.values())


def _print(place: Place, name: str) -> FunctionPrint:
    code = place.chain[place.depth].__code__
    return FunctionPrint(
        name,
        place.at,
        place.depth,
        _hash(place.chain),
        fingerprints.source_of(code),
        code.co_filename,
        code.co_firstlineno,
    )


def called_function(name: str) -> Called | None:
    """A function that a graph calls as it is, by its name; None where there is none."""
    parts = name.split(".")
    for at in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:at])
        if module in sys.modules:
            found = _in_module(module, ".".join(parts[at:]))
            return Called(name, "", found) if found else None
    return None


def values(guarded: Iterable[tuple[str, str, Any]]) -> tuple[ValuePrint, ...]:
    """Every guarded value, written down.

    Raises:
        Unkeepable: One could not be recognized in another process.
    """
    return tuple(value_print(*one) for one in guarded)


def value_print(source: str, kind: str, value: Any) -> ValuePrint:
    """One guarded value, written down.

    Raises:
        Unkeepable: It could not be recognized in another process.
    """
    try:
        shallow = kind in _SHALLOW and not _is_tensor(value)
        found = fingerprints.shallow_hash(value) if shallow else fingerprints.value_hash(value)
    except fingerprints.Unrecognizable as error:
        msg = (
            f"it was made for {error} at {source} ({kind}), which could not be recognized in another process"
        )
        raise Unkeepable(msg) from error
    return ValuePrint(source, kind, found, fingerprints.value_text(value))


def read_by(
    value: ValuePrint,
    frames: Iterable[tuple[str, int]],
    functions: Sequence[FunctionPrint],
    forward: types.CodeType,
) -> ValuePrint:
    """A value with the function that read it: the innermost on the stack that was written down."""
    spans = [(one.file, one.line, len((one.source or "").splitlines())) for one in functions]
    own = fingerprints.source_of(forward) or ""
    spans.append((forward.co_filename, forward.co_firstlineno, len(own.splitlines())))
    for file, line in frames:
        within = [
            at for at, (name, first, count) in enumerate(spans) if name == file and 0 <= line - first < count
        ]
        if within:
            at = max(within, key=lambda one: spans[one][1])
            index = -1 if at == len(functions) else at
            return msgspec.structs.replace(value, read_by=index, read_line=line - spans[at][1])
    return value


def reading(
    value: ValuePrint, functions: Sequence[FunctionPrint], finder: Finder, values: Mapping[str, Any]
) -> tuple[str | None, int | None]:
    """File and line in the live program where a value is read; twice None where that is not known."""
    if value.read_by is None:
        return None, None
    if value.read_by < 0:
        chain, depth = finder.at("forward", "", values), 0
    else:
        one = functions[value.read_by]
        chain, depth = finder.at(one.at, one.name, values), one.depth
    if not chain:
        return None, None
    code = chain[min(depth, len(chain) - 1)].__code__
    return code.co_filename, code.co_firstlineno + value.read_line


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def changed_functions(
    kept: Iterable[FunctionPrint], finder: Finder, values: Mapping[str, Any] | None
) -> Iterator[Difference]:
    """The functions that are no longer what they were.

    Args:
        kept: As they were.
        finder: Of the live program.
        values: The values at guards' sources; None: functions that lie at one are not asked for.
    """
    for one in kept:
        if values is None and one.at.startswith("guard:"):
            continue
        live = finder.at(one.at, one.name, values or {})
        if not live:
            yield Difference(f"function {one.name}", one.name, None, one.file, one.line)
        elif _hash(live) != one.hash:
            yield _changed(one, live[min(one.depth, len(live) - 1)])


def _changed(one: FunctionPrint, live: types.FunctionType) -> Difference:
    code = live.__code__
    before, after = one.source or "", fingerprints.source_of(code) or ""
    was, now = first_difference(before, after)
    if was is None and now is None:
        was, now = "another default or closure, in the same text", "the default or closure it has now"
        return Difference(f"function {one.name}", was, now, code.co_filename, code.co_firstlineno)
    line = code.co_firstlineno + shared_lines(before, after)
    return Difference(f"function {one.name}", was, now, code.co_filename, line)


def changed_values(
    kept: Iterable[ValuePrint],
    live: Iterable[tuple[str, str, Any]],
    where: Callable[[ValuePrint], tuple[str | None, int | None]],
) -> Iterator[Difference]:
    """The guarded values that are no longer what they were.

    Args:
        kept: As they were.
        live: Source, kind and value of each in the live program.
        where: Gives the file and line at which one is read.
    """
    found = {(source, kind): value for source, kind, value in live}
    for one in kept:
        value = found.get((one.source, one.kind), _MISSING)
        if value is _MISSING:
            yield Difference(one.source, one.text, None, *where(one))
            continue
        try:
            now = value_print(one.source, one.kind, value)
        except Unkeepable:
            yield Difference(one.source, one.text, fingerprints.value_text(value), *where(one))
            continue
        if now.hash != one.hash:
            yield Difference(one.source, one.text, now.text, *where(one))


_MISSING = object()
