"""Processes that save and load the same program at the same time: nothing torn, nothing wrong, no exception in a call."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from compile_inspector.torch_seams import kept_code
from engine.artifact_programs import environment

PROCESSES, TURNS = 8, 25
PROGRAM = """
import json, os, sys
import torch
import compile_inspector as ci
from compile_inspector.engine.artifacts.store import Store
from compile_inspector.engine.config import artifact_folder
from compile_inspector.engine.decorator import programs

torch.set_num_threads(1)
torch.set_grad_enabled(False)

@ci.support_torch_compile
class Model(torch.nn.Module):
    def __init__(self, *, vllm_config=None):
        super().__init__()
        self.scale = 3.0

    def forward(self, x: torch.Tensor):
        return x * self.scale + 1

config = ci.InspectorConfig(ci.CompilationConfig("DYNAMO_TRACE_ONCE", backend="aot_eager", use_aot_compile=True))
for _ in range(2):  # compiled, then loaded: what torch imports and sets up on the way is shared by those that race
    assert Model(vllm_config=config)(torch.ones(5)).tolist() == [4.0] * 5
Store(artifact_folder(config.compilation_config)).clear()
torch._dynamo.reset()

children = []
for own in range(PROCESSES):
    child = os.fork()
    if child == 0:
        break
    children.append(child)
else:
    sys.exit(any([os.waitpid(child, 0)[1] for child in children]))

x, outcomes = torch.ones(3), []
for turn in range(TURNS):
    if turn % 8 == own:  # somebody clears the folder now and then: what follows is compiled and written again
        Store(artifact_folder(config.compilation_config)).clear()
    model = Model(vllm_config=config)
    assert model(x).tolist() == [4.0] * 3
    outcomes += [(one.outcome, one.reason) for _, one, _ in programs.get(model).keeping.lookups]
    if turn % 6 == 5:
        torch._dynamo.reset()
with open(f'{sys.argv[1]}/{own}.json', 'w') as file:
    json.dump(outcomes, file)
os._exit(0)
"""


@pytest.mark.skipif(
    not kept_code.keeps("aot_eager"), reason="this torch keeps nothing that aot_eager compiles"
)
def test_processes_that_race_are_all_right(tmp_path: Path) -> None:
    """8 processes, 200 lookups, the folder cleared in between: every result is right, no artifact is damaged, and some of each kind happened."""
    program = tmp_path / "race.py"
    program.write_text(PROGRAM.replace("TURNS", str(TURNS)).replace("PROCESSES", str(PROCESSES)))
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path)],
        env=environment(tmp_path, OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = [
        tuple(pair)
        for index in range(PROCESSES)
        for pair in json.loads((tmp_path / f"{index}.json").read_text())
    ]
    assert [reason for _, reason in outcomes if "corrupted" in (reason or "")] == []
    assert {outcome for outcome, _ in outcomes} >= {"hit", "miss"}
    assert len(outcomes) >= PROCESSES * TURNS
    assert list(tmp_path.glob("cache/**/*.tmp")) == []
