"""What the shapes seam sees of real compiles, and what the tables of symbols, specializations and dims make of it."""

from __future__ import annotations

import gc
import importlib.util
import weakref
from pathlib import Path

import pytest
import torch

from captured import Captured, capture
from compile_inspector.model.symbols import Dim
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.dims import dims
from compile_inspector.recording.tables.symbols import specializations, symbols
from compile_inspector.recording.trace_file import read_log
from compile_inspector.recording.trace_writer import write_log
from compile_inspector.torch_seams import shapes
from compile_inspector.torch_seams.probe import Faults

CASES = Path(__file__).parents[2] / "../shared/cases"
HERE = Path(__file__).read_text().splitlines()


def line_of(code: str) -> int:
    """Where a line of this file stands."""
    return next(number for number, line in enumerate(HERE, 1) if line.strip() == code)


def double(x):
    return x * 2


def compare(x):
    if x.size(0) == 5:
        return x * 2
    return x + 1


def as_number(x):
    return x * int(x.size(0))


def unrolled(x):
    for _ in range(x.size(0)):
        x = x + 1
    return x


def as_table(x):
    return x.reshape(4, -1)


def added(x, y):
    return x + y


def asked(x):
    return torch.zeros(x.sum().item())


def eager(function, *args, **options):
    return torch.compile(function, backend="eager", **options)(*args)


def rows(captured: Captured) -> dict[tuple[str, str, int], Dim]:
    return {(row.compile_id, row.source, row.dim): row for row in captured.table(dims)}


def of_x(captured: Captured, dim: int = 0, compile_id: str = "0/0") -> Dim:
    return rows(captured)[compile_id, "L['x']", dim]


def test_a_first_call_is_static_by_default() -> None:
    """The first compile has plain numbers, and says that a second size would change that."""
    row = of_x(capture(lambda: eager(double, torch.ones(4, 3)), "shapes"))
    assert (row.verdict, row.size, row.symbol) == ("static", 4, None)
    assert row.why == "static by default, until a second size is seen"
    assert row.location.line == line_of("return x * 2")


def test_a_changed_size_is_dynamic_and_says_from_what_to_what() -> None:
    """The second compile, and a later one of the same frame, name the change; the dimension that did not change stays static."""

    def call():
        compiled = torch.compile(double, backend="eager")
        for x in (torch.ones(4, 3), torch.ones(5, 3), torch.ones(6, 3, dtype=torch.float64)):
            compiled(x)

    captured = capture(call, "shapes")
    assert of_x(captured).verdict == "static"
    for compile_id, size in (("0/1", 5), ("0/2", 6)):
        row = of_x(captured, 0, compile_id)
        assert (row.verdict, row.size, row.symbol) == ("dynamic", size, "s77")
        assert row.why == "dynamic after a change: it was 4, then 5"
        assert of_x(captured, 1, compile_id).verdict == "static"


def test_a_change_is_forgotten_with_a_reset() -> None:
    """After `torch._dynamo.reset` an id is used again; what earlier compiles of that id saw no longer counts."""

    def call():
        compiled = torch.compile(double, backend="eager")
        compiled(torch.ones(4))
        compiled(torch.ones(5))
        torch._dynamo.reset()
        torch.compile(double, backend="eager")(torch.ones(5))

    captured = capture(call, "shapes")
    assert [(row.compile_id, row.verdict) for row in captured.table(dims)] == [
        ("0/0", "static"),
        ("0/1", "dynamic"),
        ("0/0#2", "static"),
    ]


def test_dynamic_true_is_dynamic_from_the_first_call() -> None:
    """With dynamic=True no size is assumed static."""
    row = of_x(capture(lambda: eager(double, torch.ones(4, 3), dynamic=True), "shapes"))
    assert (row.verdict, row.symbol) == ("dynamic", "s77")
    assert "dynamic=True" in row.why


def test_dynamic_false_is_static_and_says_so() -> None:
    """With dynamic=False every size is a number, a size of one too."""
    captured = capture(lambda: eager(double, torch.ones(1, 3), dynamic=False), "shapes")
    assert [row.verdict for row in captured.table(dims)] == ["static", "static"]
    assert "dynamic=False" in of_x(captured).why


@pytest.mark.parametrize("mark", ["mark_dynamic", "maybe_mark_dynamic"])
def test_a_mark_is_named(mark: str) -> None:
    """A dimension that was marked is `marked`, by the function that marked it."""

    def call():
        x = torch.ones(5, 3)
        getattr(torch._dynamo, mark)(x, 0)
        eager(double, x)

    row = of_x(capture(call, "shapes"))
    assert (row.verdict, row.symbol) == ("marked", "s77")
    assert row.why == f"marked with {mark}: s77"


def test_mark_unbacked_and_mark_static() -> None:
    """An unbacked dimension keeps the size it had at trace time; its symbol's source is known although torch does not tell it."""

    def call():
        x = torch.ones(5, 3)
        torch._dynamo.decorators.mark_unbacked(x, 0)
        torch._dynamo.mark_static(x, 1)
        eager(double, x)

    captured = capture(call, "shapes")
    first, second = of_x(captured), of_x(captured, 1)
    assert (first.verdict, first.size, first.symbol) == ("unbacked", 5, "u0")
    assert "mark_unbacked" in first.why
    assert (second.verdict, second.why) == ("static", "marked with mark_static")
    (symbol,) = captured.table(symbols)
    assert (symbol.kind, symbol.sources, symbol.hint) == ("unbacked", ("L['x'].size()[0]",), None)


def test_a_size_of_one_is_specialised_even_when_marked() -> None:
    """A batch of one gets no symbol, and the row names the mark that had no effect."""

    def call():
        x = torch.ones(1, 3)
        torch._dynamo.mark_dynamic(x, 0)
        eager(double, x)

    captured = capture(call, "shapes")
    row = of_x(captured)
    assert (row.verdict, row.size, row.symbol) == ("zero-one", 1, None)
    assert "mark_dynamic" in row.why


def test_equal_sizes_share_a_symbol() -> None:
    """Dimensions of one size share a symbol, across inputs too; each names the others, and the symbol all of them."""
    captured = capture(lambda: eager(added, torch.ones(6, 6), torch.ones(6, 1), dynamic=True), "shapes")
    first = of_x(captured)
    assert first.verdict == "duck-shared"
    assert "L['x'].size()[1] and L['y'].size()[0]" in first.why
    assert rows(captured)["0/0", "L['y']", 0].verdict == "duck-shared"
    (symbol,) = captured.table(symbols)
    assert symbol.sources == ("L['x'].size()[0]", "L['x'].size()[1]", "L['y'].size()[0]")


@pytest.mark.parametrize(
    ("function", "code"),
    [(compare, "if x.size(0) == 5:"), (unrolled, "for _ in range(x.size(0)):")],
)
def test_a_specialization_names_the_users_line(function, code: str) -> None:
    """A comparison with a constant, or a loop over a size, pins the symbol at the line that did it."""
    captured = capture(lambda: eager(function, torch.ones(5, 3), dynamic=True), "shapes")
    row = of_x(captured)
    assert (row.verdict, row.size, row.symbol) == ("specialized", 5, None)
    assert f"s77 == 5 at test_shapes.py:{line_of(code)} ({code})" in row.why
    assert row.location.line == line_of(code)
    (pinned,) = captured.table(specializations)
    assert (pinned.symbol, pinned.sources, pinned.value) == ("s77", ("L['x'].size()[0]",), "5")
    assert pinned.location.line == line_of(code)
    assert pinned.reason


def test_int_of_a_size_pins_nothing() -> None:
    """`int(x.size(0))` alone stays symbolic in Dynamo, and the table says so."""
    captured = capture(lambda: eager(as_number, torch.ones(5, 3), dynamic=True), "shapes")
    assert of_x(captured).verdict == "dynamic"
    assert captured.table(specializations) == ()


def test_a_reshape_with_constants_specializes() -> None:
    """`reshape(4, -1)` of four rows pins the first size, not the second."""
    captured = capture(lambda: eager(as_table, torch.ones(4, 6), dynamic=True), "shapes")
    assert [row.verdict for row in captured.table(dims)] == ["specialized", "dynamic"]
    assert of_x(captured).location.line == line_of("return x.reshape(4, -1)")


def test_an_equality_found_by_the_code_is_told() -> None:
    """Two marked sizes that an addition makes equal stay marked, and the one that gave way says where."""

    def call():
        x, y = torch.ones(5, 3), torch.ones(5, 3)
        torch._dynamo.maybe_mark_dynamic(x, 0)
        torch._dynamo.maybe_mark_dynamic(y, 0)
        eager(added, x, y)

    captured = capture(call, "shapes")
    marked = [row for row in captured.table(dims) if row.dim == 0]
    assert [row.verdict for row in marked] == ["marked", "marked"]
    assert len({row.symbol for row in marked}) == 1
    told = [row.why for row in marked if " == " in row.why]
    assert len(told) == 1
    assert f"test_shapes.py:{line_of('return x + y')}" in told[0]
    replaced = [symbol for symbol in captured.table(symbols) if symbol.replaced_by is not None]
    assert [symbol.replaced_by for symbol in replaced] == [marked[0].symbol]


def test_a_value_from_data_is_an_unbacked_symbol() -> None:
    """`item()` makes a symbol without a hint and without a source, created at its line."""
    with torch._dynamo.config.patch(capture_scalar_outputs=True):
        captured = capture(lambda: eager(asked, torch.ones(3, dtype=torch.int64)), "shapes")
    (symbol,) = captured.table(symbols)
    assert (symbol.name, symbol.kind, symbol.sources, symbol.hint) == ("u0", "unbacked", (), None)
    assert symbol.created.line == line_of("return torch.zeros(x.sum().item())")


def test_parameters_and_buffers_are_static_by_design() -> None:
    """A module's parameters and buffers are rows of their own kind; its plain tensors are inputs like any other."""

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(3, 2)
            self.register_buffer("scale", torch.ones(2))
            self.plain = torch.ones(2)

        def forward(self, x):
            return self.linear(x) * self.scale + self.plain

    table = capture(lambda: eager(Net(), torch.ones(4, 3)), "shapes").table(dims)
    parameters = {row.source for row in table if row.is_parameter}
    assert len(parameters) == 3
    assert {row.verdict for row in table if row.is_parameter} == {"static"}
    assert {row.source for row in table} - parameters == {"L['x']", "L['self'].plain"}


def test_a_failed_compile_has_its_sizes_too() -> None:
    """A dimension marked dynamic and then pinned fails the compile; its row tells both."""

    def call():
        x = torch.ones(5)
        torch._dynamo.mark_dynamic(x, 0)
        eager(compare, x)

    captured = capture(call, "shapes")
    assert type(captured.result).__name__ == "ConstraintViolationError"
    row = of_x(captured)
    assert row.verdict == "specialized"
    assert row.why.startswith("marked with mark_dynamic, but specialized to 5")
    assert row.location.line == line_of("if x.size(0) == 5:")


@pytest.mark.parametrize(
    ("case", "source", "dim", "verdict"),
    [
        ("zero_one", "L['x']", 0, "zero-one"),
        ("duck_shape", "L['x']", 0, "duck-shared"),
        ("duck_shape", "L['x']", 1, "duck-shared"),
        ("constraint_violation", "L['x']", 0, "specialized"),
    ],
)
def test_real_cases(case: str, source: str, dim: int, verdict: str) -> None:
    """Programs that users met: the first compile's dimension has the verdict, and the line marked as the cause decided it."""
    path = CASES / f"{case}.py"
    if not path.exists():
        pytest.skip("the folder of shared cases is not part of a checkout")
    spec = importlib.util.spec_from_file_location(f"case_{case}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cause = next(n for n, line in enumerate(path.read_text().splitlines(), 1) if "# CAUSE" in line)
    captured = capture(module.run, "shapes")
    assert captured.faults == {}
    row = rows(captured)["0/0", source, dim]
    assert (row.verdict, row.location.line) == (verdict, cause)
    assert verdict not in {row.verdict for row in capture(module.fixed, "shapes").table(dims)}


def test_a_log_without_our_facts_gives_the_same_verdicts() -> None:
    """What torch narrates by itself is enough for most verdicts, specializations and symbols of these compiles."""

    def call():
        compiled = torch.compile(double, backend="eager")
        compiled(torch.ones(4, 3))
        compiled(torch.ones(5, 3))
        eager(added, torch.ones(6, 6), torch.ones(6, 1), dynamic=True)
        eager(compare, torch.ones(5, 3), dynamic=True)

    captured = capture(call, "shapes")
    foreign = captured.foreign()
    ours = [
        (row.compile_id, row.source, row.dim, row.size, row.verdict, row.why) for row in captured.table(dims)
    ]
    theirs = [
        (row.compile_id, row.source, row.dim, row.size, row.verdict, row.why) for row in foreign.table(dims)
    ]
    assert sorted(theirs) == sorted(ours)
    assert foreign.table(specializations) == captured.table(specializations)
    assert {(s.compile_id, s.name, s.sources, s.hint) for s in foreign.table(symbols)} == {
        (s.compile_id, s.name, s.sources, s.hint) for s in captured.table(symbols)
    }


def test_a_saved_log_gives_equal_rows(tmp_path: Path) -> None:
    """Written as a trace log and read again, the records make the same rows."""
    captured = capture(lambda: eager(compare, torch.ones(5, 3), dynamic=True), "shapes")
    log = read_log(write_log(captured.records, tmp_path / "trace.log"))
    folded = Trace(log.records, losses=log.losses)
    places = Places(folded)
    for build in (symbols, specializations, dims):
        assert build(folded, places) == captured.table(build)
    assert folded.losses.rows() == ()


def test_observing_adds_no_guard() -> None:
    """The guards of a compile are the same with and without the seam."""

    def guards_of(captured: Captured) -> list[str]:
        (text,) = [r.payload.read() for r in captured.records if r.event == "dynamo_cpp_guards_str"]
        return [line for line in text.splitlines() if "LAMBDA_GUARD" in line or "TENSOR_MATCH" in line]

    def call():
        eager(added, torch.ones(6, 4), torch.ones(6, 1), dynamic=True)

    assert guards_of(capture(call)) == guards_of(capture(call, "shapes"))


def test_a_restarted_attempt_is_not_told() -> None:
    """An attempt that Dynamo starts over has no fact; the one that ships has one."""

    def broken(x):
        x = x + 1
        torch._dynamo.graph_break()
        return x * 2

    captured = capture(lambda: eager(broken, torch.ones(3)), "shapes")
    told = [(r.compile_id, r.attempt) for r in captured.records if r.artifact == "compile_inspector.shapes"]
    assert told == [("0/0", 1), ("1/0", 0)]


def test_a_fault_is_counted_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error inside the seam leaves the result right, is counted, and the other tables of that compile are empty, not wrong."""

    def fail(*args):
        raise RuntimeError("planted")

    monkeypatch.setattr(shapes, "_symbols", fail)
    captured = capture(lambda: eager(double, torch.ones(4)), "shapes")
    assert captured.result.tolist() == [2.0] * 4
    assert captured.faults == {("shapes", "RuntimeError: planted"): 1}
    assert captured.facts("shapes") == []


def test_the_undo_restores_exactly() -> None:
    """Afterwards the class has the very function it had; a wrapper that someone kept only passes through."""
    from torch._dynamo.output_graph import OutputGraph

    before = OutputGraph.__dict__["cleanup"]
    emitted: list[str] = []
    undo = shapes.install(lambda name, payload, **_: emitted.append(name), Faults())
    kept = OutputGraph.__dict__["cleanup"]
    undo()
    assert OutputGraph.__dict__["cleanup"] is before
    OutputGraph.cleanup = kept
    try:
        torch._dynamo.reset()
        assert eager(double, torch.ones(3)).tolist() == [2.0] * 3
    finally:
        OutputGraph.cleanup = before
    assert emitted == []


def test_nothing_of_torch_is_kept() -> None:
    """After a reset the compiled module and its input are freed, although the recording is still there."""

    def call():
        model, x = torch.nn.Linear(3, 2), torch.ones(4, 3)
        eager(model, x)
        return weakref.ref(model), weakref.ref(x)

    captured = capture(call, "shapes", "modules", "traced_files")
    torch._dynamo.reset()
    gc.collect()
    assert [kept() for kept in captured.result] == [None, None]
