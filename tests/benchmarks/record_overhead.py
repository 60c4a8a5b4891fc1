"""What recording costs a compile: CPU time recorded / not recorded, beside torch's own TORCH_TRACE.

    python tests/benchmarks/record_overhead.py [--backend eager aot_eager inductor] [--pairs 15] [--layers 32]

Variants alternate within each round; a row is the median of the rounds' ratios. The garbage collector runs before each measurement.
CPU time is the process's own (`time.process_time`), of a forward and its compile; it includes entering and leaving the recorder.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator

import torch
from torch import nn

import compile_inspector as ci


class Layer(nn.Module):
    """A transformer layer in miniature: nine operations, seven parameters."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.q, self.k, self.v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.up, self.down = nn.Linear(width, 2 * width, bias=False), nn.Linear(2 * width, width, bias=False)
        self.scale = 0.5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        scores = torch.softmax(self.q(y) @ self.k(y).transpose(-1, -2) * self.scale, dim=-1)
        x = x + scores @ self.v(y)
        return x + self.down(torch.nn.functional.silu(self.up(x)))


def model(layers: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(*(Layer(32) for _ in range(layers)))


@contextlib.contextmanager
def torch_trace() -> Iterator[None]:
    """What torch does under TORCH_TRACE: its own handler, its own formatter, a file."""
    from torch._logging._internal import LazyTraceHandler, TorchLogsFormatter

    logger = logging.getLogger("torch.__trace")
    with tempfile.TemporaryDirectory() as folder:
        handler = LazyTraceHandler(folder)
        handler.setFormatter(TorchLogsFormatter(trace=True))
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            handler.close()


VARIANTS: dict[str, Callable[[], contextlib.AbstractContextManager[object]]] = {
    "nothing": contextlib.nullcontext,
    "recorded": ci.record,
    "TORCH_TRACE": torch_trace,
}


def compile_once(
    net: nn.Module, backend: str, around: Callable[[], contextlib.AbstractContextManager[object]]
) -> float:
    """CPU seconds of one cold compile of ``net``."""
    torch._dynamo.reset()
    x = torch.randn(2, 8, 32)
    gc.collect()
    begin = time.process_time()
    with around(), torch.no_grad():
        torch.compile(net, backend=backend)(x)
    return time.process_time() - begin


def compare(backend: str, pairs: int, layers: int) -> None:
    net = model(layers)
    for around in VARIANTS.values():
        compile_once(net, backend, around)
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(pairs):
        for name in random.sample(list(VARIANTS), len(VARIANTS)):
            times[name].append(compile_once(net, backend, VARIANTS[name]))
    base = times["nothing"]
    for name in ("recorded", "TORCH_TRACE"):
        ratios = [one / other for one, other in zip(times[name], base, strict=True)]
        print(f"{backend:10} {name:12} / nothing  median {statistics.median(ratios):.3f}  "
              f"quartiles {statistics.quantiles(ratios)[0]:.3f} {statistics.quantiles(ratios)[2]:.3f}  "
              f"({pairs} rounds, {statistics.median(base):.2f} s)")  # fmt: skip


def calls(rounds: int = 150) -> None:
    """A compiled call while recording, and after, against one never recorded."""
    net = torch.compile(nn.Sequential(nn.Linear(16, 16), nn.ReLU()), backend="eager")
    x = torch.randn(4, 16)
    net(x)

    def burst() -> float:
        for _ in range(50):
            net(x)
        begin = time.perf_counter()
        for _ in range(500):
            net(x)
        return time.perf_counter() - begin

    burst()
    during, after = [], []
    for _ in range(rounds):
        before = burst()
        with ci.record():
            during.append(burst() / before)
        after.append(burst() / before)
    print(f"a call while recording / not: median {statistics.median(during):.3f}")
    print(f"a call after recording / before: median {statistics.median(after):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", nargs="+", default=["eager", "aot_eager", "inductor"])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--layers", type=int, default=32)
    options = parser.parse_args()
    torch._inductor.config.force_disable_caches = True
    calls()
    for backend in options.backend:
        compare(backend, options.pairs, options.layers)


if __name__ == "__main__":
    main()
