"""Models with an attention operator to split at, and running them as a serving loop does: a large batch, captures, replays."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch._functorch.config
import torch._inductor.config

import compile_inspector as ci

WIDTH = 16
COUNTED = (
    "num_graphs_seen",
    "num_piecewise_graphs_seen",
    "num_piecewise_capturable_graphs_seen",
    "num_backend_compilations",
    "num_cudagraph_captured",
)
"""The counters of the known-good numbers, in their order."""


@torch.library.custom_op("silly::attention", mutates_args={"out"})
def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor) -> None:
    out.copy_(q + k + v)


@attention.register_fake
def _(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor) -> None:
    return None


@torch.library.custom_op("silly::pair", mutates_args=())
def pair(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x + 1, x * 2


@pair.register_fake
def _(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty_like(x), torch.empty_like(x)


def attend(x: torch.Tensor) -> torch.Tensor:
    """``3 * x`` by the operator."""
    out = torch.empty_like(x)
    torch.ops.silly.attention(x, x, x, out)
    return out


class Plain(torch.nn.Module):
    """``x -> 18 * x``: a piece, the attention, a piece."""

    def __init__(self, *, vllm_config: Any, prefix: str = "", **_: Any) -> None:
        super().__init__()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + x
        return attend(x) * 3


@ci.support_torch_compile
class A(Plain):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + x
        return attend(x) * 3


@ci.ignore_torch_compile
class B(A): ...


@ci.support_torch_compile
class C(B): ...


class Layer(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = torch.nn.Linear(width, width)
        self.after = torch.nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.relu(self.after(attend(self.before(x)) / 3))


@ci.support_torch_compile
class Stack(torch.nn.Module):
    """Layers that differ in their parameters only."""

    def __init__(self, *, vllm_config: Any, prefix: str = "", layers: int, width: int = WIDTH) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(Layer(width) for _ in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def config(**given: Any) -> ci.InspectorConfig:
    """Piecewise, split at the attention, sizes 1 and 2 captured; guards treated as the original does, unless told otherwise."""
    largest = given.pop("largest", 8192)
    settings = {
        "backend": "eager",
        "splitting_ops": ["silly::attention"],
        "cudagraph_capture_sizes": [1, 2],
        "cudagraph_mode": "PIECEWISE",
        "dropped_guards": "ignore",
        **given,
    }
    return ci.InspectorConfig(ci.CompilationConfig(**settings), max_num_batched_tokens=largest)


def call(
    model: Callable[..., Any],
    vllm_config: ci.InspectorConfig,
    x: torch.Tensor,
    mode: ci.CUDAGraphMode = ci.CUDAGraphMode.PIECEWISE,
) -> torch.Tensor:
    """One call as a runner makes it."""
    batch = ci.BatchDescriptor(num_tokens=x.shape[0])
    with ci.set_forward_context(None, vllm_config, cudagraph_runtime_mode=mode, batch_descriptor=batch):
        return model(x)


def serve(
    model: Callable[..., Any],
    vllm_config: ci.InspectorConfig,
    device: str = "cpu",
    sizes: tuple[int, int] = (2, 1),
) -> list[tuple[Any, Any]]:
    """A batch of 32 without graphs, then two sizes, then the first of them again, in one buffer: each input and its result, copied."""
    buffer = torch.zeros(32, WIDTH, device=device)
    seen: list[tuple[Any, Any]] = []
    for size, mode in ((32, "NONE"), *((one, "PIECEWISE") for one in (*sizes, sizes[0]))):
        buffer.normal_()
        x = buffer[:size]
        result = call(model, vllm_config, x, ci.CUDAGraphMode[mode])
        seen.append((x.clone(), result.clone()))
    return seen


@contextmanager
def counting() -> Iterator[Callable[[], tuple[int, ...]]]:
    """Gives what the counters of the known-good numbers have grown by since."""
    before = ci.compilation_counter.values()
    yield lambda: tuple(ci.compilation_counter.values()[name] - before[name] for name in COUNTED)


@contextmanager
def uncached() -> Iterator[None]:
    """Nothing that Inductor compiles comes from its cache or goes there."""
    with (
        torch._inductor.config.patch(fx_graph_cache=False),
        torch._functorch.config.patch(enable_autograd_cache=False),
    ):
        yield


def told(name: str) -> list[dict[str, Any]]:
    """The facts of one name that live graphs and wrappers tell now, oldest first."""
    from compile_inspector.engine import narration

    gc.collect()
    facts = [payload for fact, payload, _ in narration.live() if fact == name]
    return sorted(facts, key=lambda fact: int(fact["key"].rpartition("-")[2]))
