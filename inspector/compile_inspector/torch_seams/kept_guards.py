"""The guards of a compile, taken so that they can be kept on disk, and built again in another process around the objects that live there.

torch's own way of keeping guards drops those that name an object by its identity, and refuses classes that are local to a function. Here
the *recipes* are kept: each guard's source and what makes it. Built again from the live program they are the guards that a compile would
make there; what they were made from is compared by the caller, value by value (`Recipe.values`) and text by text (`texts`).
Source: `torch._dynamo.guards.CheckFunctionManager.serialize_guards` and `.build_guards`, `torch._dynamo.package.load_guard_manager`.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import types
import uuid
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec

from compile_inspector.torch_seams.probe import Capability, Undo, lookup, patch, probe_names

NAME = "kept_guards"
_GUARDS = "torch._dynamo.guards"
_GRAPH = "torch._dynamo.output_graph"
USES = (
    f"{_GUARDS}:CheckFunctionManager.build_guards",
    f"{_GUARDS}:CheckFunctionManager.compile_check_fn",
    f"{_GUARDS}:GuardBuilder.get",
    f"{_GUARDS}:ShapeCodeParts",
    f"{_GUARDS}:GuardManagerWrapper",
    f"{_GUARDS}:convert_int_to_concrete_values",
    f"{_GRAPH}:OutputGraphGuardsState",
    f"{_GRAPH}:OutputGraph.dump_guards_state",
    f"{_GRAPH}:OutputGraphCommon",
    "torch._dynamo.variables.functions:invoke_and_store_as_constant",
    "torch._guards:Guard",
    "torch._guards:GuardsSet",
    "torch.utils._ordered_set:OrderedSet",
    "torch.utils._pytree:tree_map",
)
_IDENTITY = re.compile(r"(___check_(?:obj|type)_id\(.*?, )\d+|\b0x[0-9a-f]+|, file \"[^\"]*\", line \d+(?=>)")
"""What a guard's text says of one process alone: addresses, and where the code objects that it names were written."""


class Unkeepable(Exception):  # noqa: N818
    """Something about this compile cannot be kept; the message says what."""


class Recipe(msgspec.Struct, frozen=True):
    """How to build the guards of one compile.

    Attributes:
        state: What pickle is to keep: torch's state of the graph without its scopes, and the conditions on sizes as text.
        values: Source, kind and value of each guard that is about a value: the live objects, to be compared and let go.
        read_at: By source and kind: the files and lines of the stack on which the program read it, the innermost first.
        texts: What each check of the tree says.
        imports: Module names by the global names that torch gave them.
        installed: Global names that torch made for this compile.
        builtins: The one among them that stands for Python's builtins; None where there is none.
        constants: Names of functions whose results torch took for constants.
        graphs: The graphs that were captured.
    """

    state: tuple[Any, Any]
    values: tuple[tuple[str, str, Any], ...]
    texts: tuple[str, ...]
    imports: dict[str, str]
    installed: tuple[str, ...]
    builtins: str | None
    constants: tuple[str, ...]
    graphs: tuple[Any, ...]
    read_at: dict[tuple[str, str], tuple[tuple[str, int], ...]] = {}


def probe() -> Capability:
    """Whether this torch lets guards be taken and built again."""
    return probe_names(USES)


@contextmanager
def capturing() -> Generator[Callable[[Any], Recipe]]:
    """Takes the guards of the compiles in its block; gives what answers with the recipe of a guard manager, or raises Unkeepable."""
    taken: dict[int, Recipe | Unkeepable] = {}
    constants: list[str] = []
    functions = lookup("torch._dynamo.variables.functions:")
    with ExitStack() as stack:
        manager = lookup(f"{_GUARDS}:CheckFunctionManager")
        stack.callback(patch(manager, "build_guards", functools.partial(_watched, taken, constants)))
        stack.callback(
            patch(functions, "invoke_and_store_as_constant", functools.partial(_noting, constants))
        )
        for undo in _unique_names():
            stack.callback(undo)

        def recipe(guards: Any) -> Recipe:
            found = taken.get(id(guards), Unkeepable("torch built its guards where they could not be read"))
            if isinstance(found, Unkeepable):
                raise found
            return msgspec.structs.replace(found, texts=texts(guards))

        yield recipe


def _unique_names() -> Iterator[Undo]:
    """Makes the names that torch puts into a module's globals differ from those of every other process."""
    graph = lookup(f"{_GRAPH}:")
    if hasattr(graph, "unique_id"):
        yield patch(
            graph, "unique_id", lambda original: lambda name, *_, **__: original(name, with_uuid=True)
        )
    if hasattr(graph, "unique_id_unbound_in"):
        yield patch(
            graph,
            "unique_id_unbound_in",
            lambda original: lambda prefix, scope: original(f"{prefix}_{uuid.uuid4().hex}", scope),
        )


def _noting(constants: list[str], original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def invoke_and_store_as_constant(tx: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        constants.append(getattr(function, "__qualname__", type(function).__name__))
        return original(tx, function, *args, **kwargs)

    return invoke_and_store_as_constant


def _watched(
    taken: dict[int, Recipe | Unkeepable], constants: list[str], original: Callable[..., Any]
) -> Callable[..., Any]:
    @functools.wraps(original)
    def build_guards(
        self: Any, guards: Any, existing: Any, code: Any, graph: Any, save: bool, *args: Any, **kwargs: Any
    ) -> Any:
        before = self.shape_code_parts
        builder, manager = original(self, guards, existing, code, graph, True, *args, **kwargs)
        try:
            taken[id(manager)] = _recipe(self, builder, guards, graph, tuple(constants))
        except Unkeepable as error:
            taken[id(manager)] = error
        except Exception as error:
            taken[id(manager)] = Unkeepable(f"its guards could not be read ({type(error).__name__}: {error})")
        if not save:
            self.shape_code_parts = before
        return builder, manager

    return build_guards


def _recipe(owner: Any, builder: Any, guards: Any, graph: Any, constants: tuple[str, ...]) -> Recipe:
    state = graph.dump_guards_state()
    if state.torch_function_mode_stack or state.functorch_layers or state.dual_level not in (-1, 0):
        msg = "it was compiled under a torch function mode or a transform of torch.func"
        raise Unkeepable(msg)
    kept = lookup("torch._guards:GuardsSet")(
        lookup("torch.utils._ordered_set:OrderedSet")(_portable(one) for one in guards)
    )
    sizes = lookup("torch.utils._pytree:tree_map")(
        lookup(f"{_GUARDS}:convert_int_to_concrete_values"), state.input_source_to_sizes_strides
    )
    state = dataclasses.replace(
        state,
        local_scope={},
        global_scope={},
        _guards=kept,
        input_source_to_sizes_strides=sizes,
        skip_guards_check=True,
    )
    return Recipe(
        (state, owner.shape_code_parts),
        tuple(_values(builder, guards)),
        (),
        dict(graph.import_sources),
        tuple(graph.installed_globals),
        state.name_of_builtins_dict_key_in_fglobals,
        constants,
        tuple(_graphs(graph)),
        dict(_read_at(guards)),
    )


def _read_at(guards: Any) -> Iterator[tuple[tuple[str, str], tuple[tuple[str, int], ...]]]:
    for guard in guards:
        stack = getattr(guard, "user_stack", None)
        if stack and guard.name:
            frames = tuple((one.filename, one.lineno) for one in reversed(stack) if one.lineno is not None)
            yield (guard.name, guard.create_fn_name()), frames


def _graphs(output: Any) -> Iterator[Any]:
    fx = lookup("torch.fx:")
    yield output.graph
    for held in output.nn_modules.values():
        if isinstance(held, fx.GraphModule):
            yield from (one.graph for one in held.modules() if isinstance(one, fx.GraphModule))


def _portable(guard: Any) -> Any:
    made: Any = guard.create_fn
    if isinstance(made, functools.partial):
        held = {name: _strong(value) for name, value in made.keywords.items()}
        made = functools.partial(made.func, *map(_strong, made.args), **held)
    return dataclasses.replace(
        guard, obj_weakref=None, guarded_class_weakref=None, create_fn=made, stack=None, code_list=None
    )


def _strong(value: Any) -> Any:
    """None for a tensor that a guard holds weakly: it reads the live one."""
    weak = isinstance(value, weakref.ref) or type(value).__name__ == "TensorWeakRef"
    return None if weak else value


def _values(builder: Any, guards: Any) -> Iterator[tuple[str, str, Any]]:
    seen: set[tuple[str, str]] = set()
    for guard in guards:
        name, kind = guard.name, guard.create_fn_name()
        if not name or (name, kind) in seen:
            continue
        seen.add((name, kind))
        try:
            yield name, kind, builder.get(guard)
        except (AttributeError, KeyError, IndexError, NameError):
            yield name, kind, ABSENT


class _Absent:
    """There is nothing at a guard's source, which is what the guard is about."""

    def __repr__(self) -> str:
        return "nothing there"


ABSENT = _Absent()


def texts(guards: Any) -> tuple[str, ...]:
    """What each check of a tree says, in order, without identities and places."""
    return tuple(
        _IDENTITY.sub(r"\g<1>", part.partition("  # ")[0]) if "0x" not in part else _plain(part)
        for part in _parts(guards.root)
    )


def _plain(part: str) -> str:
    return _IDENTITY.sub(lambda match: match[1] or "", part.partition("  # ")[0])


def _parts(manager: Any) -> Iterator[str]:
    source = manager.get_source()
    for leaf in manager.get_leaf_guards():
        for part in leaf.verbose_code_parts():
            yield f"{source}: {part}"
    pairs = getattr(manager, "get_key_value_managers", None)
    below = list(manager.get_child_managers())
    if pairs is not None:
        below += [one for pair in pairs().values() for one in pair if one is not None]
    for child in below:
        yield from _parts(child)
    epilogue = getattr(manager, "get_epilogue_lambda_guards", None)
    for leaf in () if epilogue is None else epilogue():
        yield from leaf.verbose_code_parts()


class Scope(msgspec.Struct, frozen=True):
    """Where guards are built: a call's locals, a module's globals."""

    f_locals: dict[str, Any]
    f_globals: dict[str, Any]


def values(state: tuple[Any, Any], code: types.CodeType, scope: Scope) -> Iterator[tuple[str, str, Any]]:
    """Source, kind and value of each guard in the live program, in the order of `Recipe.values`."""
    graph = _live(state[0], scope)
    builder = lookup(f"{_GUARDS}:GuardBuilder")(
        code,
        lambda *_: 0,
        lambda source: source.name,
        lambda _: None,
        scope.f_locals,
        scope.f_globals,
        lookup(f"{_GUARDS}:GuardManagerWrapper")(),
        types.SimpleNamespace(output_graph=dataclasses.replace(graph, guard_on_key_order=set())),
    )
    yield from _values(builder, graph.guards)


def build(state: tuple[Any, Any], code: types.CodeType, scope: Scope) -> Any:
    """Torch's guard manager, made of kept recipes and live objects."""
    graph = lookup(f"{_GRAPH}:OutputGraphCommon")(_live(state[0], scope))
    made = lookup(f"{_GUARDS}:CheckFunctionManager")(
        code, graph, shape_code_parts=state[1], runtime_global_scope=scope.f_globals
    )
    return made.guard_manager


def _live(state: Any, scope: Scope) -> Any:
    return dataclasses.replace(state, local_scope=scope.f_locals, global_scope=scope.f_globals)
