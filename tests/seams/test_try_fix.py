"""Fixes, tried: the change a finding proposes is made from outside, and the calls are run without and with it."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
from pathlib import Path

import pytest
import torch

import compile_inspector as ci
from compile_inspector.errors import LabError
from compile_inspector.model.findings import Finding, Fix, MarkDim, SetConfig
from compile_inspector.torch_seams import isolation

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "tests" / "data" / "cases", ROOT.parent / "shared" / "cases")
CASES = [path for folder in FOLDERS for path in sorted(folder.glob("*.py")) if path.stem != "grade"]
SETTING = ("torch._dynamo.config", "capture_scalar_outputs")


def grow(x):
    return x * 2


def growing():
    f = torch.compile(grow, backend="eager")
    return [f(torch.ones(size, 2)) for size in (3, 4, 5)]


def reading():
    f = torch.compile(lambda x: x * x.sum().item(), backend="eager")
    return f(torch.ones(3))


def recorded(call, kind):
    with ci.record() as recorder:
        call()
    session = recorder.session
    return session, next(one for one in session.findings if one.kind == kind)


def finding_with(*actions, kind="static-first", code="paste me", compile_ids=()) -> Finding:
    return Finding(
        kind,
        "warning",
        "made up",
        ("L['x'].size()[0]",),
        None,
        (),
        Fix(code, "a note", actions),
        compile_ids=compile_ids,
    )


def test_marking_a_dimension_is_tried() -> None:
    """The finding of a size that was static first is gone with the mark; one compile serves what took two, and nothing differs."""
    session, finding = recorded(growing, "static-first")
    trial = session.try_fix(finding, growing)
    assert trial.works
    assert (trial.gone, trial.difference) == (True, None)
    assert (trial.before.compiles, trial.after.compiles) == (2, 1)
    assert (trial.before.recompiles, trial.after.recompiles) == (1, 0)
    assert trial.applied == ("torch._dynamo.mark_dynamic(L['x'], 0)",)


def test_a_setting_is_tried_and_put_back() -> None:
    """A graph break that a setting avoids is gone with it; afterwards the setting is as it was."""
    session, finding = recorded(reading, "graph-break")
    before = torch._dynamo.config.capture_scalar_outputs
    trial = session.try_fix(finding, reading)
    assert trial.works
    assert trial.before.graph_breaks == 1
    assert trial.after.graph_breaks == 0
    assert torch._dynamo.config.capture_scalar_outputs is before


def test_the_callers_tensor_keeps_no_mark() -> None:
    """A tensor that is marked for the trial has no mark afterwards."""
    x = torch.ones(3, 2)

    def call():
        f = torch.compile(grow, backend="eager")
        return f(x), f(torch.ones(4, 2))

    session, finding = recorded(call, "static-first")
    assert session.try_fix(finding, call).works
    assert not [name for name in vars(x) if name.startswith("_dynamo")]


def test_a_mark_is_for_the_function_of_the_finding() -> None:
    """Another function with an argument of that name is not marked."""

    def other(x):
        return x + 1

    def call():
        torch.compile(other, backend="eager")(torch.ones(7))
        return growing()

    session, finding = recorded(call, "static-first")
    trial = session.try_fix(finding, call)
    assert trial.works
    assert trial.after.compiles == trial.before.compiles - 1


def test_a_fix_that_changes_the_program_is_not_tried() -> None:
    """What cannot be changed from outside is refused with the code to paste; where there is no fix that is said."""
    session, _ = recorded(growing, "static-first")
    with pytest.raises(LabError, match=r"changes the program itself.*paste me"):
        session.try_fix(finding_with(), growing)
    with pytest.raises(LabError, match="no fix to try: a note"):
        session.try_fix(finding_with(code=None), growing)


def test_a_fix_that_does_not_help_says_so() -> None:
    """The finding is still there, so the trial does not work."""
    session, finding = recorded(growing, "static-first")
    import msgspec

    useless = msgspec.structs.replace(finding, fix=Fix("x", "y", (SetConfig(*SETTING, "True"),)))
    trial = session.try_fix(useless, growing)
    assert (trial.works, trial.gone) == (False, False)
    assert "does not work" in str(trial)


def test_a_mark_that_meets_nothing_is_told() -> None:
    """An input that does not come in is not marked, and the trial says so."""
    session, _ = recorded(growing, "static-first")
    trial = session.try_fix(finding_with(MarkDim("L['z']", 0)), growing)
    assert "nothing was marked" in trial.applied[-1]


def test_an_unknown_setting_is_refused() -> None:
    """A setting that this torch does not have is an error that names it."""
    session, _ = recorded(growing, "static-first")
    with pytest.raises(LabError, match="no_such_setting does not exist"):
        session.try_fix(finding_with(SetConfig("torch._dynamo.config", "no_such_setting", "1")), growing)


def test_a_call_that_raises_is_an_outcome() -> None:
    """A call that raises with the fix only does not work; one that no longer raises does."""

    def failing():
        f = torch.compile(lambda x: x.view(4, -1) * 2, backend="eager")
        x = torch.ones(4, 2)
        torch._dynamo.mark_dynamic(x, 0)
        return f(x)

    with ci.record() as recorder, pytest.raises(Exception, match="Constraints violated"):
        failing()
    session = recorder.session
    finding = next(one for one in session.findings if one.kind == "constraint-violation")
    trial = session.try_fix(finding, failing)
    assert trial.works
    assert "ConstraintViolationError" in trial.before.problem
    assert trial.after.problem is None
    worse = session.try_fix(
        finding_with(MarkDim("L['x']", 0)),
        lambda: torch.compile(lambda x: x.view(4, -1), backend="eager")(torch.ones(4, 2)),
    )
    assert worse.works is False
    assert "raises" in worse.difference


def test_a_result_that_differs_does_not_work() -> None:
    """Where the calls give something else with the fix, the trial says what."""
    session, _ = recorded(growing, "static-first")
    results = iter((torch.ones(2), torch.zeros(2)))
    trial = session.try_fix(
        finding_with(SetConfig(*SETTING, "True"), kind="graph-break"), lambda: next(results)
    )
    assert trial.gone
    assert not trial.works
    assert "differs" in trial.difference


def test_a_trial_shows_itself() -> None:
    """Text and HTML have the verdict, what was applied, and before and after."""
    session, finding = recorded(growing, "static-first")
    trial = session.try_fix(finding, growing)
    bundle = trial._repr_mimebundle_()
    assert bundle["text/plain"] == str(trial)
    assert "The fix works: the finding is gone, the result is the same" in str(trial)
    assert "mark_dynamic" in bundle["text/html"]
    assert "before" in bundle["text/html"]
    assert "it works" in repr(trial)


def test_nothing_is_compiled_afterwards() -> None:
    """The runs of a trial are apart: no compiled code of theirs is left."""
    session, finding = recorded(growing, "static-first")
    session.try_fix(finding, growing)
    assert isolation.probe().available
    with ci.record() as recorder:
        pass
    assert recorder.session.compiles == ()


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_fix_that_can_be_made_from_outside_works_on_its_case(path, monkeypatch) -> None:
    """The due finding of a case is gone with its fix, and the calls give what they gave; other fixes are refused with their code."""
    spec = importlib.util.spec_from_file_location(f"tried_{path.stem}", path)
    case = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, case)
    spec.loader.exec_module(case)
    with contextlib.redirect_stdout(io.StringIO()):
        session, finding = recorded(case.run, case.EXPECT["kind"])
        if finding.fix.actions:
            trial = session.try_fix(finding, case.run)
            assert trial.works, str(trial)
        else:
            with pytest.raises(LabError, match=r"changes the program itself|no fix to try"):
                session.try_fix(finding, case.run)
