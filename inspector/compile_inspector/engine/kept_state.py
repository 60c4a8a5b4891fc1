"""What a module holds before its forward is tried, so that trying leaves no trace in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from compile_inspector.engine.static_graph import fill

LARGEST_BYTES = 256 * 1024 * 1024
"""Tensors that take more than this together are not all copied, the largest are left out; whether they were written into is told all the same."""


class KeptState:
    """Copies of a module's buffers and of other tensors that its forward may write into.

    Args:
        module: The module.
        tensors: Further tensors that its forward reads, by name; parameters among them are not copied.
    """

    def __init__(self, module: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
        named = {id(one): (name, one) for name, one in module.named_buffers()}
        parameters = {id(one): name for name, one in module.named_parameters()}
        for name, one in tensors.items():
            named.setdefault(id(one), (parameters.get(id(one), name), one))
        self._held = [
            (name, one, one._version)
            for name, one in named.values()
            if not one.is_inference() and one.layout is torch.strided
        ]
        self._copies: dict[str, tuple[Any, torch.Tensor]] = {}
        copied = [(name, one) for name, one, _ in self._held if not isinstance(one, torch.nn.Parameter)]
        left = LARGEST_BYTES
        for name, one in sorted(copied, key=lambda pair: pair[1].numel() * pair[1].element_size()):
            left -= one.numel() * one.element_size()
            if left < 0:
                break
            with torch.no_grad():
                self._copies[name] = one, one.detach().clone()

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
            fill(tensor, copy)
        return told


def same_values(tensor: torch.Tensor, copy: torch.Tensor) -> bool:
    """Whether a tensor holds what it was copied from; a NaN is the same as a NaN."""
    if tensor.shape != copy.shape:
        return False
    if torch.equal(tensor, copy):
        return True
    return tensor.is_floating_point() and torch.allclose(tensor, copy, rtol=0, atol=0, equal_nan=True)


def attributes(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors that are plain attributes of a module and of those in it, or lie in a list, tuple or dict that is one."""
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if name in ("_buffers", "_parameters", "_modules"):
                continue
            place = f"{path}.{name}" if path else name
            if isinstance(value, torch.Tensor):
                yield place, value
            elif isinstance(value, list | tuple | dict):
                inner = value.items() if isinstance(value, dict) else enumerate(value)
                yield from ((f"{place}[{key!r}]", one) for key, one in inner if isinstance(one, torch.Tensor))
