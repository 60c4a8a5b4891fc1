"""Fixes for the way models are called: arguments in a dictionary, a library that makes the call, a mask beside what it masks."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest
import torch

import compile_inspector as ci
from compile_inspector.analyze.findings.recompile import fix_of
from compile_inspector.analyze.findings.sites import Site
from compile_inspector.model.compiles import Call
from compile_inspector.model.findings import SetConfig
from compile_inspector.model.locations import Location
from compile_inspector.model.recompiles import FailingGuard


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def masked(x, mask):
    return x.masked_fill(mask, 0.0).sum()


def test_sizes_in_a_dictionary_go_by_its_name() -> None:
    """Of a call with ``**batch`` the fix marks the dictionary's items; with it one compile serves every size."""
    compiled = torch.compile(masked, backend="eager")

    def grow(fix: str = "") -> ci.Session:
        torch._dynamo.reset()
        with ci.record() as recorder:
            for size in (4, 6, 9):
                batch = {"x": torch.ones(2, size), "mask": torch.zeros(2, size, dtype=torch.bool)}
                exec(fix, {"torch": torch}, {"batch": batch})
                compiled(**batch)
        return recorder.session

    (finding,) = grow().findings
    assert finding.kind == "static-first"
    assert finding.fix.code.splitlines() == [
        "torch._dynamo.mark_dynamic(batch['x'], 1)",
        "torch._dynamo.mark_dynamic(batch['mask'], 1)",
    ]
    after = grow(finding.fix.code)
    assert (len(after.compiles), after.findings) == (1, ())


def test_a_mask_that_was_not_marked_is_named() -> None:
    """Where a marked size meets the same size of an input that was not marked, the fix marks that one, and the program compiles."""
    compiled = torch.compile(masked, backend="eager")

    def attempt(fix: str = "") -> ci.Session:
        torch._dynamo.reset()
        x, mask = torch.ones(2, 5), torch.zeros(2, 5, dtype=torch.bool)
        torch._dynamo.mark_dynamic(x, 1)
        exec(fix, {"torch": torch}, {"mask": mask})
        with ci.record() as recorder, suppress(Exception):
            compiled(x, mask)
        return recorder.session

    (finding,) = attempt().findings
    assert finding.kind == "constraint-violation"
    assert finding.fix.code == "torch._dynamo.mark_dynamic(mask, 1)"
    assert "L['mask'].size()[1] has that size as a number" in finding.fix.note
    after = attempt(finding.fix.code)
    assert [row.status for row in after.compiles] == ["ok"]
    assert after.findings == ()


def test_a_size_that_a_line_names_itself_has_no_such_partner() -> None:
    """A number that the user's line holds is rewritten there, whatever other inputs have that size."""

    def program(x, other):
        return x.view(5, 2) @ other

    x, other = torch.ones(5, 2), torch.ones(2, 5)
    torch._dynamo.mark_dynamic(x, 0)
    with ci.record() as recorder, pytest.raises(Exception, match="onstraint"):
        torch.compile(program, backend="eager")(x, other)
    (finding,) = recorder.session.findings
    assert "maybe_mark_dynamic(x, 0)" in finding.fix.code


@pytest.fixture
def library(tmp_path: Path):
    """An installed library that calls what it is given."""
    path = tmp_path / "site-packages" / "runs_models.py"
    path.parent.mkdir()
    path.write_text("def run(function, tensor):\n    inputs = {'x': tensor}\n    return function(**inputs)\n")
    spec = importlib.util.spec_from_file_location("runs_models", path)
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["runs_models"] = module
    yield module
    del sys.modules["runs_models"]


def double(x):
    return x * 2


def test_a_call_that_a_library_makes_is_named_to_torch(library) -> None:
    """No line of the user's can mark what a library passes: the fix is a setting that names it, and with it one compile serves all."""
    compiled = torch.compile(double, backend="eager")

    def grow() -> ci.Session:
        torch._dynamo.reset()
        with ci.record() as recorder:
            for size in (4, 6, 9):
                library.run(compiled, torch.ones(2, size))
        return recorder.session

    (finding,) = grow().findings
    (action,) = finding.fix.actions
    assert isinstance(action, SetConfig)
    assert finding.fix.code.startswith("torch.compiler.config.dynamic_sources = \"L['x']")
    assert "a library makes the call, at runs_models.py:3" in finding.fix.note
    before = torch.compiler.config.dynamic_sources
    try:
        exec(finding.fix.code, {"torch": torch})
        after = grow()
    finally:
        torch.compiler.config.dynamic_sources = before
    assert (len(after.compiles), after.findings) == (1, ())


def test_a_size_that_changed_twice_is_told_by_its_sizes() -> None:
    """What torch keeps of a size that it knows to vary is no word of its own for it."""
    compiled = torch.compile(double, backend="eager")
    with ci.record() as recorder:
        for shape in ((4, 4), (4, 6), (3, 8)):
            compiled(torch.ones(shape))
    told = [row.why for row in recorder.session.dims if row.compile_id == "0/2"]
    assert told == ["dynamic after a change: it was 4, then 3", "dynamic after a change: it was 4, then 6"]


def test_a_size_that_becomes_one_needs_the_setting_too() -> None:
    """Where a size goes to 1 together with something else, as when a model has read its prompt, the fix lifts torch's rule for 1."""
    compiled = torch.compile(lambda x, first: x + 1 if first else x - 1, backend="eager")

    def generate(fix: str = "") -> ci.Session:
        torch._dynamo.reset()
        with ci.record() as recorder:
            prompt = torch.ones(2, 5)
            exec(fix, {"torch": torch}, {"prompt": prompt})
            compiled(prompt, True)
            token = torch.ones(2, 1)
            compiled(token, False)
            compiled(torch.ones(2, 7), False)
        return recorder.session

    assert len(generate().compiles) == 3
    (finding, *_) = (one for one in generate().findings if one.kind == "recompile")
    assert "torch._dynamo.mark_dynamic(prompt, 1)" in finding.fix.code
    experimental = torch.fx.experimental._config
    before = experimental.backed_size_oblivious
    try:
        after = generate(finding.fix.code)
    finally:
        experimental.backed_size_oblivious = before
    assert len(after.compiles) == 2


def test_settings_of_one_fix_stay_together() -> None:
    """Of several things that changed, inputs are named in one list, and no other setting of the same fix is lost."""
    fix = fix_of(
        tuple(
            FailingGuard(source, kind, "", before, after, None)
            for source, kind, before, after in (
                ("L['x'].size()[1]", "TENSOR_MATCH", "5", "1"),
                ("L['steps']", "EQUALS_MATCH", "7", "9"),
            )
        ),
        *[
            Site(
                None,
                Call("function(x)", ("x", "steps"), library=Location("/site-packages/a.py", 3, "run", None)),
            )
        ]
        * 2,
    )
    assert fix.code.splitlines() == [
        'torch.compiler.config.dynamic_sources = ",".join((',
        "    \"L['x']\",",
        "    \"L['steps']\",",
        "))",
        "torch.fx.experimental._config.backed_size_oblivious = True",
    ]


class Experts(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts = torch.nn.ModuleList(torch.nn.Linear(3, 3) for _ in range(3))

    def forward(self, x, which):
        return self.experts[which](x)


def test_a_layer_that_is_chosen_by_a_number_is_one_finding() -> None:
    """Each number is other code: one finding says so at its line, and none offers a setting that changes nothing."""
    compiled = torch.compile(Experts(), backend="eager")
    with ci.record() as recorder:
        for which in range(3):
            compiled(torch.ones(2, 3), which)
    (finding,) = recorder.session.findings
    assert (finding.kind, finding.subjects, finding.count) == ("specialization", ("L['which']",), 2)
    assert finding.fix.code is None
    assert "each value picks another item" in finding.fix.note


class Remembers(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kept = {}

    def forward(self, x):
        self.kept["x"] = torch.cat([self.kept["x"], x]) if "x" in self.kept else x
        return self.kept["x"].sum()


def test_a_cache_that_grows_is_named_to_torch() -> None:
    """No line before the first call can mark what is not there yet: the fix is a setting, and with it one compile less is made."""
    before = torch.compiler.config.dynamic_sources
    oblivious = torch.fx.experimental._config.backed_size_oblivious

    def grow() -> ci.Session:
        torch._dynamo.reset()
        compiled = torch.compile(Remembers(), backend="eager")
        with ci.record() as recorder:
            for _ in range(4):
                compiled(torch.ones(1, 3))
        return recorder.session

    session = grow()
    (finding,) = (one for one in session.findings if one.kind == "zero-one")
    try:
        exec(finding.fix.code, {"torch": torch})
        after = grow()
    finally:
        torch.compiler.config.dynamic_sources = before
        torch.fx.experimental._config.backed_size_oblivious = oblivious
    assert (len(session.compiles), len(after.compiles)) == (3, 2)
