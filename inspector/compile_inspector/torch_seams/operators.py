"""Which operator a node of an FX graph calls, by every name that a user may write for it.

Source: `torch._ops`; the registered names come from the dispatcher.
"""

from __future__ import annotations

import operator
from functools import cache
from typing import TYPE_CHECKING, Any

from compile_inspector.torch_seams.probe import Capability, lookup, probe_names

if TYPE_CHECKING:
    from torch import fx

NAME = "operators"
USES = (
    "torch._ops:OpOverload",
    "torch._ops:OpOverloadPacket",
    "torch._ops:HigherOrderOperator",
    "torch._C:_dispatch_get_all_op_names",
)

_PYTHON_OPERATORS = {
    operator.add: "add",
    operator.iadd: "add_",
    operator.sub: "sub",
    operator.isub: "sub_",
    operator.mul: "mul",
    operator.imul: "mul_",
    operator.truediv: "div",
    operator.itruediv: "div_",
    operator.floordiv: "floor_divide",
    operator.mod: "remainder",
    operator.pow: "pow",
    operator.matmul: "matmul",
    operator.imatmul: "matmul",
    operator.neg: "neg",
    operator.and_: "bitwise_and",
    operator.or_: "bitwise_or",
    operator.xor: "bitwise_xor",
    operator.invert: "bitwise_not",
    operator.lshift: "bitwise_left_shift",
    operator.rshift: "bitwise_right_shift",
    operator.eq: "eq",
    operator.ne: "ne",
    operator.lt: "lt",
    operator.le: "le",
    operator.gt: "gt",
    operator.ge: "ge",
}


def probe() -> Capability:
    """Whether this torch lets operators be named."""
    return probe_names(USES)


@cache
def _types() -> tuple[type, type, type]:
    return lookup(USES[0]), lookup(USES[1]), lookup(USES[2])


def registered_names(namespace: str) -> set[str]:
    """The names of all operators registered in a namespace, overloads included."""
    names: list[str] = lookup("torch._C:_dispatch_get_all_op_names")()
    return {name for name in names if name.partition("::")[0] == namespace}


def operator_names(node: fx.Node) -> frozenset[str]:
    """Every name under which a splitting op may mean this node.

    An overload goes by its packet's name too ("aten::add.Tensor", "aten::add"); a function, a tensor's method and a Python operator go by
    the ATen operator of that name, and a function also by its dotted name ("torch.nn.functional.relu"). Empty where nothing is called.
    """
    target: Any = node.target
    if node.op == "call_method":
        return _aten_names(str(target))
    if node.op != "call_function":
        return frozenset()
    overload, packet, higher_order = _types()
    if isinstance(target, overload):
        name = target.overloadpacket._qualified_op_name
        return frozenset({name, f"{name}.{target._overloadname}"})
    if isinstance(target, packet):
        return frozenset({target._qualified_op_name, *_only_overload(target)})
    if isinstance(target, higher_order):
        return frozenset({f"higher_order::{target.name()}", target.name()})
    if target in _PYTHON_OPERATORS:
        return _aten_names(_PYTHON_OPERATORS[target])
    return _function_names(target)


def _only_overload(packet: Any) -> tuple[str, ...]:
    """The one overload that a call of a packet can mean; none where it has several."""
    overloads = packet.overloads()
    return (f"{packet._qualified_op_name}.{overloads[0]}",) if len(overloads) == 1 else ()


def _aten_names(name: str) -> frozenset[str]:
    import torch

    return frozenset({f"aten::{name}"}) if hasattr(torch.ops.aten, name) else frozenset()


def _function_names(target: Any) -> frozenset[str]:
    import torch

    name = getattr(target, "__name__", None)
    if not isinstance(name, str):
        return frozenset()
    module = getattr(target, "__module__", None) or ""
    names = {f"{module}.{name}".lstrip(".")}
    if not module or module == "torch" or module.startswith("torch."):
        names |= _aten_names(name)
    for home, owner in (("torch", torch), ("torch.nn.functional", torch.nn.functional)):
        if getattr(owner, name, None) is target:
            names.add(f"{home}.{name}")
    return frozenset(names)
