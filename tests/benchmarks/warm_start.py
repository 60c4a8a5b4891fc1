"""What a kept program saves: the first call of a process that loads, beside that of one that compiles, and what the lookup key costs.

    python tests/benchmarks/warm_start.py [--backend inductor] [--layers 32] [--width 64] [--rounds 3] [--mode DYNAMO_TRACE_ONCE] [--grad]

Each round is two processes with a cache and an Inductor folder of their own: the first compiles, down to machine code, the second loads. A row is
the median. ``first call`` is the whole call, what torch imports within it included; ``load`` leaves those imports out: it is a second instance's first call.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

LIMITS = {"first call, loaded / compiled": 0.03, "key / compile": 0.02, "key, ms": 50.0}
PROGRAM = """
import json, sys, time
import torch
import compile_inspector as ci
from compile_inspector.engine.artifacts import key
from compile_inspector.engine.decorator import programs

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
config = ci.InspectorConfig(ci.CompilationConfig(options["mode"], backend=options["backend"], use_aot_compile=True))
torch.manual_seed(0)
model = Model(options["layers"], options["width"], vllm_config=config)
x = torch.randn(24, options["width"])
with torch.set_grad_enabled(options["grad"]):
    begin = time.perf_counter()
    found = model(x)
    first = time.perf_counter() - begin
    program = programs.get(model)
    key.components(program, model, {"x": x})
    begin = time.perf_counter()
    key.components(program, model, {"x": x})
    keyed = time.perf_counter() - begin
    again = Model(options["layers"], options["width"], vllm_config=config)
    begin = time.perf_counter()
    again(x)
    second = time.perf_counter() - begin
    assert torch.allclose(found, program.wrapper.original(model, x), atol=1e-3, rtol=1e-3)
print(json.dumps({"first_s": first, "key_s": keyed, "load_s": second, "loaded": program.was_aot_compile_fn_loaded_from_disk}))
"""


def process(folder: Path, options: dict[str, object]) -> dict[str, float]:
    """What one process measured."""
    own = {
        "COMPILE_INSPECTOR_CACHE_ROOT": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
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
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--grad", action="store_true", help="compile the backward too")
    options = parser.parse_args()
    given = {name: getattr(options, name) for name in ("backend", "mode", "layers", "width", "grad")}
    rows: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            cold, warm = process(Path(folder), given), process(Path(folder), given)
        assert (cold["loaded"], warm["loaded"]) == (False, True)
        for name, value in (
            ("compiled, first call, s", cold["first_s"]),
            ("loaded, first call, s", warm["first_s"]),
            ("first call, loaded / compiled", warm["first_s"] / cold["first_s"]),
            ("load / compiled, first call", warm["load_s"] / cold["first_s"]),
            ("key, ms", cold["key_s"] * 1000),
            ("key / compile", cold["key_s"] / cold["first_s"]),
        ):
            rows.setdefault(name, []).append(value)
    for name, values in rows.items():
        limit = f"  (limit {LIMITS[name]:g})" if name in LIMITS else ""
        print(f"{name:<34} {statistics.median(values):.4g}  [{min(values):.4g} to {max(values):.4g}]{limit}")


if __name__ == "__main__":
    main()
