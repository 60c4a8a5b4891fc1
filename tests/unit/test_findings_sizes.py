"""Findings about sizes: static-first, zero-one, duck-shape, specialization, constraint-violation."""

from __future__ import annotations

from typing import Any

import pytest

from compile_inspector.analyze.findings import judge
from compile_inspector.model.compiles import CompileFailure
from compile_inspector.model.findings import Finding, MarkDim, SetConfig
from compile_inspector.model.locations import Location
from compile_inspector.model.recompiles import FailingGuard, Recompile
from compile_inspector.model.symbols import Specialization, Symbol
from factory import CALL_LINE, VIEW_LINE, make_compile, make_dim, make_entry, make_failing, make_tables

X0, X1 = "L['x'].size()[0]", "L['x'].size()[1]"
PIN_LINE = Location(
    "/home/ada/project/model.py", 77, "forward", "for i in range(x.size(0)):  # over the batch"
)


def recompiled(before: Any, after: Any, *failing: FailingGuard, **tables: Any) -> tuple[Finding, ...]:
    """The findings of two compiles with one dimension each, of which the second was made because guards of the first failed."""
    dims = [row for row in (before, after) if row is not None]
    row = Recompile("0/1", CALL_LINE, (make_entry("0/0", *(failing or (make_failing(),))),))
    given: dict[str, Any] = {
        "compiles": [make_compile("0/0"), make_compile("0/1", elapsed_ns=40_000_000)],
        "dims": dims,
        "recompiles": [row],
    }
    return judge(make_tables(**(given | tables))).findings


def dynamic(**changes: Any) -> Any:
    return make_dim(verdict="dynamic", compile_id="0/1", symbol="s77", size=5, **changes)


def test_a_size_that_changed_is_static_first() -> None:
    """A number in the earlier compile and a symbol in the later is static-first, with a mark as its fix; a cheap one is a note."""
    (found,) = recompiled(make_dim(), dynamic())
    assert (found.kind, found.severity, found.subjects, found.cause) == (
        "static-first",
        "note",
        (X0,),
        VIEW_LINE,
    )
    assert found.fix.code == "torch._dynamo.mark_dynamic(x, 0)"
    assert found.fix.actions == (MarkDim("L['x']", 0),)
    assert (found.count, found.compile_ids, found.cost_ns) == (1, ("0/1",), 40_000_000)


def test_a_size_that_a_library_reads_is_told_at_the_users_call() -> None:
    """The first line that reads it lies in installed code and decided nothing; without a call, there is only that line."""
    inside = Location("/env/lib/python3.12/site-packages/models/wrapped.py", 332, "run", "keys = {}")
    (found,) = recompiled(make_dim(), dynamic(), make_failing(location=inside))
    assert (found.kind, found.cause) == ("static-first", CALL_LINE)
    row = Recompile("0/1", None, (make_entry("0/0", make_failing(location=inside)),))
    (found,) = recompiled(make_dim(), dynamic(), recompiles=[row])
    assert (found.kind, found.cause) == ("static-first", inside)


def test_a_size_that_stays_a_number_is_a_recompile() -> None:
    """Where the later compile has a number again, as under dynamic=False, torch heals nothing: it is a recompile."""
    (found,) = recompiled(make_dim(), make_dim(compile_id="0/1", size=5))
    assert (found.kind, found.severity) == ("recompile", "warning")


def test_sizes_without_a_recompile_are_no_finding() -> None:
    """Static, dynamic, duck-shared and zero-one dimensions that cost no compile are not listed."""
    dims = [
        make_dim(),
        make_dim(dim=1, verdict="dynamic", symbol="s1"),
        make_dim(dim=2, verdict="duck-shared", symbol="s1"),
        make_dim(
            dim=3,
            verdict="zero-one",
            size=1,
            why="size 1 is always specialised: torch gives 0 and 1 no symbol",
        ),
    ]
    assert judge(make_tables(compiles=[make_compile()], dims=dims)).findings == ()


@pytest.mark.parametrize(("expected", "actual"), [("1", "5"), ("4", "1"), (">= 2", "0")])
def test_a_size_of_zero_or_one_is_zero_one(expected: str, actual: str) -> None:
    """0 and 1 are told apart from other sizes, whichever call had them: no mark alone heals them."""
    sizes = {"1": 1, "0": 0}
    before = make_dim(size=sizes.get(expected, 4))
    after = dynamic() if actual == "5" else make_dim(verdict="zero-one", compile_id="0/1", size=sizes[actual])
    (found,) = recompiled(before, after, make_failing(X0, expected, actual))
    assert (found.kind, found.subjects) == ("zero-one", (X0,))
    assert found.fix.actions == (
        SetConfig("torch.fx.experimental._config", "backed_size_oblivious", "True"),
        MarkDim("L['x']", 0),
    )


def test_a_marked_size_of_one_is_zero_one_at_once() -> None:
    """Who marked the dimension and passed a 1 is told before a recompile."""
    why = (
        "size 1 is always specialised: torch gives 0 and 1 no symbol although it was marked with mark_dynamic"
    )
    tables = make_tables(
        compiles=[make_compile()], dims=[make_dim(verdict="zero-one", size=1, why=why, location=VIEW_LINE)]
    )
    (found,) = judge(tables).findings
    assert (found.kind, found.severity, found.cause) == ("zero-one", "warning", VIEW_LINE)


def test_equal_sizes_that_differ_later_are_duck_shape() -> None:
    """An equality between sizes that stand under one symbol is torch's own guess, not the program's."""
    guard = make_failing(X1, f"== {X0}", f"{X1} = 7, {X0} = 6", kind="LAMBDA_GUARD", others=(X0,))
    symbol = Symbol("0/0", "s77", (X0, X1), 6, "[2, int_oo]", "backed", VIEW_LINE)
    (found,) = recompiled(make_dim(verdict="duck-shared", symbol="s77"), dynamic(), guard, symbols=[symbol])
    assert (found.kind, set(found.subjects)) == ("duck-shape", {X0, X1})
    assert found.fix.actions == (MarkDim("L['x']", 0), MarkDim("L['x']", 1))


def test_an_equality_of_the_program_is_no_duck_shape() -> None:
    """Sizes with symbols of their own were compared by the program: a recompile."""
    guard = make_failing(X1, f"== {X0}", f"{X1} = 7, {X0} = 6", kind="LAMBDA_GUARD", others=(X0,))
    symbols = [
        Symbol("0/0", "s77", (X0,), 6, "[2, int_oo]", "backed", VIEW_LINE),
        Symbol("0/0", "s27", (X1,), 6, "[2, int_oo]", "backed", VIEW_LINE),
    ]
    (found,) = recompiled(make_dim(verdict="dynamic", symbol="s77"), dynamic(), guard, symbols=symbols)
    assert found.kind == "recompile"


def test_a_pinned_size_that_recompiled_is_a_specialization_at_its_line() -> None:
    """The line is the one that pinned the size, not the one that first used it; the fix tells about the line without its comment."""
    pin = Specialization("0/0", "s77", (X0,), "4", "range_refined_to_singleton", PIN_LINE)
    (found,) = recompiled(
        make_dim(verdict="specialized"),
        make_dim(verdict="specialized", compile_id="0/1", size=5),
        specializations=[pin],
    )
    assert (found.kind, found.severity, found.cause) == ("specialization", "warning", PIN_LINE)
    assert found.fix.code is None
    assert "`for i in range(x.size(0)):`" in found.fix.note


def test_a_pinned_size_that_cost_nothing_yet_is_a_note() -> None:
    """One line that pins in two compiles is one note with a count of two."""
    pins = [
        Specialization(f"0/{n}", "s77", (X0,), str(n + 4), "range_refined_to_singleton", PIN_LINE)
        for n in range(2)
    ]
    (found,) = judge(
        make_tables(compiles=[make_compile("0/0"), make_compile("0/1")], specializations=pins)
    ).findings
    assert (found.kind, found.severity, found.count, found.compile_ids) == (
        "specialization",
        "note",
        2,
        ("0/0", "0/1"),
    )


def violation(message: str) -> Any:
    return make_compile(status="failed", error=CompileFailure("ConstraintViolationError", message))


def test_a_violated_mark_is_an_error_at_the_line_that_pinned() -> None:
    """The compile failed and left no guards: the line comes from the specialization, and no second finding tells it again."""
    pin = Specialization("0/0", "s77", (X0,), "5", "range_refined_to_singleton", PIN_LINE)
    message = f"Constraints violated ({X0})! For more information\n  - You marked {X0} as dynamic but your code specialized it to be a constant (5). If you're using mark_dynamic, ..."
    (found,) = judge(make_tables(compiles=[violation(message)], specializations=[pin])).findings
    assert (found.kind, found.severity, found.subjects, found.cause) == (
        "constraint-violation",
        "error",
        (X0,),
        PIN_LINE,
    )
    assert found.fix.actions == (MarkDim("L['x']", 0, "maybe_mark_dynamic"),)
    assert found.evidence == (
        f"0/0: You marked {X0} as dynamic but your code specialized it to be a constant (5).",
    )


def test_a_violation_without_a_specialization_has_the_line_of_torchs_message() -> None:
    """A log has torch's words only: the last line of the stack in them is the cause."""
    message = f'Constraints violated ({X0})!\n\nUser stack:\n  File "/p/a.py", line 3, in f\n    g(x)\n  File "/p/b.py", line 9, in g\n    x.view(5)\n'
    (found,) = judge(make_tables(compiles=[violation(message)])).findings
    assert found.cause == Location("/p/b.py", 9, "g", "x.view(5)")


def test_another_failure_is_no_violation() -> None:
    """A backend that raised violates no mark."""
    failed = make_compile(
        status="failed", error=CompileFailure("BackendCompilerFailed", "backend raised: boom")
    )
    assert judge(make_tables(compiles=[failed])).findings == ()
