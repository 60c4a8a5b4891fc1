"""Small modules and configurations that the engine's tests share."""

from __future__ import annotations

from typing import Any

import torch

import compile_inspector as ci
from compile_inspector.torch_seams import kept_code

KEPT_BACKEND = "aot_eager" if kept_code.keeps("aot_eager") else "inductor"
"""The quickest backend of which this torch can keep what it compiled."""


def config(mode: Any = ci.CompilationMode.DYNAMO_TRACE_ONCE, backend: str = "eager", **settings: Any) -> Any:
    """A configuration for tests: traced once, nothing generated."""
    return ci.InspectorConfig(ci.CompilationConfig(mode, backend=backend, **settings))


class Branch(torch.nn.Module):
    """Another answer for sizes below 4."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if len(x) >= 4 else x * 100


class Layer(torch.nn.Module):
    """A Linear and a ReLU."""

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(size, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.linear(x))


class Scaled(torch.nn.Module):
    """Multiplies by an attribute."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: torch.Tensor, times: int = 1) -> torch.Tensor:
        return x * self.scale * times


def numbers(*values: float) -> torch.Tensor:
    """A vector."""
    return torch.tensor([float(value) for value in values])
