"""A compiled entry as bytes: its code, its guards' recipes and its graphs, with the manifest of what they were made of."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from compile_inspector.engine.artifacts import fingerprints, graphs, key, manifest
from compile_inspector.engine.artifacts.header import (
    Component,
    FunctionPrint,
    Header,
    ValuePrint,
    digest,
    key_of,
)
from compile_inspector.engine.wrapping import base_of
from compile_inspector.torch_seams import custom_operators, direct, kept_code
from compile_inspector.torch_seams.kept_guards import Recipe, Unkeepable

OPERATOR = "OPERATOR"
"""The kind of a `ValuePrint` that is about something the graph calls."""


class Payload(NamedTuple):
    """What is pickled.

    Attributes:
        state: `kept_guards.Recipe.state`.
        texts: What the guards say.
        imports, builtins: As of `kept_guards.Recipe`.
        code: Dynamo's bytecode.
        graphs: By the names that it calls them by.
        libraries: The machine code that they were compiled to, as of `kept_libraries.Noted`.
    """

    state: tuple[Any, Any]
    texts: tuple[str, ...]
    imports: dict[str, str]
    builtins: str | None
    code: bytes
    graphs: dict[str, graphs.GraphCode]
    libraries: dict[str, bytes]


class Made(NamedTuple):
    """An artifact in the making."""

    payload: bytes
    functions: tuple[FunctionPrint, ...]
    values: tuple[ValuePrint, ...]
    guards: str
    builtins: str | None
    graphs: int


def made(
    entry: direct.Entry,
    recipe: Recipe,
    traced: Iterable[manifest.Traced],
    libraries: dict[str, bytes],
    program: Any,
    instance: Any,
) -> Made:
    """What is kept of a compiled entry.

    Raises:
        Unkeepable: It cannot be, and why.
    """
    _check(entry, recipe, program)
    guarded = [(plain(source, recipe.builtins), kind, value) for source, kind, value in recipe.values]
    live = {source: value for source, _, value in guarded}
    functions = manifest.functions(manifest.of_users(traced), program.finder(instance), live)
    forward = program.wrapper.original.__code__
    read = {(plain(source, recipe.builtins), kind): at for (source, kind), at in recipe.read_at.items()}
    values = tuple(
        manifest.read_by(one, read.get((one.source, one.kind), ()), functions, forward)
        for one in manifest.values(guarded)
    )
    values = (*values, *_called(recipe))
    kept = {name: graphs.code_of(graph) for name, graph in entry.graphs.items()}
    payload = Payload(
        recipe.state,
        recipe.texts,
        recipe.imports,
        recipe.builtins,
        kept_code.bytecode(entry.code),
        kept,
        libraries,
    )
    count = sum(len(one.codes) for one in kept.values())
    texts = (plain(text, recipe.builtins) for text in recipe.texts)
    return Made(pickled(payload, instance), functions, values, digest(*texts), recipe.builtins, count)


_ClassOf = tuple[str, bool]
"""The path of a module, and whether its class as its author wrote it is meant, or the one that the engine gave it."""


class _Pickler(pickle.Pickler):
    """Names a class that is local to a function by the module of the instance whose class it is."""

    def __init__(self, file: io.BytesIO, classes: dict[type, _ClassOf]) -> None:
        super().__init__(file)
        self._classes = classes

    def persistent_id(self, obj: Any) -> _ClassOf | None:
        """Where a module of this class is; None for everything else."""
        return self._classes.get(obj) if isinstance(obj, type) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, instance: Any) -> None:
        super().__init__(file)
        self._instance = instance

    def persistent_load(self, pid: _ClassOf) -> type:
        path, of_its_author = pid
        found = self._instance.get_submodule(path)
        return base_of(found) if of_its_author else type(found)


def pickled(payload: Payload, instance: Any) -> bytes:
    """A payload as bytes.

    Raises:
        pickle.PicklingError, AttributeError, TypeError: It holds what cannot be pickled.
    """
    named = instance.named_modules() if isinstance(instance, torch.nn.Module) else ()
    classes: dict[type, _ClassOf] = {}
    for path, one in named:
        if "<locals>" in type(one).__qualname__:
            classes |= {type(one): (path, False), base_of(one): (path, True)}
    if not classes:
        return pickle.dumps(payload)
    file = io.BytesIO()
    _Pickler(file, classes).dump(payload)
    return file.getvalue()


def unpickled(payload: bytes, instance: Any) -> Payload:
    """A payload whose seal has been checked."""
    return _Unpickler(io.BytesIO(payload), instance).load()


def plain(text: str, builtins: str | None) -> str:
    """A text without the name that one compile had for Python's builtins."""
    return text if builtins is None else text.replace(builtins, "__builtins__")


def header(
    made: Made, program: Any, components: tuple[Component, ...], compile_ns: int, created_s: float
) -> Header:
    """What the artifact says about itself."""
    return Header(
        key=key_of(components),
        program=program.class_name,
        prefix=program.prefix,
        components=components,
        functions=made.functions,
        values=made.values,
        guards=made.guards,
        builtins=made.builtins,
        backend=getattr(program.config, "backend", "") or "inductor",
        created_s=created_s,
        compile_ns=compile_ns,
        graphs=made.graphs,
    )


def _check(entry: direct.Entry, recipe: Recipe, program: Any) -> None:
    if recipe.constants:
        msg = f"the result of {recipe.constants[0]} was taken for a constant (torch.compiler.assume_constant_result)"
        raise Unkeepable(msg)
    unhashable = key.unhashable(program.vllm_config)
    if unhashable is not None:
        msg = f"the setting {unhashable} changes the code in a way that could not be compared"
        raise Unkeepable(msg)
    known = {recipe.builtins, *entry.graphs}
    used = "\n".join((*entry.code.co_names, *recipe.texts))
    for name in recipe.installed:
        if name not in known and name in used:
            msg = f"its code refers to {name}, an object that torch made for this process"
            raise Unkeepable(msg)


def _called(recipe: Recipe) -> Iterable[ValuePrint]:
    for one in custom_operators.called(recipe.graphs):
        if one.problem is not None:
            raise Unkeepable(one.problem)
        yield called_print(one)


def called_print(one: custom_operators.Called) -> ValuePrint:
    """Something that a graph calls, written down."""
    hashes = (fingerprints.deep_hash(function) for function in one.functions)
    return ValuePrint(one.name, OPERATOR, digest(one.schema, *hashes), one.schema or one.name)
