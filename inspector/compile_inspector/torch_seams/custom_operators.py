"""What a captured graph calls that is not torch's own: custom operators, with the Python functions that a compile follows, and plain functions.

Source: `torch._ops.OpOverload`, `torch._library.custom_ops.CustomOpDef`, `torch._higher_order_ops.triton_kernel_wrap`.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from compile_inspector.torch_seams.probe import Capability, lookup, probe_names

NAME = "custom_operators"
USES = (
    "torch._ops:OpOverload",
    "torch._ops:OpOverloadPacket",
    "torch._ops:HigherOrderOperator",
    "torch._library.custom_ops:OPDEFS",
    "torch._C:_dispatch_has_kernel_for_dispatch_key",
)
_OURS = ("torch", "_operator", "operator", "math", "builtins", "functools", "einops._torch_specific")
_NAMESPACES = frozenset(
    {
        "aten",
        "prim",
        "prims",
        "quantized",
        "quantized_decomposed",
        "inductor",
        "mkldnn",
        "_c10d_functional",
        "_c10d_functional_autograd",
        "c10d",
        "c10d_functional",
        "fsdp",
        "higher_order",
        "rngprims",
        "profiler",
        "symm_mem",
        "streams",
        "_inductor_test",
        "export",
    }
)


class Called(NamedTuple):
    """Something of the user's that a graph calls.

    Attributes:
        name: ``namespace::operator.overload``, or a function's module and name.
        schema: The operator's; "" for a function.
        functions: Python functions that a compile may have followed.
        problem: Why no program that calls it can be kept; None where it can.
    """

    name: str
    schema: str
    functions: tuple[types.FunctionType, ...]
    problem: str | None = None


def probe() -> Capability:
    """Whether this torch tells what its operators are made of."""
    return probe_names(USES)


def called(graphs: Iterable[Any]) -> tuple[Called, ...]:
    """What these graphs call that is not torch's own, each once, by name."""
    found = {
        one.name: one
        for graph in graphs
        for node in graph.nodes
        if node.op == "call_function"
        for one in _described(node.target)
    }
    return tuple(found[name] for name in sorted(found))


def _described(target: Any) -> Iterator[Called]:
    ops = lookup("torch._ops:")
    if isinstance(target, ops.OpOverloadPacket):
        for overload in target.overloads():
            yield from _described(getattr(target, overload))
    elif isinstance(target, ops.OpOverload):
        if target.namespace not in _NAMESPACES:
            yield _operator(target)
    elif isinstance(target, ops.HigherOrderOperator):
        if "triton" in target.name():
            yield Called(target.name(), "", (), "it launches Triton kernels of the program's own")
    elif isinstance(target, types.FunctionType) and not target.__module__.startswith(_OURS):
        yield Called(f"{target.__module__}.{target.__qualname__}", "", (target,))


def _operator(target: Any) -> Called:
    name, composite = target.name(), "CompositeImplicitAutograd"
    problem = None
    if lookup("torch._C:_dispatch_has_kernel_for_dispatch_key")(name, composite):
        problem = f"{name} is taken apart while compiling, and what it is made of cannot be compared"
    definition = lookup("torch._library.custom_ops:OPDEFS").get(name.removesuffix(".default"))
    held = (getattr(definition, each, None) for each in ("_abstract_fn", "_backward_fn", "_setup_context_fn"))
    functions = tuple(one for one in held if isinstance(one, types.FunctionType))
    return Called(name, str(target._schema), functions, problem)


def find(name: str) -> Called | None:
    """The operator of a name in this process; None where there is none."""
    import torch

    namespace, _, rest = name.partition("::")
    packet, _, overload = rest.partition(".")
    try:
        return _operator(getattr(getattr(getattr(torch.ops, namespace), packet), overload or "default"))
    except AttributeError:
        return None
