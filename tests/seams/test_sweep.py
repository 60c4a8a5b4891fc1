"""Sweeps over input sizes: every cell held against eager, and the program left as it was."""

from __future__ import annotations

import random

import pytest
import torch

import compile_inspector as ci
from compile_inspector import trials
from compile_inspector.errors import LabError
from compile_inspector.lab.agreement import difference
from compile_inspector.lab.inputs import call_of, resized
from compile_inspector.torch_seams import isolation

KINDS = ("backed", "backed_size_oblivious", "unbacked")


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(8, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.drop = torch.nn.Dropout(0.5)
        self.calls = 0
        self.seen = []

    def forward(self, x):
        self.calls += 1
        return self.drop(self.norm(self.linear(x)))


def scaled(x, y):
    return x * 2 + y


def pinned(x, y):
    return (x + y).view(4, -1)  # PINS


def branching(x):
    return x * 2 if x.shape[0] > 4 else x + 1


def at_three(x):
    return x * 2 if x.shape[0] == 3 else x + 1


def line_of(function, marker):
    import inspect

    lines, first = inspect.getsourcelines(function)
    return first + next(index for index, line in enumerate(lines) if marker in line)


def cells(result, kind):
    return [
        (cell.sizes[0].size, cell.status, cell.compiles, cell.recompiles) for cell in result.of_kind(kind)
    ]


def test_one_compile_serves_what_is_dynamic() -> None:
    """Marked as unbacked one compile serves every size, 0 and 1 among them; backed sizes of 1 compile again."""
    result = ci.sweep(lambda x: x * 2 + 1, torch.randn(3, 2), {"x": {0: [3, 2, 1, 0, 64]}}, backend="eager")
    assert cells(result, "unbacked") == [(3, "ok", 1, 0), *((size, "ok", 0, 0) for size in (2, 1, 0, 64))]
    assert [compiles for *_, compiles, _ in cells(result, "backed")] == [1, 0, 1, 1, 0]
    assert result.complete
    assert not result.bad
    assert all(cell.call_ns for cell in result)


def test_a_cell_tells_what_was_compiled() -> None:
    """A cell that compiles has guards and a time; one that reuses code has neither; a recompile has its finding."""
    result = ci.sweep(branching, torch.randn(3), {"x": {0: [3, 4, 8]}}, kinds=["backed"], backend="eager")
    first, second, third = result.cells
    assert first.guards
    assert first.compile_ns > 0
    assert (second.compiles, second.guards, second.compile_ns) == (0, None, 0)
    assert (third.compiles, third.recompiles) == (1, 1)
    assert third.finding is not None
    assert third.finding.cause.line == line_of(branching, "shape[0] > 4")


@pytest.mark.parametrize("dims", [{"x": {0: [3, 8]}}, None])
def test_a_cell_of_a_notebook_is_named(dims, monkeypatch) -> None:
    """Lines of a notebook's cell are told as ``In [n]``, in a grid and where each dimension is tried."""
    monkeypatch.setattr(trials, "cell_numbers", lambda: {__file__: 7})
    result = ci.sweep(at_three, torch.randn(3), dims, kinds=["backed"], backend="eager")
    assert "In [7]" in str(result)


def test_a_wrong_result_is_seen() -> None:
    """A backend whose code computes something else gives cells that are wrong, and says where they differ."""

    def wrong(graph, _):
        return lambda *args: tuple(value + 1 for value in graph(*args))

    result = ci.sweep(
        scaled, (torch.randn(3), torch.randn(3)), {("x", "y"): {0: [3, 5]}}, kinds=["backed"], backend=wrong
    )
    assert [cell.status for cell in result] == ["wrong", "wrong"]
    assert all("differs from eager's" in cell.problem for cell in result)
    assert result.bad == result.cells


def test_a_compile_that_fails_is_a_cell_that_failed() -> None:
    """A dimension that the code pins fails as mark_dynamic demands, with the finding that names the line."""
    example = (torch.randn(4, 2), torch.randn(4, 2))
    result = ci.sweep(
        lambda x, y: pinned(x, y), example, {("x", "y"): {0: [4]}}, kinds=["backed"], backend="eager"
    )
    (cell,) = result.cells
    assert cell.status == "failed"
    assert "ConstraintViolationError" in cell.problem
    assert cell.finding.kind == "constraint-violation"
    assert cell.finding.cause.line == line_of(pinned, "# PINS")


def test_what_eager_refuses_is_told_apart() -> None:
    """Sizes that the program itself does not take are invalid, and nothing is compiled for them."""

    def f(x):
        if x.shape[0] > 5:
            raise ValueError("too long")
        return x * 2

    result = ci.sweep(f, torch.randn(3), {"x": {0: [3, 8]}}, kinds=["backed"], backend="eager")
    assert [cell.status for cell in result] == ["ok", "invalid"]
    assert result.cells[1].compiles == 0
    assert result.cells[1].problem == "eager raises ValueError: too long"


def test_several_dimensions_make_a_grid() -> None:
    """Every combination of the sizes is a cell of each kind, and progress is told of each."""
    told = []
    result = ci.sweep(
        lambda x, y: x.sum() + y.sum(),
        {"x": torch.randn(3, 2), "y": torch.randn(4)},
        {"x": {0: [2, 3], 1: [2, 5]}, "y": {0: [4]}},
        backend="eager",
        progress=lambda done, total, cell: told.append((done, total, cell.kind)),
    )
    assert told == [(index + 1, 12, KINDS[index // 4]) for index in range(12)]
    assert {tuple(size.size for size in cell.sizes) for cell in result} == {
        (2, 2, 4),
        (2, 5, 4),
        (3, 2, 4),
        (3, 5, 4),
    }


def test_an_interrupt_gives_what_is_done() -> None:
    """KeyboardInterrupt ends the sweep with the cells up to there, and leaves no setting changed."""

    def stop(done, _total, _cell):
        if done == 2:
            raise KeyboardInterrupt

    before = torch._dynamo.config.recompile_limit
    result = ci.sweep(lambda x: x + 1, torch.randn(3), {"x": {0: [2, 3, 4]}}, backend="eager", progress=stop)
    assert len(result.cells) == 2
    assert not result.complete
    assert result.notes == ("interrupted after 2 of 9 cells",)
    assert torch._dynamo.config.recompile_limit == before


@pytest.mark.parametrize("training", [True, False])
def test_the_program_is_left_as_it_was(training) -> None:
    """Modes, parameters, buffers, gradients, attributes, inputs and random numbers are those of before."""
    net = Net().train(training)
    net.norm.eval()
    net.linear.weight.grad = grad = torch.ones(4, 8)
    x = torch.randn(3, 8, requires_grad=True)
    kept = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [module.training for module in net.modules()]
    torch.manual_seed(7)
    expected = (torch.rand(3), random.getstate())
    torch.manual_seed(7)
    result = ci.sweep(net, x, {"x": {0: [2, 3]}}, backend="eager")
    assert not result.bad
    torch.testing.assert_close(torch.rand(3), expected[0])
    assert random.getstate() == expected[1]
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, kept[name]) for name, value in net.state_dict().items())
    assert net.linear.weight.grad is grad
    assert (net.calls, net.seen) == (0, [])
    assert x.grad is None
    assert not [name for name in vars(x) if name.startswith("_dynamo")]


def test_settings_are_put_back_exactly() -> None:
    """What was unset is unset again, what was set has its value, and the same holds when a setting does not exist."""
    entry = torch._dynamo.config._config["recompile_limit"]
    read = (
        entry.user_override.get
        if hasattr(entry.user_override, "get")
        else lambda: torch._dynamo.config._config["recompile_limit"].user_override
    )
    before = read()
    with isolation.patched({("torch._dynamo.config", "recompile_limit"): 3}):
        assert torch._dynamo.config.recompile_limit == 3
    assert read() is before
    with (
        pytest.raises(AttributeError, match="no_such"),
        isolation.patched(
            {("torch._dynamo.config", "recompile_limit"): 4, ("torch._dynamo.config", "no_such"): 1}
        ),
    ):
        pass
    assert read() is before


def test_compiled_code_is_swept_as_its_original() -> None:
    """A compiled module is taken as the module, whatever it was compiled with."""
    compiled = torch.compile(torch.nn.Linear(4, 4), backend="aot_eager")
    result = ci.sweep(compiled, torch.randn(2, 4), {"input": {0: [2, 3]}}, kinds=["backed"], backend="eager")
    assert result.name == "Linear"
    assert not result.bad


@pytest.mark.parametrize(
    ("dims", "kinds", "said"),
    [
        ({"z": {0: [1]}}, KINDS, "no input tensor is named 'z'; there are: x, y"),
        ({"x": {2: [1]}}, KINDS, "x has 1 dimensions"),
        ({"x": {-1: [1]}}, KINDS, "x has 1 dimensions"),
        ({"x": {0: []}}, KINDS, "must be whole numbers"),
        ({"x": {0: [2.5]}}, KINDS, "must be whole numbers"),
        ({"x": {0: [2]}}, ["frontal"], "kinds must be some of"),
        ({"x": {0: [2]}}, [], "kinds must be some of"),
    ],
)
def test_what_cannot_be_varied_is_said(dims, kinds, said) -> None:
    """An unknown input, dimension, size or kind is refused, with what there is."""
    with pytest.raises(LabError, match=said.replace("(", r"\(")):
        ci.sweep(scaled, (torch.randn(3), torch.randn(3)), dims, kinds=kinds, backend="eager")


def test_no_tensor_and_a_bad_call_are_refused() -> None:
    """Inputs that do not fit, or hold no tensor, are an error before anything runs."""
    with pytest.raises(LabError, match="do not fit"):
        ci.sweep(scaled, torch.randn(3), {"x": {0: [3]}})
    with pytest.raises(LabError, match="no tensor comes into"):
        ci.sweep(lambda x: x, 3)


def test_tensors_in_collections_have_names() -> None:
    """A tensor in a dict or a list is named as Python would; the same tensor twice stays one."""
    shared = torch.randn(2, 3)
    call = call_of(lambda batch, *rest: None, ({"ids": shared, "many": [shared, torch.ones(1)]}, shared))
    assert list(call.tensors) == [
        "L['batch']['ids']",
        "L['batch']['many'][0]",
        "L['batch']['many'][1]",
        "L['rest'][0]",
    ]
    copied = resized(call, {})
    assert copied.args[0]["ids"] is copied.args[0]["many"][0] is copied.args[1] is not shared


def test_other_sizes_keep_values_strides_and_gradients() -> None:
    """A larger input repeats the example's values, in the same order of strides, and asks for a gradient where it did."""
    example = torch.arange(6.0).view(2, 3).t().requires_grad_()
    call = resized(call_of(lambda x: x, example), {"L['x']": {0: 5}})
    (made,) = call.args
    assert made.shape == (5, 2)
    assert made.stride() == (1, 5)
    assert made.requires_grad
    torch.testing.assert_close(made[3:], example[:2])
    assert resized(call_of(lambda x: x, torch.empty(0, 2)), {"L['x']": {0: 2}}).args[0].tolist() == [
        [0, 0],
        [0, 0],
    ]


def test_each_dimension_is_tried() -> None:
    """Without dims each dimension has a verdict a kind: those that eager ties change together, the pinned one has its line."""
    result = ci.sweep(pinned, (torch.randn(4, 2), torch.randn(4, 2)), kinds=["backed"], backend="eager")
    by_place = {(one.source, one.dim): one for one in result.dims}
    assert set(by_place) == {(f"L['{name}']", dim) for name in "xy" for dim in (0, 1)}
    rows, columns = by_place["L['x']", 0], by_place["L['x']", 1]
    assert (columns.status, columns.together) == ("dynamic", ("y[1]",))
    assert (rows.status, rows.together) == ("fixed", ())
    assert "view" in rows.why or "shape" in rows.why


def test_a_pinned_dimension_has_its_line() -> None:
    """A dimension that eager takes at any size but the compiler pins is said to be pinned, and where."""

    def f(x):
        if x.shape[1] == 4:  # PINS
            return x * 2
        return x + 1

    result = ci.sweep(f, torch.randn(3, 4), kinds=["backed"], backend="eager")
    first, second = result.dims
    assert first.status == "dynamic"
    assert second.status == "pinned"
    assert second.location.line == line_of(f, "# PINS")
    assert result.to_dicts()[1]["status"] == "pinned"


def test_a_dimension_that_eager_fixes() -> None:
    """A size that the program itself demands is fixed, in its own words, and nothing is compiled for it."""
    result = ci.sweep(torch.nn.Linear(4, 2), torch.randn(3, 4), kinds=["backed"], backend="eager")
    assert [one.status for one in result.dims] == ["dynamic", "fixed"]
    assert "eager itself takes no other size" in result.dims[1].why


def test_a_sweep_shows_itself() -> None:
    """Text and HTML have the headline and every kind; what comes from the program is escaped."""

    def f(x):
        if x.shape[0] > 5:
            raise ValueError("<script>bad</script>")
        return x

    result = ci.sweep(f, torch.randn(3), {"x": {0: [3, 8]}}, backend="eager")
    bundle = result._repr_mimebundle_()
    assert bundle["text/plain"] == str(result)
    assert "Sweep of f with eager: 6 of 6 cells, no bad cells" in str(result)
    assert all(kind in str(result) for kind in KINDS)
    assert "<script>" not in bundle["text/html"]
    assert "&lt;script&gt;" in bundle["text/html"]
    assert "6 of 6" in repr(result)


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (torch.ones(2), torch.ones(2) + 1e-6, None),
        (torch.ones(2), torch.ones(3), "shape"),
        (torch.ones(2), torch.ones(2, dtype=torch.float64), "dtype"),
        (torch.tensor([1, 2]), torch.tensor([1, 3]), "differs"),
        (torch.tensor(float("nan")), torch.tensor(float("nan")), None),
        ((1, [2.0]), (1, [2.0]), None),
        ((1, [2.0]), (1, [2.5]), r"result\[1\]\[0\] is 2.5, in eager 2.0"),
        ({"a": 1}, {"b": 1}, "keys"),
        ([1], [1, 2], "parts"),
        (1, "1", "is '1', in eager 1"),
        (None, torch.ones(1), "is a Tensor|in eager None"),
    ],
)
def test_results_are_compared(one, other, said) -> None:
    """Equal within what the dtype can tell, NaN equal to NaN; the first difference is told with its place."""
    import re

    found = difference(one, other)
    assert (found is None) == (said is None)
    assert said is None or re.search(said, found)


def test_a_size_that_another_input_pins_changes_with_it() -> None:
    """Where torch pins a size because a mask has it as a number, both are varied together, and are found to be dynamic."""

    def masked(x, mask):
        return (x.masked_fill(mask, 0.0) * 2).sum(1)

    x, mask = torch.ones(4, 6), torch.zeros(1, 6, dtype=torch.bool)
    result = ci.sweep(masked, (x, mask), kinds=("backed",), backend="eager")
    told = {(row.source, row.dim): (row.status, row.together) for row in result.dims}
    assert told["L['x']", 0] == ("dynamic", ())
    assert told["L['x']", 1] == ("dynamic", ("mask[1]",))
    assert told["L['mask']", 1] == ("dynamic", ("x[1]",))
    assert len(result.cells) == result.total
