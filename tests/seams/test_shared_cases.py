"""Small programs that users really meet, recorded: nothing lost, and the guards, recompiles and dims tell the trouble and its line."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType

import pytest

import compile_inspector as ci

FOLDER = Path(__file__).parents[3] / "shared" / "cases"
NAMES = (
    "all_failing_guards",
    "attribute_change",
    "constraint_violation",
    "dtype_change",
    "duck_shape",
    "grad_mode",
    "graph_break_print",
    "recompile_limit",
    "zero_one",
)
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the folder of shared cases is not beside this checkout"
)

DIMS = {
    "all_failing_guards": {("L['a']", 0, "static"), ("L['a']", 1, "static")},
    "constraint_violation": {("L['x']", 0, "specialized")},
    "duck_shape": {
        ("L['x']", 0, "duck-shared"),
        ("L['x']", 1, "duck-shared"),
        ("L['x']", 0, "dynamic"),
        ("L['x']", 1, "dynamic"),
    },
    "zero_one": {("L['x']", 0, "zero-one"), ("L['x']", 0, "dynamic"), ("L['x']", 1, "dynamic")},
}
RECOMPILES = {
    "all_failing_guards": 1,
    "attribute_change": 1,
    "dtype_change": 1,
    "duck_shape": 1,
    "grad_mode": 1,
    "recompile_limit": 8,
    "zero_one": 1,
}


def case(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"case_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def recorded(call) -> ci.Session:
    with ci.record() as recorder, contextlib.redirect_stdout(io.StringIO()):
        call()
    return recorder.session


def cause(name: str) -> int:
    lines = (FOLDER / f"{name}.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if "# CAUSE" in line)


def subjects(module: ModuleType) -> set[str]:
    expected = module.EXPECT
    return set(expected.get("subjects") or [expected["subject"]])


@pytest.mark.parametrize("name", NAMES)
def test_the_trouble_is_recorded_without_a_loss(name: str) -> None:
    """Nothing is lost, each compile that gave code has guards, each guard of an input the line that made it, and a saved copy is equal."""
    session = recorded(case(name).run)
    assert session.losses == ()
    guarded = {row.compile_id for row in session.guards}
    assert {row.id for row in session.compiles if row.status == "ok"} <= guarded
    of_inputs = [row for row in session.guards if row.source is not None and row.source.startswith("L['x']")]
    assert all(row.location is not None and row.location.file.endswith(f"{name}.py") for row in of_inputs)


@pytest.mark.parametrize("name", sorted(RECOMPILES))
def test_a_recompile_names_every_subject_and_the_line(name: str) -> None:
    """The nearest entry's failing guards hold each due subject, with both values, at the line that made the guard."""
    module = case(name)
    session = recorded(module.run)
    assert len(session.recompiles) == RECOMPILES[name]
    failing = {one.source: one for one in session.recompiles[-1].nearest.failing}
    named = {subject for one in failing.values() for subject in one.subjects}
    assert subjects(module) <= named
    assert all(one.expected is not None and one.actual is not None for one in failing.values())
    assert {one.location.line for one in failing.values()} == {cause(name)}


@pytest.mark.parametrize("name", sorted(DIMS))
def test_the_dims_have_their_verdicts(name: str) -> None:
    """Each input dimension has the verdict that is due, at the deciding line."""
    session = recorded(case(name).run)
    assert {(row.source, row.dim, row.verdict) for row in session.dims} == DIMS[name]
    assert all(row.why for row in session.dims)
    assert {row.location.line for row in session.dims} == {cause(name)}


def test_a_print_is_one_graph_break_at_its_line() -> None:
    """The call of print ends the graph: one break, its line, torch's registry id."""
    (row,) = recorded(case("graph_break_print").run).graph_breaks
    assert (row.location.line, row.count, row.registry_id) == (cause("graph_break_print"), 1, "GB0059")


def test_a_violated_mark_fails_the_compile_at_the_line() -> None:
    """A marked dimension that is compared with a constant: the compile failed, and the specialization has the line."""
    session = recorded(case("constraint_violation").run)
    assert [row.status for row in session.compiles][-1] == "failed"
    assert "Constraints violated" in session.compiles[-1].error.message
    (row,) = session.specializations
    assert (row.sources, row.value, row.location.line) == (
        ("L['x'].size()[0]",),
        "5",
        cause("constraint_violation"),
    )


@pytest.mark.parametrize("name", [name for name in NAMES if name != "recompile_limit"])
def test_what_is_mended_is_quiet(name: str) -> None:
    """The mended program recompiles nothing, breaks no graph, pins nothing and loses nothing."""
    session = recorded(case(name).fixed)
    assert (session.recompiles, session.graph_breaks, session.specializations, session.losses) == (
        (),
        (),
        (),
        (),
    )
