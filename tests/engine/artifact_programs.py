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
    before, counted = dict(os.environ), ci.compilation_counter.values()
    torch.manual_seed(0)
    model = make(config)
    program = None
    results, expected = [], []
    with torch.no_grad(), ci.record() as recorder:
        for x in inputs:
            results.append(model(x).tolist())
            program = programs.get(model)
            expected.append(program.wrapper.original(model, x).tolist())
    counts = {name: count - counted[name] for name, count in ci.compilation_counter.values().items()}
    print("FOUND" + json.dumps({
        "results": results,
        "expected": expected,
        "counts": counts,
        "lookups": [
            {"outcome": row.outcome, "reason": row.reason, "differs": [[d.component, d.was, d.now, d.line] for d in row.differs]}
            for row in recorder.session.caches if (row.cache, row.module) == ("artifact", program.prefix or program.class_name)
        ],
        "loaded": program.was_aot_compile_fn_loaded_from_disk,
        "losses": [str(loss) for loss in recorder.session.losses],
        "environment": dict(os.environ) == before,
    }))
"""

SERVER = """
import json
import os
import sys
import tempfile
import types
import torch
import compile_inspector as ci
from compile_inspector.torch_seams import kept_code

torch.set_num_threads(1)

@ci.support_torch_compile
class Warm(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x + 1

with tempfile.TemporaryDirectory() as folder, torch.no_grad():
    config = ci.CompilationConfig("DYNAMO_TRACE_ONCE", backend="aot_eager", use_aot_compile=True, cache_dir=folder)
    for _ in range(2 if kept_code.keeps("aot_eager") else 0):
        with ci.record() as recorder, ci.set_current_vllm_config(ci.InspectorConfig(config)):
            Warm()(torch.ones(3))
        recorder.session.caches
torch._dynamo.reset()
kept_code.prepare(sys.argv[1])

for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child:
        print(os.waitpid(child, 0)[1], flush=True)
        continue
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    os.dup2(os.open("output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.dup2(1, 2)
    sys.path.append(asked["folder"])
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__file__ = asked["file"]
    exec(compile(open(asked["file"]).read(), asked["file"], "exec"), main.__dict__)
    sys.stdout.flush()
    os._exit(0)
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


def written(folder: Path, program: str, call: str) -> Path:
    """The file of a program: its text, then a call of `main`."""
    file = folder / "program.py"
    file.write_text(f"{program}\n{MAIN}\n{call}\n")
    return file


def found(output: str) -> Ran:
    """What a process has printed that it found."""
    told = [line for line in output.splitlines() if line.startswith("FOUND")]
    assert told, output[-3000:]
    return Ran(**json.loads(told[0].removeprefix("FOUND")))


def run(folder: Path, program: str, call: str, **more: str) -> Ran:
    """Runs a program in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, str(written(folder, program, call))],
        env=environment(folder, **more),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    return found(done.stdout + done.stderr)


class Processes:
    """Runs each program in a process of its own that has imported what all of them import, and compiled nothing of theirs.

    They are forked from one that has kept and loaded a program of no interest here, elsewhere.

    Args:
        folder: For what that one writes.
        backend: Whose code is to be there.
    """

    def __init__(self, folder: Path, backend: str = "aot_eager") -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER, backend],
            env=environment(folder, OMP_NUM_THREADS="1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, folder: Path, program: str, call: str, **more: str) -> Ran:
        """As the function `run`."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        asked = {
            "file": str(written(folder, program, call)),
            "folder": str(folder),
            "environment": environment(folder, OMP_NUM_THREADS="1", **more),
        }
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        assert self._server.stdout.readline(), "the process that the others are forked from has ended"
        return found((folder / "output").read_text())

    def end(self) -> None:
        """Ends the process that the others are forked from."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(timeout=30)
        assert self._server.stdout is not None
        self._server.stdout.close()
