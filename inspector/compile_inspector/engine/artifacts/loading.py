"""An entry from bytes: compared with the live program, its guards built anew around what lives in this process."""

from __future__ import annotations

import builtins
import functools
import importlib
import uuid
from collections.abc import Iterator
from typing import Any

from compile_inspector.engine import dropped_guards
from compile_inspector.engine.artifacts import graphs, manifest, saving
from compile_inspector.engine.artifacts.header import Difference, Header, ValuePrint
from compile_inspector.torch_seams import custom_operators, direct, kept_code, kept_guards, kept_libraries

_SHOWN = 8
"""So many differences of one artifact are told."""


class Changed(Exception):  # noqa: N818
    """Something is no longer what the artifact was made for.

    Attributes:
        differs: What.
    """

    def __init__(self, differs: tuple[Difference, ...]) -> None:
        super().__init__(", ".join(one.component for one in differs))
        self.differs = differs


def changed_before(header: Header, program: Any, instance: Any) -> Iterator[Difference]:
    """What differs, as far as can be told without unpickling anything: traced functions, operators."""
    yield from manifest.changed_functions(header.functions, program.finder(instance), None)
    for one in header.values:
        if one.kind == saving.OPERATOR:
            yield from _changed_operator(one)


def _changed_operator(kept: ValuePrint) -> Iterator[Difference]:
    live = (
        custom_operators.find(kept.source) if "::" in kept.source else manifest.called_function(kept.source)
    )
    if live is None:
        yield Difference(kept.source, kept.text, None)
        return
    now = saving.called_print(live)
    if now.hash != kept.hash:
        code = live.functions[0].__code__ if live.functions else None
        where = (None, None) if code is None else (code.co_filename, code.co_firstlineno)
        yield Difference(kept.source, kept.text, now.text, *where)


def entry(
    header: Header, payload: bytes, program: Any, instance: Any, f_locals: dict[str, Any]
) -> direct.Entry:
    """The entry that an artifact holds.

    Args:
        header: The artifact's.
        payload: Its code, whose seal has been checked.
        program: The one that is to run it.
        instance: Its module.
        f_locals: A call's locals; dimensions are marked as for a compile.

    Raises:
        Changed: It was made for something else.
    """
    held = saving.unpickled(_renamed(header, payload), instance)
    function = program.function()
    scope = kept_guards.Scope(f_locals, function.__globals__)
    names = _install(held, scope.f_globals)
    _compare(header, held, function, scope, program.finder(instance))
    guards = kept_guards.build(held.state, function.__code__, scope)
    _compare_texts(held, guards)
    if not guards.root.check(f_locals):
        raise Changed((_violated(guards, f_locals, program),))
    custom = any(one.kind == saving.OPERATOR for one in header.values)
    restored = functools.partial(graphs.restored, calls_custom_operators=custom)
    with program.partitions(), kept_libraries.serving(held.libraries):
        runs = {name: restored(one, program.vllm_config, program.prefix) for name, one in held.graphs.items()}
    made = direct.entry_of(function, kept_code.code_of(held.code), runs, guards, None)
    direct.forget_with(made.run, scope.f_globals, names)
    return made


def _renamed(header: Header, payload: bytes) -> bytes:
    """The payload, with a name of its own for Python's builtins: that of the compile may still be in use, and is torch's to take away."""
    name = header.builtins
    if name is not None:
        own = (name[: len(name) // 3] + uuid.uuid4().hex * 4)[: len(name)]
        payload = payload.replace(name.encode(), own.encode())
    return payload


def _install(held: saving.Payload, scope: dict[str, Any]) -> tuple[str, ...]:
    """Gives the globals the names that guards and code read; those to be taken away again with the entry."""
    for alias, name in held.imports.items():
        scope.setdefault(alias, importlib.import_module(name))
    if held.builtins is None:
        return ()
    scope.setdefault(held.builtins, builtins.__dict__)
    return (held.builtins,)


def _compare(
    header: Header, held: saving.Payload, function: Any, scope: kept_guards.Scope, finder: manifest.Finder
) -> None:
    live = [
        (saving.plain(source, held.builtins), kind, value)
        for source, kind, value in kept_guards.values(held.state, function.__code__, scope)
    ]
    kept = [one for one in header.values if one.kind != saving.OPERATOR]
    by_source = {source: value for source, _, value in live}

    def where(one: ValuePrint) -> tuple[str | None, int | None]:
        return manifest.reading(one, header.functions, finder, by_source)

    differs = [*manifest.changed_values(kept, live, where)]
    at_guards = [one for one in header.functions if one.at.startswith("guard:")]
    differs += manifest.changed_functions(at_guards, finder, by_source)
    if differs:
        raise Changed(tuple(differs[:_SHOWN]))


def _compare_texts(held: saving.Payload, guards: Any) -> None:
    now = kept_guards.texts(guards)
    if now == held.texts:
        return
    was = next((a for a, b in zip(held.texts, now, strict=False) if a != b), None)
    other = next((b for a, b in zip(held.texts, now, strict=False) if a != b), None)
    raise Changed((Difference("guards", was, other),))


def _violated(guards: Any, f_locals: dict[str, Any], program: Any) -> Difference:
    failure = dropped_guards.failure(guards, f_locals, program.self_name, program.files)
    if failure is None:
        return Difference("guards", None, None)
    where = failure.location
    file, line = (None, None) if where is None else (where.file, where.line)
    return Difference(failure.source or "guards", failure.expected, failure.actual or "otherwise", file, line)
