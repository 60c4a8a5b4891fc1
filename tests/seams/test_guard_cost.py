"""What guards cost, measured in a call: cold and warm, by place, and what ready-made filters would drop."""

from __future__ import annotations

import sys

import pytest
import torch

import compile_inspector as ci
from compile_inspector.errors import LabError
from compile_inspector.torch_seams import guard_cost as seam
from compile_inspector.torch_seams.guard_cost import where

RATE = 2.0


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(4, 4)
        self.scale = 2.0

    def forward(self, x):
        return self.inner(x) * self.scale


class Stack(torch.nn.Module):
    def __init__(self, depth: int = 6) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList(Block() for _ in range(depth))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x * RATE


class Broken(torch.nn.Module):
    def forward(self, x):
        y = x * RATE
        torch._dynamo.graph_break()
        return y + x.sum()


@pytest.fixture
def stack():
    return Stack()


def test_a_call_of_compiled_code_is_timed(stack) -> None:
    """The guards of code that was compiled before are timed when it runs: warm and cold, all of them counted."""
    compiled = torch.compile(stack, backend="eager")
    compiled(torch.ones(2, 4))
    session = ci.guard_cost(compiled, torch.ones(2, 4))
    (cost,) = session.guard_costs
    assert cost.problem is None
    assert 0 < cost.warm_ns < cost.cold_ns
    assert cost.checks > 6 * 10
    assert session.losses == ()


def test_a_call_that_compiles_is_timed_too(stack) -> None:
    """The first call compiles, its guards are timed in the same call, and the result is that of the call."""
    x = torch.ones(2, 4)
    session = ci.guard_cost(torch.compile(stack, backend="eager"), x)
    assert [cost.compile_id for cost in session.guard_costs] == [row.id for row in session.compiles]
    torch.testing.assert_close(session.result, stack(x))


def test_each_part_of_a_broken_graph_is_timed() -> None:
    """Where the graph breaks, the code of both sides has guards of its own."""
    session = ci.guard_cost(torch.compile(Broken(), backend="eager"), torch.ones(3))
    assert len(session.guard_costs) == 2
    assert all(cost.warm_ns for cost in session.guard_costs)


def test_costs_are_grouped_by_module(stack) -> None:
    """Modules of a list are one group, counted with all that lies within; the modules of this stack take most of the time."""
    (cost,) = ci.guard_cost(torch.compile(stack, backend="eager"), torch.ones(2, 4)).guard_costs
    groups = {group.name: group for group in cost.groups}
    whole, inner = groups["L['self'].blocks.*"], groups["L['self'].blocks.*.inner"]
    assert whole.checks > inner.checks > 6
    assert whole.saved_ns > 0
    assert {"L['x']", "globals"} <= set(groups)
    assert groups["L['self']"].checks + groups["L['x']"].checks < cost.checks
    assert cost.dominated_by[0].name.startswith("L['self'].blocks")
    assert cost.own_ns(whole) <= whole.saved_ns


def test_every_filter_of_this_torch_is_asked(stack) -> None:
    """Each ``*_unsafe`` filter says what it drops; the one that drops all keeps none, and what is left takes less time."""
    session = ci.guard_cost(torch.compile(stack, backend="eager"), torch.ones(2, 4))
    by_name = {row.name.rpartition(".")[2]: row for row in session.guard_filters}
    assert list(by_name) == [name for name in dir(torch.compiler) if name.endswith("_unsafe")]
    everything = by_name["skip_all_guards_unsafe"]
    assert everything.kept == 0
    assert all(row.dropped + row.kept == everything.dropped for row in by_name.values())
    modules = by_name["skip_guard_on_all_nn_modules_unsafe"]
    assert modules.warm_ns < session.guard_costs[0].warm_ns
    assert 0 < by_name["skip_guard_on_globals_unsafe"].dropped < modules.dropped


def test_a_dropped_guard_that_failed_is_named(stack) -> None:
    """A guard on a module's attribute that made the recording recompile stands against the filters that drop it, and no other."""
    compiled = torch.compile(stack, backend="eager")
    compiled(torch.ones(2, 4))
    stack.blocks[0].scale = 3.0
    session = ci.guard_cost(compiled, torch.ones(2, 4))
    ((source, kind),) = {
        (guard.source, guard.kind)
        for row in session.recompiles
        for entry in row.entries
        for guard in entry.failing
    }
    failed = {row.name.rpartition(".")[2]: row.failed for row in session.guard_filters}
    assert failed["skip_guard_on_all_nn_modules_unsafe"] == ((source, kind),)
    assert failed["keep_tensor_guards_unsafe"] == ((source, kind),)
    assert failed["skip_guard_on_globals_unsafe"] == ()


def test_other_recordings_get_the_costs_too(stack) -> None:
    """A recording that goes on around the measurement has its tables, and a saved one keeps them."""
    compiled = torch.compile(stack, backend="eager")
    with ci.record() as recorder:
        compiled(torch.ones(2, 4))
        inner = ci.guard_cost(compiled, torch.ones(2, 4))
    assert recorder.session.guard_costs == inner.guard_costs


def test_costs_are_saved_with_a_session(stack, tmp_path) -> None:
    """A session that is saved and loaded has the same costs."""
    session = ci.guard_cost(torch.compile(stack, backend="eager"), torch.ones(2, 4))
    again = ci.load(session.save(tmp_path / "cost.log"))
    assert again.guard_costs == session.guard_costs
    assert again.guard_filters == session.guard_filters


def test_a_session_without_costs_says_how_to_get_them(stack) -> None:
    """Nothing is timed unasked; the table is absent, and the reason names the function that measures."""
    session = ci.inspect(torch.compile(stack, backend="eager"), torch.ones(2, 4))
    assert session.guard_costs is None
    assert "ci.guard_cost(" in session.why_absent("guard_costs")


def test_a_call_of_nothing_compiled_has_no_costs() -> None:
    """A plain function runs, and nothing is timed."""
    session = ci.guard_cost(lambda x: x + 1, 2)
    assert session.result == 3
    assert session.guard_costs is None


def test_a_profile_function_stays(stack) -> None:
    """One that was there before is called all the while, and is back afterwards."""
    events: list[str] = []

    def mine(frame, event, arg):
        events.append(event)

    compiled = torch.compile(stack, backend="eager")
    compiled(torch.ones(2, 4))
    sys.setprofile(mine)
    try:
        session = ci.guard_cost(compiled, torch.ones(2, 4))
        assert sys.getprofile() is mine
    finally:
        sys.setprofile(None)
    assert events
    assert len(session.guard_costs) == 1


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="cProfile no longer takes the profile function since Python 3.12"
)
def test_a_profiler_that_is_no_function_is_left_alone(stack) -> None:
    """While another profiler is at work the measurement is refused, before the call."""
    import cProfile

    profiler = cProfile.Profile()
    profiler.enable()
    try:
        with pytest.raises(LabError, match="profiles this thread"):
            ci.guard_cost(stack, torch.ones(2, 4))
    finally:
        profiler.disable()


def test_a_call_that_raises_raises() -> None:
    """The user's exception comes out unchanged, and no profile function stays."""

    def bad(x):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        ci.guard_cost(bad, 1)
    assert sys.getprofile() is None


def test_a_filter_of_the_users_is_respected(stack) -> None:
    """Code compiled with a guard filter keeps what it keeps: only that is timed, and offered to the other filters."""
    options = {"guard_filter_fn": torch.compiler.skip_guard_on_all_nn_modules_unsafe}
    session = ci.guard_cost(torch.compile(stack, backend="eager", options=options), torch.ones(2, 4))
    (cost,) = session.guard_costs
    assert not any(group.name.startswith("L['self'].blocks") for group in cost.groups)
    (row,) = [row for row in session.guard_filters if row.name.endswith("all_nn_modules_unsafe")]
    assert row.dropped == 0


def test_a_fault_is_counted_and_the_call_goes_on(stack, monkeypatch) -> None:
    """Where measuring fails, the call gives its result, and the session says that something was lost."""

    def broken(*_):
        raise RuntimeError("no timer")

    monkeypatch.setattr(seam, "_measurement", broken)
    x = torch.ones(2, 4)
    session = ci.guard_cost(torch.compile(stack, backend="eager"), x)
    torch.testing.assert_close(session.result, stack(x))
    assert session.guard_costs is None
    assert [(loss.where, loss.what) for loss in session.losses] == [("guard_cost", "RuntimeError: no timer")]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "L['self']._modules['layers']._modules['3']._modules['mlp']._parameters['w']",
            ("L['self']", "layers", "*", "mlp"),
        ),
        ("L['self'].scale", ("L['self']",)),
        ("L['x']", ("L['x']",)),
        ("G['RATE']", ("G",)),
        ("G['net']._modules['a']", ("G['net']", "a")),
        ("___get_torch_function_mode_stack_at(0)", ()),
        ("", ()),
    ],
)
def test_the_place_of_a_source(source, expected) -> None:
    """Numbers of modules are told apart no more; globals are one place, but modules in them."""
    assert where(source) == expected
