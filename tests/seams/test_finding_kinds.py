"""Every kind of finding on real recordings: there where its trouble is, and absent where it is not."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch.fx.experimental.symbolic_shapes import ConstraintViolationError

import compile_inspector as ci
from compile_inspector.errors import GuardViolation
from compile_inspector.model.findings import FindingKind

ELSEWHERE = {"cudagraph-skip", "cudagraph-rerecord", "cache-miss"}
"""Kinds that other tables and tests speak for."""
COSTS = importlib.import_module("compile_inspector.analyze.findings.guard_cost")
Build = Callable[[], ci.Session]


class Deep(torch.nn.Module):
    """Many small layers: hundreds of guards."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(depth))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Branch(torch.nn.Module):
    """Another answer for sizes below 4."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if len(x) >= 4 else x * 100


def double(x):
    return x * 2


def branch(x):
    return x * 2 if x.shape[0] == 5 else x


def loop(x):
    return sum(x[i] for i in range(x.shape[0]))


def noisy(x):
    x = x + 1
    torch._dynamo.graph_break()
    return x * 2


def scaled(x, n):
    return x * n


def calls(function, *arguments, mark=None, **options) -> Build:
    """Records calls of a function compiled anew."""

    def build() -> ci.Session:
        compiled = torch.compile(function, backend="eager", **options)
        with ci.record() as recorder:
            for one in arguments:
                given = tuple(torch.ones(size, 3) if isinstance(size, int) else size for size in one)
                if mark is not None:
                    torch._dynamo.mark_dynamic(given[0], mark)
                with contextlib.suppress(ConstraintViolationError):
                    compiled(*given)
        return recorder.session

    return build


def filtered(guard_filter) -> Build:
    return calls(scaled, (4, 2.0), options={"guard_filter_fn": guard_filter})


def decorated(policy: str, *sizes: int) -> Build:
    """Records calls of a module under the compile decorator, which checks the guards that torch drops."""

    def build() -> ci.Session:
        settings = ci.InspectorConfig({"backend": "eager", "dropped_guards": policy})
        applying = ci.apply(Branch(), dynamic_arg_dims={"x": 0}, vllm_config=settings)
        with applying as applied, ci.record() as recorder:
            for size in sizes:
                with contextlib.suppress(GuardViolation):
                    applied.module(torch.ones(size))
        return recorder.session

    return build


def costs(noted_ns: int) -> Build:
    """Times real guards; what they take is a finding from ``noted_ns`` on, so that no machine's speed decides."""

    def build() -> ci.Session:
        compiled = torch.compile(Deep(30), backend="eager")
        compiled(torch.ones(3, 2))
        session = ci.guard_cost(compiled, torch.ones(3, 2))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(COSTS, "NOTED_NS", noted_ns)
            assert session.findings is not None
        return session

    return build


PRESENT: dict[str, dict[str, Build]] = {
    "constraint-violation": {"compared": calls(branch, (5,), mark=0)},
    "specialization": {"loop": calls(loop, (4,), (5,), dynamic=True)},
    "zero-one": {"one later": calls(double, (4,), (1,), dynamic=True)},
    "duck-shape": {"square": calls(lambda x: x * 2, (3,), (5,), dynamic=True)},
    "static-first": {"second size": calls(double, (4,), (5,))},
    "recompile": {"number": calls(scaled, (4, 2.0), (4, 3.0))},
    "recompile-limit": {"widths": calls(double, *[(n,) for n in range(2, 14)], dynamic=False)},
    "graph-break": {"asked for": calls(noisy, (4,))},
    "guard-cost": {"deep": costs(0)},
    "guard-dropped": {
        "filter": filtered(lambda guards: [False for _ in guards]),
        "violation recompiled": decorated("recompile", 5, 3),
        "violation raised": decorated("raise", 5, 3),
    },
}  # fmt: skip
ABSENT: dict[str, dict[str, Build]] = {
    "constraint-violation": {"not compared": calls(double, (5,), (6,), mark=0)},
    "specialization": {"no loop": calls(double, (4,), (5,), dynamic=True)},
    "zero-one": {"two later": calls(double, (4,), (2,), dynamic=True)},
    "duck-shape": {"marked": calls(double, (3,), (5,), mark=0)},
    "static-first": {"marked": calls(double, (4,), (5,), mark=0), "one size": calls(double, (4,), (4,))},
    "recompile": {"same number": calls(scaled, (4, 2.0), (4, 2.0))},
    "recompile-limit": {"dynamic": calls(double, *[(n,) for n in range(2, 14)])},
    "graph-break": {"none": calls(double, (4,))},
    "guard-cost": {"quick": costs(10**15), "not timed": calls(double, (2,))},
    "guard-dropped": {
        "all kept": filtered(lambda guards: [True for _ in guards]),
        "no filter": calls(scaled, (4, 2.0)),
        "met": decorated("recompile", 5, 6),
        "none raised": decorated("raise", 5, 6),
    },
}


def rows(table: dict[str, dict[str, Build]]) -> list[object]:
    return [
        pytest.param(kind, build, id=f"{kind}: {name}")
        for kind, builds in table.items()
        for name, build in builds.items()
    ]


def test_every_kind_is_tried_both_ways() -> None:
    """Each kind of finding has a recording that has it and one that has not."""
    kinds = set(get_args(FindingKind)) - ELSEWHERE
    assert (set(PRESENT), set(ABSENT)) == (kinds, kinds)


@pytest.mark.parametrize(("kind", "build"), rows(PRESENT))
def test_a_finding_is_there_where_its_trouble_is(kind: str, build: Build) -> None:
    """The recording of the trouble has a finding of the kind, with a sentence, evidence and a fix or the reason why there is none."""
    session = build()
    assert session.losses == ()
    found = [one for one in session.findings if one.kind == kind]
    assert found
    for one in found:
        assert one.title
        assert one.evidence
        assert one.subjects
        assert one.fix.code or one.fix.note
        assert one.cause is not None


@pytest.mark.parametrize(("kind", "build"), rows(ABSENT))
def test_a_finding_is_absent_where_its_trouble_is_not(kind: str, build: Build) -> None:
    """The recording without the trouble has no finding of the kind."""
    session = build()
    assert session.losses == ()
    assert [one for one in session.findings if one.kind == kind] == []


def test_a_violation_names_the_size_and_the_line() -> None:
    """A call that a dropped guard forbids: the size, the user's line, what was done, and that no setting helps."""
    (found,) = [one for one in decorated("raise", 5, 3)().findings if one.kind == "guard-dropped"]
    assert (found.severity, found.count) == ("error", 1)
    assert found.subjects == ("L['x'].size()[0]",)
    assert found.cause.code == "return x * 2 if len(x) >= 4 else x * 100"
    assert "the call was refused" in found.title
    assert (found.fix.code, found.fix.actions) == (None, ())
    assert found.fix.note.startswith("no setting helps: rewrite")


def test_what_guards_cost_is_told_with_a_filter_that_works(monkeypatch) -> None:
    """Of real guards the finding names the place and a filter; compiled with it the call gives the same, and fewer guards are checked."""
    monkeypatch.setattr(COSTS, "NOTED_NS", 0)
    module = Deep(30)
    x = torch.ones(3, 2)
    session = ci.guard_cost(torch.compile(module, backend="eager"), x)
    (found,) = [one for one in session.findings if one.kind == "guard-cost"]
    assert any("layers" in subject for subject in found.subjects)
    assert found.cause.function == "forward"
    assert found.fix.code.startswith('options={"guard_filter_fn": torch.compiler.')
    name = found.fix.code.removesuffix("}").rpartition(".")[2]
    torch._dynamo.reset()
    again = torch.compile(module, backend="eager", options={"guard_filter_fn": getattr(torch.compiler, name)})
    torch.testing.assert_close(again(x), session.result)
    (before,), (after,) = session.guard_costs, ci.guard_cost(again, x).guard_costs
    assert after.checks < before.checks


def test_without_filters_tried_the_fix_says_how_to_try_them() -> None:
    """Of code that was compiled before the call no filter is known: the fix says what to run."""
    (found,) = [one for one in costs(0)().findings if one.kind == "guard-cost"]
    assert found.fix.code is None
    assert "torch.compiler.reset(), then ci.guard_cost again" in found.fix.note
