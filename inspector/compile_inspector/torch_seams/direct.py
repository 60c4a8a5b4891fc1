"""Calling what Dynamo compiled without going through Dynamo: a cache entry's bytecode and its guards, as things to call.

A function is given a code object of its own, so that its cache entries are nobody else's. It is compiled by `torch.compile` as always;
afterwards its newest entry's bytecode runs as a plain function, and the entry's own tree of guards, in C++, says whether it may.
Source: `torch._dynamo.eval_frame._debug_get_cache_entry_list`, `torch._dynamo.guards.GuardManagerWrapper`,
`torch._dynamo.output_graph.OutputGraph.install_global_unsafe` (the graph's name in the globals).
"""

from __future__ import annotations

import inspect
import itertools
import types
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec

from compile_inspector.torch_seams.probe import Capability, lookup, patch, probe_names

NAME = "direct"
USES = (
    "torch._dynamo.eval_frame:_debug_get_cache_entry_list",
    "torch._dynamo.eval_frame:skip_code",
    "torch._dynamo.convert_frame:compile_lock",
    "torch._dynamo.trace_rules:check",
    "torch._dynamo.exc:FailOnRecompileLimitHit",
    "torch._dynamo.guards:get_guard_fail_reason_helper",
    "torch._dynamo.symbolic_convert:InliningInstructionTranslator.inline_call_",
    "torch._dynamo.config:automatic_dynamic_shapes",
    "torch._inductor.config:trace.enabled",
    "torch.fx.experimental._config:backed_size_oblivious",
)
_GRAPH = "__compiled_fn"
_numbers = itertools.count(1)
_forgotten: deque[tuple[dict[str, Any], str]] = deque()


def probe() -> Capability:
    """Whether this torch shows the entries of a code object."""
    return probe_names(USES)


class Entry(msgspec.Struct, frozen=True):
    """One compiled version of a function.

    Attributes:
        run: Called as the function is; makes no check.
        check: Takes the call's locals as a dict, and answers whether every guard holds.
        check_sizes: The same of the guards on symbolic sizes alone; None where there are none.
        guards: torch's guard manager.
        compile_id: torch's; None for one that was loaded.
        code: What Dynamo made of the function, before the engine renamed its graphs.
        graphs: What its backend compiled, by the names that the code calls it by.
        bare: The code as a plain function; `run`, but for an entry that somebody put something in front of.
    """

    run: Callable[..., Any]
    check: Callable[[dict[str, Any]], bool]
    check_sizes: Callable[[dict[str, Any]], bool] | None
    guards: Any
    compile_id: Any
    code: types.CodeType
    graphs: dict[str, Any]
    bare: Any


def own_code(function: types.FunctionType) -> types.FunctionType:
    """The same function with a code object that no other shares.

    One without a source file is said to be of this module: before 2.13 torch compiles such a function, unless its module has a loader,
    within one of its own, and the code object would have no entries.
    """
    copy = types.FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__qualname__ = function.__qualname__
    copy.__module__ = function.__module__ if inspect.getsourcefile(function) else __name__
    return copy


def is_skipped(function: types.FunctionType) -> bool:
    """Whether Dynamo would not begin a trace with this function, as with torch's own; called by another it is traced through."""
    return bool(lookup("torch._dynamo.trace_rules:check")(function))


def new_entries(function: types.FunctionType, known: tuple[Entry, ...]) -> list[Entry]:
    """The entries of a function that are not among those known, newest first."""
    seen = {id(entry.guards) for entry in known}
    found = lookup("torch._dynamo.eval_frame:_debug_get_cache_entry_list")(function.__code__)
    return [_entry(function, one) for one in found if id(one.guard_manager) not in seen]


def _entry(function: types.FunctionType, cached: Any) -> Entry:
    scope = function.__globals__
    graphs = {
        name: getattr(scope[name], "_torchdynamo_orig_callable", scope[name])
        for name in cached.code.co_names
        if name.startswith(_GRAPH) and name in scope
    }
    return entry_of(function, cached.code, graphs, cached.guard_manager, getattr(cached, "compile_id", None))


def entry_of(
    function: types.FunctionType, code: types.CodeType, graphs: dict[str, Any], guards: Any, compile_id: Any
) -> Entry:
    """The entry of a function's compiled version.

    Args:
        function: It.
        code: What Dynamo made of it.
        graphs: What the code calls, by name.
        guards: torch's guard manager.
        compile_id: torch's, or None.
    """
    leaves = list(guards.root.get_epilogue_lambda_guards())
    run = _bare(function, code, graphs)
    return Entry(run, guards.root.check, _all(leaves), guards, compile_id, code, graphs, run)


def _all(leaves: list[Any]) -> Callable[[dict[str, Any]], bool] | None:
    if len(leaves) < 2:
        return leaves[0] if leaves else None
    return lambda f_locals: all(leaf(f_locals) for leaf in leaves)


def _bare(function: types.FunctionType, code: types.CodeType, graphs: dict[str, Any]) -> types.FunctionType:
    """The bytecode as a function, its graphs called without the wrapper that keeps Dynamo out of them.

    The graphs stay in the function's own globals, under names of ours: a copy of the globals would be blind to later changes.
    """
    sweep()
    scope = function.__globals__
    number = next(_numbers)
    names = {name: f"{name}_{number}_bare" for name in graphs}
    scope.update({names[name]: graph for name, graph in graphs.items()})
    code = code.replace(co_names=tuple(names.get(name, name) for name in code.co_names))
    lookup("torch._dynamo.eval_frame:skip_code")(code)
    run = types.FunctionType(code, scope, function.__name__, function.__defaults__, function.__closure__)
    run.__kwdefaults__ = function.__kwdefaults__
    forget_with(run, scope, names.values())
    return run


@contextmanager
def inputs_seen(entry: Entry) -> Generator[list[Any]]:
    """Collects, while its block runs, what each graph of an entry is given."""
    scope, seen = entry.bare.__globals__, []
    names = [name for name in entry.bare.__code__.co_names if name.startswith(_GRAPH) and name in scope]
    graphs = {name: scope[name] for name in names}

    def spy(graph: Callable[..., Any]) -> Callable[..., Any]:
        def call(*inputs: Any) -> Any:
            seen.extend(inputs)
            return graph(*inputs)

        return call

    try:
        scope.update({name: spy(graph) for name, graph in graphs.items()})
        yield seen
    finally:
        scope.update(graphs)


def forget_with(run: Callable[..., Any], scope: dict[str, Any], names: Iterable[str]) -> None:
    """Takes names out of a namespace when a function is gone."""
    for name in names:
        weakref.finalize(run, _forget, scope, name).atexit = False


def _forget(scope: dict[str, Any], name: str) -> None:
    """Lets go of a graph whose function is gone; its name stays until `sweep`, for somebody may be walking the namespace's names."""
    if name in scope:
        scope[name] = None
        _forgotten.append((scope, name))


def sweep() -> None:
    """Takes the names of forgotten graphs out of their namespaces."""
    while _forgotten:
        scope, name = _forgotten.popleft()
        if scope.get(name, _forgotten) is None:
            del scope[name]


def failing_part(guards: Any, f_locals: dict[str, Any]) -> str | None:
    """Torch's text of the first guard of a manager that does not hold; None where all hold."""
    found = guards.root.check_verbose(f_locals)
    if found.result:
        return None
    parts = list(found.verbose_code_parts)
    if len(parts) == 1:
        return parts[0]
    explain = lookup("torch._dynamo.guards:get_guard_fail_reason_helper")
    return explain(guards, f_locals, None, None).removeprefix("None: ").partition("\n")[0]


def guard_parts(guards: Any) -> Iterator[tuple[str, str, str]]:
    """Every guard of a tree: its source, its kind, torch's text of it."""
    yield from _parts(guards.root)
    for leaf in guards.root.get_epilogue_lambda_guards():
        for part in leaf.verbose_code_parts():
            yield "", "SHAPE_ENV", part


def _parts(manager: Any) -> Iterator[tuple[str, str, str]]:
    source = manager.get_source()
    source = "" if source in {"L", "G"} else source
    for leaf in manager.get_leaf_guards():
        for part in leaf.verbose_code_parts():
            yield source, type(leaf).__name__, part
    pairs = getattr(manager, "get_key_value_managers", None)
    below = list(manager.get_child_managers())
    if pairs is not None:
        below += [one for pair in pairs().values() for one in pair if one is not None]
    for child in below:
        yield from _parts(child)


@contextmanager
def compiling(
    *,
    traced: Callable[[str, types.CodeType], None],
    automatic_dynamic: bool,
    backed_size_oblivious: bool,
    assume_32bit_indexing: bool,
    inductor: dict[str, Any],
) -> Generator[None]:
    """The settings of one compile, alone in the process; every one is put back, last in first out.

    Args:
        traced: Told each function that is inlined: the name of its module, and its code.
        automatic_dynamic: Whether sizes that differ from an earlier compile's become symbols.
        backed_size_oblivious: Whether backed sizes are treated as neither 0 nor 1.
        assume_32bit_indexing: Inductor's setting.
        inductor: More of Inductor's settings.
    """

    def watch(original: Any) -> Any:
        def inline_call_(translator: Any) -> Any:
            traced(str(translator.f_globals.get("__name__", "")), translator.f_code)
            return original(translator)

        return inline_call_

    translator = lookup("torch._dynamo.symbolic_convert:InliningInstructionTranslator")
    dynamo = {"automatic_dynamic_shapes": automatic_dynamic}
    known = lookup("torch._dynamo.config:")
    dynamo |= {
        name: False
        for name in ("enable_cpp_symbolic_shape_guards", "record_runtime_overhead")
        if hasattr(known, name)
    }
    inductor = dict(inductor)
    if hasattr(lookup("torch._inductor.config:"), "assume_32bit_indexing"):
        inductor.setdefault("assume_32bit_indexing", assume_32bit_indexing)
    with ExitStack() as stack:
        stack.enter_context(lookup("torch._dynamo.convert_frame:compile_lock"))
        stack.callback(patch(translator, "inline_call_", watch))
        stack.enter_context(lookup("torch._dynamo.config:").patch(**dynamo))
        if inductor:
            stack.enter_context(lookup("torch._inductor.config:").patch(inductor))
        if backed_size_oblivious:
            stack.enter_context(lookup("torch.fx.experimental._config:").patch(backed_size_oblivious=True))
        yield


def is_recompile_limit(error: BaseException) -> bool:
    """Whether this is torch's refusal to compile a function once more."""
    return isinstance(error, lookup("torch._dynamo.exc:FailOnRecompileLimitHit"))


def is_constraint_violation(error: BaseException) -> bool:
    """Whether this is torch's refusal of a size that was marked dynamic and cannot be."""
    return (
        "Constraint" in type(error).__name__
        or "ConstraintViolation" in str(error)
        or "Constraints violated" in str(error)
    )
