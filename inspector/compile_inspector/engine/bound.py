"""The arguments that a captured call is bound to: how they lie in the call, and whether another call's are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as pytree

from compile_inspector.engine.static_graph import StaleAddress

_PLAIN = (torch.Tensor, int, float, bool, str, type(None))


@dataclass(frozen=True)
class Layout:
    """How the leaves of a call lie in its arguments.

    Attributes:
        style: "flat", one "list" of them (as Inductor calls its partitions), or "nested".
        size: How many there are.
        spec: Pytree's, of what is nested; None otherwise: pytree costs microseconds for each argument.
        names: The keywords.
    """

    style: str
    size: int
    spec: Any = None
    names: tuple[str, ...] = ()

    def leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[Any]:
        """Those of another call, in the order of the first.

        Raises:
            StaleAddress: It is put together in another way.
        """
        if not kwargs:
            if self.style == "flat" and len(args) == self.size:
                return args
            if (
                self.style == "list"
                and len(args) == 1
                and isinstance(args[0], list)
                and len(args[0]) == self.size
            ):
                return args[0]
        leaves, spec = _flattened(args, kwargs)
        expected = self.spec or _flattened(*self.call([None] * self.size))[1]
        if spec != expected:
            msg = f"the arguments have another structure than at the capture: {spec} instead of {expected}"
            raise StaleAddress(msg)
        return leaves

    def call(self, leaves: Iterable[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Leaves put together again."""
        if self.style == "flat":
            return tuple(leaves), {}
        if self.style == "list":
            return ([*leaves],), {}
        return pytree.tree_unflatten(list(leaves), self.spec)

    def name(self, index: int) -> str:
        """The leaf's position, or its keyword where each keyword holds one leaf."""
        first_keyword = self.size - len(self.names)
        return repr(self.names[index - first_keyword]) if index >= first_keyword else str(index)


def laid_out(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Layout, Sequence[Any]]:
    """How a call's arguments lie, and its leaves."""
    if not kwargs and all(isinstance(one, _PLAIN) for one in args):
        return Layout("flat", len(args)), args
    if (
        not kwargs
        and len(args) == 1
        and type(args[0]) is list
        and all(isinstance(one, _PLAIN) for one in args[0])
    ):
        return Layout("list", len(args[0])), list(args[0])
    leaves, spec = _flattened(args, kwargs)
    return Layout("nested", len(leaves), spec, tuple(sorted(kwargs))), leaves


def sameness(
    tensors: Sequence[tuple[int, int, torch.Size]],
    values: Sequence[tuple[int, Any]],
    copied: Sequence[tuple[int, torch.Tensor, bool]],
) -> Callable[[Sequence[Any]], bool]:
    """Answers at once whether a call's leaves are what the capture is bound to; it denies what it cannot tell.

    Args:
        tensors: By leaf: the address and the shape of a tensor that is read where it lies.
        values: By leaf: what is no tensor.
        copied: By leaf: the buffer that it is copied into, and whether back too.
    """
    kinds = tuple((index, buffer.shape, buffer.dtype) for index, buffer, _ in copied)
    indices, shapes = [index for index, _, _ in tensors], [shape for _, _, shape in tensors]
    addresses, address_of = [address for _, address, _ in tensors], torch.Tensor.data_ptr

    def same(leaves: Sequence[Any]) -> bool:
        for index, value in values:
            if leaves[index] is not value and leaves[index] != value:
                return False
        for index, shape, dtype in kinds:
            leaf = leaves[index]
            if not isinstance(leaf, torch.Tensor) or leaf.shape != shape or leaf.dtype is not dtype:
                return False
        read = [leaves[index] for index in indices]
        try:
            return list(map(address_of, read)) == addresses and [one.shape for one in read] == shapes
        except (TypeError, RuntimeError):
            return False

    return same


def _flattened(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Any]:
    return pytree.tree_flatten((args, {name: kwargs[name] for name in sorted(kwargs)}))
