"""Tensors that pass between the stages of a model split over devices."""

from __future__ import annotations

from collections.abc import ItemsView
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import torch


@dataclass
class IntermediateTensors:
    """Hidden states and residuals by name, all with the batch in dimension 0.

    Attributes:
        tensors: By name.
    """

    tensors: dict[str, torch.Tensor]

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        """Written out, not generated: Dynamo asks in which file the function is, and a generated one has none."""
        self.tensors = tensors

    @overload
    def __getitem__(self, key: str) -> torch.Tensor: ...
    @overload
    def __getitem__(self, key: slice) -> IntermediateTensors: ...
    def __getitem__(self, key: str | slice) -> torch.Tensor | IntermediateTensors:
        if isinstance(key, str):
            return self.tensors[key]
        return self.__class__({name: tensor[key] for name, tensor in self.tensors.items()})

    def __setitem__(self, key: str, value: torch.Tensor) -> None:
        self.tensors[key] = value

    def items(self) -> ItemsView[str, torch.Tensor]:
        """Names and tensors."""
        return self.tensors.items()

    def __len__(self) -> int:
        return len(self.tensors)

    def __contains__(self, key: object) -> bool:
        return key in self.tensors

    def __eq__(self, other: object) -> bool:
        """Whether the other holds equal tensors under the same names."""
        if not isinstance(other, IntermediateTensors) or self.tensors.keys() != other.tensors.keys():
            return False
        return all(_equal(tensor, other.tensors[name]) for name, tensor in self.tensors.items())

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        return f"IntermediateTensors(tensors={self.tensors})"


def _equal(one: Any, other: Any) -> bool:
    import torch

    return torch.equal(one, other)
