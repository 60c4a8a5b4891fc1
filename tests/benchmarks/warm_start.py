"""What a kept program saves: the first call of a process that loads, beside that of one that compiles, and what the lookup key costs.

    python tests/benchmarks/warm_start.py [--backend inductor] [--layers 32] [--width 64] [--rounds 5] [--mode DYNAMO_TRACE_ONCE] [--grad]
        [--threads 1]

Each round is two processes with a cache and an Inductor folder of their own: the first compiles, down to machine code, the second loads. A row is
the median, with the quartiles. CPU time is that of the process and of all that it started: on a machine with other work it is the one to go by.
``first call`` is the whole call; what torch is made to import before it, when a module is built, is a row of its own, and so is the ratio with it.
``load`` is a second instance's first call. With more than one thread OpenMP's wait for each other by spinning, which other work makes longer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LIMITS = {
    "first call, loaded / compiled, wall": 0.03,
    "first call, loaded / compiled, CPU": 0.03,
    "key / compile": 0.02,
    "key, ms": 50.0,
}
PROGRAM = """
import json, os, sys, time
import psutil
import torch
import compile_inspector as ci
from compile_inspector.engine.artifacts import key
from compile_inspector.engine.decorator import programs
from compile_inspector.torch_seams import kept_code

class Clock:
    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), self.used()

    def used(self):
        # user and system time, of what has ended below it too
        below = psutil.Process().children(recursive=True)
        return sum(sum(one.cpu_times()[:4]) for one in (psutil.Process(), *below))

    def passed(self):
        return time.perf_counter() - self.wall, self.used() - self.cpu

class Layer(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.after = torch.nn.RMSNorm(width), torch.nn.RMSNorm(width)
        self.qkv = torch.nn.Linear(width, 3 * width)
        self.out = torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, 2 * width), torch.nn.Linear(2 * width, width)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        x = x + self.out(torch.softmax(q @ k.transpose(0, 1), dim=-1) @ v)
        return x + self.down(torch.nn.functional.silu(self.up(self.after(x))))

@ci.support_torch_compile
class Model(torch.nn.Module):
    def __init__(self, layers, width, *, vllm_config=None):
        super().__init__()
        self.layers = torch.nn.ModuleList(Layer(width) for _ in range(layers))

    def forward(self, x: torch.Tensor):
        for layer in self.layers:
            x = layer(x)
        return x

options = json.loads(sys.argv[1])
torch.set_num_threads(options["threads"])
clock = Clock()
kept_code.prepare(options["backend"])  # as the first module that is built does
imports = clock.passed()
config = ci.InspectorConfig(ci.CompilationConfig(options["mode"], backend=options["backend"], use_aot_compile=True))
torch.manual_seed(0)
model = Model(options["layers"], options["width"], vllm_config=config)
x = torch.randn(24, options["width"])
with torch.set_grad_enabled(options["grad"]):
    clock = Clock()
    found = model(x)
    first = clock.passed()
    program = programs.get(model)
    key.components(program, model, {"x": x})
    begin = time.perf_counter()
    key.components(program, model, {"x": x})
    keyed = time.perf_counter() - begin
    again = Model(options["layers"], options["width"], vllm_config=config)
    clock = Clock()
    again(x)
    second = clock.passed()
    assert torch.allclose(found, program.wrapper.original(model, x), atol=1e-3, rtol=1e-3)
told = {"imports_s": imports, "first_s": first, "key_s": keyed, "load_s": second, "loaded": program.was_aot_compile_fn_loaded_from_disk}
print(json.dumps(told))
"""


def process(folder: Path, options: dict[str, object]) -> dict[str, Any]:
    """What one process measured: times as wall and CPU time."""
    own = {
        "COMPILE_INSPECTOR_CACHE_ROOT": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "OMP_NUM_THREADS": str(options["threads"]),
    }
    (folder / "warm_start_program.py").write_text(PROGRAM)
    command = [sys.executable, str(folder / "warm_start_program.py"), json.dumps(options)]
    done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Prints a row a ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", default="inductor")
    parser.add_argument("--mode", default="DYNAMO_TRACE_ONCE")
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--grad", action="store_true", help="compile the backward too")
    options = parser.parse_args()
    given = {
        name: getattr(options, name) for name in ("backend", "mode", "layers", "width", "grad", "threads")
    }
    rows: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            cold, warm = process(Path(folder), given), process(Path(folder), given)
        assert (cold["loaded"], warm["loaded"]) == (False, True)
        for name, value in measured(cold, warm):
            rows.setdefault(name, []).append(value)
    for name, values in rows.items():
        low, middle, high = quartiles(values)
        limit = f"  (limit {LIMITS[name]:g})" if name in LIMITS else ""
        print(f"{name:<46} {middle:.4g}  [{low:.4g} to {high:.4g}]{limit}")


def measured(cold: dict[str, Any], warm: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The rows of one round."""
    for at, clock in enumerate(("wall", "CPU")):
        compiled, loaded = cold["first_s"][at], warm["first_s"][at]
        imports = warm["imports_s"][at]
        yield f"compiled, first call, s {clock}", compiled
        yield f"loaded, first call, s {clock}", loaded
        yield f"loaded, torch's imports before it, s {clock}", imports
        yield f"first call, loaded / compiled, {clock}", loaded / compiled
        yield (
            f"... with torch's imports, {clock}",
            (imports + loaded) / (cold["imports_s"][at] + compiled),
        )
        yield f"load / compiled, first call, {clock}", warm["load_s"][at] / compiled
    yield "key, ms", cold["key_s"] * 1000
    yield "key / compile", cold["key_s"] / cold["first_s"][0]


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """The quartiles, the median between them."""
    if len(values) == 1:
        return (values[0],) * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


if __name__ == "__main__":
    main()
