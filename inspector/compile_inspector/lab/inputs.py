"""A call's arguments: the tensors in them by name, and the same arguments with other sizes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from compile_inspector.errors import LabError


class Call(msgspec.Struct, frozen=True):
    """The arguments of one call.

    Attributes:
        args: By position.
        kwargs: By name.
        tensors: Each tensor by its Dynamo source (``L['x']``, ``L['batch']['ids']``).
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    tensors: dict[str, Any]


def call_of(function: Callable[..., Any], example: Any) -> Call:
    """A call from example inputs: one tensor, a tuple or list of arguments, or a dict of named ones.

    Raises:
        LabError: The function does not take them.
    """
    args, kwargs = _arguments(example)
    try:
        bound = _signature(function).bind(*args, **kwargs)
    except TypeError as error:
        msg = f"the example inputs do not fit {function_name(function)}: {error}"
        raise LabError(msg) from error
    except ValueError:
        return Call(args, kwargs, dict(_tensors(args, "L['args']")))
    named = {
        source: tensor
        for name, value in bound.arguments.items()
        for source, tensor in _tensors(value, f"L[{name!r}]")
    }
    return Call(args, kwargs, named)


def resized(call: Call, sizes: Mapping[str, Mapping[int, int]]) -> Call:
    """The same call with fresh tensors: those named in ``sizes`` with other sizes, by dimension; the rest copied."""
    made: dict[int, Any] = {}
    tensors: dict[str, Any] = {}
    for source, tensor in call.tensors.items():
        if id(tensor) not in made or source in sizes:
            made[id(tensor)] = _resized(tensor, sizes.get(source, {}))
        tensors[source] = made[id(tensor)]
    return Call(_rebuilt(call.args, made), _rebuilt(call.kwargs, made), tensors)


def source_named(call: Call, name: str) -> str:
    """The source of an input named as a user would: ``x``, ``batch['ids']``, ``L['x']``.

    Raises:
        LabError: There is no such tensor.
    """
    head, bracket, rest = name.partition("[")
    for source in (name, f"L[{head!r}]{bracket}{rest}"):
        if source in call.tensors:
            return source
    there = ", ".join(short(source) for source in call.tensors) or "none at all"
    msg = f"no input tensor is named {name!r}; there are: {there}"
    raise LabError(msg)


def short(source: str) -> str:
    """``x`` for ``L['x']``."""
    head, _, rest = source.removeprefix("L['").partition("']")
    return head + rest if source.startswith("L['") else source


def function_name(function: Callable[..., Any]) -> str:
    """A name to show."""
    return getattr(function, "__name__", type(function).__name__)


def _arguments(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(example, Mapping):
        return (), dict(example)
    return (tuple(example), {}) if isinstance(example, tuple | list) else ((example,), {})


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    import torch

    return inspect.signature(function.forward if isinstance(function, torch.nn.Module) else function)


def _tensors(value: Any, source: str) -> Iterator[tuple[str, Any]]:
    import torch

    if isinstance(value, torch.Tensor):
        yield source, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(item, f"{source}[{key!r}]")
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _tensors(item, f"{source}[{index}]")


def _rebuilt(value: Any, made: Mapping[int, Any]) -> Any:
    if id(value) in made:
        return made[id(value)]
    if type(value) is dict:
        return {key: _rebuilt(item, made) for key, item in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_rebuilt(item, made) for item in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_rebuilt(item, made) for item in value))
    return value


def _resized(tensor: Any, sizes: Mapping[int, int]) -> Any:
    """A copy whose values along a changed dimension are those of the example, repeated or cut; its order of strides stays."""
    import torch

    with torch.no_grad():
        order = (
            sorted(range(tensor.dim()), key=lambda dim: -tensor.stride(dim))
            if tensor.layout is torch.strided
            else []
        )
        dense = tensor.detach().permute(order) if order else tensor.detach()
        for place, dim in enumerate(order):
            if dim in sizes and sizes[dim] != tensor.size(dim):
                if tensor.size(dim) == 0:
                    shape = [sizes[dim] if at == place else size for at, size in enumerate(dense.shape)]
                    dense = dense.new_zeros(shape)
                else:
                    index = torch.arange(sizes[dim], device=tensor.device) % tensor.size(dim)
                    dense = dense.index_select(place, index)
        fresh = dense.contiguous().clone() if order else dense.clone()
        if order:
            fresh = fresh.permute([order.index(dim) for dim in range(tensor.dim())])
    return fresh.requires_grad_(tensor.requires_grad)
