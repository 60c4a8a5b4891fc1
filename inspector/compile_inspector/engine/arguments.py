"""The arguments of one call as a flat list: what each tensor is like, which of its dimensions are the batch, and how to make such a call for another size."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from compile_inspector.engine.dims import Marked
from compile_inspector.engine.tensors import IntermediateTensors

PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, enum.Enum)
"""Arguments that are no tensors and can be kept: a call with another value of one runs without a graph."""


@dataclass(frozen=True)
class TensorShape:
    """What a graph needs to know of one tensor.

    Attributes:
        name: As the caller spells it: ``x``, ``states['k']``.
        shape, stride, dtype, device: As at the call.
        batch: The dimensions that are the batch.
    """

    name: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    batch: tuple[int, ...] = ()

    def sized(self, size: int) -> tuple[int, ...]:
        """Its shape in a batch of that size."""
        return tuple(size if dim in self.batch else one for dim, one in enumerate(self.shape))

    def make(self, size: int) -> torch.Tensor:
        """A tensor of zeros for a batch of that size, its dimensions in the same order in memory."""
        shape = self.sized(size)
        order = sorted(range(len(shape)), key=lambda dim: (-self.stride[dim], dim))
        with torch.inference_mode(mode=False):
            made = torch.zeros([shape[dim] for dim in order], dtype=self.dtype, device=self.device)
        return made.permute([order.index(dim) for dim in range(len(shape))])


@dataclass(frozen=True)
class CallShape:
    """A call: its leaves in order, and how they are put together.

    Attributes:
        leaves: A `TensorShape` for each tensor, the value itself for each other argument.
        build: From leaves to ``(args, kwargs)``.
        read: From ``(args, kwargs)`` of another call to its leaves, what dicts hold by key; None where it is put together in another way.
        flat: Whether the leaves are the positional arguments themselves.
        size: The batch size of the call.
        at: The leaf and its dimension that give a call's batch size.
        problem: Why no such call can be made anew; None where it can.
    """

    leaves: tuple[Any, ...]
    build: Callable[[Sequence[Any]], tuple[tuple[Any, ...], dict[str, Any]]]
    read: Callable[[Sequence[Any], Mapping[str, Any]], list[Any] | None]
    flat: bool
    size: int
    at: tuple[int, int]
    problem: str | None = None

    @property
    def tensors(self) -> tuple[tuple[int, TensorShape], ...]:
        """The tensors, each with its index among the leaves."""
        return tuple((index, leaf) for index, leaf in enumerate(self.leaves) if isinstance(leaf, TensorShape))

    def make(self, size: int) -> list[Any]:
        """Leaves of a call with a batch of that size, every tensor zeros."""
        return [leaf.make(size) if isinstance(leaf, TensorShape) else leaf for leaf in self.leaves]


def call_shape(
    args: Sequence[Any], kwargs: Mapping[str, Any], names: Sequence[str], marked: Iterable[Marked]
) -> CallShape:
    """What a call is like.

    Args:
        args: As the compiled code gets them, without the instance.
        kwargs: Likewise.
        names: The positional parameters' names.
        marked: The dimensions that were marked for its compile; the batch is the first of them, and all that have its size.
    """
    paths: list[tuple[str, Any]] = []
    for name, value in zip((*names, *(f"args[{i}]" for i in range(len(args)))), args, strict=False):
        _name(value, name, paths)
    for name, value in kwargs.items():
        _name(value, name, paths)
    by_name = _batch_dims(marked)
    leaves: list[Any] = []
    problem: str | None = None
    for path, value in paths:
        if isinstance(value, torch.Tensor):
            described, why = _describe(path, value, by_name.get(path, ()))
            problem = problem or why
            leaves.append(described)
        else:
            if not isinstance(value, PLAIN):
                problem = (
                    problem or f"the argument {path} is a {type(value).__name__}, which no graph can hold"
                )
                value = None
            leaves.append(value)
    at = next(
        ((i, leaf.batch[0]) for i, leaf in enumerate(leaves) if isinstance(leaf, TensorShape) and leaf.batch),
        None,
    )
    if at is None:
        problem = problem or "no argument has a dynamic dimension that could be the batch"
    shape = None if at is None else leaves[at[0]].shape[at[1]]
    forms = [_form(one) for one in args], {name: _form(one) for name, one in kwargs.items()}
    flat = not kwargs and all(form is _LEAF for form in forms[0])
    read = _reader(tuple(args), dict(kwargs))
    return CallShape(tuple(leaves), _builder(*forms), read, flat, shape or 0, at or (0, 0), problem)


def _batch_dims(marked: Iterable[Marked]) -> dict[str, tuple[int, ...]]:
    """By tensor, the dimensions that are the batch: of one size with the first that was marked, or of its shape_id."""
    ordered = list(marked)
    if not ordered:
        return {}
    first = ordered[0]
    found: dict[str, list[int]] = {}
    for one in ordered:
        same = one.shape_id == first.shape_id if first.shape_id and one.shape_id else one.size == first.size
        if same:
            found.setdefault(_spelled(one.source), []).append(one.dim)
    return {
        name: (first.dim,) if len(dims) > 1 and first.dim in dims else tuple(dims[:1])
        for name, dims in found.items()
    }


def _spelled(source: str) -> str:
    """``L['x'][0]`` as ``x[0]``."""
    name, _, rest = source.removeprefix("L[").partition("]")
    return name.strip("'\"") + rest


def _describe(path: str, value: torch.Tensor, batch: tuple[int, ...]) -> tuple[TensorShape, str | None]:
    problem = None
    if type(value) not in (torch.Tensor, torch.nn.Parameter) or value.layout is not torch.strided:
        problem = (
            f"the argument {path} is a {type(value).__name__} of layout {value.layout}, which is not copied"
        )
    strides = tuple(value.stride()) if problem is None else (0,) * value.ndim
    shape = TensorShape(path, tuple(value.shape), strides, value.dtype, value.device, batch)
    return shape, problem


class _Leaf:
    """Stands for one leaf in the form of an argument."""


_LEAF = _Leaf()


class _Unlike(Exception):  # noqa: N818
    """A call that is put together in another way."""


_Place = Callable[[Any, list[Any]], None]


def _reader(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[Sequence[Any], Mapping[str, Any]], list[Any] | None]:
    positional, named = _places(args), _places(kwargs)
    assert positional is not None
    assert named is not None

    def read(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any] | None:
        found: list[Any] = []
        try:
            positional(args, found)
            named(kwargs, found)
        except _Unlike:
            return None
        return found

    return read


def _places(value: Any) -> _Place | None:
    """Appends the leaves of a value that is put together like this one; None where this is a leaf itself."""
    kind = type(value)
    if kind is list or kind is tuple:
        return _in_order(kind, [_places(one) for one in value])
    if kind is dict:
        return _by_key({key: _places(one) for key, one in value.items()})
    if isinstance(value, IntermediateTensors):
        return _by_attribute(kind, {"tensors": _places(value.tensors)})
    if _is_record(value):
        names = [one.name for one in dataclasses.fields(value)]
        return _by_attribute(kind, {name: _places(getattr(value, name)) for name in names})
    return None


def _in_order(kind: type, inner: list[_Place | None]) -> _Place:
    size = len(inner)

    def read(value: Any, found: list[Any]) -> None:
        if type(value) is not kind or len(value) != size:
            raise _Unlike
        for one, place in zip(value, inner, strict=True):
            found.append(one) if place is None else place(one, found)

    return read


def _by_key(inner: dict[Any, _Place | None]) -> _Place:
    size, items = len(inner), tuple(inner.items())

    def read(value: Any, found: list[Any]) -> None:
        if type(value) is not dict or len(value) != size:
            raise _Unlike
        for key, place in items:
            if key not in value:
                raise _Unlike
            found.append(value[key]) if place is None else place(value[key], found)

    return read


def _by_attribute(kind: type, inner: dict[str, _Place | None]) -> _Place:
    items = tuple(inner.items())

    def read(value: Any, found: list[Any]) -> None:
        if type(value) is not kind:
            raise _Unlike
        for name, place in items:
            one = getattr(value, name)
            found.append(one) if place is None else place(one, found)

    return read


def _name(value: Any, path: str, found: list[tuple[str, Any]]) -> None:
    kind = type(value)
    if kind is list or kind is tuple:
        for index, one in enumerate(value):
            _name(one, f"{path}[{index}]", found)
    elif kind is dict:
        for key, one in value.items():
            _name(one, f"{path}[{key!r}]", found)
    elif isinstance(value, IntermediateTensors):
        for key, one in value.tensors.items():
            _name(one, f"{path}.tensors[{key!r}]", found)
    elif _is_record(value):
        for one in dataclasses.fields(value):
            _name(getattr(value, one.name), f"{path}.{one.name}", found)
    else:
        found.append((path, value))


def _is_record(value: Any) -> bool:
    """Whether it is a dataclass that holds tensors and can be built again from its fields."""
    return (
        dataclasses.is_dataclass(value)
        and not isinstance(value, type)
        and not isinstance(value, torch.Tensor)
        and all(one.init for one in dataclasses.fields(value))
    )


def _form(value: Any) -> Any:
    """How an argument is put together: a leaf, or a function that takes the next leaves."""
    kind = type(value)
    if kind is list or kind is tuple:
        inner = [_form(one) for one in value]
        return lambda rest: kind([_take(one, rest) for one in inner])
    if kind is dict:
        items = {key: _form(one) for key, one in value.items()}
        return lambda rest: {key: _take(one, rest) for key, one in items.items()}
    if isinstance(value, IntermediateTensors):
        tensors, made = _form(value.tensors), type(value)
        return lambda rest: made(_take(tensors, rest))
    if _is_record(value):
        fields = {one.name: _form(getattr(value, one.name)) for one in dataclasses.fields(value)}
        return lambda rest: kind(**{name: _take(one, rest) for name, one in fields.items()})
    return _LEAF


def _take(form: Any, rest: Any) -> Any:
    return next(rest) if form is _LEAF else form(rest)


def _builder(
    args: list[Any], kwargs: dict[str, Any]
) -> Callable[[Sequence[Any]], tuple[tuple[Any, ...], dict[str, Any]]]:
    def build(leaves: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        rest = iter(leaves)
        return tuple(_take(one, rest) for one in args), {
            name: _take(one, rest) for name, one in kwargs.items()
        }

    return build
