"""The seam of guards on real compiles: users' lines, names for ids, dropped guards; and what it must not change."""

from __future__ import annotations

import gc
import logging
import re
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException

from compile_inspector.model.guards import Guard
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.live import Catcher, records
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.guards import guards
from compile_inspector.recording.trace_file import read_log
from compile_inspector.torch_seams import guards as seam
from compile_inspector.torch_seams import trace
from compile_inspector.torch_seams.probe import Faults

RATE = 3
SETTINGS = {"gain": 2, "other": [1, 2]}


def helper(x: torch.Tensor) -> torch.Tensor:
    return x + RATE


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.gain = 2

    def forward(self, x):
        return self.linear(x) * self.gain


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList([Block(), Block()])

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x if self.training else -x


def recorded(run: Callable[[], object], *, faults: Faults | None = None, log: Path | None = None) -> Trace:
    """What the records of a run say, with this seam alone installed; ``log`` gets them too, as torch would write them."""
    torch._dynamo.reset()
    lost: list[BaseException] = []
    catcher = Catcher(lost.append)
    for name, number in trace.interned_files():
        catcher.add("str", [name, number])
    undo = seam.install(trace.emit, faults or Faults())
    stops = [trace.listen(catcher)]
    if log is not None:
        handler = logging.FileHandler(log)
        handler.setFormatter(torch._logging._internal.TorchLogsFormatter(trace=True))
        stops += [trace.listen(handler), handler.close]
    try:
        run()
    finally:
        for stop in stops:
            stop()
        undo()
    assert lost == []
    return Trace(records(catcher.raw))


def rows_of(run: Callable[[], object], *, faults: Faults | None = None) -> tuple[Guard, ...]:
    recording = recorded(run, faults=faults)
    rows = guards(recording, Places(recording))
    assert recording.losses.rows() == ()
    return rows


def compiled(function: Callable[..., object], *args: object, **options: object) -> Callable[[], object]:
    return lambda: torch.compile(function, backend="eager", **options)(*args)


def only(rows: tuple[Guard, ...], source: str, kind: str | None = None) -> Guard:
    found = [row for row in rows if row.source == source and kind in {None, row.kind}]
    assert len(found) == 1, found
    return found[0]


def code(row: Guard) -> str | None:
    return None if row.location is None else row.location.code


def test_a_guard_names_the_users_line() -> None:
    """Guards on a number, a global, a dict's item and a list's length each name the line that read the value."""

    def f(x, k):
        x = x * k
        x = x * RATE
        x = x + SETTINGS["gain"]
        return x + SETTINGS["other"][0]

    rows = rows_of(compiled(f, torch.ones(3), 7))
    assert code(only(rows, "L['k']")) == "x = x * k"
    assert only(rows, "L['k']").expr == "L['k'] == 7"
    assert code(only(rows, "G['RATE']")) == "x = x * RATE"
    assert code(only(rows, "G['SETTINGS']['gain']")) == 'x = x + SETTINGS["gain"]'
    assert code(only(rows, "G['SETTINGS']['other']", "LENGTH_CHECK")) == 'return x + SETTINGS["other"][0]'
    assert only(rows, "G['SETTINGS']['gain']").parent == "G['SETTINGS']"
    assert {row.location.file for row in rows if row.location} == {__file__}
    assert {row.location.function for row in rows if row.location} == {"f"}


def test_a_guard_made_inside_torch_names_the_users_call() -> None:
    """The guard on a Linear's weight is made in torch's code; its location is the line of the block that called the Linear."""
    rows = rows_of(compiled(Net(), torch.ones(2, 4)))
    weight = only(
        rows,
        "L['self']._modules['blocks']._modules['1']._modules['linear']._parameters['weight']",
        "TENSOR_MATCH",
    )
    assert code(weight) == "return self.linear(x) * self.gain"
    assert [frame.code for frame in weight.stack[:2]] == ["x = block(x)", "return self.linear(x) * self.gain"]
    assert weight.stack[-1].file.endswith("torch/nn/modules/linear.py")
    assert weight.module_path == "blocks.1.linear.weight"
    assert code(only(rows, "L['self'].training")) == "return x if self.training else -x"


def test_every_check_but_those_on_global_state_has_a_line() -> None:
    """All rows with a source have a user's line, those without one are the checks of global state."""
    rows = rows_of(compiled(Net(), torch.ones(2, 4)))
    assert [row for row in rows if row.source is not None and row.location is None] == []
    assert {row.kind for row in rows if row.location is None} >= {"GLOBAL_STATE", "TORCH_FUNCTION_MODE_STACK"}
    assert {row.source for row in rows if row.location is None} == {None}


def test_a_modules_argument_may_have_any_name() -> None:
    """A module that the frame knows by another name than self has module paths too."""

    def f(net, x):
        return net(x)

    rows = rows_of(compiled(f, Net(), torch.ones(2, 4)))
    gain = only(rows, "L['net']._modules['blocks']._modules['0'].gain")
    assert (gain.module_path, gain.root, code(gain)) == (
        "blocks.0.gain",
        "L['net']",
        "return self.linear(x) * self.gain",
    )
    assert only(rows, "L['net'].training").module_path == "training"
    assert only(rows, "L['x']", "TENSOR_MATCH").module_path is None


def test_shape_guards_name_the_line_that_asked() -> None:
    """Each part of the shape guards is a row of its own, with the stack of the line that branched on the size."""

    def inner(x):
        return x + 1 if x.shape[0] > 3 else x

    def f(x, y):
        x = inner(x)
        return x + y if x.shape[0] == y.shape[0] else x

    rows = rows_of(compiled(f, torch.ones(5), torch.ones(6), dynamic=True))
    shapes = [row for row in rows if row.kind == "LAMBDA_GUARD" and row.source is not None]
    lines = {row.expr: (row.source, code(row), [frame.function for frame in row.stack]) for row in shapes}
    inner_line = "return x + 1 if x.shape[0] > 3 else x"
    assert lines["4 <= L['x'].size()[0]"] == ("L['x'].size()[0]", inner_line, ["f", "inner"])
    different = next(row for row in shapes if "!=" in row.expr)
    assert code(different) == "return x + y if x.shape[0] == y.shape[0] else x"
    assert all(row.location is not None for row in shapes)


def test_a_shape_guard_of_torchs_own_has_the_line_that_first_used_the_value() -> None:
    """An equality that duck shaping added names no line in the tree; its row has the one where the tensor was first used."""

    def f(x):
        return x * 2

    rows = rows_of(compiled(f, torch.ones(5, 5), dynamic=True))
    equal = next(row for row in rows if row.expr == "L['x'].size()[1] == L['x'].size()[0]")
    assert code(equal) == "return x * 2"
    assert equal.hint is not None
    assert "duck" in equal.hint


def test_a_closures_variable_is_named() -> None:
    """A guard on a closure's cell keeps torch's remark on which variable it is."""
    rate = 5

    def f(x):
        return x * rate

    def g(function, x):
        return function(x)

    rows = rows_of(compiled(g, f, torch.ones(2)))
    cell = only(rows, "L['function'].__closure__[0].cell_contents")
    assert code(cell) == "return x * rate"
    assert cell.hint is None or 'guard on "rate"' in cell.hint


def test_objects_guarded_by_id_are_named() -> None:
    """Where torch prints an id, the row has the object's name: of types, functions, modules and code."""

    def f(x, items):
        return helper(torch.relu(x)) * len(items)

    rows = rows_of(compiled(f, torch.ones(2), [1, 2]))
    by_id = {row.source: row.expr for row in rows if row.expr.startswith("___check_")}
    assert by_id["L['items']"] == "___check_type_id(L['items'], list)"
    assert by_id["G['torch']"] == "___check_obj_id(G['torch'], torch)"
    assert by_id["G['torch'].relu"] == "___check_obj_id(G['torch'].relu, torch.relu)"
    assert by_id["G['helper'].__code__"].startswith("___check_obj_id(G['helper'].__code__, helper at ")
    assert [expr for expr in by_id.values() if re.search(r"\d{6,}", expr)] == []


def test_dropped_guards_are_rows_that_say_so() -> None:
    """What a guard_filter_fn drops is a row with dropped=True, with its line; what it keeps has dropped=False."""

    def f(x, k):
        return x * k * RATE

    def local_only(entries):
        return [not entry.is_global for entry in entries]

    rows = rows_of(compiled(f, torch.ones(3), 7, options={"guard_filter_fn": local_only}))
    rate = only(rows, "G['RATE']")
    assert (rate.dropped, rate.kind, rate.expr) == (True, "EQUALS_MATCH", "G['RATE'] == 3")
    assert code(rate) == "return x * k * RATE"
    assert only(rows, "L['k']").dropped is False


def test_a_check_that_another_guard_still_makes_is_not_dropped() -> None:
    """Two guards may make one check: it is dropped only when both are, and then it is one row."""

    def f(x):
        return x * RATE

    def all_but_one(entries):
        return [entry.guard_type != "CONSTANT_MATCH" for entry in entries]

    def neither(entries):
        return [entry.orig_guard.name != "G['RATE']" for entry in entries]

    for guard_filter, dropped in ((all_but_one, False), (neither, True)):
        rows = rows_of(compiled(f, torch.ones(3), options={"guard_filter_fn": guard_filter}))
        assert only(rows, "G['RATE']").dropped is dropped


def test_a_filters_fault_is_the_users() -> None:
    """An answer that torch refuses, and an error in the filter, end as they would without the seam."""

    def run(guard_filter):
        return compiled(helper, torch.ones(3), options={"guard_filter_fn": guard_filter})

    def fails(entries):
        raise ZeroDivisionError

    for guard_filter in (lambda entries: [1] * len(entries), fails):
        messages = []
        for watch in (lambda step: step(), recorded):
            torch._dynamo.reset()
            with pytest.raises((AssertionError, ZeroDivisionError, TorchDynamoException)) as caught:
                watch(run(guard_filter))
            messages.append((type(caught.value), str(caught.value).splitlines()[0]))
        assert messages[0] == messages[1]


@pytest.mark.parametrize("planted", ["fact", "name", "watched", "index"])
def test_a_fault_in_the_seam_is_counted_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    """With a fault planted in any part of the seam the result is right, and the fault is counted under the seam's name."""

    def fault(*args, **kwargs):
        msg = "planted"
        raise RuntimeError(msg)

    owner = seam._Stacks if planted == "index" else seam._Reading
    monkeypatch.setattr(owner, planted, fault)
    faults, results = Faults(), []

    def f(x):
        return helper(torch.relu(x))

    def run():
        options = {"guard_filter_fn": lambda entries: [True] * len(entries)}
        results.append(torch.compile(f, backend="eager", options=options)(torch.ones(2)))

    recorded(run, faults=faults)
    assert torch.equal(results[0], torch.full((2,), 4.0))
    assert set(faults.counts()) == {("guards", "RuntimeError: planted")}


def test_a_recording_reads_the_same_from_torchs_own_log(tmp_path: Path) -> None:
    """The rows of a live recording equal those of the log that torch's own formatter wrote of the same run."""
    live = recorded(compiled(Net(), torch.ones(2, 4), dynamic=True), log=tmp_path / "trace.log")
    read, losses, _ = read_log(tmp_path / "trace.log")
    logged = Trace([*(record for record in _interned(live)), *read])
    expected = guards(live, Places(live))
    assert len(expected) > 40
    assert guards(logged, Places(logged)) == expected
    assert tuple(losses) == ()


def _interned(recording: Trace):
    from compile_inspector.model.records import Record

    return [Record(event="str", body=[name, number], envelope={}) for number, name in recording.files.items()]


def test_the_undo_puts_back_exactly_what_was_there() -> None:
    """After the undo torch's class has the very functions it had before."""
    manager = torch._dynamo.guards.CheckFunctionManager
    before = (vars(manager)["__init__"], vars(manager)["id_ref"])
    recorded(compiled(helper, torch.ones(2)))
    assert (vars(manager)["__init__"], vars(manager)["id_ref"]) == before


def test_a_wrapper_left_behind_only_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where someone wrapped our wrapper, it stays in place after the undo, and emits nothing more."""
    manager = torch._dynamo.guards.CheckFunctionManager
    original = manager.__init__
    emitted: list[str] = []
    undo = seam.install(lambda name, payload, **_: emitted.append(name), Faults())
    ours = manager.__init__
    monkeypatch.setattr(manager, "__init__", lambda *args, **kwargs: ours(*args, **kwargs))
    compiled(helper, torch.ones(2))()
    undo()
    torch._dynamo.reset()
    compiled(helper, torch.ones(2))()
    assert emitted == ["guards"]
    monkeypatch.undo()
    manager.__init__ = original


def test_nothing_of_the_users_is_kept_alive() -> None:
    """A module that was compiled while the seam watched is freed with the last of the user's own references."""
    undo = seam.install(trace.emit, Faults())
    try:
        net = Net()
        gone = weakref.ref(net)
        compiled(net, torch.ones(2, 4))()
        torch._dynamo.reset()
        del net
        gc.collect()
        assert gone() is None
    finally:
        undo()


def test_naming_an_object_runs_nothing_of_the_users() -> None:
    """An object whose every hook raises is named by its class."""
    from compile_inspector.torch_seams.object_names import object_name

    class Trap(type):
        def __getattribute__(cls, name):
            raise AssertionError(name)

    class Hostile(metaclass=Trap):
        def __getattribute__(self, name):
            raise AssertionError(name)

        def __repr__(self):
            raise AssertionError

    assert object_name(Hostile()).startswith("<")
    assert object_name(Hostile()).endswith("Hostile object>")
    assert object_name(Hostile).endswith("Hostile")
