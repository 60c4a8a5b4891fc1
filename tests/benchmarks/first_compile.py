"""What a first compile costs: unsplit beside `torch.compile(fullgraph=True)`, and split with each distinct piece compiled once beside every piece.

    python tests/benchmarks/first_compile.py [--backend inductor] [--rounds 5] [--split-rounds 1] [--layers 32] [--width 64]

Variants alternate within each round, in an order that changes; a row is the median of the rounds' ratios, once of wall times and once of this process's
CPU times, which other load does not disturb and which leave out the C++ compiler. Each compile starts from nothing: Dynamo is reset, Inductor has
no caches, so that every piece is compiled down to machine code. Set ``TORCHINDUCTOR_COMPILE_THREADS=1`` to keep all of it in one process.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
import torch._inductor.config

import compile_inspector as ci
from compile_inspector.engine import piecewise

LIMITS = {"unsplit": 1.05, "split": 0.35}


@torch.library.custom_op("first_compile::attention", mutates_args={"out"})
def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor) -> None:
    """Attention over the whole batch."""
    out.copy_(torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None])[0])


@attention.register_fake
def _(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor) -> None:
    return None


class Layer(torch.nn.Module):
    """A transformer layer, its attention an operator."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.after = torch.nn.RMSNorm(width), torch.nn.RMSNorm(width)
        self.qkv = torch.nn.Linear(width, 3 * width)
        self.up, self.down = torch.nn.Linear(width, 2 * width), torch.nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        out = torch.empty_like(x)
        torch.ops.first_compile.attention(q, k, v, out)
        x = x + out
        return x + self.down(torch.nn.functional.silu(self.up(self.after(x))))


class Model(torch.nn.Module):
    """Layers one after another."""

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(Layer(width) for _ in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def stock(options: argparse.Namespace, layers: int) -> Callable[[torch.Tensor], Any]:
    """The model under `torch.compile`, its first dimension marked dynamic."""
    compiled = torch.compile(Model(layers, options.width), fullgraph=True, backend=options.backend)

    def call(x: torch.Tensor) -> Any:
        torch._dynamo.mark_dynamic(x, 0)
        return compiled(x)

    return call


def applied(options: argparse.Namespace, layers: int, *ops: str) -> Callable[[torch.Tensor], Any]:
    """The model, compiling itself, split at these operators."""
    config = ci.CompilationConfig(backend=options.backend, splitting_ops=ops)
    model = Model(layers, options.width)
    ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=ci.InspectorConfig(config))
    return model


Seconds = tuple[float, float]
"""Of wall time, and of this process's CPU time."""


def seconds(make: Callable[[], Callable[[torch.Tensor], Any]], width: int) -> Seconds:
    """Of a first call, compile included."""
    torch._dynamo.reset()
    gc.collect()
    call, x = make(), torch.randn(16, width)
    begin, busy = time.perf_counter(), time.process_time()
    call(x)
    return time.perf_counter() - begin, time.process_time() - busy


def every_piece(make: Callable[[], Callable[[torch.Tensor], Any]], width: int) -> Seconds:
    """The same where no two pieces are taken for the same program."""
    with mock.patch.object(piecewise, "structure", side_effect=lambda *_: object()):
        return seconds(make, width)


def compare(name: str, rounds: int, mine: Callable[[], Seconds], other: Callable[[], Seconds]) -> None:
    """Prints one row."""
    pairs: list[tuple[Seconds, Seconds]] = []
    for _ in range(rounds):
        if random.random() < 0.5:
            first = mine()
            pairs.append((first, other()))
        else:
            second = other()
            pairs.append((mine(), second))
    for index, kind in enumerate(("wall", "CPU")):
        ratio = statistics.median(one[index] / two[index] for one, two in pairs)
        times = [statistics.median(one[index] for one in column) for column in zip(*pairs, strict=True)]
        verdict = "within" if ratio <= LIMITS[name] else "ABOVE"
        print(
            f"{name:8} {kind:4} {times[0]:8.2f} s / {times[1]:8.2f} s = {ratio:5.2f}   {verdict} {LIMITS[name]}",
            flush=True,
        )


def main() -> None:
    """Prints both rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="inductor")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--split-rounds", type=int, default=1)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--unsplit-layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=64)
    options = parser.parse_args()
    with torch._inductor.config.patch(force_disable_caches=True), torch.no_grad():
        few, many, width = options.unsplit_layers, options.layers, options.width
        seconds(lambda: applied(options, 1), width), seconds(lambda: stock(options, 1), width)
        compare(
            "unsplit",
            options.rounds,
            lambda: seconds(lambda: applied(options, few), width),
            lambda: seconds(lambda: stock(options, few), width),
        )
        op = "first_compile::attention"
        compare(
            "split",
            options.split_rounds,
            lambda: seconds(lambda: applied(options, many, op), width),
            lambda: every_piece(lambda: applied(options, many, op), width),
        )


if __name__ == "__main__":
    main()
