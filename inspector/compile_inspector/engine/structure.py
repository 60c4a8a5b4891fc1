"""When two pieces are the same program: the same operations on inputs of the same kind, whatever their names.

Layers of a model differ in their parameters only, which are inputs of their pieces; one compile serves them all.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import fx

from compile_inspector.torch_seams.backends import memory_of


def structure(module: fx.GraphModule, values: Sequence[Any]) -> Hashable:
    """A key that two graphs share exactly when what compiles one computes the other.

    Args:
        module: The graph. Constants that it holds are told apart by identity.
        values: Its fake inputs, in order.
    """
    return _graph(module), _inputs(values)


def _graph(module: fx.GraphModule) -> Hashable:
    numbers: dict[fx.Node, int] = {}
    rows: list[Hashable] = []
    for number, node in enumerate(module.graph.nodes):
        numbers[node] = number
        args = () if node.op == "placeholder" else (_value(node.args, numbers), _value(node.kwargs, numbers))
        rows.append((node.op, _target(module, node), args))
    return tuple(rows)


def _target(module: fx.GraphModule, node: fx.Node) -> Hashable:
    if node.op in ("placeholder", "output"):
        return None
    if node.op not in ("get_attr", "call_module"):
        return node.target
    found: Any = module
    for name in str(node.target).split("."):
        found = getattr(found, name)
    return _graph(found) if isinstance(found, fx.GraphModule) else ("object", id(found))


def _value(value: Any, numbers: dict[fx.Node, int]) -> Hashable:
    if isinstance(value, fx.Node):
        return "node", numbers[value]
    if isinstance(value, tuple | list):
        return type(value).__name__, tuple(_value(one, numbers) for one in value)
    if isinstance(value, dict):
        return "dict", tuple((name, _value(one, numbers)) for name, one in value.items())
    if isinstance(value, slice):
        return "slice", tuple(_value(one, numbers) for one in (value.start, value.stop, value.step))
    if isinstance(value, float):
        return "float", repr(value)
    try:
        hash(value)
    except TypeError:
        return "object", id(value)
    return type(value), value


def _inputs(values: Sequence[Any]) -> Hashable:
    memory: dict[int, int] = {}
    return tuple(_input(value, memory) for value in values)


def _input(value: Any, memory: dict[int, int]) -> Hashable:
    if not isinstance(value, torch.Tensor):
        return type(value).__name__, str(value)
    if value.layout is not torch.strided:
        return "object", id(value)
    place = memory.setdefault(memory_of(value), len(memory))
    return (
        type(value),
        isinstance(value, torch.nn.Parameter),
        value.dtype,
        value.device,
        tuple(map(str, value.shape)),
        tuple(map(str, value.stride())),
        str(value.storage_offset()),
        value.requires_grad,
        value.is_conj(),
        value.is_neg(),
        place,
    )
