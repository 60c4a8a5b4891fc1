"""The wrapper that captures and replays: when it does which, what it checks, and what it copies."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import attention_models
import compile_inspector as ci
from compile_inspector.engine.cudagraph import PieceOf, collecting
from compile_inspector.engine.static_graph import FakeStaticGraph, StaleAddress, static_graphs
from compile_inspector.errors import InvalidConfig

PIECEWISE, FULL, NONE = ci.CUDAGraphMode.PIECEWISE, ci.CUDAGraphMode.FULL, ci.CUDAGraphMode.NONE


class Counted:
    """``x -> 2 * x``, counting its runs."""

    def __init__(self) -> None:
        self.runs = 0
        self.name = "doubling"

    def __call__(self, x: torch.Tensor, *, plus: torch.Tensor | None = None, times: int = 1) -> torch.Tensor:
        self.runs += 1
        return (x * 2 if plus is None else x * 2 + plus) * times


@pytest.fixture(autouse=True)
def fake() -> Iterator[None]:
    """Graphs are fake ones, and no gradients are wanted."""
    with static_graphs(FakeStaticGraph), torch.no_grad():
        yield


def wrapped(runnable: Any, **given: Any) -> ci.CUDAGraphWrapper:
    return ci.CUDAGraphWrapper(runnable, attention_models.config(**given), PIECEWISE)


def within(size: int | None, mode: ci.CUDAGraphMode = PIECEWISE) -> Any:
    batch = None if size is None else ci.BatchDescriptor(size)
    return ci.set_forward_context(
        None, attention_models.config(), cudagraph_runtime_mode=mode, batch_descriptor=batch
    )


def test_it_calls_through_without_a_context_or_in_another_mode() -> None:
    """No forward context, the mode NONE, and another mode than its own: the callable runs, nothing is captured."""
    run, x = Counted(), torch.ones(2)
    wrapper = wrapped(run)
    wrapper(x)
    for mode in (NONE, FULL):
        with within(2, mode):
            wrapper(x)
    assert run.runs == 3
    assert wrapper.captures() == []


def test_each_batch_descriptor_is_captured_once_and_then_replayed() -> None:
    """Two sizes, thrice each: two captures, four replays, the callable run by the captures only as a graph."""
    wrapper = wrapped(Counted())
    inputs = {size: torch.ones(size) for size in (1, 2)}
    with ci.compilation_counter.expect(num_cudagraph_captured=2):
        for step in range(3):
            for size, x in inputs.items():
                x.fill_(step)
                with within(size):
                    assert wrapper(x).tolist() == [2.0 * step] * size
    assert [(one.event, one.key["num_tokens"], one.replay_count) for one in wrapper.captures()] == [
        ("captured", 1, 2),
        ("captured", 2, 2),
    ]


def test_what_is_returned_is_the_graphs_buffer() -> None:
    """A result holds until the next replay of its graph."""
    wrapper, x = wrapped(Counted()), torch.ones(2)
    with within(2):
        first = wrapper(x)
        x.fill_(4)
        second = wrapper(x)
    assert first is second
    assert first.tolist() == [8, 8]


def test_a_capture_needs_to_be_allowed() -> None:
    """While capturing is disabled a capture raises, replays go on, and afterwards the capture is made."""
    wrapper, x = wrapped(Counted()), torch.ones(2)
    with within(2):
        wrapper(x)
    ci.set_cudagraph_capturing_enabled(False)
    try:
        with within(2):
            wrapper(x)
        with within(1), pytest.raises(RuntimeError) as caught:
            wrapper(x[:1])
    finally:
        ci.set_cudagraph_capturing_enabled(True)
    assert str(caught.value) == (
        "CUDA graph capturing detected at an inappropriate time. This operation is currently disabled."
    )
    with within(1):
        wrapper(x[:1])
    assert [one.event for one in wrapper.captures()] == ["captured", "captured"]


def test_another_tensor_is_refused_by_position_and_by_keyword() -> None:
    """The wrapper checks addresses of args and kwargs itself, and says which one differs and what to do."""
    wrapper, x, plus = wrapped(Counted()), torch.ones(2), torch.ones(2)
    with within(2):
        wrapper(x, plus=plus)
        with pytest.raises(StaleAddress, match=r"argument 0 was at 0x.* set cudagraph_copy_inputs=True"):
            wrapper(torch.ones(2), plus=plus)
        with pytest.raises(StaleAddress, match="argument 'plus' was at 0x"):
            wrapper(x, plus=torch.ones(2))


def test_another_shape_at_the_same_address_is_refused() -> None:
    """A longer or shorter slice of the same buffer under the same descriptor is refused."""
    wrapper, x = wrapped(Counted()), torch.ones(4)
    with within(2):
        wrapper(x[:2])
        with pytest.raises(StaleAddress, match=r"shape \(3,\)"):
            wrapper(x[:3])


def test_the_same_memory_read_in_another_way_is_refused() -> None:
    """Transposed, repeated, or taken for another dtype, at the address and with the shape of the capture."""
    x = torch.randn(4, 4)
    for other in (x.t(), x[:1].expand(4, 4), x.view(torch.int32)):
        wrapper = wrapped(Counted())
        with within(4):
            wrapper(x)
            with pytest.raises(
                StaleAddress, match=r"with shape \(4, 4\), strides \(4, 1\) and torch.float32"
            ):
                wrapper(other)


def test_rows_of_their_own_do_not_go_into_a_buffer_that_repeats_one() -> None:
    """Copied inputs: a graph that read one row four times cannot read four."""
    wrapper, x = wrapped(Counted(), cudagraph_copy_inputs=True), torch.randn(4, 4)
    with within(4):
        wrapper(x[:1].expand(4, 4))
        assert torch.equal(wrapper(x[1:2].expand(4, 4)), x[1:2].expand(4, 4) * 2)
        with pytest.raises(StaleAddress, match="share their memory"):
            wrapper(x)


def test_a_number_of_another_type_is_refused() -> None:
    """2.0 is not 2: the result would have another dtype."""
    wrapper, x = wrapped(Counted()), torch.ones(2, dtype=torch.int64)
    with within(2):
        wrapper(x, times=2)
        with pytest.raises(StaleAddress, match=r"argument 'times' was 2 .* is 2.0 now"):
            wrapper(x, times=2.0)


def test_another_number_is_refused() -> None:
    """An argument that is no tensor is part of what was captured."""
    wrapper, x = wrapped(Counted()), torch.ones(2)
    with within(2):
        wrapper(x, times=2)
        with pytest.raises(StaleAddress, match=r"argument 'times' was 2 .* is 3 now"):
            wrapper(x, times=3)


def test_a_tensor_in_the_place_of_none_is_refused() -> None:
    """Other arguments than at the capture, or another structure of them, are refused."""
    wrapper, x = wrapped(Counted()), torch.ones(2)
    with within(2):
        wrapper(x)
        with pytest.raises(StaleAddress, match="another structure"):
            wrapper(x, plus=x)


def test_copied_inputs_may_lie_anywhere() -> None:
    """With cudagraph_copy_inputs each call's own tensors are read, by position and by keyword."""
    wrapper = wrapped(Counted(), cudagraph_copy_inputs=True)
    for value in (1.0, 2.0, 3.0):
        x, plus = torch.full((2,), value), torch.full((2,), value)
        with within(2):
            assert wrapper(x, plus=plus).tolist() == [3 * value] * 2
    assert wrapper.captures()[0].replay_count == 2


def test_parameters_are_not_copied() -> None:
    """A parameter is where it was; one that moved is refused, also when inputs are copied."""
    wrapper = wrapped(lambda x, weight: x * weight, cudagraph_copy_inputs=True)
    weight = torch.nn.Parameter(torch.full((2,), 3.0), requires_grad=False)
    with within(2):
        wrapper(torch.ones(2), weight)
        weight.fill_(5)
        assert wrapper(torch.ones(2), weight).tolist() == [5, 5]
        with pytest.raises(StaleAddress, match="argument 1"):
            wrapper(torch.ones(2), torch.nn.Parameter(torch.ones(2), requires_grad=False))


@pytest.mark.parametrize("inference", [False, True])
def test_what_is_written_into_a_copied_input_reaches_the_callers_tensor(inference: bool) -> None:
    """An operator that writes into its argument does so at the capture and at each replay, in inference mode too."""
    wrapper = wrapped(lambda x, out: out.copy_(x * 2), cudagraph_copy_inputs=True)
    with torch.inference_mode(inference):
        for value in (1.0, 2.0, 3.0):
            out = torch.zeros(2)
            with within(2):
                wrapper(torch.full((2,), value), out)
            assert out.tolist() == [2 * value] * 2


def test_a_list_of_arguments_that_the_callable_empties() -> None:
    """Inductor calls a partition with one list and empties it: each capture and replay gets its own."""

    def boxed(arguments: list[torch.Tensor]) -> tuple[torch.Tensor]:
        x, y = arguments
        arguments.clear()
        return (x + y,)

    wrapper, x, y = wrapped(boxed), torch.ones(2), torch.ones(2)
    for value in (1.0, 2.0):
        x.fill_(value)
        with within(2):
            assert wrapper([x, y])[0].tolist() == [value + 1] * 2
    with within(2), pytest.raises(StaleAddress, match="argument 1"):
        wrapper([x, torch.ones(2)])


@pytest.mark.parametrize("configured", [0, 3])
def test_a_collected_capture_warms_up_in_the_same_call(configured: int) -> None:
    """Two warm-ups and the capture are one call, whatever later captures are configured to wait for; each run gets a list of its own."""
    given: list[int] = []

    def boxed(arguments: list[torch.Tensor]) -> tuple[torch.Tensor]:
        given.append(len(arguments))
        x, y = arguments
        arguments.clear()
        return (x + y,)

    wrapper, x, y = wrapped(boxed, cudagraph_num_of_warmups=configured), torch.ones(2), torch.ones(2)
    with within(2), collecting(2, 0) as collected:
        assert wrapper([x, y])[0].tolist() == [2.0, 2.0]
    assert given == [2, 2, 2]
    ((made, capture),) = collected.captures
    assert made is wrapper
    assert (capture.event, capture.warmups) == ("captured", 2)
    assert collected.warmup_ns > 0


def test_copied_arguments_that_share_memory_are_not_captured() -> None:
    """Two views of one memory cannot be copied apart: the call runs as it is and the reason is kept."""
    run = Counted()
    wrapper, x = wrapped(run, cudagraph_copy_inputs=True), torch.ones(4)
    with within(2):
        for _ in range(2):
            assert wrapper(x[:2], plus=x[2:]).tolist() == [3, 3]
    assert run.runs == 2
    assert wrapper.captures()[0].reason == "arguments that are to be copied share their memory"


def test_one_argument_given_twice_is_one_buffer_and_two_are_refused() -> None:
    """What was captured with one tensor for both reads one buffer: two tensors do not fit into it."""
    wrapper = wrapped(lambda x, y: x - y, cudagraph_copy_inputs=True)
    x = torch.ones(2)
    with within(2):
        wrapper(x, x)
        same = x * 3
        assert wrapper(same, same).tolist() == [0, 0]
        with pytest.raises(StaleAddress, match="arguments 0 and 1 share memory in another way"):
            wrapper(x, x * 3)


@pytest.mark.parametrize("views", [lambda x: (x, x), lambda x: (x[:3], x[1:])])
def test_a_write_that_another_copied_argument_would_show_is_refused(views: Any) -> None:
    """Copies of arguments that share memory are apart: what is written into one would not be read from the other."""

    def run(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        return y * 2

    wrapper, size = wrapped(run, cudagraph_copy_inputs=True), views(torch.ones(4))[0].shape
    with within(2):
        for _ in range(2):
            x = torch.ones(size)
            assert wrapper(x, torch.ones(size)).tolist() == [2] * size[0]
            assert x.tolist() == [2] * size[0]
        with pytest.raises(StaleAddress, match="arguments 0 and 1 share memory in another way"):
            wrapper(*views(torch.ones(4)))


def test_calls_before_the_capture_warm_up() -> None:
    """With two warmups the first two calls of a batch run as they are; the third is captured."""
    run = Counted()
    wrapper, x = wrapped(run, cudagraph_num_of_warmups=2), torch.ones(2)
    events: list[str] = []
    with within(2):
        for _ in range(4):
            wrapper(x)
            events.append(wrapper.captures()[0].event)
    assert events == ["warming", "warming", "captured", "captured"]
    assert (wrapper.captures()[0].warmups, wrapper.captures()[0].replay_count) == (2, 1)


def test_a_call_that_needs_gradients_runs_as_it_is() -> None:
    """A graph has no backward: with gradients wanted nothing is captured, and a captured batch is not replayed."""
    wrapper, x = wrapped(Counted()), torch.ones(2, requires_grad=True)
    with torch.enable_grad(), within(2):
        wrapper(x).sum().backward()
    assert x.grad is not None
    with within(2):
        wrapper(x)
    assert wrapper.captures()[0].event == "captured"
    with torch.enable_grad(), within(2):
        assert wrapper(x).requires_grad


def test_without_a_gpu_the_reason_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing can capture, calls run as they are, one warning says why, and the capture row has the reason."""
    from compile_inspector.engine import static_graph

    run = Counted()
    wrapper = wrapped(run)
    token = static_graph._factory.set(None)
    try:
        with within(2), caplog.at_level(logging.WARNING):
            wrapper(torch.ones(2))
            wrapper(torch.ones(2))
    finally:
        static_graph._factory.reset(token)
    assert run.runs == 2
    assert [(one.event, one.reason) for one in wrapper.captures()] == [
        ("skipped", "inputs on cpu cannot be captured into a CUDA graph")
    ]
    assert caplog.text.count("cannot be captured") == 1


def test_a_capture_that_fails_leaves_the_call_as_it_is() -> None:
    """What stops a capture but not the callable is recorded; the call gets its result."""

    class Failing(FakeStaticGraph):
        def record(self, run: Any, inputs: Any) -> Any:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

    wrapper, x = wrapped(Counted()), torch.ones(2)
    with static_graphs(Failing), within(2):
        assert wrapper(x).tolist() == [2, 2]
        assert wrapper(x).tolist() == [2, 2]
    assert wrapper.captures()[0].reason == (
        "the capture failed: RuntimeError: operation not permitted when stream is capturing"
    )


def test_pieces_after_one_without_a_graph_run_where_their_input_lies() -> None:
    """A piece whose capture failed gives its result at another address at each call; what follows takes it there, and is right."""
    failing = [True]

    class First(FakeStaticGraph):
        def record(self, run: Any, inputs: Any) -> Any:
            if failing.pop():
                failing.append(False)
                raise RuntimeError("operation not permitted when stream is capturing")
            return super().record(run, inputs)

    ungraphed: set[Any] = set()
    first, second = (
        ci.CUDAGraphWrapper(
            Counted(), attention_models.config(), PIECEWISE, piece=PieceOf(None, index, "model", ungraphed)
        )
        for index in (0, 2)
    )
    kept, x = [], torch.ones(2)
    with static_graphs(First), within(2):
        for value in (1, 2, 3):
            x.fill_(value)
            kept.append(first(x))
            assert second(kept[-1]).tolist() == [4 * value] * 2
        (left,), (later,) = first.captures(), second.captures()
        assert (left.event, later.event, later.replay_count, later.call_count) == (
            "skipped",
            "captured",
            0,
            2,
        )


def test_what_the_callable_raises_is_raised_and_not_held_against_it() -> None:
    """An error of the callable passes through unchanged, and the batch can be captured afterwards."""
    fails = [True]

    def run(x: torch.Tensor) -> torch.Tensor:
        if fails[0]:
            raise ZeroDivisionError("mine")
        return x + 1

    wrapper, x = wrapped(run), torch.ones(2)
    with within(2):
        with pytest.raises(ZeroDivisionError, match="mine"):
            wrapper(x)
        fails[0] = False
        wrapper(x)
    assert wrapper.captures()[0].event == "captured"


def test_reset_frees_the_graphs() -> None:
    """After a reset what a replay returned is spoiled, and the next call captures anew."""
    wrapper, x = wrapped(Counted()), torch.ones(2)
    with within(2):
        out = wrapper(x)
        wrapper.reset()
        assert out.isnan().all()
        assert wrapper(x).tolist() == [2, 2]


@pytest.mark.parametrize("mode", [NONE, ci.CUDAGraphMode.FULL_AND_PIECEWISE])
def test_a_mode_that_no_call_runs_in_is_refused(mode: ci.CUDAGraphMode) -> None:
    """NONE and pairs of modes are no runtime mode of a wrapper."""
    with pytest.raises(InvalidConfig, match="PIECEWISE or FULL, got"):
        ci.CUDAGraphWrapper(Counted(), attention_models.config(), mode)


def test_it_looks_like_what_it_wraps() -> None:
    """Attributes are the callable's, and `unwrap` gives it."""
    run = Counted()
    assert wrapped(run).name == "doubling"
    assert wrapped(run).unwrap() is run


def test_captures_are_told_with_what_they_belong_to() -> None:
    """A live wrapper tells its captures as plain values: batch, mode, piece, replays."""
    wrapper = ci.CUDAGraphWrapper(
        Counted(), attention_models.config(), PIECEWISE, piece=PieceOf(None, 2, "model.layer")
    )
    x = torch.ones(2)
    with within(2):
        wrapper(x)
        wrapper(x)
    (fact,) = [one for one in attention_models.told("captures") if one["module"] == "model.layer"]
    assert (fact["partition"], fact["compile_id"], fact["batch"]["num_tokens"]) == (2, None, 2)
    assert (fact["mode"], fact["event"], fact["replay_count"], fact["source"]) == (
        "PIECEWISE",
        "captured",
        1,
        "engine",
    )
    assert fact["capture_ns"] > 0
    assert fact["launch_ns"] > 0


def test_full_graphs_wrap_a_whole_model() -> None:
    """A model wrapped in the mode FULL is captured whole, and calls through in the mode PIECEWISE."""
    settings = attention_models.config()
    model = attention_models.Plain(vllm_config=settings)
    wrapper = ci.CUDAGraphWrapper(model, settings, FULL)
    x = torch.ones(2, attention_models.WIDTH)
    for value in (1.0, 2.0):
        x.fill_(value)
        assert attention_models.call(wrapper, settings, x, FULL)[0, 0].item() == 18 * value
    attention_models.call(wrapper, settings, x, PIECEWISE)
    assert [(one.mode, one.replay_count) for one in wrapper.captures()] == [("FULL", 1)]
