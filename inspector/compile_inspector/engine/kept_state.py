"""What a module holds before its forward is tried, so that trying leaves no trace in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

LARGEST_BYTES = 256 * 1024 * 1024
"""Buffers that take more than this together are not copied; whether they were written into is told all the same."""


class KeptState:
    """Copies of a module's buffers.

    Args:
        module: The module.
        tensors: Further tensors that its forward reads; parameters among them are not copied.
    """

    def __init__(self, module: torch.nn.Module, tensors: Iterable[torch.Tensor] = ()) -> None:
        named = {id(one): (name, one) for name, one in module.named_buffers()}
        parameters = {id(one): name for name, one in module.named_parameters()}
        for one in tensors:
            named.setdefault(id(one), (parameters.get(id(one), "a tensor attribute"), one))
        self._held = [
            (name, one, one._version)
            for name, one in named.values()
            if not one.is_inference() and one.layout is torch.strided
        ]
        copied = [(name, one) for name, one, _ in self._held if not isinstance(one, torch.nn.Parameter)]
        size = sum(one.numel() * one.element_size() for _, one in copied)
        self._copies: dict[str, tuple[Any, torch.Tensor]] = {}
        if size <= LARGEST_BYTES:
            with torch.no_grad():
                self._copies = {name: (one, one.detach().clone()) for name, one in copied}

    def changed(self) -> dict[str, torch.Tensor]:
        """By name, those that were written into since."""
        return {
            name: one
            for name, one, version in self._held
            if one._version != version or (name in self._copies and not same_values(*self._copies[name]))
        }

    def restore(self) -> list[str]:
        """Puts back what was written into; a sentence for each that could not be."""
        told: list[str] = []
        for name in self.changed():
            if name not in self._copies:
                told.append(f"{name} was written into by the warm-ups, and is too large to be put back")
                continue
            tensor, copy = self._copies[name]
            with torch.no_grad():
                tensor.copy_(copy)
        return told


def same_values(tensor: torch.Tensor, copy: torch.Tensor) -> bool:
    """Whether a tensor holds what it was copied from; a NaN is the same as a NaN."""
    if tensor.shape != copy.shape:
        return False
    if torch.equal(tensor, copy):
        return True
    return tensor.is_floating_point() and torch.allclose(tensor, copy, rtol=0, atol=0, equal_nan=True)
