"""Sizes of a compile: which symbols its inputs' dimensions got, what became of them, and what the user had marked.

Observed when Dynamo cleans up after an attempt, which it does once for every outcome and every backend: the ShapeEnv, the inputs and the
TracingContext are all still there. Nothing here evaluates a symbolic size: expressions are read, never turned into numbers, so no guard is added.
Shape guards and specializations are not read: torch narrates them (`guard_added_fast`, `symbolic_shape_specialization`).

Source: `torch._dynamo.output_graph.OutputGraph.cleanup`, `torch._dynamo.variables.builder._automatic_dynamic`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from compile_inspector.torch_seams.probe import Capability, Emit, Faults, Undo, lookup, patch, probe_names

NAME = "shapes"
USES = (
    "torch._dynamo.output_graph:OutputGraph.cleanup",
    "torch._dynamo.exc:RestartAnalysis",
    "torch._dynamo.source:is_from_unspecialized_param_buffer_source",
    "torch._dynamo.config:assume_static_by_default",
    "torch._dynamo.config:automatic_dynamic_shapes",
    "torch.fx.experimental.symbolic_shapes:ShapeEnv",
    "torch.nn:Parameter",
)
_MARKS = (
    ("_dynamo_strict_unbacked_indices", "mark_unbacked"),
    ("_dynamo_unbacked_indices", "mark_unbacked"),
    ("_dynamo_dynamic_indices", "mark_dynamic"),
    ("_dynamo_weak_dynamic_indices", "maybe_mark_dynamic"),
    ("_dynamo_static_indices", "mark_static"),
)
_SETTINGS = ("specialize_zero_one", "duck_shape")


def probe() -> Capability:
    """Whether this torch lets us see the sizes of a compile."""
    return probe_names(USES)


def install(emit: Emit, faults: Faults) -> Undo:
    """Emits the fact ``shapes`` at the end of each attempt that is not started over."""
    restart = lookup("torch._dynamo.exc:RestartAnalysis")
    reader = _Reader()
    wanted = True

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def cleanup(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                if wanted and not isinstance(sys.exc_info()[1], restart):
                    emit("shapes", reader.read(self))
            except Exception as error:
                faults.count(NAME, error)
            finally:
                returned = original(self, *args, **kwargs)
            return returned

        return cleanup

    restore = patch(lookup("torch._dynamo.output_graph:OutputGraph"), "cleanup", make)

    def undo() -> None:
        nonlocal wanted
        wanted = False
        restore()

    return undo


class _Reader:
    """Turns an OutputGraph into plain data; keeps torch's functions, never a graph's objects."""

    def __init__(self) -> None:
        self._config = lookup("torch._dynamo.config")
        self._parameter = lookup("torch.nn:Parameter")
        self._tensor_types = frozenset({lookup("torch:Tensor"), self._parameter})
        self._of_module = lookup("torch._dynamo.source:is_from_unspecialized_param_buffer_source")

    def read(self, output: Any) -> dict[str, Any]:
        env = output.shape_env
        inputs, parameters = self._tensors(output, env)
        stacks = _first_uses(output, inputs)
        return {
            "settings": self._settings(env),
            "symbols": list(_symbols(env, inputs)),
            "replacements": list(_replacements(env)),
            "inputs": inputs,
            "parameters": parameters,
            "stacks": stacks,
        }

    def _settings(self, env: Any) -> dict[str, bool]:
        settings = getattr(env, "settings", None)
        found = {
            "automatic_dynamic": bool(self._config.automatic_dynamic_shapes),
            "assume_static": bool(self._config.assume_static_by_default),
        }
        found |= {name: bool(getattr(settings, name)) for name in _SETTINGS if hasattr(settings, name)}
        return found

    def _tensors(self, output: Any, env: Any) -> tuple[list[list[Any]], list[list[Any]]]:
        contexts = {id(context.tensor_source): (tensor, context) for tensor, context in _contexts(output)}
        inputs: list[list[Any]] = []
        parameters: list[list[Any]] = []
        for source, described in output.input_source_to_sizes_strides.items():
            tensor, context = contexts.get(id(source), (None, None))
            name = _name(source)
            shape = described["size"]
            if (type(tensor) is self._parameter or self._of_module(source)) and all(
                type(size) is int for size in shape
            ):
                parameters.append([name, list(shape)])
            else:
                inputs.append([name, *self._input(name, shape, tensor, context, env), None])
        return inputs, parameters

    def _input(self, name: str, shape: Any, tensor: Any, context: Any, env: Any) -> tuple[list[Any], ...]:
        dims = range(len(shape))
        became = [_became(size, env.replacements) for size in shape]
        symbols = [
            env.source_to_var.get(f"{name}.size()[{dim}]") or _symbol(size) for dim, size in enumerate(shape)
        ]
        real = tensor.size() if type(tensor) in self._tensor_types and not tensor.is_nested else ()
        sizes = [
            real[dim]
            if dim < len(real)
            else size
            if type(size) is int
            else None
            if symbol is None
            else _hint(symbol, env)
            for dim, (size, symbol) in enumerate(zip(became, symbols, strict=True))
        ]
        policies = [
            getattr(policy, "name", str(policy)).lower() for policy in getattr(context, "dynamic_sizes", ())
        ]
        marks = list(_marks(tensor, context, dims))
        return (
            sizes,
            became,
            [None if symbol is None else str(symbol) for symbol in symbols],
            policies if len(policies) == len(became) else [None for _ in dims],
            marks,
        )


def _contexts(output: Any) -> Iterator[tuple[Any, Any]]:
    for tensor, context in output.tracing_context.tensor_to_context.items():
        if getattr(context, "tensor_source", None) is not None:
            yield tensor, context


def _name(named: Any) -> str:
    """A Source's or Guard's name; a method in earlier versions of torch, an attribute in later ones."""
    name = named.name
    return str(name() if callable(name) else name)


def _became(size: Any, replacements: Mapping[Any, Any]) -> int | str:
    """A size as a number or as the text of its expression, replacements applied without touching the ShapeEnv."""
    if type(size) is int:
        return size
    node = getattr(size, "node", None)
    expr = getattr(node, "_expr", None)
    if expr is None:
        return str(node)
    for _ in range(len(replacements) + 1):
        known = {symbol: replacements[symbol] for symbol in expr.free_symbols if symbol in replacements}
        if not known:
            break
        expr = expr.xreplace(known)
    return int(expr) if expr.is_Integer else str(expr)


def _symbol(size: Any) -> Any:
    """The symbol that a size was made with; None for a number or a compound expression."""
    expr = getattr(getattr(size, "node", None), "_expr", None)
    return expr if getattr(expr, "is_Symbol", False) else None


def _hint(symbol: Any, env: Any) -> int | None:
    values = getattr(env, "backed_var_to_val", None)
    if values is None:
        values = env.var_to_val
    value = values.get(symbol)
    return int(value) if getattr(value, "is_Integer", False) else None


def _marks(tensor: Any, context: Any, dims: range) -> Iterator[str | None]:
    try:
        attributes: Mapping[str, Any] = object.__getattribute__(tensor, "__dict__")
    except AttributeError:
        attributes = {}
    constraints = getattr(context, "constraint_sizes", None) or ()
    for dim in dims:
        mark = next((mark for attribute, mark in _MARKS if dim in attributes.get(attribute, ())), None)
        if mark is None and dim < len(constraints) and getattr(constraints[dim], "warn_only", False):
            mark = "automatic"
        yield mark


def _symbols(env: Any, inputs: list[list[Any]]) -> Iterator[list[Any]]:
    places: dict[str, list[str]] = {}
    for source, _, became, *_ in inputs:
        for dim, size in enumerate(became):
            if type(size) is str:
                places.setdefault(size, []).append(f"{source}.size()[{dim}]")
    known = dict.fromkeys((*env.var_to_sources, *env.var_to_range))
    for symbol in known:
        sources = list(dict.fromkeys(_name(source) for source in env.var_to_sources.get(symbol, ())))
        bounds = env.var_to_range.get(symbol)
        hint = _hint(symbol, env)
        backed = symbol in env.var_to_sources
        yield [
            str(symbol),
            sources or places.get(str(symbol), []),
            hint,
            None if bounds is None else f"[{bounds.lower}, {bounds.upper}]",
            "backed" if backed else "unbacked",
        ]


def _replacements(env: Any) -> Iterator[list[str | None]]:
    for symbol, expr in env.replacements.items():
        place = getattr(env.replacements_slocs.get(symbol), "maybe_user_loc", None)
        yield [str(symbol), str(expr), None if place is None else str(place)]


def _first_uses(output: Any, inputs: list[list[Any]]) -> list[list[list[Any]]]:
    """The stacks of the lines that first used each input; writes their indices into the inputs' last field."""
    rows = {row[0]: row for row in inputs}
    stacks: dict[tuple[tuple[Any, ...], ...], int] = {}
    for guard in output.guards if rows else ():
        if guard.create_fn_name() != "TENSOR_MATCH" or guard.user_stack is None:
            continue
        row = rows.get(_name(guard))
        if row is not None and row[-1] is None:
            frames = tuple(
                (frame.filename, frame.lineno, frame.name, frame.line) for frame in guard.user_stack
            )
            row[-1] = stacks.setdefault(frames, len(stacks))
    return [[list(frame) for frame in frames] for frames in stacks]
