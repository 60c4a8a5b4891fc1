"""Capturing a compiled module for several batch sizes, and which calls then run from a graph."""

from __future__ import annotations

import copy
import functools
import gc
import math
import re
import threading
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
import torch

import attention_models
import compile_inspector as ci
from compile_inspector.engine import dispatch as dispatching
from compile_inspector.engine.capture import CaptureStep
from compile_inspector.engine.decorator import programs
from compile_inspector.engine.dispatch import Dispatch
from compile_inspector.engine.static_graph import FakeStaticGraph, static_graphs
from compile_inspector.errors import CaptureError, InvalidConfig
from compile_inspector.model.captures import Capture

WIDTH = 4


class Counting(FakeStaticGraph):
    """A fake graph that counts what lives, and says how much memory its pool holds."""

    live = 0
    bytes_each = 100

    def record(self, run: Callable[[], Any], inputs: Any) -> Any:
        self.pool_bytes_before = Counting.live * self.bytes_each
        outputs = super().record(run, inputs)
        Counting.live += 1
        self.pool_bytes_after = Counting.live * self.bytes_each
        return outputs

    def free(self) -> None:
        if self._run is not None:
            Counting.live -= 1
        super().free()


@pytest.fixture(autouse=True)
def fake() -> Iterator[None]:
    """Graphs are fake ones, and no gradients are wanted."""
    Counting.live = 0
    with static_graphs(Counting), torch.no_grad():
        yield


class Model(torch.nn.Module):
    """``linear(x) + shift``, each row by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(WIDTH, WIDTH)
        self.shift = torch.ones(WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) + self.shift


def applied(module: torch.nn.Module, first: int = 4, dims: Any = None, **settings: Any) -> Any:
    """Applied with the backend "eager" and called once."""
    config = ci.InspectorConfig({"backend": "eager", **settings})
    one = ci.apply(module, dynamic_arg_dims=dims or {"x": 0}, vllm_config=config)
    module(torch.randn(first, WIDTH))
    return one


def right(module: Any, *inputs: torch.Tensor) -> None:
    """A call gives what the forward as it is gives."""
    expected = type(module).__mro__[1].forward(module, *(one.clone() for one in inputs))
    torch.testing.assert_close(module(*inputs), expected)


def rows(module: Any) -> list[Any]:
    captured = programs.get(module).captured
    return [] if captured is None else captured.captures()


def replays(module: Any) -> dict[int, int]:
    return {one.key["num_tokens"]: one.replay_count for one in rows(module) if one.event == "captured"}


def bypasses(module: Any) -> dict[str, int]:
    return {one.reason: one.call_count for one in rows(module) if one.event == "bypassed"}


def test_a_batch_is_padded_to_the_next_captured_size_and_cut() -> None:
    """Sizes 3 and 4 run from the graph of 4, 5 to 8 from that of 8, larger ones compiled; each result is the model's own."""
    model = Model()
    with ci.compilation_counter.expect(num_cudagraph_captured=2, num_gpu_runner_capture_triggers=1):
        report = applied(model).capture([4, 8])
    assert report.captured == (4, 8)
    for size in (3, 4, 5, 8, 9, 3):
        right(model, torch.randn(size, WIDTH))
    assert replays(model) == {8: 2, 4: 3}
    assert bypasses(model) == {"the batch is larger than the largest captured size, 8": 1}


def test_a_result_is_the_callers_own() -> None:
    """The next replay does not change an earlier result; with copy_outputs=False it does, as the graph's buffer is given back."""
    model = Model()
    one = applied(model)
    x, y = torch.randn(4, WIDTH), torch.randn(4, WIDTH)
    for copies in (True, False):
        one.capture([4], copy_outputs=copies)
        first = model(x)
        kept = first.clone()
        model(y)
        assert torch.equal(first, kept) is copies


def test_the_graphs_own_inputs_are_not_copied() -> None:
    """What `inputs` gives can be filled in place and passed."""
    model = Model()
    one = applied(model)
    one.capture([2])
    (buffer,), _ = one.inputs(2)
    buffer.copy_(torch.randn(2, WIDTH))
    right(model, buffer)
    assert replays(model) == {2: 1}
    with pytest.raises(CaptureError, match="no graph of the size 5"):
        one.inputs(5)


class Branch(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if len(x) >= 4 else x * 100


def test_no_batch_is_padded_over_a_branch() -> None:
    """Sizes on the other side of a branch are another compile: 3 is not padded to 4, and computes what it should."""
    model = Branch()
    applied(model).capture([2, 4, 8])
    for size in (2, 3, 4, 5, 8):
        right(model, torch.randn(size, WIDTH))
    assert replays(model) == {8: 2, 4: 1, 2: 1}
    assert list(bypasses(model)) == ["the batch is larger than the largest captured size, 2"]


class Mixing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0)


class Summing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(0)


class Counts(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, int]:
        return x + 1, x.shape[0]


class Remembering(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.total.add_(x.sum(0))
        return x + self.total


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (Mixing, "its rows depend on one another"),
        (Summing, "its rows depend on one another"),
        (Counts, "output 1 is 5 for a batch of 5 and 8 for 8"),
        (Remembering, "the forward writes into total"),
    ],
)
def test_rows_that_depend_on_one_another_are_never_padded(make: Any, why: str) -> None:
    """Found out while capturing: such a model runs from graphs for the captured sizes alone, and the report says why."""
    model, twin = make(), make()
    report = applied(model).capture([4, 8])
    twin(torch.randn(4, WIDTH))
    if isinstance(model, Remembering):
        model.total.zero_()
        twin.total.zero_()
    for size in (4, 6, 8, 6):
        x = torch.randn(size, WIDTH)
        torch.testing.assert_close(model(x), twin(x))
    assert replays(model) == {8: 1, 4: 1}
    ((reason, count),) = bypasses(model).items()
    assert why in reason
    assert count == 2
    assert make is Remembering or any(why in remark for remark in report.remarks)


class Grouped(torch.nn.Module):
    """Rows in groups, so that only multiples are batches; a group's rows depend on one another, on those of other groups where asked."""

    def __init__(self, group: int, *, mixing: bool = False) -> None:
        super().__init__()
        self.group, self.mixing = group, mixing

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        groups = x.view(-1, self.group, WIDTH)
        return (groups - (groups.mean(0) if self.mixing else 1)).view(-1, WIDTH)


@pytest.mark.parametrize("policy", ["recompile", "ignore"])
@pytest.mark.parametrize("mixing", [False, True])
def test_padding_is_tried_with_a_batch_that_the_model_takes(policy: str, mixing: bool) -> None:
    """A model of multiples of 4 takes neither the 9 nor the 15 below 16: it is tried with 12, and such a call is cut to its rows."""
    model = Grouped(4, mixing=mixing)
    applied(model, 8, dropped_guards=policy).capture([8, 16])
    right(model, torch.randn(12, WIDTH))
    assert replays(model) == ({16: 0, 8: 0} if mixing else {16: 1, 8: 0})
    assert all("of a batch of 12 changes" in reason for reason in bypasses(model))


def test_what_could_not_be_tried_is_not_padded() -> None:
    """No multiple of 67 was tried below 201: a call with 134 rows runs compiled, and says why."""
    model = Grouped(67)
    applied(model, 134).capture([201])
    right(model, torch.randn(134, WIDTH))
    right(model, torch.randn(201, WIDTH))
    assert replays(model) == {201: 1}
    assert bypasses(model) == {
        "only the sizes that were captured run from graphs: no size between them could be tried": 1
    }


def test_random_results_are_the_reason_where_they_are() -> None:
    """Dropout makes no rows depend on one another: that two calls differ is said."""
    model = torch.nn.Sequential(torch.nn.Dropout(0.5))
    config = ci.InspectorConfig({"backend": "eager"})
    one = ci.apply(model, dynamic_arg_dims={"input": 0}, vllm_config=config)
    model(torch.ones(4, 64))
    (remark,) = one.capture([4, 8]).remarks
    assert "two calls with the same arguments give different results" in remark


class Positions(torch.nn.Module):
    """Adds the embedding of each row's position, of which there are 16."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(16, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.table(torch.arange(x.shape[0]))


def test_a_size_that_the_model_cannot_take_leaves_the_others() -> None:
    """It fails while it warms up, first of all as it is the largest: it is told, and the others are captured."""
    model = Positions()
    report = applied(model).capture([4, 8, 32])
    assert report.captured == (4, 8)
    assert report.rows[0].reason == "a call of this size fails: IndexError: index out of range in self"
    right(model, torch.randn(7, WIDTH))


def test_a_size_that_does_not_compile_says_why() -> None:
    """What torch explains at length is told in a line."""

    class Checked(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[0] > 16:
                msg = "too many rows"
                raise ValueError(msg)
            return x * 2

    report = applied(Checked()).capture([4, 32])
    assert report.captured == (4,)
    assert "\n" not in (report.rows[0].reason or "")
    assert re.search(r"ValueError\(.*too many rows", report.rows[0].reason or "")


def wrapping(forward: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(forward)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return forward(*args, **kwargs)

    return wrapper


class Wrapped(Model):
    """A decorator stands around its forward, so that the instance is the first of ``args``."""

    @wrapping
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) + self.shift


def test_a_decorated_forward_is_captured_and_its_tensors_are_watched() -> None:
    """Its weights are found through ``args[0]``: batches run from graphs, and a replaced weight runs compiled, with the reason."""
    model = Wrapped()
    config = ci.InspectorConfig({"backend": "eager"})
    one = ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config)
    model(x=torch.randn(4, WIDTH))
    assert one.capture([2, 4]).captured == (2, 4)
    for size in (2, 3, 4):
        x = torch.randn(size, WIDTH)
        torch.testing.assert_close(model(x=x), model.linear(x) + model.shift)
    assert replays(model) == {4: 2, 2: 1}
    model.linear.weight = torch.nn.Parameter(torch.randn(WIDTH, WIDTH))
    x = torch.randn(4, WIDTH)
    torch.testing.assert_close(model(x=x), model.linear(x) + model.shift)
    (reason,) = bypasses(model)
    assert reason.endswith("['weight'] is another tensor than at the capture")


def test_a_weight_that_is_turned_where_it_lies_is_noticed() -> None:
    """The parameter is the same object at the same address, with other strides: the call runs compiled, with the reason."""
    model = Model()
    applied(model, dropped_guards="ignore").capture([4])
    right(model, torch.randn(4, WIDTH))
    model.linear.weight.data = model.linear.weight.data.t()
    right(model, torch.randn(4, WIDTH))
    assert replays(model) == {4: 1}
    (reason,) = bypasses(model)
    assert reason.endswith("has another shape, other strides or another dtype than at the capture")


def test_a_forward_that_writes_into_its_module_leaves_it_as_it_was_captured() -> None:
    """Warm-ups, trials and captures are undone in registered buffers."""
    model = Remembering()
    one = applied(model)
    before = model.total.clone()
    one.capture([2, 4, 8], measure=True)
    assert torch.equal(model.total, before)


WRITTEN = torch.zeros(1)


class Caching(torch.nn.Module):
    """Writes into tensors that are no buffers: an attribute, one in a list, one in a module in a list, a global one."""

    def __init__(self, *, outermost: bool = True) -> None:
        super().__init__()
        self.cache, self.caches = torch.zeros(2, WIDTH), [torch.zeros(1), torch.zeros(1)]
        self.repeated = self.cache[:1].expand(3, WIDTH)
        self.parts = [Caching(outermost=False)] if outermost else []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.cache[0] = x[0]
        for one in self.caches:
            one.add_(1)
        if self.parts:
            WRITTEN.add_(1)
            return self.parts[0](x)
        return x + self.caches[0]

    def held(self) -> list[torch.Tensor]:
        inner = self.parts[0].held() if self.parts else [WRITTEN]
        return [one.clone() for one in (self.cache, *self.caches, *inner)]


def test_tensors_that_are_no_buffers_are_left_as_they_were_too() -> None:
    """Whatever captures write into is put back, and a graph writes there again; of each such tensor it is known that it is written."""
    model = Caching()
    one = applied(model)
    before = model.held()
    report = one.capture([2, 4])
    assert report.captured == (2, 4)
    assert all(map(torch.equal, model.held(), before))
    model(torch.ones(4, WIDTH))
    assert [
        float(now.sum() - was.sum()) for now, was in zip(model.held()[1:3], before[1:3], strict=True)
    ] == [1, 1]
    model(torch.ones(3, WIDTH))
    ((reason, _),) = bypasses(model).items()
    assert "where padded rows would be written too" in reason


class Writing(torch.nn.Module):
    def forward(self, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        out.copy_(x * 2)
        return out


def test_what_is_written_into_an_argument_reaches_the_caller() -> None:
    """Also of a padded batch; what is returned is the caller's own tensor."""
    model = Writing()
    config = ci.InspectorConfig({"backend": "eager"})
    one = ci.apply(model, dynamic_arg_dims={"x": 0, "out": 0}, vllm_config=config)
    model(torch.randn(4, WIDTH), torch.zeros(4, WIDTH))
    one.capture([4, 8])
    for size in (3, 4, 7):
        x, out = torch.randn(size, WIDTH), torch.zeros(size, WIDTH)
        assert model(x, out) is out
        assert torch.equal(out, x * 2)
    assert replays(model) == {8: 1, 4: 2}


class Adding(torch.nn.Module):
    """Writes into its first argument, then reads the second and a buffer; into the buffer where asked."""

    def __init__(self, *, into_buffer: bool = False) -> None:
        super().__init__()
        self.register_buffer("kept", torch.zeros(8, WIDTH))
        self.into_buffer = into_buffer

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        (self.kept if self.into_buffer else x).add_(1)
        return y * 2 + self.kept.sum()


@pytest.mark.parametrize("policy", ["recompile", "ignore"])
@pytest.mark.parametrize("into_buffer", [False, True])
@pytest.mark.parametrize(
    ("pick", "into", "seen"),
    [
        (lambda base, kept: (base[:4], base[:4]), "argument", True),
        (lambda base, kept: (base[:4], base[1:5]), "argument", True),
        (lambda base, kept: (base[::2], base[1::2]), "argument", False),
        (lambda base, kept: (kept[:4], base[:4]), "argument", True),
        (lambda base, kept: (base[:4], kept[:4]), "buffer", True),
    ],
)
def test_what_is_written_is_read_again_by_who_shares_its_memory(
    policy: str, into_buffer: bool, pick: Any, into: str, seen: bool
) -> None:
    """A replay reads copies, where a write into one tensor is not seen in another: such calls run compiled, others from the graph."""
    model = Adding(into_buffer=into_buffer)
    dims = {"x": 0, "y": 0}
    config = ci.InspectorConfig({"backend": "eager", "dropped_guards": policy})
    one = ci.apply(model, dynamic_arg_dims=dims, vllm_config=config)
    model(torch.zeros(4, WIDTH), torch.zeros(4, WIDTH))
    one.capture([4])
    twin = Adding(into_buffer=into_buffer)
    for _ in range(2):
        base, other = torch.ones(8, WIDTH), torch.ones(8, WIDTH)
        model.kept.fill_(1)
        twin.kept.fill_(1)
        torch.testing.assert_close(model(*pick(base, model.kept)), twin(*pick(other, twin.kept)))
        assert torch.equal(base, other)
        assert torch.equal(model.kept, twin.kept)
    if not seen and policy == "ignore":
        assert replays(model) == {4: 2}
    elif seen and policy == "ignore" and into_buffer is (into == "buffer"):
        (reason,) = bypasses(model)
        assert "shares its memory with" in reason


class Taking(torch.nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x - 2 * y


@pytest.mark.parametrize(
    "pick",
    [
        lambda x, y: (y, x),
        lambda x, y: (x.t(), y),
        lambda x, y: (torch.ones(WIDTH, WIDTH), x),
        lambda x, y: (y[:2], x[1:3]),
    ],
)
def test_a_graphs_own_inputs_may_be_passed_in_another_place(pick: Any) -> None:
    """One for the other, turned, or in part: none is written over before it was read."""
    model = Taking()
    config = ci.InspectorConfig({"backend": "eager", "dropped_guards": "ignore"})
    one = ci.apply(model, dynamic_arg_dims={"x": 0, "y": 0}, vllm_config=config)
    model(torch.randn(WIDTH, WIDTH), torch.randn(WIDTH, WIDTH))
    one.capture([2, WIDTH])
    (x, y), _ = one.inputs(WIDTH)
    x.copy_(torch.randn(WIDTH, WIDTH))
    y.copy_(torch.randn(WIDTH, WIDTH))
    inputs = pick(x, y)
    expected = Taking().forward(*inputs)
    torch.testing.assert_close(model(*inputs), expected)
    assert sum(replays(model).values()) == 1


class Layered(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([Model(), Model()])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def _attribute(model: Any) -> None:
    model.layers[0].shift = torch.zeros(WIDTH)


def _parameter(model: Any) -> None:
    model.layers[1].linear.weight = torch.nn.Parameter(torch.randn(WIDTH, WIDTH))


def _data(model: Any) -> None:
    model.layers[1].linear.weight.data = torch.randn(WIDTH, WIDTH)


def _layer(model: Any) -> None:
    model.layers[0] = Model()


def _in_place(model: Any) -> None:
    model.layers[0].shift.fill_(5)


@pytest.mark.parametrize("policy", ["recompile", "ignore"])
@pytest.mark.parametrize(
    ("change", "bypassed"), [(_attribute, 1), (_parameter, 1), (_data, 1), (_layer, 1), (_in_place, 0)]
)
def test_a_changed_tensor_of_the_module_is_never_read_from_an_old_graph(
    policy: str, change: Callable[[Any], None], bypassed: int
) -> None:
    """A replaced attribute, parameter or layer and moved data are noticed before the replay; new values in place need no notice."""
    model = Layered()
    applied(model, dropped_guards=policy).capture([4])
    right(model, torch.randn(4, WIDTH))
    change(model)
    right(model, torch.randn(4, WIDTH))
    assert sum(bypasses(model).values()) == bypassed
    if bypassed:
        (reason,) = bypasses(model)
        assert "than at the capture" in reason


def test_a_recompile_runs_beside_the_graphs() -> None:
    """Another attribute is another compile, of which nothing was captured; the old value runs from the graph again."""

    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = 2.0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.scale

    model = Scaled()
    applied(model).capture([4])
    for scale in (2.0, 3.0, 3.0, 2.0):
        model.scale = scale
        right(model, torch.ones(4, WIDTH))
    assert replays(model) == {4: 2}
    assert list(bypasses(model)) == ["this call runs the compile 0/1, of which no graph was captured"]


@pytest.mark.parametrize(
    "sizes",
    [[0], [-1], [1.5], ["2"], [True], [], "12", None, {2: 3}, [2, None], range(1, 10**12)],
    ids=repr,
)
def test_sizes_that_cannot_be_are_refused(sizes: Any) -> None:
    """Zero, negative, not whole, no list, too many: one error that says so; nothing is captured, nothing else changes."""
    model = Model()
    one = applied(model)
    with pytest.raises(InvalidConfig, match="sizes must be"):
        one.capture(sizes)
    assert rows(model) == []
    right(model, torch.randn(4, WIDTH))


@pytest.mark.parametrize(
    "sizes",
    [2, torch.tensor(2), torch.tensor([2]), range(2, 3), {2}],
    ids=repr,
)
def test_sizes_are_taken_however_they_are_listed(sizes: Any) -> None:
    """One number, an array of numbers, what gives them once."""
    assert applied(Model()).capture(sizes).captured == (2,)
    assert applied(Model()).capture(iter([2])).captured == (2,)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"args": torch.ones(2, WIDTH)}, r"args must be a tuple .* args=\(x,\), got a Tensor"),
        ({"args": (1, 2, 3)}, r"Model.forward\(\) takes 2 positional arguments but 4 were given"),
        ({"args": ()}, r"Model.forward\(\) missing 1 required positional argument: 'x'"),
        ({"kwargs": {"y": 1}}, r"Model.forward\(\) got an unexpected keyword argument 'y'"),
        ({"kwargs": [1]}, "kwargs must be a dict .* got a list"),
        ({"args": (torch.ones(0, WIDTH),)}, "the batch of these args is empty"),
        ({"warmups": "3"}, "warmups must be a whole number of 1 or more, got '3'"),
        ({"warmups": 1.5}, "warmups must be a whole number"),
    ],
)
def test_an_example_or_a_count_that_cannot_be_is_refused(options: Any, said: str) -> None:
    """One error that says what to pass; what was captured before stays."""
    model = Model()
    one = applied(model)
    one.capture([4])
    with pytest.raises(InvalidConfig, match=said):
        one.capture([2], **options)
    right(model, torch.randn(4, WIDTH))
    assert replays(model) == {4: 1}


def test_a_call_that_failed_is_no_example() -> None:
    """The shapes of later captures are those of the latest call that went well."""
    model = Model()
    one = applied(model)
    with pytest.raises(RuntimeError):
        model(torch.randn(4, WIDTH).double())
    assert one.capture([2]).captured == (2,)


def test_calls_that_are_compiled_no_more_are_counted() -> None:
    """At torch's limit of recompiles a call that nothing compiled admits runs as it is: it is counted, with that as the reason."""
    model = Model()
    with torch._dynamo.config.patch(recompile_limit=1), ci.record() as recording:
        applied(model).capture([4])
        for _ in range(3):
            x = torch.randn(4, WIDTH).double()
            with pytest.raises(RuntimeError, match="dtype"):
                model(x)
        right(model, torch.randn(4, WIDTH))
    told = [row for row in recording.session.captures if row.event == "bypassed"]
    assert [(row.call_count, "compiles this module no more" in (row.reason or "")) for row in told] == [
        (2, True)
    ]
    assert replays(model) == {4: 1}


def test_sizes_given_twice_or_above_the_range() -> None:
    """A repeated size is captured once; one above max_num_batched_tokens is left out and told."""
    model = Model()
    report = applied(model).capture([2, 2, 4, 9000, 4])
    assert [(row.size, row.event) for row in report.rows] == [
        (9000, "skipped"),
        (4, "captured"),
        (2, "captured"),
    ]
    assert report.rows[0].reason == "the size 9000 lies above max_num_batched_tokens, 8192"


def test_out_of_memory_leaves_what_was_captured_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third of five captures runs out of memory: it is told and its memory returned, the others are captured and used."""
    model = Model()
    one = applied(model)
    record, made = Counting.record, []

    def failing(graph: Counting, run: Callable[[], Any], inputs: Any) -> Any:
        made.append(graph)
        if len(made) == 3:
            msg = "CUDA out of memory. Tried to allocate 2 GiB"
            raise torch.OutOfMemoryError(msg)
        return record(graph, run, inputs)

    monkeypatch.setattr(Counting, "record", failing)
    report = one.capture([2, 4, 8, 16, 32])
    assert report.captured == (2, 4, 16, 32)
    (lost,) = [row for row in report.rows if not row.has_graph]
    assert (lost.size, lost.reason) == (8, "out of memory: CUDA out of memory. Tried to allocate 2 GiB")
    assert Counting.live == 4
    for size in (2, 7, 30):
        right(model, torch.randn(size, WIDTH))
    assert replays(model) == {32: 1, 16: 1, 4: 0, 2: 1}


def test_out_of_memory_twice_in_a_row_ends_the_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is left out, and told so."""
    model = Model()
    one = applied(model)

    def failing(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Counting, "record", failing)
    report = one.capture([2, 4, 8])
    assert [row.reason for row in report.rows] == [
        "out of memory: CUDA out of memory.",
        "out of memory: CUDA out of memory.",
        "left out: the GPU was out of memory for the sizes before it",
    ]
    right(model, torch.randn(4, WIDTH))


def test_an_interrupted_capture_keeps_what_it_has() -> None:
    """An exception of the progress callback ends the capture and is raised; the sizes before it are used."""
    model = Model()
    one = applied(model)

    def progress(step: CaptureStep) -> None:
        if step.size == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one.capture([2, 4], progress=progress)
    right(model, torch.randn(4, WIDTH))
    assert replays(model) == {4: 1}


def test_budgets_end_a_capture() -> None:
    """Without time nothing is captured; over the memory limit a capture is given back and the rest is left out."""
    model = Model()
    one = applied(model)
    report = one.capture([2, 4], max_capture_seconds=0)
    assert [row.reason for row in report.rows] == ["left out: max_capture_seconds=0 was over"] * 2
    report = one.capture([2, 4, 8, 16], max_pool_bytes=Fraction(501, 2), max_capture_seconds=math.inf)
    assert report.captured == (8, 16)
    assert [row.reason for row in report.rows[2:]] == [
        "given back: the graphs' memory pool would hold 300 bytes, and max_pool_bytes is 250",
        "left out: max_pool_bytes=250 is reached",
    ]
    assert Counting.live == 2
    assert one.capture([2], max_pool_bytes=math.inf).captured == (2,)
    for limit in (-1, True, "1"):
        with pytest.raises(InvalidConfig, match="must be a number of 0 or more"):
            one.capture([2], max_pool_bytes=limit)


def test_progress_is_told_before_and_after_each_size() -> None:
    """Largest first, with what became of each."""
    steps: list[CaptureStep] = []
    applied(Model()).capture([2, 4], progress=steps.append)
    assert [(one.done, one.total, one.size, one.event) for one in steps] == [
        (0, 2, 4, None),
        (1, 2, 4, "captured"),
        (1, 2, 2, None),
        (2, 2, 2, "captured"),
    ]


def test_what_cannot_be_captured_yet_says_what_to_do() -> None:
    """Not called yet, not applied, not compiling, undone."""
    model = Model()
    config = ci.InspectorConfig({"backend": "eager"})
    one = ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config)
    with pytest.raises(CaptureError, match=r"call the module once, or pass args=\(…\)"):
        one.capture([2])
    report = one.capture([2], args=(torch.randn(3, WIDTH),))
    assert report.captured == (2,)
    one.undo()
    with pytest.raises(CaptureError, match="apply it first"):
        one.capture([2])
    stock = ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=ci.InspectorConfig("STOCK_TORCH_COMPILE"))
    with pytest.raises(CaptureError, match="apply it first"):
        stock.capture([2])
    stock.undo()


def test_a_capture_within_a_capture_is_refused() -> None:
    """A forward that captures while it is captured gets an error of its own, which the outer capture tells of."""
    model = Model()
    one = applied(model)
    caught: list[str] = []

    def progress(_: CaptureStep) -> None:
        with pytest.raises(CaptureError, match="within one another") as error:
            one.capture([2])
        caught.append(str(error.value))

    one.capture([4], progress=progress)
    assert len(caught) == 2
    right(model, torch.randn(4, WIDTH))


class Viewing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :2]


class Opaque(torch.nn.Module):
    def forward(self, x: torch.Tensor, what: Any) -> torch.Tensor:
        return x + 1


def test_results_and_arguments_that_no_replay_can_give() -> None:
    """A view of an argument is refused for each size; an argument of an unknown class is refused at once."""
    model = Viewing()
    report = applied(model).capture([2, 4])
    assert {row.reason for row in report.rows} == {
        "an output is a view of an argument or of a tensor of the module, which a replay cannot give"
    }
    other = Opaque()
    config = ci.InspectorConfig({"backend": "eager", "dropped_guards": "ignore"})
    one = ci.apply(other, dynamic_arg_dims={"x": 0}, vllm_config=config)
    other(torch.randn(4, WIDTH), object())
    with pytest.raises(CaptureError, match="the argument what is a object, which no graph can hold"):
        one.capture([2])


class Several(torch.nn.Module):
    def forward(
        self, x: torch.Tensor, pair: tuple[torch.Tensor, dict[str, torch.Tensor]], *, times: int = 1
    ) -> dict[str, Any]:
        return {"sum": (x + pair[0] + pair[1]["bias"]) * times, "both": [x * 2, pair[0]]}


class Shared(torch.nn.Module):
    """Gives one tensor twice, two views of it that have rows in common, and one by itself."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = x + 1
        return y, y, y[:, 1:3], y.t(), x * 2


def test_results_that_share_memory_do_so_after_a_replay() -> None:
    """What is written into one is seen in the others, also of a padded batch; the next call gets others."""
    model = Shared()
    applied(model).capture([4, 8])
    for size in (4, 7):
        x = torch.randn(size, WIDTH)
        one, again, part, turned, other = results = model(x)
        for found, expected in zip(results, Shared().forward(x), strict=True):
            assert torch.equal(found, expected)
        assert one is again
        one.fill_(7)
        assert torch.equal(part, torch.full((size, 2), 7.0))
        assert torch.equal(turned, torch.full((WIDTH, size), 7.0))
        assert torch.equal(other, x * 2)
        assert torch.equal(model(x)[0], x + 1)
        assert float(one.sum()) == 7 * one.numel()
    assert replays(model) == {8: 2, 4: 2}


def test_nested_arguments_and_results() -> None:
    """Tuples, dicts, keywords and values go through a graph; another value of one runs compiled."""
    model = Several()
    config = ci.InspectorConfig({"backend": "eager", "dropped_guards": "ignore"})
    one = ci.apply(model, dynamic_arg_dims={"x": 0, "pair[0]": 0}, vllm_config=config)

    def call(size: int, times: int = 1) -> None:
        x, y, bias = torch.randn(size, WIDTH), torch.randn(size, WIDTH), torch.randn(WIDTH)
        result = model(x, (y, {"bias": bias}), times=times)
        assert list(result) == ["sum", "both"]
        torch.testing.assert_close(result["sum"], (x + y + bias) * times)
        torch.testing.assert_close(result["both"][0], x * 2)
        assert result["both"][1] is y

    call(4)
    assert one.capture([4, 8]).captured == (4, 8)
    for size in (4, 3, 8, 5):
        call(size)
    assert replays(model) == {8: 2, 4: 2}


class Difference(torch.nn.Module):
    def forward(self, pair: dict[str, torch.Tensor]) -> torch.Tensor:
        return pair["one"] - pair["other"]


@pytest.mark.parametrize("policy", ["recompile", "ignore"])
def test_what_a_dict_holds_is_found_by_its_key(policy: str) -> None:
    """A dict in another order gives the same result from the graph; one with another key runs compiled."""
    model = Difference()
    config = ci.InspectorConfig({"backend": "eager", "dropped_guards": policy})
    one = ci.apply(model, dynamic_arg_dims={"pair": 0}, vllm_config=config)
    first, second = torch.randn(4, WIDTH), torch.randn(4, WIDTH)
    model({"one": first, "other": second})
    one.capture([4])
    assert torch.equal(model({"other": second, "one": first}), first - second)
    assert replays(model) == {4: 1}
    with pytest.raises(Exception, match="one"):
        model({"other": second, "another": first})
    model({"other": second, "one": first, "another": first})
    assert replays(model) == {4: 1}
    assert list(bypasses(model)) == ["the arguments are put together in another way than at the capture"]


class Apart(Counting):
    """Has what lies on the CPU from its capture, as a CUDA graph does, and does nothing there."""

    reads_host = False


class Scaling(torch.nn.Module):
    """Scales by numbers in a tensor on the CPU; counts its calls in one, where asked."""

    def __init__(self, numbers: int, *, counting: bool) -> None:
        super().__init__()
        self.scale = torch.full((numbers,), 2.0)
        self.counting = counting

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.counting:
            self.scale.add_(1)
        return x * self.scale.sum()


def test_what_lies_on_the_cpu_is_compared_before_each_replay() -> None:
    """A graph has it from its capture: other values there run compiled, with the reason, and the old ones from the graph again."""
    model = Scaling(2, counting=False)
    with static_graphs(Apart):
        assert applied(model).capture([4]).captured == (4,)
    for value in (2.0, 3.0, 4.0, 2.0):
        model.scale.fill_(value)
        right(model, torch.ones(4, WIDTH))
    assert replays(model) == {4: 2}
    assert bypasses(model) == {
        "L['self'].scale, which lies on the CPU, holds other values than at the capture": 2
    }


@pytest.mark.parametrize(
    ("numbers", "counting", "why"),
    [(1, True, "writes into L['self'].scale"), (5000, False, "reads L['self'].scale")],
)
def test_work_on_the_cpu_that_no_replay_does_is_not_captured(numbers: int, counting: bool, why: str) -> None:
    """What is written there, or is too much to be compared, runs compiled."""
    model = Scaling(numbers, counting=counting)
    with static_graphs(Apart):
        (row,) = applied(model).capture([4]).rows
    assert row.event == "skipped"
    assert f"the forward {why}, which lies on the CPU" in (row.reason or "")
    assert Counting.live == 0


class Stats:
    """Holds what a forward gives it."""

    def __init__(self) -> None:
        self.last: Any = None


class Sets(torch.nn.Module):
    """Keeps what it computed in an attribute, in a dict of its own, or in a buffer."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.last, self.kept = how, None, {}
        self.stats, self.parts = Stats(), [torch.nn.Identity()]
        self.register_buffer("total", torch.zeros(WIDTH))

    def forward(self, x: torch.Tensor, **options: Any) -> torch.Tensor:
        options.pop("unused", None)
        if self.how == "attribute":
            self.last = x * 2
        elif self.how == "dict":
            self.kept["last"] = x * 2
        elif self.how == "buffer":
            self.total = self.total + x.sum(0)
        elif self.how == "elsewhere":
            SEEN["last"] = x * 2
        elif self.how == "object":
            self.stats.last = x * 2
        elif self.how == "part":
            self.parts[0].last = x * 2
        elif self.how == "constant":
            self.last = 3
        return x + 1


SEEN: dict[str, torch.Tensor] = {}


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("attribute", "each call sets last of the module anew, which a replay does not"),
        ("dict", "each call sets kept of the module anew, which a replay does not"),
        ("buffer", "each call sets total of the module anew, which a replay does not"),
        ("elsewhere", "each call changes what SEEN holds, which a replay does not"),
        ("object", "each call changes what self.stats holds, which a replay does not"),
        ("part", "each call changes what self.parts[0] holds, which a replay does not"),
        ("constant", None),
        ("nothing", None),
    ],
)
def test_what_a_call_sets_beside_its_results_is_not_lost_in_silence(how: str, why: str | None) -> None:
    """A replay runs no Python: such a module is not captured, and says why; a dict of the call's own keywords does not count."""
    model = Sets(how)
    report = applied(model).capture([4, 8])
    assert [row.reason for row in report.rows] == [why] * 2
    x = torch.randn(3, WIDTH)
    model(x)
    model(x, unused=1)
    last = {"attribute": model.last, "dict": model.kept.get("last"), "elsewhere": SEEN.get("last")}
    assert how not in last or torch.equal(last[how], x * 2)
    SEEN.clear()


class Two(NamedTuple):
    one: torch.Tensor
    other: torch.Tensor


def _keeping() -> Callable[..., None]:
    kept: dict[str, torch.Tensor] = {}

    def hook(_module: Any, _args: Any, output: torch.Tensor) -> None:
        kept["last"] = output

    return hook


class Hooked(torch.nn.Module):
    """A hook on its layer keeps what the layer gave; its result is an object of a class."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(WIDTH, WIDTH)
        self.linear.register_forward_hook(_keeping())

    def forward(self, x: torch.Tensor) -> Two:
        return Two(self.linear(x), x + 1)


def test_what_a_hook_keeps_is_not_lost_in_silence() -> None:
    """Also where the result is no plain one, whose making looks like a change: what the dict in the hook's closure holds is seen to change."""
    model = Hooked()
    (row,) = applied(model).capture([4]).rows
    assert row.reason is not None
    assert row.reason.startswith("each call changes what self._modules['linear']._forward_hooks")
    assert row.reason.endswith("cell_contents holds, which a replay does not")


class Counter(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x + self.calls


def test_a_forward_that_no_compile_of_it_admits_twice_says_what_it_changes() -> None:
    """It counts its calls, and each count is another compile: the reason is that, not that torch would compile it no more."""
    (row,) = applied(Counter()).capture([4]).rows
    assert row.reason is not None
    assert row.reason.startswith("each call changes what its compile depends on: ")
    assert ".calls == " in row.reason


def test_calls_that_need_gradients_run_compiled() -> None:
    """In grad mode with parameters that want gradients no graph is replayed, and the gradients are right."""
    model = Model()
    applied(model, dropped_guards="ignore").capture([4])
    with torch.enable_grad():
        result = model(torch.randn(4, WIDTH))
    assert replays(model) == {4: 0}
    assert bypasses(model) == {"the call needs gradients": 1}
    assert result.shape == (4, WIDTH)


def test_a_forward_context_decides() -> None:
    """NONE asks for no graph; a context with a batch descriptor leaves everything to its caller; FULL replays."""
    model = Model()
    one = applied(model)
    one.capture([4])
    x, settings = torch.randn(4, WIDTH), ci.InspectorConfig()
    for mode, batch in (("NONE", None), ("FULL", ci.BatchDescriptor(4)), ("FULL", None), ("PIECEWISE", None)):
        given = {"cudagraph_runtime_mode": ci.CUDAGraphMode[mode], "batch_descriptor": batch}
        with ci.set_forward_context(None, settings, **given):
            right(model, x)
    assert replays(model) == {4: 1}
    assert list(bypasses(model)) == [
        "the forward context asks for no graph",
        "this call runs the compile 0/0, of which no piecewise graph was captured",
    ]


def piecewise(mode: str = "PIECEWISE", **settings: Any) -> tuple[Any, Any]:
    """Two layers split at their attention, called once: the model and its configuration."""
    config = attention_models.config(cudagraph_mode=mode, dropped_guards="recompile", **settings)
    model = attention_models.Stack(vllm_config=config, layers=2)
    model(torch.randn(8, attention_models.WIDTH))
    return model, config


def stack_right(model: Any, size: int) -> None:
    x = torch.randn(size, attention_models.WIDTH)
    torch.testing.assert_close(model(x), attention_models.Stack.forward.__wrapped__(model, x))


def test_pieces_are_captured_and_run_from_their_graphs() -> None:
    """Two layers, three capturable pieces: two sizes are six graphs, padded batches run from them, and each piece counts its replays."""
    model, _ = piecewise()
    with ci.compilation_counter.expect(num_cudagraph_captured=6):
        report = ci.capture_graphs(model, [2, 4])
    assert [(row.size, row.partition, row.mode) for row in report.rows] == [
        (size, piece, "PIECEWISE") for size in (4, 2) for piece in (None, 0, 2, 4)
    ]
    for size in (1, 2, 3, 4, 3):
        stack_right(model, size)
    assert replays(model) == {4: 3, 2: 1}
    stack_right(model, 9)
    assert list(bypasses(model)) == ["the batch is larger than the largest captured size, 4"]
    assert ci.release_graphs(model)
    stack_right(model, 4)


def test_pieces_warm_up_where_they_are_captured() -> None:
    """Beyond the two runs that learn what the code reads, what lies between the pieces runs once a size, however often they warm up."""
    model, _ = piecewise()
    ran: list[int] = []

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor) -> None:
        ran.append(len(q))
        out.copy_(q + k + v)

    with torch.library._scoped_library("silly", "IMPL") as library:
        library.impl("attention", attend, "CPU", allow_override=True)
        report = ci.capture_graphs(model, [3, 2], warmups=4)
    assert {size: ran.count(size) for size in (3, 2)} == {3: 2 * 3, 2: 2}
    assert {(row.size, row.warmups) for row in report.rows} == {(3, 4), (2, 4)}


def test_a_whole_model_that_cannot_be_captured_runs_by_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """FULL_AND_PIECEWISE with a whole graph that fails: the sizes run from the pieces' graphs, and the reason is told."""
    model, _ = piecewise("FULL_AND_PIECEWISE")
    record = Counting.record

    def failing(graph: Counting, run: Callable[[], Any], inputs: Any) -> Any:
        if "_full" in run.__qualname__:
            raise RuntimeError("operation not permitted when stream is capturing")
        return record(graph, run, inputs)

    monkeypatch.setattr(Counting, "record", failing)
    report = ci.capture_graphs(model, [4])
    assert [(row.mode, row.partition, row.event) for row in report.rows] == [
        ("FULL", None, "skipped"),
        ("PIECEWISE", None, "captured"),
        *(("PIECEWISE", piece, "captured") for piece in (0, 2, 4)),
    ]
    assert report.rows[0].reason == (
        "the capture failed: RuntimeError: operation not permitted when stream is capturing"
    )
    stack_right(model, 3)
    assert replays(model) == {4: 1}


def test_full_and_piecewise_captures_both() -> None:
    """Calls take the whole graph; a forward context can ask for the pieces."""
    model, config = piecewise("FULL_AND_PIECEWISE")
    ci.capture_graphs(model, [4])
    stack_right(model, 4)
    with ci.set_forward_context(None, config, cudagraph_runtime_mode=ci.CUDAGraphMode.PIECEWISE):
        stack_right(model, 4)
    assert [(one.mode, one.replay_count) for one in rows(model)] == [("FULL", 1), ("PIECEWISE", 1)]


def test_pieces_that_were_not_wrapped_cannot_be_captured() -> None:
    """A module configured without piecewise graphs says what to configure; a mode that is none is refused."""
    one = applied(Model())
    with pytest.raises(CaptureError, match='cudagraph_mode="FULL_AND_PIECEWISE"'):
        one.capture([2], mode="PIECEWISE")
    for mode in ("NONE", "SOME", 3):
        with pytest.raises(InvalidConfig, match="mode must be FULL"):
            one.capture([2], mode=mode)


def test_measuring_times_each_size_and_counts_no_replay() -> None:
    """A call from the graph, compiled and as it is; the counts stay those of the user's calls."""
    model = Model()
    report = applied(model).capture([2, 4], measure=True)
    for row in report.rows:
        assert row.replay_ns is not None
        assert row.compiled_ns is not None
        assert row.eager_ns is not None
        assert row.replay_count == 0


def test_trying_and_measuring_count_no_replay_of_a_piece() -> None:
    """The pieces' replays are those of the user's calls, too."""
    model, _ = piecewise()
    report = ci.capture_graphs(model, [2, 4], measure=True)
    assert {row.replay_count for row in report.rows} == {0}
    stack_right(model, 3)
    with ci.record() as recorder:
        stack_right(model, 3)
    found = [row for row in recorder.session.captures if row.size == 4]
    assert {row.partition: row.replay_count for row in found} == dict.fromkeys((None, 0, 2, 4), 2)


def test_pieces_that_a_forward_context_called_before() -> None:
    """Those that were only warmed up are captured; those that hold other tensors are the reason, and the other sizes are captured."""
    for calls, captured in ((1, (2, 4)), (2, (2,))):
        model, config = piecewise(cudagraph_num_of_warmups=1)
        x = torch.randn(4, attention_models.WIDTH)
        for _ in range(calls):
            with ci.set_forward_context(
                None,
                config,
                cudagraph_runtime_mode=ci.CUDAGraphMode.PIECEWISE,
                batch_descriptor=ci.BatchDescriptor(4),
            ):
                model(x)
        report = ci.capture_graphs(model, [2, 4])
        assert report.captured == captured
        assert captured == (2, 4) or str(report.rows[0].reason).startswith(
            "its pieces were captured before, in a forward context with this batch descriptor: "
        )


def test_a_piece_that_fails_for_one_size_leaves_the_others() -> None:
    """What lies between the pieces raises for 3: that size alone has no graph."""
    model, _ = piecewise()

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor) -> None:
        if len(q) == 3:
            msg = "three is none of mine"
            raise ValueError(msg)
        out.copy_(q + k + v)

    with torch.library._scoped_library("silly", "IMPL") as library:
        library.impl("attention", attend, "CPU", allow_override=True)
        report = ci.capture_graphs(model, [2, 3, 4])
    assert report.captured == (2, 4)
    (lost,) = [row for row in report.rows if not row.has_graph]
    assert lost.reason == "a call of this size fails: ValueError: three is none of mine"
    assert Counting.live == 6


def test_the_rows_of_a_session_are_those_of_the_report() -> None:
    """A recording has the captures with their counts, whether it was there at the capture or came later; a saved log too."""
    model = Model()
    with ci.record() as recorder:
        report = applied(model).capture([2, 4])
        model(torch.randn(3, WIDTH))
    numbers = {row.number for row in report.rows}
    found = [row for row in recorder.session.captures if row.number in numbers]
    assert [row.number for row in found] == [row.number for row in report.rows]
    assert [row.replay_count for row in found] == [1, 0]
    with ci.record() as late:
        model(torch.randn(3, WIDTH))
    later = [row for row in late.session.captures if row.number in numbers]
    assert [row.replay_count for row in later] == [2, 0]
    assert late.session.losses == ()


def test_counts_are_told_of_what_is_gone_before_the_recording_ends() -> None:
    """A module that dies within the recording, and graphs that are freed in it, have their last counts."""

    def serve() -> set[int]:
        model = Model()
        report = applied(model).capture([2, 4])
        for size in (1, 2, 3, 9):
            model(torch.randn(size, WIDTH))
        return {row.number for row in report.rows}

    with ci.record() as recorder:
        numbers = serve()
        torch._dynamo.reset()
        gc.collect()
        model = Model()
        one = applied(model)
        freed = {row.number for row in one.capture([4]).rows}
        model(torch.randn(4, WIDTH))
        one.release()
    rows = recorder.session.captures
    assert [row.replay_count for row in rows if row.number in numbers] == [1, 1]
    assert [row.replay_count for row in rows if row.number in freed] == [1]


def test_a_saved_session_has_the_captures(tmp_path: Any) -> None:
    """What a log gives back equals what was recorded."""
    with ci.record() as recorder:
        applied(Model()).capture([2], measure=True)
    session = recorder.session
    loaded = ci.load(session.save(tmp_path / "captures.log.gz"))
    assert loaded.captures == session.captures != ()
    assert isinstance(loaded.captures[0], Capture)


def test_nothing_keeps_a_module_alive() -> None:
    """A captured module dies with its last reference, and its graphs with it."""
    model = Model()
    applied(model).capture([2, 4])
    gone = weakref.ref(model)
    del model
    torch._dynamo.reset()
    gc.collect()
    assert gone() is None


def test_copies_have_no_graphs() -> None:
    """A deep copy of a captured module computes the same and replays nothing."""
    model = Model()
    applied(model).capture([4])
    other = copy.deepcopy(model)
    x = torch.randn(4, WIDTH)
    torch.testing.assert_close(other(x), model(x))
    assert replays(model) == {4: 1}


def test_undo_frees_every_graph() -> None:
    """So does leaving the block of `apply`, releasing, and capturing again."""
    model = Model()
    one = applied(model)
    one.capture([2, 4])
    one.capture([2, 4, 8])
    assert Counting.live == 3
    one.release()
    assert Counting.live == 0
    right(model, torch.randn(4, WIDTH))
    one.capture([2])
    one.undo()
    assert Counting.live == 0
    with ci.apply(
        model, dynamic_arg_dims={"x": 0}, vllm_config=ci.InspectorConfig({"backend": "eager"})
    ) as held:
        model(torch.randn(4, WIDTH))
        held.capture([4])
    assert Counting.live == 0
    assert type(model) is Model


def test_threads_share_a_graph_without_mixing_their_results() -> None:
    """Four threads on one module get each its own results."""
    model = Model()
    applied(model).capture([8])
    wrong: list[int] = []

    def work(seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for _ in range(100):
                x = torch.randn(7, WIDTH, generator=generator)
                if not torch.allclose(model(x), Model.forward(model, x)):
                    wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert replays(model) == {8: 400}


def test_graphs_that_another_thread_frees_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Freed when a call has found its graph, it runs compiled; freed in the middle of a replay, that is waited for."""
    model = Model()
    one = applied(model)
    one.capture([4, 8])
    misfit, replay = Dispatch._misfit, Counting.replay

    def freeing(dispatch: Dispatch, fit: Any, leaves: Any, instance: Any) -> str | None:
        one.release()
        return misfit(dispatch, fit, leaves, instance)

    with monkeypatch.context() as patched:
        patched.setattr(Dispatch, "_misfit", freeing)
        right(model, torch.randn(3, WIDTH))
    assert Counting.live == 0
    one.capture([4, 8])
    threads: list[threading.Thread] = []

    def during(graph: Counting, inputs: Any) -> None:
        threads.append(threading.Thread(target=one.release))
        threads[0].start()
        threads[0].join(0.2)
        replay(graph, inputs)

    monkeypatch.setattr(Counting, "replay", during)
    right(model, torch.randn(3, WIDTH))
    threads[0].join()
    assert Counting.live == 0


def test_replays_of_two_modules_come_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their graphs share one pool: while one thread replays, and until it has copied its results, another waits with a graph of another module."""
    one, other = Model(), Model()
    applied(one).capture([4])
    applied(other).capture([4])
    x, order = torch.ones(4, WIDTH), []
    replay, given_back = Counting.replay, Dispatch._given_back
    threads: list[threading.Thread] = []

    def during(graph: Counting, inputs: Any) -> None:
        order.append("replay")
        if not threads:
            threads.append(threading.Thread(target=lambda: torch.no_grad()(other)(x)))
            threads[0].start()
            threads[0].join(0.2)
        replay(graph, inputs)

    def copied(dispatch: Dispatch, *args: Any) -> Any:
        order.append("copy")
        return given_back(dispatch, *args)

    monkeypatch.setattr(Counting, "replay", during)
    monkeypatch.setattr(Dispatch, "_given_back", copied)
    one(x)
    threads[0].join()
    assert order == ["replay", "copy"] * 2
    assert replays(other) == {4: 1}


def test_replays_on_two_streams_wait_for_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of two modules; on the same stream nothing waits."""
    models = [Model(), Model()]
    waits: list[tuple[str, str]] = []

    class Stream:
        def __init__(self, name: str) -> None:
            self.name = name

        def wait_stream(self, other: Stream) -> None:
            waits.append((self.name, other.name))

    streams = {1: Stream("first"), 2: Stream("second")}
    current = [1]
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _gpu: streams[current[0]])
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(dispatching, "_latest", {})
    for model in models:
        applied(model).capture([4])
        for one in programs.get(model).captured.dispatches.values():
            one._gpu, one._stream_of = 0, lambda _gpu: current[0]
    for stream, model in ((1, 0), (1, 1), (2, 1), (2, 0), (1, 0)):
        current[0] = stream
        right(models[model], torch.ones(4, WIDTH))
    assert waits == [("second", "first"), ("first", "second")]


def test_no_gpu_is_the_reason_where_there_is_none() -> None:
    """On a CPU each size is skipped with the reason, and the module goes on."""
    model = Model()
    with static_graphs(None):  # type: ignore[arg-type]
        report = applied(model).capture([2, 4])
        right(model, torch.randn(4, WIDTH))
    assert {row.reason for row in report.rows} == {"inputs on cpu cannot be captured into a CUDA graph"}
    assert str(report).startswith("0 of 2 captured in ")
