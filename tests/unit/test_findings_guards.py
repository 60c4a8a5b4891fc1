"""Findings about guards themselves: what they cost, and those that nothing checks."""

from __future__ import annotations

from typing import Any

import msgspec

from compile_inspector.analyze.findings import judge
from compile_inspector.model.guard_costs import GuardCost, GuardFilter, GuardGroup
from compile_inspector.model.locations import Location
from factory import VIEW_LINE, make_compile, make_guard, make_tables


def cost(warm_ns: int | None) -> GuardCost:
    group = GuardGroup(
        path=("L['self']", "layers", "*"), checks=90, kinds=(("TYPE_MATCH", 90),), saved_ns=warm_ns
    )
    return GuardCost(compile_id="0/0", checks=100, cold_ns=900_000, warm_ns=warm_ns, groups=(group,))


def test_guards_that_take_long_are_told_with_the_filter_that_helps() -> None:
    """The finding names the place that dominates and a filter of which no dropped guard failed."""
    filters = [
        GuardFilter(
            "0/0", "torch.compiler.keep_tensor_guards_unsafe", 95, 5, 5_000, (("L['n']", "EQUALS_MATCH"),)
        ),
        GuardFilter("0/0", "torch.compiler.skip_guard_on_all_nn_modules_unsafe", 90, 10, 20_000, ()),
    ]
    guard = make_guard(source="L['self']._modules['layers']._modules['3'].eps", root="L['self']")
    (found,) = judge(
        make_tables(
            compiles=[make_compile()], guards=[guard], guard_costs=[cost(150_000)], guard_filters=filters
        )
    ).findings
    assert (found.kind, found.severity, found.subjects, found.cause) == (
        "guard-cost",
        "warning",
        ("L['self'].layers.*",),
        VIEW_LINE,
    )
    assert found.fix.code == 'options={"guard_filter_fn": torch.compiler.skip_guard_on_all_nn_modules_unsafe}'


def test_quick_or_untimed_guards_are_no_finding() -> None:
    """Nothing is said of guards that take little, and nothing is guessed where none was timed."""
    assert judge(make_tables(compiles=[make_compile()], guard_costs=[cost(3_000)])).findings == ()
    judged = judge(
        make_tables(
            compiles=[make_compile()], guard_costs=None, absent={"guard_costs": "guards were not timed"}
        )
    )
    assert judged.findings == ()
    assert "guard-cost" in {one.kind for one in judged.unjudged}


def test_a_dropped_guard_on_an_argument_is_a_warning() -> None:
    """Another value would run code made for this one: the subjects are those guards only."""
    guards = [
        make_guard(source="L['n']", kind="EQUALS_MATCH", expr="L['n'] == 2", dropped=True),
        make_guard(
            source="L['self']", kind="TYPE_MATCH", expr="___check_type_id(L['self'], 7)", dropped=True
        ),
        make_guard(source="L['y']", dropped=False),
    ]
    (found,) = judge(make_tables(compiles=[make_compile()], guards=guards)).findings
    assert (found.kind, found.severity, found.subjects, found.count) == (
        "guard-dropped",
        "warning",
        ("L['n']",),
        2,
    )
    assert found.cause == VIEW_LINE


def test_dropped_guards_on_modules_are_a_note() -> None:
    """What a filter for modules drops is what it is for."""
    guard = make_guard(source="L['self']._modules['a']", kind="TYPE_MATCH", dropped=True)
    (found,) = judge(make_tables(compiles=[make_compile()], guards=[guard])).findings
    assert (found.severity, found.fix.code) == ("note", None)


def test_checked_guards_are_no_finding() -> None:
    """Without a filter nothing is dropped."""
    assert (
        judge(
            make_tables(
                compiles=[make_compile()], guards=[make_guard(dropped=False), make_guard(dropped=None)]
            )
        ).findings
        == ()
    )


class Violation(msgspec.Struct, frozen=True):
    """A row as the compile decorator writes it."""

    compile_id: str
    source: str
    expr: str
    expected: str | None
    actual: str | None
    action: str
    location: Location | None
    count: int


class Applied(msgspec.Struct, frozen=True):
    compile_ids: tuple[str, ...]


def violated(action: str) -> Any:
    return Violation("0/0", "L['x'].size()[0]", "4 <= L['x'].size()[0]", ">= 4", "3", action, VIEW_LINE, 2)


def test_a_call_that_broke_a_dropped_guard_is_told() -> None:
    """What the decorator refused is an error, what it compiled again a warning; the counts are the decorator's own."""
    for action, severity in (("raised", "error"), ("recompiled", "warning")):
        (found,) = judge(make_tables(compiles=[make_compile()], violations=[violated(action)])).findings
        assert (found.kind, found.severity, found.subjects, found.count) == (
            "guard-dropped",
            severity,
            ("L['x'].size()[0]",),
            2,
        )
        assert found.cause == VIEW_LINE


def test_guards_that_the_decorator_asks_by_itself_are_no_finding() -> None:
    """The decorator calls past all guards: that alone is nothing wrong."""
    tables = make_tables(
        compiles=[make_compile()],
        guards=[make_guard(dropped=True)],
        applied=[Applied(("0/0",))],
        violations=[],
    )
    assert judge(tables).findings == ()
