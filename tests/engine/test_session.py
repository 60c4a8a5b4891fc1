"""What a session tells of the compile decorator: live, told afterwards, and from a log, alike."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

import compile_inspector as ci
from attention_models import Stack, config
from compile_inspector.errors import GuardViolation


class Branch(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] >= 4:
            return x * 2
        return x * 100


def applied_to(module: torch.nn.Module, **settings: object) -> ci.InspectorConfig:
    given = ci.InspectorConfig({"backend": "eager", **settings})
    ci.apply(module, dynamic_arg_dims={"x": 0}, vllm_config=given, prefix="branch")
    return given


@pytest.fixture(autouse=True)
def anew() -> None:
    """No code of an earlier test is left to be told of."""
    torch._dynamo.reset()


def of(rows, module: str):
    return [row for row in rows if row.module == module]


def test_a_session_tells_what_was_applied_split_and_compiled(tmp_path: Path) -> None:
    """A model split at its attention: its settings, pieces, ranges with counts, dropped guards; a saved log holds the same."""
    vllm_config = config(compile_ranges_endpoints=[16], cudagraph_mode="NONE")
    with torch.no_grad(), ci.record() as recorder:
        model = Stack(vllm_config=vllm_config, prefix="stack", layers=3)
        for size in (32, 2, 1, 2):
            model(torch.randn(size, 16))
    session = recorder.session
    (row,) = of(session.applied, "stack")
    assert (row.how, row.mode, row.dropped_guards, row.splitting_ops, row.compile_ids) == (
        "decorated",
        "PIECEWISE_COMPILE",
        "ignore",
        ("silly::attention",),
        (session.compiles[0].id,),
    )
    assert [(mark.source, mark.dim, mark.kind) for mark in row.marked] == [("L['x']", 0, "backed")]
    pieces = of(session.partitions, "stack")
    assert [piece.kind for piece in pieces] == ["compiled", "splitting"] * 3 + ["compiled"]
    assert {piece.split_op for piece in pieces} == {None, "silly::attention"}
    ranges = of(session.ranges, "stack")
    assert {(one.sizes, one.call_count) for one in ranges} == {("1 to 16", 3), ("17 to 8192", 1)}
    assert {one.reused_from for one in ranges if one.partition == 4} == {2}
    guards = [guard for guard in session.guards if guard.compile_id in row.compile_ids]
    assert guards
    assert {(guard.dropped, guard.checked_by) for guard in guards} == {(True, None)}
    partition = {node.name: node.partition for node in session.graphs[0].nodes}
    assert {partition[name] for piece in pieces for name in piece.nodes} == set(range(7))
    assert session.losses == ()
    assert ci.load(session.save(tmp_path / "stack.log.gz")) == session


def test_a_recorder_that_came_late_is_told_the_same() -> None:
    """What is compiled before the recording is told with counts up to its end, also when torch has forgotten the compile."""
    module = Branch()
    applied_to(module)
    for size in (5, 3, 3, 6):
        module(torch.ones(size))
    with ci.record() as before:
        module(torch.ones(7))
    torch._dynamo.reset()
    with ci.record() as after:
        module(torch.ones(8))
        torch.compile(lambda x: x + 1, backend="eager")(torch.ones(3))
    early, late = before.session, after.session
    assert [row.call_count for row in of(early.ranges, "branch")] == [3, 2]
    assert [row.call_count for row in of(late.ranges, "branch")] == [4, 2]
    assert [(row.source, row.actual, row.count) for row in of(late.violations, "branch")] == [
        ("L['x'].size()[0]", "3", 1)
    ]
    (row,) = of(late.applied, "branch")
    assert len(row.compile_ids) == 2
    assert set(row.compile_ids).isdisjoint(compiled.id for compiled in late.compiles)
    assert set(row.compile_ids) <= {guard.compile_id for guard in late.guards if guard.dropped}
    assert (early.losses, late.losses) == ((), ())


def test_a_snapshot_has_the_counts_of_its_moment() -> None:
    """Counts in a snapshot are those of then; the session's are those of the end. Nothing is told twice."""
    module = Branch()
    with ci.record() as recorder:
        applied_to(module)
        module(torch.ones(5))
        early = recorder.snapshot()
        module(torch.ones(6))
    assert [row.call_count for row in of(early.ranges, "branch")] == [1]
    assert [row.call_count for row in of(recorder.session.ranges, "branch")] == [2]
    assert len(of(recorder.session.applied, "branch")) == 1


def test_nested_recorders_each_get_all_of_it() -> None:
    """Two recorders around one call tell the same of it."""
    module = Branch()
    with ci.record() as outer, ci.record() as inner:
        applied_to(module)
        module(torch.ones(5))
    for name in ("applied", "ranges", "partitions", "violations"):
        assert of(outer.session.rows(name), "branch") == of(inner.session.rows(name), "branch")


def test_a_violation_that_raises_is_told_with_its_line() -> None:
    """Under "raise" the call is an error and the session has the guard, what came, and the line behind it."""
    module = Branch()
    applied_to(module, dropped_guards="raise")
    with ci.record() as recorder:
        module(torch.ones(5))
        for _ in range(2):
            with pytest.raises(GuardViolation):
                module(torch.ones(3))
    (row,) = of(recorder.session.violations, "branch")
    assert (row.source, row.expr, row.actual, row.category, row.action, row.count) == (
        "L['x'].size()[0]",
        "4 <= L['x'].size()[0]",
        "3",
        "size",
        "raised",
        2,
    )
    assert row.location is not None
    assert (row.location.file, row.location.code) == (__file__, "if x.shape[0] >= 4:")


def test_guards_are_checked_by_the_decorator_by_default() -> None:
    """Under "recompile" every guard is dropped by torch and asked by the decorator; each sort of guard is named."""
    module = Branch()
    with ci.record() as recorder:
        applied_to(module)
        module(torch.ones(5))
    (row,) = of(recorder.session.applied, "branch")
    guards = [guard for guard in recorder.session.guards if guard.compile_id in row.compile_ids]
    assert {(guard.dropped, guard.checked_by) for guard in guards} == {(True, "decorator")}
    assert {"size", "dtype", "global state"} <= {guard.category for guard in guards}


def test_a_module_applied_twice_has_two_rows() -> None:
    """The second settings do not overwrite what is told of the first."""
    module = Branch()
    with ci.record() as recorder:
        applied_to(module)
        module(torch.ones(5))
        applied_to(module, dropped_guards="ignore")
        module(torch.ones(5))
    rows = of(recorder.session.applied, "branch")
    assert [(row.dropped_guards, len(row.compile_ids)) for row in rows] == [("recompile", 1), ("ignore", 1)]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_inductors_partitions_of_a_plain_compile_are_seen() -> None:
    """Partitions are observed of any compile: on a CPU there is one, which no CUDA graph can hold, and the reason is told."""
    scale = (
        random.random()
    )  # a graph that no cache holds: what comes from Inductor's cache is not partitioned again
    with ci.record() as recorder:
        torch.compile(lambda x: (x + 1).relu() * scale, backend="inductor", dynamic=False)(torch.ones(33))
    (row,) = [row for row in recorder.session.partitions if row.by == "inductor"]
    assert (row.index, row.capturable, row.kind) == (0, False, "compiled")
    assert row.reason
    assert row.kernels


def test_the_users_call_is_the_trigger() -> None:
    """Frames of the decorator's own are not taken for the user's: a compile's trigger is the call."""
    module = Branch()
    with ci.record() as recorder:
        applied_to(module)
        module(torch.ones(5))
    (row,) = of(recorder.session.applied, "branch")
    (compiled,) = [one for one in recorder.session.compiles if one.id in row.compile_ids]
    assert compiled.trigger is not None
    assert (compiled.trigger.file, compiled.trigger.code) == (__file__, "module(torch.ones(5))")


def test_a_teller_that_fails_is_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a module cannot tell, the recording goes on and says that something was lost."""
    from compile_inspector.engine import narration

    def fails() -> list[object]:
        raise RuntimeError("no facts")

    monkeypatch.setattr(narration, "live", fails)
    with ci.record() as recorder:
        torch.compile(lambda x: x + 1, backend="eager")(torch.ones(3))
    assert len(recorder.session.compiles) == 1
    assert [loss.count for loss in recorder.session.losses] == [2]
