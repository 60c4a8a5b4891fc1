"""Programs that run in processes of their own, with one cache folder: what each computed, what eager computes, and what its lookups said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import compile_inspector as ci

PROGRAM = """
import torch
import compile_inspector as ci

SHIFT = 1.0

class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.scale = 1

    def forward(self, x):
        return torch.relu(self.linear(x)) * self.scale + SHIFT

@ci.support_torch_compile
class Model(torch.nn.Module):
    def __init__(self, *, vllm_config, prefix=""):
        super().__init__()
        self.layers = torch.nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, x: torch.Tensor):
        for layer in self.layers:
            x = layer(x)
        return x
"""
MAIN = """
import json
import os
import sys
import torch
import compile_inspector as ci
from compile_inspector.engine.decorator import programs

def main(make, *inputs, **settings):
    given = {"mode": "DYNAMO_TRACE_ONCE", "backend": "aot_eager", "use_aot_compile": True, **settings}
    largest = given.pop("largest", 8192)
    config = ci.InspectorConfig(ci.CompilationConfig(**given), max_num_batched_tokens=largest)
    before = dict(os.environ)
    torch.manual_seed(0)
    model = make(config)
    program = None
    results, expected = [], []
    with torch.no_grad(), ci.record() as recorder:
        for x in inputs:
            results.append(model(x).tolist())
            program = programs.get(model)
            expected.append(program.wrapper.original(model, x).tolist())
    counts = ci.compilation_counter.values()
    print("FOUND" + json.dumps({
        "results": results,
        "expected": expected,
        "counts": counts,
        "lookups": [
            {"outcome": row.outcome, "reason": row.reason, "differs": [[d.component, d.was, d.now, d.line] for d in row.differs]}
            for row in recorder.session.caches if row.cache == "artifact"
        ],
        "loaded": program.was_aot_compile_fn_loaded_from_disk,
        "losses": [str(loss) for loss in recorder.session.losses],
        "environment": dict(os.environ) == before,
    }))
"""


@dataclass(frozen=True)
class Ran:
    """What one process found."""

    results: list[Any]
    expected: list[Any]
    counts: dict[str, int]
    lookups: list[dict[str, Any]]
    loaded: bool
    losses: list[str]
    environment: bool

    @property
    def aot(self) -> tuple[int, int, int]:
        """Compiled, saved, loaded."""
        names = ("num_aot_compiles", "num_aot_artifacts_saved", "num_aot_artifacts_loaded")
        return tuple(self.counts[name] for name in names)  # type: ignore[return-value]

    @property
    def differs(self) -> dict[str, tuple[str | None, str | None]]:
        """What the first lookup differed in: by component, was and now."""
        return {name: (was, now) for name, was, now, _ in self.lookups[0]["differs"]}

    def is_right(self) -> bool:
        """Whether every result is eager's, and nothing was lost or left behind."""
        return self.results == self.expected and self.losses == [] and self.environment


def environment(folder: Path, **more: str) -> dict[str, str]:
    """A process's environment, its cache and key below a folder."""
    package = str(Path(ci.__file__).parents[1])
    own = {
        "COMPILE_INSPECTOR_CACHE_ROOT": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "TORCHINDUCTOR_CACHE_DIR": os.environ.get("TORCHINDUCTOR_CACHE_DIR", str(folder / "inductor")),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([package, str(Path(__file__).parents[1]), str(folder)]),
        "PYTHONWARNINGS": "ignore",
    }
    return {**os.environ, **own, **more}


def run(folder: Path, program: str, call: str, **more: str) -> Ran:
    """Runs a program in a process of its own: its text, then a call of `main`."""
    file = folder / "program.py"
    file.write_text(f"{program}\n{MAIN}\n{call}\n")
    done = subprocess.run(
        [sys.executable, str(file)],
        env=environment(folder, **more),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("FOUND")]
    assert found, done.stderr[-3000:]
    return Ran(**json.loads(found[0].removeprefix("FOUND")))
