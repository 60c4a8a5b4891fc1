"""What CUDA graphs cost and save: replays through the decorated module, pieces, captures. Needs a CUDA GPU.

    python tests/benchmarks/cuda_graphs.py [--quick] [--rounds 15] [--calls 200] [--width 1024] [--layers 8]

Variants alternate within each round, in an order that changes; a time is that between two CUDA events around calls in a row, a row is its
median and the median of the rounds' ratios. "host" is what the process needs to ask for a call: where it is below the time, the GPU is what is
waited for. "bare" is `torch.cuda.CUDAGraph` used by hand on the same compiled code. `--quick` measures what has a limit, in about a minute with
its compiles. Where the environment names a folder ``OUT``, the table is written there, too.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import pathlib
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

import attention_models as models
import compile_inspector as ci

SIZES = [1, 2, 4, *range(8, 257, 8)]
"""35 batch sizes."""


class Block(torch.nn.Module):
    """A norm, two linear layers, a residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(width)
        self.up = torch.nn.Linear(width, 4 * width)
        self.down = torch.nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm(x))))


class Stack(torch.nn.Module):
    """Blocks one after another."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(Block(width) for _ in range(count))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class Attending(torch.nn.Module):
    """A norm, an attention by the custom operator, and a block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (torch.nn.Linear(width, width) for _ in range(4))
        self.block = Block(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.norm(x)
        query = self.query(normed)
        attended = torch.empty_like(query)
        torch.ops.silly.attention(query, self.key(normed), self.value(normed), attended)
        return self.block(x + self.out(attended))


@ci.support_torch_compile
class Serving(torch.nn.Module):
    """Layers with an attention that no graph of a piece holds."""

    def __init__(self, *, vllm_config: Any, prefix: str = "", layers: int, width: int) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(Attending(width) for _ in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def bare(call: Callable[[torch.Tensor], Any], x: torch.Tensor) -> tuple[Callable[[], None], Any]:
    """A graph of a call by hand: its replay, and its output."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call(x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = call(x)
    return graph.replay, out


def microseconds(call: Callable[[], Any], calls: int) -> tuple[float, float]:
    """Of one call: between two events, and until the process had asked for it."""
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    first.record()
    begin = time.perf_counter_ns()
    for _ in range(calls):
        call()
    asked = time.perf_counter_ns() - begin
    last.record()
    last.synchronize()
    return first.elapsed_time(last) * 1000 / calls, asked / 1000 / calls


class Times:
    """What one variant took, a value a round."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.host: list[float] = []

    def add(self, taken: float, host: float) -> None:
        """One round's."""
        self.taken.append(taken)
        self.host.append(host)


def alternate(variants: dict[str, Callable[[], Any]], rounds: int, calls: int) -> dict[str, Times]:
    """Times of each variant."""
    for call in variants.values():
        microseconds(call, 20)
    times = {name: Times() for name in variants}
    for _ in range(rounds):
        for name, call in random.sample(list(variants.items()), len(variants)):
            times[name].add(*microseconds(call, calls))
    return times


def say(text: str) -> None:
    """Prints a line, and writes it where ``OUT`` is set."""
    print(text, flush=True)
    folder = os.environ.get("OUT")
    if folder:
        with (pathlib.Path(folder) / "cuda_graphs.txt").open("a") as file:
            file.write(text + "\n")


def told(what: str, times: Times, base: Times, limit: float | None = None, unit: str = "us") -> None:
    """Says a row: the median, the ratio, whether a limit holds, in how many rounds it did."""
    ratios = [a / b for a, b in zip(times.taken, base.taken, strict=True)]
    ratio, said = statistics.median(ratios), ""
    if limit is not None:
        held = sum(one <= limit for one in ratios)
        said = (
            f"   limit {limit}: {'holds' if ratio <= limit else 'EXCEEDED'} ({held} of {len(ratios)} rounds)"
        )
    host = statistics.median(times.host)
    say(f"{what:62} {statistics.median(times.taken):9.1f} {unit}  host {host:9.1f}   {ratio:6.3f}{said}")


def whole(options: argparse.Namespace) -> None:
    """One graph of a whole model."""
    model = Stack(options.layers, options.width).cuda().half().eval()
    x = torch.randn(4, options.width, device="cuda", dtype=torch.half)
    reference = Stack(options.layers, options.width).cuda().half().eval()
    reference.load_state_dict(model.state_dict())
    reduced = torch.compile(reference, fullgraph=True, mode="reduce-overhead", dynamic=False)
    config = ci.InspectorConfig({"backend": "inductor"})
    applied = ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config)
    model(x)
    expected = reference(x)
    report = applied.capture([4, 8])
    result = model(x)
    entry = applied._program.entries[0]
    static = x.clone()
    replay, out = bare(lambda one: entry.run(model, one), static)
    replay()
    torch.testing.assert_close(result, expected, rtol=2e-2, atol=2e-2)
    same = torch.equal(result, entry.run(model, x)) and torch.equal(out, result)
    say(
        f"whole model, {options.layers} layers of {options.width}, fp16, batch 4; {report.rows[-1].kernel_count} kernels in the graph"
    )
    say(f"  equal bit by bit with and without a graph: {same}")
    variants: dict[str, Callable[[], Any]] = {
        "reduced": lambda: reduced(x),
        "bare": replay,
        "through": lambda: model(x),
    }
    if not options.quick:
        compiled = torch.compile(reference, fullgraph=True, dynamic=False)
        variants |= {"eager": lambda: reference(x), "compiled": lambda: compiled(x)}
    times = alternate(variants, options.rounds, options.calls)
    base = times["bare"]
    for name in sorted({*variants} - {"through"}):
        told(f"  {name} / bare CUDAGraph.replay()", times[name], base)
    told("  decorated, inputs and outputs copied / bare", times["through"], base, 1.10)
    told("  decorated, inputs and outputs copied / reduce-overhead", times["through"], times["reduced"], 1.0)
    applied.capture([4, 8], copy_outputs=False)
    (own,), _ = applied.inputs(4)
    own.copy_(x)
    variants = {
        "reduced": lambda: reduced(x),
        "bare": replay,
        "own": lambda: model(own),
        "as reduced": lambda: model(x),
    }
    times = alternate(variants, options.rounds, options.calls)
    told("  decorated, the graph's own buffers / bare", times["own"], times["bare"], 1.03)
    told(
        "  decorated, outputs not copied, as reduce-overhead / it",
        times["as reduced"],
        times["reduced"],
        1.0,
    )
    y = torch.randn(3, options.width, device="cuda", dtype=torch.half)
    padded = model(y).clone()
    torch.testing.assert_close(padded, reference(y), rtol=2e-2, atol=2e-2)
    applied.undo()


def pieces(options: argparse.Namespace, *, by_inductor: bool) -> None:
    """Four layers split at their attention: five pieces, a graph each."""
    width = options.width
    config = models.config(
        backend="inductor",
        cudagraph_mode="PIECEWISE",
        dropped_guards="recompile",
        use_inductor_graph_partition=by_inductor,
    )
    model = Serving(vllm_config=config, layers=4, width=width).cuda().half().eval()
    x = torch.randn(4, width, device="cuda", dtype=torch.half)
    with models.uncached():
        model(x)
    report = ci.capture_graphs(model, [4, 8])
    eager: Any = Serving.forward.__wrapped__  # type: ignore[attr-defined]
    result = model(x)
    ci.release_graphs(model)
    without = model(x)
    torch.testing.assert_close(result, eager(model, x), rtol=2e-2, atol=2e-2)
    count = sum(row.partition is not None and row.size == 4 for row in report.rows)
    by = "Inductor partitions" if by_inductor else "pieces of the FX graph"
    say(f"4 layers of {width}, fp16, batch 4, split at a custom operator: {count} {by}")
    say(f"  equal bit by bit with and without graphs: {torch.equal(result, without)}")
    compiled = alternate({"compiled": lambda: model(x)}, options.rounds, options.calls)["compiled"]
    ci.capture_graphs(model, [4, 8])
    times = alternate(
        {"eager": lambda: eager(model, x), "pieces": lambda: model(x)}, options.rounds, options.calls
    )
    told("  compiled, no graph / eager", compiled, times["eager"])
    told("  from graphs / eager", times["pieces"], times["eager"], 0.4)
    ci.release_graphs(model)


def by_hand(parts: list[Callable[..., Any]], size: int, width: int, pool: Any) -> tuple[list[Any], int]:
    """Captures compiled parts by hand, a warm-up and a capture each, the operator between them run as it is.

    Returns:
        What must be kept, and the nanoseconds of the captures themselves.
    """
    kept: list[Any] = []
    capture_ns = 0
    value: Any = (torch.randn(size, width, device="cuda", dtype=torch.half),)
    stream = torch.cuda.Stream()
    for index, part in enumerate(parts):
        part(*value)
        begin = time.perf_counter_ns()
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            graph.capture_begin(pool=pool, capture_error_mode="thread_local")
            out = part(*value)
            graph.capture_end()
        capture_ns += time.perf_counter_ns() - begin
        graph.replay()
        kept += [graph, value, out]
        if index < len(parts) - 1:
            query, rest, buffer = out
            torch.ops.silly.attention(query, query, query, buffer)
            value = (buffer, rest)
    torch.cuda.synchronize()
    return kept, capture_ns


def captures(options: argparse.Namespace) -> None:
    """35 sizes of nine pieces: all of it, against captures by hand, and recorded or not."""
    width = options.width
    config = models.config(backend="inductor", cudagraph_mode="PIECEWISE", dropped_guards="recompile")
    model = models.Stack(vllm_config=config, layers=8, width=width).cuda().half().eval()
    x = torch.randn(4, width, device="cuda", dtype=torch.half)
    model(x)
    model(torch.randn(1, width, device="cuda", dtype=torch.half))

    layers = list(model.layers)

    def first(one: torch.Tensor) -> Any:
        query = layers[0].before(one)
        return query, one, torch.empty_like(query)

    def middle(index: int) -> Callable[..., Any]:
        def part(attended: torch.Tensor, rest: torch.Tensor) -> Any:
            hidden = rest + torch.relu(layers[index - 1].after(attended / 3))
            query = layers[index].before(hidden)
            return query, hidden, torch.empty_like(query)

        return part

    def last(attended: torch.Tensor, rest: torch.Tensor) -> Any:
        return rest + torch.relu(layers[-1].after(attended / 3))

    parts = [
        torch.compile(one, dynamic=True) for one in (first, *(middle(index) for index in range(1, 8)), last)
    ]
    with torch._dynamo.config.patch(recompile_limit=64):
        for size in (4, 1):
            by_hand(parts, size, width, torch.cuda.graph_pool_handle())

    def hand() -> tuple[Any, int]:
        pool = torch.cuda.graph_pool_handle()
        gc.collect()
        torch.cuda.empty_cache()
        made = [by_hand(parts, size, width, pool) for size in reversed(SIZES)]
        return made, sum(capture_ns for _, capture_ns in made)

    def ours() -> tuple[Any, int]:
        report = ci.capture_graphs(model, SIZES)
        assert len(report.captured) == len(SIZES), report
        return report, sum(row.capture_ns or 0 for row in report.rows if row.partition is not None)

    times = {name: Times() for name in ("by hand", "captured", "recorded")}
    for number in range(options.capture_rounds):
        if number >= 3 and time.monotonic() > options.until:
            break
        for name, call in random.sample([("by hand", hand), ("captured", ours), ("recorded", ours)], 3):
            with ci.record() if name == "recorded" else contextlib.nullcontext():
                torch.cuda.synchronize()
                begin = time.perf_counter()
                made, capture_ns = call()
                torch.cuda.synchronize()
                times[name].add((time.perf_counter() - begin) * 1000, capture_ns / 1e6)
            del made
            ci.release_graphs(model)
            gc.collect()
            torch.cuda.empty_cache()
    say(f"capture of {len(SIZES)} sizes of 9 pieces, {width} wide; host: in the captures themselves")
    told("  by hand", times["by hand"], times["by hand"], unit="ms")
    told("  capture_graphs / by hand", times["captured"], times["by hand"], 1.1, unit="ms")
    told("  capture_graphs recorded / not", times["recorded"], times["captured"], 1.02, unit="ms")


def main() -> None:
    """Prints every row; says so where there is no GPU."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument(
        "--capture-rounds",
        type=int,
        help="each captures 945 graphs (7; quick: as many as the time allows, up to 15)",
    )
    parser.add_argument("--only", choices=("whole", "pieces", "fx pieces", "captures"), help="one part alone")
    parser.add_argument("--seconds", type=float, help="begin no fourth round of captures after so long")
    parser.add_argument("--quick", action="store_true", help="what has a limit, and no more")
    options = parser.parse_args()
    options.until = time.monotonic() + (options.seconds or (54 if options.quick else 3600))
    options.capture_rounds = options.capture_rounds or (15 if options.quick else 7)
    if not torch.cuda.is_available():
        print("there is no CUDA GPU here: nothing is measured")
        return
    say(f"torch {torch.__version__}, {torch.cuda.get_device_name()}")
    parts: dict[str, Callable[[], None]] = {
        "whole": lambda: whole(options),
        "pieces": lambda: pieces(options, by_inductor=True),
        "fx pieces": lambda: pieces(options, by_inductor=False),
        "captures": lambda: captures(options),
    }
    with torch.no_grad():
        for name, part in parts.items():
            if options.only in (None, name) and not (options.quick and name == "fx pieces"):
                begin = time.monotonic()
                part()
                say(f"  ({name}: {time.monotonic() - begin:.0f} s with its compiles)")


if __name__ == "__main__":
    main()
