"""Programs kept on disk: the next process loads them, and one that has changed compiles anew and says what changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from compile_inspector.torch_seams import kept_code
from engine.artifact_programs import PROGRAM, Processes, run

pytestmark = pytest.mark.skipif(
    not kept_code.keeps("aot_eager"), reason="this torch keeps nothing that aot_eager compiles"
)
ONE = PROGRAM.replace("LAYERS", "1")
CALL = "main(lambda config: Model(vllm_config=config), torch.ones(3, 4))"


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Where programs run, each in a process of its own."""
    found = Processes(tmp_path_factory.mktemp("processes"))
    yield found
    found.end()


def test_the_second_process_loads_what_the_first_compiled(tmp_path: Path) -> None:
    """Compiled, saved, loaded are (1, 1, 0) in the first process and (0, 0, 1) in the second, for other sizes too; both are right.

    These two are interpreters of their own: with other hash seeds, and nothing imported.
    """
    call = "main(lambda config: Model(vllm_config=config), torch.ones(3, 4), torch.ones(7, 4))"
    first, second = run(tmp_path, ONE, call), run(tmp_path, ONE, call)
    assert first.aot == (1, 1, 0)
    assert second.aot == (0, 0, 1)
    assert (first.loaded, second.loaded) == (False, True)
    assert first.is_right()
    assert second.is_right()
    assert [row["outcome"] for row in (*first.lookups, *second.lookups)] == ["miss", "hit"]


def stale(
    processes: Processes, folder: Path, program: str, call: str = CALL
) -> dict[str, tuple[str | None, str | None]]:
    """What a changed program's lookup names, after the original was kept; it compiled anew and is right."""
    first = processes.run(folder, ONE, CALL)
    assert first.aot == (1, 1, 0)
    changed = processes.run(folder, program, call)
    assert changed.aot == (1, 1, 0)
    assert changed.is_right()
    assert changed.results != first.results
    return changed.differs


def test_an_attribute_that_changed_is_named(processes: Processes, tmp_path: Path) -> None:
    """`self.scale` from 1 to 5: compiled anew, and the row names the attribute with both values."""
    differs = stale(processes, tmp_path, ONE.replace("self.scale = 1", "self.scale = 5"))
    assert differs == {"L['self']._modules['layers']._modules['0'].scale": ("1", "5")}


def test_more_layers_are_named(processes: Processes, tmp_path: Path) -> None:
    """Three layers instead of one: the structure and the parameters differ."""
    differs = stale(processes, tmp_path, PROGRAM.replace("LAYERS", "3"))
    assert differs["modules"] == (None, "layers.1: __main__.Layer")
    assert set(differs) == {"modules", "parameters"}


def test_another_program_of_the_same_name_and_line_is_told_apart(
    processes: Processes, tmp_path: Path
) -> None:
    """Another file with a class of the same name at the same line: its forward differs, and the line is shown."""
    differs = stale(processes, tmp_path, ONE.replace("        return x\n", "        return x - 7\n"))
    assert differs == {"forward": ("return x", "return x - 7")}


def test_another_dtype_is_told_apart(processes: Processes, tmp_path: Path) -> None:
    """A float64 input (and model) after a float32 one."""
    call = "main(lambda config: Model(vllm_config=config).double(), torch.ones(3, 4).double() / 3)"
    differs = stale(processes, tmp_path, ONE, call)
    assert set(differs) == {"parameters", "arguments"}
    assert "float64" in (differs["arguments"][1] or "")


def test_an_edited_layer_is_named_with_its_line(processes: Processes, tmp_path: Path) -> None:
    """The forward of a submodule's class is traced: edited, it is named, with its text before and after."""
    differs = stale(processes, tmp_path, ONE.replace("* self.scale + SHIFT", "* self.scale - SHIFT"))
    (name,) = differs
    assert name == "function __main__.Layer.forward"
    assert differs[name][1] == "return torch.relu(self.linear(x)) * self.scale - SHIFT"


def test_a_global_that_changed_is_named(processes: Processes, tmp_path: Path) -> None:
    """`SHIFT` from 1.0 to 2.5."""
    differs = stale(processes, tmp_path, ONE.replace("SHIFT = 1.0", "SHIFT = 2.5"))
    assert differs == {"G['SHIFT']": ("1.0", "2.5")}


def test_train_is_not_eval(processes: Processes, tmp_path: Path) -> None:
    """A model with dropout, kept in eval mode, is compiled anew in train mode."""
    program = ONE.replace(
        "return torch.relu(self.linear(x))",
        "return (torch.relu(self.linear(x)) if self.training else self.linear(x))",
    )
    processes.run(tmp_path, program, CALL.replace("config)", "config).eval()", 1))
    changed = processes.run(tmp_path, program, CALL)
    assert changed.aot == (1, 1, 0)
    assert changed.is_right()
    assert changed.differs == {"training": ("eval", "train")}


@pytest.mark.parametrize(
    ("was", "now", "call", "component", "line"),
    [
        (
            "scale = 1",
            "scale = 5",
            CALL,
            "L['self']._modules['layers']._modules['0'].scale",
            "* self.scale + SHIFT",
        ),
        ("SHIFT = 1.0", "SHIFT = 2.5", CALL, "G['SHIFT']", "* self.scale + SHIFT"),
        ("        return x\n", "        return x - 7\n", CALL, "forward", "return x - 7"),
        ("range(1)", "range(2)", CALL, "modules", "def __init__(self, *, vllm_config, prefix"),
        ("SHIFT = 1.0", "SHIFT = 1.0", CALL.replace("3, 4)", "3, 4).half()"), "arguments", "model(x)"),
    ],
)
def test_what_changed_has_its_line(
    processes: Processes, tmp_path: Path, was: str, now: str, call: str, component: str, line: str
) -> None:
    """The line where a value is read, where the forward differs, where a class is set up, or of the call; in the text as it is now, moved by three lines."""
    assert processes.run(tmp_path, ONE, CALL).aot == (1, 1, 0)
    half = call != CALL
    program = "\n\n\n" + ONE.replace(was, now)
    given = call.replace("vllm_config=config)", "vllm_config=config).half()") if half else call
    found = processes.run(tmp_path, program, given)
    lines = {name: at for name, _, _, at in found.lookups[0]["differs"]}
    text = (tmp_path / "program.py").read_text().splitlines()
    assert line in text[lines[component] - 1]


CELLS = """
import linecache, sys
import torch
import compile_inspector as ci

def cell(text):
    name = f"/tmp/ipykernel_{{}}/{{}}.py".format(__import__("os").getpid(), abs(hash(text)))
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), globals())

cell('''HELPER''')
cell('''MODEL''')
"""
HELPER = "def helper(x):\n    return x.sin()\n"
MODEL = """
@ci.support_torch_compile
class Model(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return helper(x) + 1
"""
BUILD = "main(lambda config: make(config), torch.ones(3, 4))"
MAKE = """
def make(config):
    with ci.set_current_vllm_config(config):
        return Model()
"""


def cells(helper: str = HELPER, model: str = MODEL) -> str:
    return CELLS.replace("HELPER", helper).replace("MODEL", model) + MAKE


@pytest.mark.parametrize(
    ("changed", "component", "line"),
    [
        (cells(helper=HELPER.replace("sin", "cos")), "function __main__.helper", 2),
        (cells(model=MODEL.replace("+ 1", "+ 2")), "forward", 5),
    ],
)
def test_an_edited_notebook_cell_compiles_anew(
    processes: Processes, tmp_path: Path, changed: str, component: str, line: int
) -> None:
    """A kernel that runs the same cells loads, though its cells' files have other names; an edited cell is named."""
    first, second = processes.run(tmp_path, cells(), BUILD), processes.run(tmp_path, cells(), BUILD)
    assert (first.aot, second.aot) == ((1, 1, 0), (0, 0, 1))
    edited = processes.run(tmp_path, changed, BUILD)
    assert edited.aot == (1, 1, 0)
    assert edited.is_right()
    assert [(name, at) for name, _, _, at in edited.lookups[0]["differs"]] == [(component, line)]
