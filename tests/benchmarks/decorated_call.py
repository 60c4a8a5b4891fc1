"""What a call of a decorated module costs, beside one of the same module under `torch.compile`.

    python tests/benchmarks/decorated_call.py [--backend inductor] [--rounds 15] [--calls 1000] [--layers 24] [--grad]

Variants alternate within each round, in an order that changes; a row is the median time of a call and the median of the rounds' ratios to
`torch.compile` with the same dimension marked dynamic. "recompile" checks every guard on each call, "ignore" none.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

import compile_inspector as ci

LIMITS = {("one", "recompile"): 0.8, ("one", "ignore"): 0.55, ("layers", "recompile"): 0.9}


class Layer(torch.nn.Module):
    """A Linear and a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.linear(x))


class Stack(torch.nn.Module):
    """Layers one after another."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(Layer() for _ in range(count))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def applied(model: torch.nn.Module, options: argparse.Namespace, policy: str) -> torch.nn.Module:
    """The model, compiling itself."""
    config = ci.CompilationConfig(options.mode, backend=options.backend, dropped_guards=policy)
    ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=ci.InspectorConfig(config))
    return model


def microseconds(call: Callable[[torch.Tensor], Any], x: torch.Tensor, calls: int) -> float:
    """Of one call."""
    begin = time.perf_counter()
    for _ in range(calls):
        call(x)
    return (time.perf_counter() - begin) / calls * 1e6


def measure(
    make: Callable[[], torch.nn.Module], options: argparse.Namespace, calls: int
) -> dict[str, list[float]]:
    """Times of each variant, a value a round."""
    x = torch.randn(4, 16)
    marked = torch.randn(4, 16)
    torch._dynamo.mark_dynamic(marked, 0)
    compiled = torch.compile(make(), backend=options.backend, fullgraph=True)
    compiled(marked)
    variants: dict[str, Callable[[torch.Tensor], Any]] = {
        "eager": make(),
        "torch.compile": compiled,
        "recompile": applied(make(), options, "recompile"),
        "ignore": applied(make(), options, "ignore"),
    }
    for call in variants.values():
        microseconds(call, x, 50)
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(options.rounds):
        for name, call in random.sample(list(variants.items()), len(variants)):
            times[name].append(microseconds(call, x, calls))
    return times


def main() -> None:
    """Prints a row a variant."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", default="inductor")
    parser.add_argument("--mode", default="DYNAMO_TRACE_ONCE")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--grad", action="store_true", help="with gradients; without is the default")
    options = parser.parse_args()
    print(
        f"torch {torch.__version__}, {options.backend}, {options.mode}, gradients {'on' if options.grad else 'off'}"
    )
    with torch.set_grad_enabled(options.grad):
        for what, make, calls in (
            ("one", Layer, options.calls),
            ("layers", lambda: Stack(options.layers), max(options.calls // options.layers, 20)),
        ):
            times = measure(make, options, calls)
            for name, values in times.items():
                ratio = statistics.median(a / b for a, b in zip(values, times["torch.compile"], strict=True))
                limit = LIMITS.get((what, name))
                said = (
                    "" if limit is None else f"   limit {limit}: {'holds' if ratio <= limit else 'EXCEEDED'}"
                )
                print(f"{what:7} {name:14} {statistics.median(values):9.2f} us   {ratio:6.3f}{said}")


if __name__ == "__main__":
    main()
