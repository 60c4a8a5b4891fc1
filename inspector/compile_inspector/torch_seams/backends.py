"""Handing graphs to backends: which backend a name means, and the fake tensors and symbols that a graph is compiled with.

A graph that Dynamo captured has one ShapeEnv. To compile it for a part of the sizes only, its inputs are made anew in a ShapeEnv of their own, whose
one symbol is bounded; guards that the backend adds there concern that compile alone.
Source: `torch._dynamo.backends.registry`, `torch._inductor.compile_fx`, `torch._inductor.standalone_compile`, `ShapeEnv.create_symbol`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from compile_inspector.torch_seams.probe import Capability, lookup, probe_names

NAME = "backends"
_SHAPES = "torch.fx.experimental.symbolic_shapes"
USES = (
    "torch._dynamo.backends.registry:lookup_backend",
    "torch._dynamo.backends.registry:_COMPILER_FNS",
    "torch._dynamo.source:ConstantSource",
    "torch._guards:CompileContext.current_compile_id",
    "torch._guards:TracingContext.try_get",
    "torch._guards:tracing",
    "torch._inductor.compile_fx:compile_fx",
    "torch._subclasses.fake_tensor:FakeTensor",
    "torch._subclasses.fake_tensor:FakeTensorMode",
    f"{_SHAPES}:DimDynamic",
    f"{_SHAPES}:ShapeEnv",
    f"{_SHAPES}:StrictMinMaxConstraint",
    "torch.utils._sympy.value_ranges:ValueRanges",
)
_OF_TORCH = ("inductor", "aot_eager", "eager")


def probe() -> Capability:
    """Whether this torch lets a graph be compiled by parts."""
    return probe_names(USES)


def named(name: str) -> Callable[..., Any]:
    """The backend that a name means: a registered one, else the callable of that qualified name.

    Raises:
        ValueError: It means neither.
    """
    try:
        return lookup("torch._dynamo.backends.registry:lookup_backend")(name)
    except Exception as error:
        module, _, attribute = name.rpartition(".")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, ValueError):
            msg = f"{name!r} is neither a registered backend nor the qualified name of a callable"
            raise ValueError(msg) from error
    if not callable(found):
        msg = f"the backend {name!r} must be callable, and is {found!r}"
        raise ValueError(msg)
    return found


def own_callable(name: str) -> Callable[..., Any] | None:
    """The backend that a name means, where it is not one of torch's."""
    if (name or "inductor") in _OF_TORCH and (name or "inductor") not in _registered():
        return None  # nobody has taken the name: spares the import of every backend, and a search for those of other packages
    try:
        found = named(name or "inductor")
    except ValueError:
        return None
    return None if str(getattr(found, "__module__", "torch")).startswith("torch.") else found


def _registered() -> Any:
    return getattr(lookup("torch._dynamo.backends.registry:"), "_COMPILER_FNS", _OF_TORCH)


def inductor(module: Any, inputs: Sequence[Any], settings: dict[str, Any]) -> Callable[..., Any]:
    """Compiles a graph with Inductor, which takes possession of it."""
    return lookup("torch._inductor.compile_fx:compile_fx")(module, inputs, config_patches=settings or None)


def compile_id() -> Any:
    """The CompileId of the compile under way, or None."""
    return lookup("torch._guards:CompileContext.current_compile_id")()


def fake_mode_of(values: Sequence[Any]) -> Any:
    """The fake mode of the first fake tensor among these; that of the compile under way where there is none."""
    fake = lookup("torch._subclasses.fake_tensor:FakeTensor")
    for value in values:
        if isinstance(value, fake):
            return value.fake_mode
    context = lookup("torch._guards:TracingContext.try_get")()
    return None if context is None else context.fake_mode


@contextmanager
def tracing_with(fake_mode: Any) -> Generator[None]:
    """A tracing context of its own for one piece: what it leaves there does not reach the next."""
    context = lookup("torch._guards:TracingContext")
    ambient = context.try_get()
    own = context(fake_mode)
    if ambient is not None and ambient.fake_mode is fake_mode:
        own.tensor_to_context = ambient.tensor_to_context
    with lookup("torch._guards:tracing")(own):
        yield


def symbols(values: Iterable[Any]) -> set[Any]:
    """The symbols in the sizes of these values."""
    found: set[Any] = set()
    for value in values:
        for size in _numbers(value):
            if hasattr(size, "node"):
                found |= size.node.expr.free_symbols
    return found


def is_symbol(value: Any, symbol: Any) -> bool:
    """Whether a value is just this symbol."""
    return hasattr(value, "node") and value.node.expr == symbol


def _numbers(value: Any) -> tuple[Any, ...]:
    import torch

    if isinstance(value, torch.Tensor):
        return (*value.shape, *(value.stride() if value.layout is torch.strided else ()))
    return (value,) if isinstance(value, torch.SymInt) else ()


@dataclass(frozen=True)
class Inputs:
    """What a graph is compiled with.

    Attributes:
        values: Fake tensors and sizes, in the order of the graph's inputs.
        fake_mode: Theirs.
        symbol: The one symbol in their sizes, None where all are numbers.
    """

    values: tuple[Any, ...]
    fake_mode: Any
    symbol: Any

    def guards(self) -> list[Any]:
        """The conditions on sizes that have been assumed so far."""
        env = self.fake_mode.shape_env
        return [] if env is None else [guard.expr for guard in env.guards]


def detached(values: Sequence[Any], fake_mode: Any) -> tuple[Any, ...]:
    """The same fake values, each intermediate result a leaf: a graph's inputs have no history."""
    import torch

    def one(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.is_leaf:
            return value
        return value.detach().requires_grad_(value.requires_grad)

    with fake_mode:
        return tuple(one(value) for value in values)


def narrowed(values: Sequence[Any], symbol: Any, start: int, end: int, hint: int) -> Inputs | None:
    """The same inputs for the sizes start..end only, in a ShapeEnv of their own.

    Args:
        values: The fake inputs of a graph that Dynamo captured.
        symbol: The one symbol in their sizes.
        start: The first size.
        end: The last size; where it is the first, the inputs are made for that number.
        hint: The size to assume where one must be.

    Returns:
        None where an input cannot be made anew as it is: a tensor subclass, a view into another's memory, another layout.
    """
    if not _can_be_remade(values):
        return None
    env = lookup(f"{_SHAPES}:ShapeEnv")()
    mode = lookup("torch._subclasses.fake_tensor:FakeTensorMode")(shape_env=env, static_shapes=start == end)
    new = None if start == end else _symbol(env, start, end, hint)

    def number(size: Any) -> Any:
        if not hasattr(size, "node"):
            return size
        concrete = int(size.node.expr.xreplace({symbol: hint}))
        if new is None:
            return concrete
        return env.create_symintnode(size.node.expr.xreplace({symbol: new}), hint=concrete)

    with mode:
        made = tuple(_remade(value, number) for value in values)
    return Inputs(made, mode, new)


def _symbol(env: Any, start: int, end: int, hint: int) -> Any:
    bounds = lookup("torch.utils._sympy.value_ranges:ValueRanges")(start, end)
    return env.create_symbol(
        hint,
        lookup("torch._dynamo.source:ConstantSource")("compile_inspector_size"),
        dynamic_dim=lookup(f"{_SHAPES}:DimDynamic").DYNAMIC,
        constraint_dim=lookup(f"{_SHAPES}:StrictMinMaxConstraint")(vr=bounds, warn_only=False),
        do_not_specialize_zero_one=True,
    )


def _can_be_remade(values: Sequence[Any]) -> bool:
    import torch

    plain = (lookup("torch._subclasses.fake_tensor:FakeTensor"), torch.nn.Parameter)
    memory: set[int] = set()
    for value in values:
        if not isinstance(value, torch.Tensor):
            continue
        if not isinstance(value, plain) or value.layout is not torch.strided or value.is_quantized:
            return False
        place = memory_of(value)
        if place in memory or value.storage_offset() != 0 or value.is_conj() or value.is_neg():
            return False
        memory.add(place)
    return True


def _remade(value: Any, number: Callable[[Any], Any]) -> Any:
    import torch

    if isinstance(value, torch.SymInt):
        return number(value)
    if not isinstance(value, torch.Tensor):
        return value
    made = torch.empty_strided(
        [number(size) for size in value.shape],
        [number(stride) for stride in value.stride()],
        dtype=value.dtype,
        device=value.device,
    )
    if isinstance(value, torch.nn.Parameter):
        return torch.nn.Parameter(made, requires_grad=value.requires_grad)
    return made.requires_grad_(value.requires_grad)


def holds(guards: Sequence[Any], symbol: Any, size: int) -> bool:
    """Whether conditions on a symbol hold for a size; one that cannot be decided does not."""
    import sympy

    return all(guard.xreplace({symbol: sympy.Integer(size)}) is sympy.true for guard in guards)


def memory_of(tensor: Any) -> int:
    """What tells apart the memory of fake tensors."""
    return tensor.untyped_storage()._cdata


def forward_of(module: Any) -> Callable[..., Any]:
    """What runs a graph: its code, written now. The `forward` of torch's lazy graph modules looks at each call whether that was done."""
    write = getattr(module, "real_recompile", None)
    if write is not None:
        write()
    return module.forward


def copy_of(module: Any) -> Any:
    """A graph module that may be taken possession of; parameters and constants are shared."""
    from torch import fx

    graph = fx.Graph()
    output = graph.graph_copy(module.graph, {})
    graph.output(output)
    return fx.GraphModule(module, graph)
