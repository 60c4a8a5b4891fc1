"""Findings about recompiles: what changed, the fix for each kind of guard, the recompile limit, merging and ranking."""

from __future__ import annotations

from typing import Any

import pytest

from compile_inspector.analyze.findings import judge
from compile_inspector.model.compiles import CompileFailure
from compile_inspector.model.findings import Finding, SetConfig
from compile_inspector.model.locations import Location
from compile_inspector.model.recompiles import FailingGuard, Recompile
from factory import (
    CALL_LINE,
    VIEW_LINE,
    make_compile,
    make_dim,
    make_entry,
    make_failing,
    make_tables,
)

LIMIT = CompileFailure(
    "Unsupported",
    "Dynamo recompile limit exceeded\n  Explanation: Dynamo attempted to recompile the code object too many times, exceeding the "
    "recompile_limit cache size limit (currently set to 8).\n\n  Developer debug context: Limit type: recompile_limit",
)


def chain(*failing: FailingGuard, last: Any = None) -> dict[str, Any]:
    """Compiles ``0/0``, ``0/1``, …, each made because one guard of the one before failed; ``last`` changes the last of them."""
    ids = [f"0/{n}" for n in range(len(failing) + 1)]
    compiles = [make_compile(one, elapsed_ns=10_000_000) for one in ids]
    if last is not None:
        compiles[-1] = make_compile(ids[-1], **last)
    rows = [Recompile(ids[n + 1], CALL_LINE, (make_entry(ids[n], guard),)) for n, guard in enumerate(failing)]
    return {"compiles": compiles, "recompiles": rows}


def found_of(*failing: FailingGuard, **changes: Any) -> tuple[Finding, ...]:
    return judge(make_tables(**(chain(*failing) | changes))).findings


def value(
    source: str, expected: str, actual: str, kind: str = "EQUALS_MATCH", **changes: Any
) -> FailingGuard:
    return make_failing(source, expected, actual, kind=kind, **changes)


def test_what_fits_compiled_code_is_no_finding() -> None:
    """Compiles without a recompile are not listed."""
    assert found_of() == ()


@pytest.mark.parametrize(
    ("guard", "code"),
    [
        (value("L['x']", "dtype float32", "dtype float64", "TENSOR_MATCH"), "x = x.to(torch.float32)"),
        (value("L['x'].stride()[0]", "3", "1", "TENSOR_MATCH"), "x = x.contiguous()"),
        (
            value("L['x']", "requires_grad False", "requires_grad True", "TENSOR_MATCH"),
            "x = x.detach().requires_grad_(False)",
        ),
        (value("grad_mode", "True", "False", "GLOBAL_STATE"), "with torch.set_grad_enabled(True):\n    "),
        (value("L['self']._modules['drop'].training", "True", "False", "TRUE_MATCH"), "self.drop.train()"),
        (value("L['n']", "3", "4"), "torch.compiler.config.dynamic_sources = \"L['n']\""),
        (value("L['self'].scale", "2", "3"), "torch.compiler.config.dynamic_sources = \"L['self'].scale\""),
        (value("L['y']", "1.5", "2.5"), "y = torch.tensor(y)"),
        (value("num_threads", "2", "3", "GLOBAL_STATE"), "torch.set_num_threads(2)"),
        (
            value("L['self']._parameters['w'].size()[0]", "3", "4", "TENSOR_MATCH"),
            "torch._dynamo.config.force_parameter_static_shapes = False",
        ),
    ],
)
def test_each_kind_of_guard_has_its_fix(guard: FailingGuard, code: str) -> None:
    """The code to paste has the program's own names and the value that was compiled."""
    (found,) = found_of(guard)
    assert (found.kind, found.subjects, found.cause) == ("recompile", (guard.source,), VIEW_LINE)
    assert found.fix.code is not None
    assert found.fix.code.startswith(code)


@pytest.mark.parametrize(
    "guard",
    [
        value("L['k']", "'a'", "'b'"),
        value("L['act']", "torch.relu", "torch.sigmoid", "ID_MATCH"),
        value("L['parts']", "length 2", "length 3", "LENGTH_CHECK"),
        value("autocast", "off", "on", "GLOBAL_STATE"),
        value("L['x'].size()[0]", ">= 9", "3", "LAMBDA_GUARD"),
        value("???", "?", "?", "A_KIND_OF_TOMORROW"),
    ],
)
def test_where_no_setting_helps_the_fix_says_so(guard: FailingGuard) -> None:
    """No code is invented: the note says that there is none, and what to do instead."""
    (found,) = found_of(guard)
    assert (found.fix.code, found.fix.actions) == (None, ())
    assert str(found.fix).startswith("no fix: no setting helps: ")


def test_several_changes_at_once_are_one_finding_with_all_fixes() -> None:
    """Each failing guard is a subject, and settings that would overwrite each other become one."""
    guards = (value("L['a']", "1", "2"), value("L['b']", "3", "4"))
    row = Recompile("0/1", CALL_LINE, (make_entry("0/0", *guards),))
    (found,) = judge(
        make_tables(compiles=[make_compile("0/0"), make_compile("0/1")], recompiles=[row])
    ).findings
    assert found.subjects == ("L['a']", "L['b']")
    assert found.fix.actions == (SetConfig("torch.compiler.config", "dynamic_sources", "\"L['a'],L['b']\""),)


def test_a_stride_that_follows_a_size_is_no_cause() -> None:
    """Of a tensor whose size changed, the stride changes by itself."""
    guards = (make_failing("L['x'].size()[1]"), value("L['x'].stride()[0]", "4", "5", "TENSOR_MATCH"))
    row = Recompile("0/1", CALL_LINE, (make_entry("0/0", *guards),))
    (found,) = judge(
        make_tables(compiles=[make_compile("0/0"), make_compile("0/1")], recompiles=[row])
    ).findings
    assert found.subjects == ("L['x'].size()[1]",)


def test_one_cause_is_one_finding_with_a_count() -> None:
    """Recompiles of one function about one thing at one line are told once, with their cost together."""
    (found,) = found_of(value("L['k']", "'a'", "'b'"), value("L['k']", "'b'", "'c'"))
    assert (found.count, found.compile_ids, found.cost_ns) == (2, ("0/1", "0/2"), 20_000_000)


def test_two_causes_are_two_findings() -> None:
    """Another thing is another finding."""
    assert len(found_of(value("L['k']", "'a'", "'b'"), value("L['m']", "1", "2"))) == 2


def test_the_limit_accounts_for_its_recompiles() -> None:
    """The function that torch stopped compiling is an error, and the recompiles that led there are not told again."""
    guards = [value("L['k']", f"'{n}'", f"'{n + 1}'") for n in range(8)]
    (found,) = judge(make_tables(**chain(*guards, last={"status": "failed", "error": LIMIT}))).findings
    assert (found.kind, found.severity, found.subjects, found.count) == (
        "recompile-limit",
        "error",
        ("L['k']",),
        8,
    )
    assert found.fix.actions == (SetConfig("torch._dynamo.config", "recompile_limit", "64"),)
    assert found.evidence[0].startswith("0/8 was refused: recompile_limit is 8")


def test_many_recompiles_below_the_limit_are_no_limit() -> None:
    """Only torch's word makes a limit."""
    assert {one.kind for one in found_of(*(value("L['k']", f"'{n}'", f"'{n + 1}'") for n in range(7)))} == {
        "recompile"
    }


def test_a_limit_without_recompiles_is_told_with_the_function() -> None:
    """A log that lacks the reasons still says which function runs in eager."""
    (found,) = judge(make_tables(compiles=[make_compile("0/8", status="failed", error=LIMIT)])).findings
    assert (found.kind, found.subjects, found.count) == ("recompile-limit", (), 0)
    assert found.cause is not None


def test_the_worst_come_first() -> None:
    """Errors before warnings before notes; among equals what cost more."""
    cheap, dear = value("L['k']", "'a'", "'b'"), value("L['m']", "'a'", "'b'")
    tables = chain(cheap, dear)
    tables["compiles"][2] = make_compile("0/2", elapsed_ns=5_000_000_000)
    tables["compiles"].append(make_compile("7/0", status="failed", error=LIMIT))
    assert [one.subjects for one in judge(make_tables(**tables)).findings] == [(), ("L['m']",), ("L['k']",)]


def test_an_entry_without_guards_is_told_in_torchs_words() -> None:
    """Where no failing guard could be read, torch's sentence stands in the title."""
    entry = make_entry("0/0", torch_reason="BACKEND_MATCH failure", complete=False)
    row = Recompile("0/1", None, (entry,))
    judged = judge(make_tables(compiles=[make_compile("0/0"), make_compile("0/1")], recompiles=[row]))
    assert "BACKEND_MATCH failure" in judged.findings[0].title
    assert (
        "recompile",
        "of 1 of 1 earlier entries only torch's first reason is known: further causes are not told",
    ) in {(one.kind, one.reason) for one in judged.unjudged}


def test_rows_of_unknown_compiles_are_counted_as_lost() -> None:
    """A recording that contradicts itself gives findings and losses, never an error."""
    row = Recompile("9/9", None, ())
    judged = judge(make_tables(recompiles=[row], dims=[make_dim(compile_id="8/8")], compiles=[]))
    assert {(loss.what, loss.count) for loss in judged.losses} == {
        ("a row of recompiles belongs to no compile of the recording", 1),
        ("a row of dims belongs to no compile of the recording", 1),
    }
    assert [one.kind for one in judged.findings] == ["recompile"]


def test_absent_tables_are_said_not_to_be_judged() -> None:
    """A recording without a table gives the other findings, and says which kinds it cannot tell."""
    judged = judge(
        make_tables(
            recompiles=None,
            guards=None,
            absent={"recompiles": "it is not in the log", "guards": "neither are they"},
        )
    )
    reasons = {one.kind: one.reason for one in judged.unjudged}
    assert reasons["static-first"] == "there is no table of recompiles: it is not in the log"
    assert reasons["guard-dropped"] == "there is no table of guards: neither are they"
    assert judged.findings == ()


def test_a_location_is_found_where_a_guard_has_none() -> None:
    """A guard without a line is told at the function's first line."""
    guard = value("L['k']", "'a'", "'b'", location=None)
    (found,) = found_of(guard)
    assert isinstance(found.cause, Location)
