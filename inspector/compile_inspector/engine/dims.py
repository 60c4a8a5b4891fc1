"""Which dimensions of which arguments are dynamic: read off annotations, checked, and marked on a call's tensors.

A key is a parameter's name, or a path into it: ``position_embeddings[0]``, ``states['k']``, ``batch.ids``. A value is a dimension, a
list of them, or a mapping of dimension to shape_id.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import msgspec
import torch

from compile_inspector.engine.config import DynamicShapesType
from compile_inspector.engine.tensors import IntermediateTensors
from compile_inspector.errors import InvalidDims
from compile_inspector.torch_seams import dynamic_marks

Dims = Mapping[str, "int | list[int] | tuple[int, ...] | Mapping[int, str | None]"]

_TENSOR_NAME = re.compile(r"(?:\w+\.)*(?:\w*Tensor|IntermediateTensors|Parameter)")
_KEY = re.compile(r"([^\W\d]\w*)(.*)", re.DOTALL)


class Marked(msgspec.Struct, frozen=True):
    """One dimension that was marked for a compile.

    Attributes:
        source: The tensor as Dynamo names it, ``L['x']``.
        dim: Counted from the front.
        size: At the call that was compiled.
        kind: backed, unbacked or backed_size_oblivious.
        shape_id: The group of dimensions that share one symbol; None for its own.
    """

    source: str
    dim: int
    size: int
    kind: str
    shape_id: str | None = None


class Unmarked(msgspec.Struct, frozen=True):
    """A dimension as large as a marked one, that was not marked itself.

    Attributes:
        source: The tensor.
        dim: Its dimension.
        size: The size.
        like: The marked dimension, ``L['x'].size()[0]``.
    """

    source: str
    dim: int
    size: int
    like: str

    def __str__(self) -> str:
        return f"{self.source} has size {self.size} in dimension {self.dim}, as {self.like} has"


def infer(forward: Callable[..., Any]) -> dict[str, int]:
    """Dimension 0 of each parameter that is annotated as a tensor, an `IntermediateTensors`, or an optional one."""
    names = list(inspect.signature(forward).parameters.values())[1:]
    return {one.name: 0 for one in names if _is_tensor(_resolved(one.annotation, forward))}


def check(dims: Any, forward: Callable[..., Any], cls: object, what: str) -> None:
    """Raises unless these dims can fit the forward of a class.

    Raises:
        InvalidDims: A key names no parameter, or a value names no dimension.
    """
    if not isinstance(dims, Mapping):
        msg = f"{what} must map argument names to dimensions, got {dims!r}"
        raise InvalidDims(msg)
    known = list(inspect.signature(forward).parameters)[1:]
    for key, value in dims.items():
        match = _KEY.fullmatch(key) if isinstance(key, str) else None
        if match is None or match[1] not in known:
            msg = f"Argument {key} not found in the forward method of {cls}"
            error = InvalidDims(msg)
            error.add_note(f"It takes {', '.join(known) or 'no argument'}.")
            raise error
        _steps(key, match[2])
        pairs(value, key)


def pairs(value: Any, key: str) -> list[tuple[int, str | None]]:
    """A value as dimensions with their shape_ids.

    Raises:
        InvalidDims: It is none of the three forms, or names no dimension.
    """
    found: list[tuple[Any, Any]]
    if isinstance(value, Mapping):
        found = list(cast("Mapping[Any, Any]", value).items())
    elif isinstance(value, list | tuple):
        found = [(dim, None) for dim in cast("list[Any]", value)]
    else:
        found = [(value, None)]
    whole = all(isinstance(dim, int) and not isinstance(dim, bool) for dim, _ in found)
    named = all(shape_id is None or isinstance(shape_id, str) for _, shape_id in found)
    if not found or not whole or not named:
        msg = (
            f"the dynamic dimensions of {key!r} are {value!r}; they must be a dimension (0, or -1 from the end), a list of dimensions, "
            "or a mapping of dimension to shape_id, and at least one"
        )
        raise InvalidDims(msg)
    return found


def mark(
    arguments: Mapping[str, Any], dims: Dims, unbacked: Dims, kind: DynamicShapesType
) -> tuple[list[Marked], Callable[[], None]]:
    """Marks the tensors of one call.

    Args:
        arguments: By parameter, defaults filled in.
        dims: What to mark as ``kind`` says.
        unbacked: What to mark as unbacked, whatever ``kind`` says; it wins where both name a dimension.
        kind: How.

    Returns:
        What was marked, and what puts the tensors' own marks back.

    Raises:
        InvalidDims: A dimension is not there, or an argument holds no tensors.
        RuntimeError: A shape_id is given and this torch knows none.
    """
    wanted: dict[tuple[int, int], tuple[Any, Marked]] = {}
    for given, how in ((dims, kind), (unbacked, DynamicShapesType.UNBACKED)):
        for key, value in given.items():
            for source, tensor in _named(arguments, key, value):
                for dim, shape_id in _within(tensor, pairs(value, key), source):
                    one = Marked(source, dim, tensor.size(dim), how.value, shape_id)
                    wanted[id(tensor), dim] = (tensor, one)
    tensors = {id(tensor): tensor for tensor, _ in wanted.values()}
    restore = dynamic_marks.remember(list(tensors.values()))
    try:
        for tensor, one in wanted.values():
            if one.kind == DynamicShapesType.UNBACKED:
                dynamic_marks.mark_unbacked(tensor, one.dim, shape_id=one.shape_id)
            else:
                dynamic_marks.mark_dynamic(tensor, one.dim)
    except BaseException:
        restore()
        raise
    return [one for _, one in wanted.values()], restore


def unmarked(arguments: Mapping[str, Any], marked: list[Marked]) -> tuple[Unmarked, ...]:
    """Inputs that share the size of a marked dimension and were not marked in any; sizes 0 and 1 say nothing."""
    sizes = {one.size: f"{one.source}.size()[{one.dim}]" for one in reversed(marked) if one.size > 1}
    known = {one.source for one in marked}
    return tuple(
        Unmarked(source, dim, size, sizes[size])
        for name, value in arguments.items()
        for source, tensor in tensors_in(value, f"L[{name!r}]")
        if source not in known
        for dim, size in enumerate(tensor.shape)
        if size in sizes
    )


def tensors_in(value: Any, source: str, depth: int = 8) -> Iterator[tuple[str, Any]]:
    """The tensors in a value, each with how Dynamo names it: of lists, tuples, mappings, dataclasses and `IntermediateTensors`."""
    if isinstance(value, torch.Tensor):
        yield source, value
    elif depth:
        for step, one in _children(value):
            yield from tensors_in(one, source + step, depth - 1)


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, IntermediateTensors):
        yield from ((f".tensors[{name!r}]", one) for name, one in value.tensors.items())
    elif isinstance(value, list | tuple):
        yield from ((f"[{index}]", one) for index, one in enumerate(value))
    elif isinstance(value, Mapping):
        yield from ((f"[{name!r}]", one) for name, one in value.items())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for one in dataclasses.fields(value):
            yield f".{one.name}", getattr(value, one.name, None)


def _named(arguments: Mapping[str, Any], key: str, value: Any) -> Iterator[tuple[str, Any]]:
    match = _KEY.fullmatch(key)
    assert match is not None, key
    found, source = arguments.get(match[1]), f"L[{match[1]!r}]"
    for step in _steps(key, match[2]):
        if found is None:
            return
        found, source = _step(found, step, key, source)
    if found is None:
        return
    if not isinstance(found, torch.Tensor | list | tuple | Mapping | IntermediateTensors) and not (
        dataclasses.is_dataclass(found) and not isinstance(found, type)
    ):
        msg = f"Unsupported dynamic dimensions {value} for argument {key} with type {type(found)}."
        raise InvalidDims(msg)
    inside = list(tensors_in(found, source))
    if not inside and found:
        msg = f"Unsupported dynamic dimensions {value} for argument {key} with type {type(found)}."
        error = InvalidDims(msg)
        error.add_note("It holds no tensor.")
        raise error
    yield from inside


def _steps(key: str, path: str) -> list[Any]:
    """A path as indices and attribute names (the latter as one-tuples)."""
    try:
        tree: Any = ast.parse("x" + path, mode="eval").body
        steps: list[Any] = []
        while not isinstance(tree, ast.Name):
            if isinstance(tree, ast.Attribute):
                steps.append((tree.attr,))
            elif isinstance(tree, ast.Subscript):
                steps.append(ast.literal_eval(tree.slice))
            else:
                raise ValueError(path)
            tree = tree.value
    except (SyntaxError, ValueError) as error:
        msg = f"the key {key!r} names no part of an argument; write x, x[0], x['name'] or x.name"
        raise InvalidDims(msg) from error
    return steps[::-1]


def _step(found: Any, step: Any, key: str, source: str) -> tuple[Any, str]:
    try:
        if isinstance(step, tuple):
            return getattr(found, step[0]), f"{source}.{step[0]}"
        if isinstance(found, IntermediateTensors):
            return found.tensors[step], f"{source}.tensors[{step!r}]"
        return found[step], f"{source}[{step!r}]"
    except (AttributeError, LookupError, TypeError) as error:
        msg = (
            f"{key!r} is not there: {source} is a {type(found).__name__}, and {type(error).__name__}: {error}"
        )
        raise InvalidDims(msg) from error


def _within(
    tensor: Any, wanted: list[tuple[int, str | None]], source: str
) -> Iterator[tuple[int, str | None]]:
    for dim, shape_id in wanted:
        if not -tensor.ndim <= dim < tensor.ndim:
            shape = "x".join(map(str, tensor.shape)) or "no dimensions"
            msg = f"dimension {dim} of {source} cannot be dynamic: this tensor has {tensor.ndim} dimensions ({shape})"
            raise InvalidDims(msg)
        yield dim % tensor.ndim, shape_id


def _resolved(annotation: Any, forward: Callable[..., Any]) -> Any:
    """An annotation as an object; its text where a name in it cannot be found."""
    if not isinstance(annotation, str):
        return annotation
    function: Any = inspect.unwrap(forward)
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))
    local = {name: cell.cell_contents for name, cell in cells.items() if _filled(cell)}
    try:
        return eval(annotation, function.__globals__, local)
    except Exception:  # noqa: BLE001  an annotation is any code at all
        return annotation


def _filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _is_tensor(annotation: Any) -> bool:
    """Whether an annotation means a tensor, tensors by name, or an optional one."""
    if isinstance(annotation, str):
        return _names_tensor(annotation)
    if isinstance(annotation, typing.ForwardRef):
        return _names_tensor(annotation.__forward_arg__)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _is_tensor(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        parts = [one for one in typing.get_args(annotation) if one is not type(None)]
        return bool(parts) and all(_is_tensor(one) for one in parts)
    array = getattr(annotation, "array_type", None)
    if array is not None and hasattr(annotation, "dims"):
        return _is_tensor(array)
    if not isinstance(annotation, type) or origin is not None:
        return False
    return (
        issubclass(annotation, torch.Tensor | IntermediateTensors)
        or type(annotation).__name__ == "tensortype"
    )


def _names_tensor(text: str) -> bool:
    text = text.strip()
    optional = re.fullmatch(r"(?:typing\.)?Optional\[(.*)\]", text, re.DOTALL)
    annotated = re.fullmatch(
        r"(?:\w+\.)*(?:Annotated|Float|Float32|Float16|Int|Int64|Num|Shaped)\[([^,]*),.*\]", text, re.DOTALL
    )
    inner = optional or annotated
    if inner is not None:
        return _names_tensor(inner[1])
    parts = [part.strip() for part in text.split("|")]
    rest = [part for part in parts if part != "None"]
    return bool(rest) and all(_TENSOR_NAME.fullmatch(part) is not None for part in rest)
