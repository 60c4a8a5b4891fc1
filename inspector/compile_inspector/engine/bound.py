"""The arguments that a captured call is bound to: how they lie in the call, and whether another call's are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as pytree

from compile_inspector.engine.sharing import overlap
from compile_inspector.engine.static_graph import StaleAddress
from compile_inspector.torch_seams.tensor_match import matcher

Place = tuple[int, int, torch.Size, tuple[int, ...], torch.dtype]
"""A leaf that is read where it lies: its index, address, shape, strides and dtype."""
_ADDRESS_OF = torch.Tensor.data_ptr
_RENEWALS = 8
"""How often torch's check is made anew for one list of tensors: making it costs more than comparing them once."""
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


def place_of(index: int, tensor: torch.Tensor) -> Place:
    """Where and how a leaf lies."""
    return index, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype


def same_value(one: Any, other: Any) -> bool:
    """Whether two arguments that are no tensors are the same: 2 and 2.0 are not, as code may tell them apart."""
    return one is other or (type(one) is type(other) and one == other)


def same_rows(buffer: torch.Tensor, leaf: torch.Tensor) -> bool:
    """Whether what shares its memory in a buffer, which is copied once, does so in what is copied into it."""
    strides = zip(buffer.stride(), leaf.stride(), buffer.shape, strict=True)
    return all(theirs == 0 for ours, theirs, size in strides if ours == 0 and size > 1)


def shared(copied: Sequence[tuple[int, torch.Tensor, bool]], leaves: Sequence[Any]) -> tuple[int, int] | None:
    """Two copied leaves of which one would see what is in the other, or written into it, and their buffers do not, or the other way round."""
    first: dict[int, int] = {}
    for index, buffer, _ in copied:
        other = first.setdefault(id(buffer), index)
        if leaves[other] is not leaves[index]:
            return other, index
    for index, buffer, written in copied:
        for other, theirs, _ in copied if written else ():
            if theirs is not buffer and overlap(leaves[other], leaves[index]):
                return index, other
    return None


def sameness(
    tensors: Sequence[Place],
    values: Sequence[tuple[int, Any]],
    copied: Sequence[tuple[int, torch.Tensor, bool]],
) -> Callable[[Sequence[Any]], bool]:
    """Answers at once whether a call's leaves are what the capture is bound to; it denies what it cannot tell.

    Args:
        tensors: Those that are read where they lie.
        values: By leaf: what is no tensor.
        copied: By leaf: the buffer that it is copied into, and whether back too.
    """
    kinds = tuple((index, buffer.shape, buffer.dtype) for index, buffer, _ in copied)
    sharing = [(index, buffer) for index, buffer, _ in copied if 0 in buffer.stride()]
    apart = len({id(buffer) for _, buffer, _ in copied}) == len(copied) and not any(
        copied_back for _, _, copied_back in copied
    )
    indices, lie = [place[0] for place in tensors], Lying(tensors)

    def same(leaves: Sequence[Any]) -> bool:
        for index, value in values:
            leaf = leaves[index]
            if leaf is not value and (type(leaf) is not type(value) or leaf != value):
                return False
        for index, shape, dtype in kinds:
            leaf = leaves[index]
            if not isinstance(leaf, torch.Tensor) or leaf.shape != shape or leaf.dtype is not dtype:
                return False
        return (
            lie([leaves[index] for index in indices])
            and (not sharing or all(same_rows(buffer, leaves[index]) for index, buffer in sharing))
            and (apart or shared(copied, leaves) is None)
        )

    return same


class Lying:
    """Answers whether tensors lie where and as others did: address, shape, strides and dtype of each.

    torch's check in C++ is asked first. It denies calls in another mode of the thread, too: what it denies is compared in Python, and
    from then on it is asked for tensors and a mode as those were.

    Args:
        places: Of the others.
    """

    def __init__(self, places: Sequence[Place]) -> None:
        self._addresses = [place[1] for place in places]
        self._shapes, self._strides = [place[2] for place in places], [place[3] for place in places]
        self._dtypes = [place[4] for place in places]
        self._alike: Callable[..., bool] = lambda *_: False
        self._renewals = _RENEWALS

    def __call__(self, read: Sequence[Any]) -> bool:
        """Whether these do; no for what is no tensor."""
        try:
            if list(map(_ADDRESS_OF, read)) != self._addresses:
                return False
            return self._alike(*read) or self._compared(read)
        except (TypeError, RuntimeError):
            return False

    def _compared(self, read: Sequence[torch.Tensor]) -> bool:
        same = (
            [one.shape for one in read] == self._shapes
            and [one.stride() for one in read] == self._strides
            and [one.dtype for one in read] == self._dtypes
        )
        if same and self._renewals:
            self._renewals -= 1
            self._alike = matcher(read)
        return same


def _flattened(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Any]:
    return pytree.tree_flatten((args, {name: kwargs[name] for name in sorted(kwargs)}))
