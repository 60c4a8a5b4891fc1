"""Which tensors share memory: a graph reads copies of its arguments, and a write into one of those reaches no other; and copies that share it."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import torch


def overlap(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether some element lies in the memory of both; True also where strides of several kinds do not tell."""
    begin, end = _span(one)
    there, beyond = _span(other)
    if begin >= beyond or there >= end:
        return False
    ours, theirs = _steps(one), _steps(other)
    return not any(_apart(ours, theirs, there - begin, step) for step, _ in (*ours, *theirs))


class Memory:
    """Where tensors lie, to be asked for one that shares some of it."""

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        self._tensors = sorted((one for one in tensors if one.numel()), key=torch.Tensor.data_ptr)
        self._begins = [one.data_ptr() for one in self._tensors]
        self._ends = list(itertools.accumulate((_span(one)[1] for one in self._tensors), max))

    def meets(self, tensor: torch.Tensor) -> bool:
        """Whether one of them has an element in the tensor's memory."""
        begin, end = _span(tensor)
        index = bisect.bisect_left(self._begins, end)
        if begin == end or not index or self._ends[index - 1] <= begin:
            return False
        return any(overlap(tensor, one) for one in self._tensors[:index])


def groups(tensors: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    """The indices of those that share memory with others among them, group by group."""
    found: list[list[int]] = []
    for index, one in enumerate(tensors):
        if not isinstance(one, torch.Tensor) or one.layout is not torch.strided:
            continue
        near = [group for group in found if any(overlap(one, tensors[other]) for other in group)]
        found = [group for group in found if group not in near]
        found.append([*itertools.chain(*near), index])
    return tuple(tuple(group) for group in found if len(group) > 1)


def copied_together(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Copies that share memory as the tensors of one group do; what is one object is one copy."""
    first = tensors[0]
    if all(one is first for one in tensors):
        return [first.clone()] * len(tensors)
    kinds = {(one.dtype, one.untyped_storage().data_ptr(), one.is_conj(), one.is_neg()) for one in tensors}
    if len(kinds) > 1 or first.is_conj() or first.is_neg():
        return [one.clone() for one in tensors]
    begin = min(one.storage_offset() for one in tensors)
    end = max(_last(one) for one in tensors) + 1
    memory = first.as_strided((end - begin,), (1,), begin).clone()
    made = {
        id(one): memory.as_strided(one.shape, one.stride(), one.storage_offset() - begin) for one in tensors
    }
    return [made[id(one)] for one in tensors]


def _last(tensor: torch.Tensor) -> int:
    """Where its last element lies in its storage; before the first of one that has none."""
    if not tensor.numel():
        return int(tensor.storage_offset()) - 1
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    return int(tensor.storage_offset()) + sum((size - 1) * step for size, step in steps)


def _span(tensor: torch.Tensor) -> tuple[int, int]:
    """The addresses of its first byte and after its last."""
    begin = tensor.data_ptr()
    if not tensor.numel():
        return begin, begin
    last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return begin, begin + (last + 1) * tensor.element_size()


def _steps(tensor: torch.Tensor) -> list[tuple[int, int]]:
    """How many bytes its elements lie apart in each dimension, and how often; an element's own bytes are the last."""
    width = tensor.element_size()
    strides = zip(tensor.stride(), tensor.shape, strict=True)
    return [*((step * width, size) for step, size in strides if step and size > 1), (1, width)]


def _apart(ours: list[tuple[int, int]], theirs: list[tuple[int, int]], offset: int, row: int) -> bool:
    """Whether both consist of rows so many bytes apart, with nothing of one in the part of a row that the other takes."""
    if any(step > row and step % row for step, _ in (*ours, *theirs)):
        return False
    mine, other = (1 + sum((size - 1) * step for step, size in one if step < row) for one in (ours, theirs))
    return mine <= offset % row and offset % row + other <= row
