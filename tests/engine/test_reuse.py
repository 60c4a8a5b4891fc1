from __future__ import annotations

from typing import Any

import pytest
import torch

import compile_inspector as ci
from compile_inspector.engine.decorator import programs
from engine.models import Branch, config, numbers

PIECEWISE = ci.CompilationMode.PIECEWISE_COMPILE


class Plain(torch.nn.Module):
    """Does not care about the size."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + x)


class Squeezing(torch.nn.Module):
    """Its answer has another shape for a size of 1, by the same operations."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.squeeze() * 2


class Expanding(torch.nn.Module):
    """Passes the size to an operation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ones(x.shape[0], 2) + x.sum()


def compiles(make: Any, sizes: tuple[int, ...], **settings: Any) -> tuple[int, int]:
    """How often the backend was asked, and how many entries there are, after right answers for these sizes."""
    model = make()
    before = ci.compilation_counter.num_backend_compilations
    ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config(PIECEWISE, **settings))
    for size in sizes:
        x = torch.randn(size, 4)
        torch.testing.assert_close(make()(x), model(x))
    return ci.compilation_counter.num_backend_compilations - before, len(programs.get(model).entries)


@pytest.mark.parametrize("make", [Plain, Expanding, Squeezing])
def test_sizes_0_and_1_run_what_was_compiled_for_more(make: Any):
    """Torch traces them anew, and by the same operations: the eager backend is asked once, and every answer is right."""
    assert compiles(make, (4, 1, 0, 7, 1, 0, 2)) == (1, 3)


def test_a_first_size_of_1_is_compiled_for_itself():
    """A graph that knows the size serves no other; the next is compiled once for all."""
    assert compiles(Plain, (1, 4, 7, 1)) == (2, 2)


def test_a_graph_of_other_operations_is_compiled():
    """Both sides of a branch on the size."""
    model = Branch()
    ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config(PIECEWISE))
    with ci.compilation_counter.expect(num_backend_compilations=2, num_graphs_seen=2):
        assert model(numbers(1, 2, 3, 4)).tolist() == [2, 4, 6, 8]
        assert model(numbers(1, 2, 3)).tolist() == [100, 200, 300]


def test_a_graph_that_differs_in_a_constant_is_compiled():
    """Multiplied by another number it is another program."""

    class Scaled(torch.nn.Module):
        name = "a"

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * len(self.name)

    model = Scaled()
    ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config(PIECEWISE))
    assert model(numbers(1, 2)).tolist() == [1, 2]
    model.name = "abc"
    assert model(numbers(1, 2)).tolist() == [3, 6]


def test_a_dtype_that_differs_is_compiled():
    """Inputs of another kind are another graph's."""
    model = Plain()
    ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config(PIECEWISE))
    with ci.compilation_counter.expect(num_backend_compilations=2):
        assert model(torch.ones(2, 2)).dtype == torch.float32
        assert model(torch.ones(2, 2, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
def test_inductor_compiles_them():
    """What decomposes operations may have used that the size is at least 2: it is asked again."""
    assert compiles(Plain, (4, 1, 7), backend="inductor") == (2, 2)
