"""Small programs that users met: each has its trouble diagnosed, at its line, with a fix; and is quiet when it has none."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import compile_inspector as ci
from case_programs import OURS, THEIRS, about
from compile_inspector.model.findings import Finding

torch = pytest.importorskip("torch")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"case_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def findings(call: Any) -> tuple[Finding, ...]:
    with ci.record() as recorder, contextlib.redirect_stdout(io.StringIO()):
        call()
    assert recorder.session.losses == ()
    return recorder.session.findings


@pytest.mark.parametrize("path", [*OURS, *THEIRS], ids=lambda path: path.stem)
def test_the_case_is_diagnosed_at_its_line_and_quiet_when_fixed(path: Path) -> None:
    """The finding is of the kind, about the subject, at the marked line, and has a fix; the fixed program has none like it."""
    case = load(path)
    marked = next(number for number, line in enumerate(path.read_text().splitlines(), 1) if "# CAUSE" in line)
    found = [one for one in findings(case.run) if about(case.EXPECT, one)]
    assert found, f"no {case.EXPECT['kind']} about {case.EXPECT}"
    cause = found[0].cause
    assert cause is not None
    assert (Path(cause.file).name, cause.line) == (path.name, marked)
    assert found[0].fix.code or found[0].fix.note
    assert [one for one in findings(case.fixed) if about(case.EXPECT, one)] == []


def test_every_case_of_ours_names_its_thread() -> None:
    """At least 25 programs, each with the number of the thread it comes from, and every kind that is not about measuring."""
    assert len(OURS) >= 25
    assert [path.name for path in OURS if "#" not in path.read_text().splitlines()[0]] == []
    kinds = {load(path).EXPECT["kind"] for path in OURS}
    assert kinds >= {
        "constraint-violation",
        "specialization",
        "zero-one",
        "duck-shape",
        "static-first",
        "recompile",
        "recompile-limit",
        "graph-break",
        "guard-dropped",
    }


@pytest.mark.skipif(not THEIRS, reason="the folder of shared cases is not here")
def test_the_shared_cases_are_all_there() -> None:
    """The shared folder holds cases, so that the test above means something."""
    assert len(THEIRS) >= 9


def test_a_llama_at_one_size_gives_no_finding() -> None:
    """A small Llama, run twice at one size, in inference and in training, costs nothing that is worth more than a note."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=128,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    ids = torch.randint(0, 128, (2, 9))
    compiled = torch.compile(model, backend="eager")

    def run() -> None:
        with torch.no_grad():
            compiled(input_ids=ids, use_cache=False)
            compiled(input_ids=ids, use_cache=False)

    assert [one for one in findings(run) if one.severity != "note"] == []


def test_a_session_explains_itself_and_survives_a_log(tmp_path: Path) -> None:
    """Saved and loaded, a session has the same findings and answers."""

    def f(x: Any) -> Any:
        return x.relu() * 2

    compiled = torch.compile(f, backend="eager")
    with ci.record() as recorder:
        compiled(torch.ones(4, 3))
        compiled(torch.ones(5, 3))
    session = recorder.session
    loaded = ci.load(session.save(tmp_path / "trace.log"))
    assert loaded.findings == session.findings
    assert [one.kind for one in session.findings] == ["static-first"]
    chain = session.why("x.shape[0]")
    assert [step.kind for step in chain.steps][:3] == ["input", "symbol", "operation"]
    assert str(session.why(session.recompiles[0])) == str(loaded.why(loaded.recompiles[0]))
    diff = session.recompiles[0].diff()
    (resized,) = diff.of("dims")
    assert (resized.what, resized.was) == ("L['x'].size()[0]", "4 (static)")
    assert resized.now is not None
    assert resized.now.endswith("(dynamic)")
    assert session.diff(loaded).changes == ()
    (again,) = session.recompiles
    assert session.diff(again.nearest.entry_id, again.compile_id).changes == diff.changes
