"""The captures and partitions with real CUDA graphs: the numbers and behaviours that the fake graph shows on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

import attention_models as models
import compile_inspector as ci
from compile_inspector.engine.static_graph import CudaStaticGraph, StaleAddress
from compile_inspector.torch_seams import inductor_partitions
from compile_inspector.torch_seams.probe import Faults

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
    pytest.mark.filterwarnings("default"),
]
PIECEWISE, FULL = ci.CUDAGraphMode.PIECEWISE, ci.CUDAGraphMode.FULL


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    """No graph is captured for a call that needs gradients."""
    with torch.no_grad():
        yield


def check(seen: list[tuple[Any, Any]]) -> None:
    for x, result in seen:
        torch.testing.assert_close(result, 18 * x)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize(
    ("kind", "numbers"),
    [("A", (1, 3, 2, 2, 4)), ("B", (0, 0, 0, 0, 0)), ("C", (1, 3, 2, 2, 4))],
)
def test_known_good_numbers(backend: str, kind: str, numbers: tuple[int, ...]) -> None:
    """Graphs, pieces, capturable pieces, backend compiles, captures."""
    settings = models.config(backend=backend)
    with models.counting() as grown:
        check(models.serve(getattr(models, kind)(vllm_config=settings), settings, "cuda"))
    assert grown() == numbers


def test_known_good_numbers_with_inductor_partitions() -> None:
    """Left to Inductor the FX graph is one piece, and its two partitions are captured for both sizes."""
    settings = models.config(backend="inductor", use_inductor_graph_partition=True)
    with models.counting() as grown, models.uncached():
        check(models.serve(models.A(vllm_config=settings), settings, "cuda"))
    assert grown() == (1, 1, 1, 1, 4)
    assert inductor_partitions.partition_wrapper() is None


@pytest.mark.parametrize("by_inductor", [False, True])
def test_inputs_are_copied_where_asked(by_inductor: bool) -> None:
    """With cudagraph_copy_inputs each call may bring a tensor of its own; without, a changed address raises."""
    for copies in (True, False):
        settings = models.config(
            backend="inductor", cudagraph_copy_inputs=copies, use_inductor_graph_partition=by_inductor
        )
        model = models.A(vllm_config=settings)
        with models.uncached():
            models.call(model, settings, torch.ones(32, models.WIDTH, device="cuda"), ci.CUDAGraphMode.NONE)
        kept = [torch.full((2, models.WIDTH), float(value), device="cuda") for value in range(4)]
        models.call(model, settings, kept[0])
        for x in kept[1:]:
            if copies:
                assert torch.equal(models.call(model, settings, x), 18 * x)
            else:
                with pytest.raises(StaleAddress):
                    models.call(model, settings, x)


def test_layers_with_parameters_replay_right() -> None:
    """Four layers, five pieces captured for a size: replays compute what the uncompiled model does."""
    settings = models.config(backend="inductor")
    model = models.Stack(vllm_config=settings, layers=4).cuda()
    x = torch.zeros(32, models.WIDTH, device="cuda")
    with ci.compilation_counter.expect(
        num_cudagraph_captured=5, num_backend_compilations=5, num_inductor_compiles=3
    ):
        for size, mode in ((32, ci.CUDAGraphMode.NONE), (2, PIECEWISE), (2, PIECEWISE), (2, PIECEWISE)):
            x.normal_()
            result = models.call(model, settings, x[:size], mode)
            expected = models.Stack.forward.__wrapped__(model, x[:size])
            torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)


def test_a_whole_model_is_captured_in_the_mode_full() -> None:
    """A model wrapped in the mode FULL is one graph, whose kernels and copies are counted where CUDA's bindings are installed."""
    settings = models.config()
    wrapper = ci.CUDAGraphWrapper(models.Plain(vllm_config=settings), settings, FULL)
    x = torch.zeros(2, models.WIDTH, device="cuda")
    models.call(wrapper.unwrap(), settings, x)
    for value in (1.0, 2.0, 3.0):
        x.fill_(value)
        assert models.call(wrapper, settings, x, FULL)[0, 0].item() == 18 * value
    (capture,) = wrapper.captures()
    assert (capture.event, capture.replay_count) == ("captured", 2)
    assert capture.capture_ns is not None
    assert capture.capture_ns > 0
    if capture.kernel_count is not None:
        assert capture.kernel_count >= 4
    if capture.pool_bytes_after is not None:
        assert capture.pool_bytes_after > 0


def test_what_is_written_into_a_copied_input_reaches_the_callers_tensor() -> None:
    """Writes into an argument happen at the capture and at each replay."""
    settings = models.config(cudagraph_copy_inputs=True)
    wrapper = ci.CUDAGraphWrapper(lambda x, out: out.copy_(x * 2), settings, PIECEWISE)
    for value in (1.0, 2.0, 3.0):
        x, out = torch.full((2,), value, device="cuda"), torch.zeros(2, device="cuda")
        models.call(lambda x, out=out: wrapper(x, out), settings, x)
        assert out.tolist() == [2 * value] * 2


def test_a_callable_that_cannot_be_captured_runs_as_it_is() -> None:
    """A synchronization stops a capture: the call gets its result, the reason is kept, and CUDA goes on working."""
    settings = models.config()
    wrapper = ci.CUDAGraphWrapper(lambda x: x * x.sum().item(), settings, PIECEWISE)
    x = torch.ones(2, device="cuda")
    for _ in range(2):
        assert models.call(wrapper, settings, x).tolist() == [2, 2]
    (capture,) = wrapper.captures()
    assert capture.event == "skipped"
    assert (capture.reason or "").startswith("the capture failed: ")
    other = ci.CUDAGraphWrapper(lambda x: x + 1, settings, PIECEWISE)
    assert models.call(other, settings, x).tolist() == [2, 2]
    assert other.captures()[0].event == "captured"
    torch.manual_seed(3)
    first = torch.randn(4, device="cuda")
    torch.manual_seed(3)
    assert torch.equal(torch.randn(4, device="cuda"), first)


def test_outputs_that_are_not_kept_can_still_be_read() -> None:
    """With weak_ref_output a replay's result is right when it is returned, though its memory is the pool's again."""
    settings = models.config()
    options = ci.CUDAGraphOptions(weak_ref_output=True)
    wrapper = ci.CUDAGraphWrapper(lambda x: (x * 3, x + 1), settings, PIECEWISE, options)
    x = torch.zeros(1024, device="cuda")
    for value in (1.0, 2.0, 3.0):
        x.fill_(value)
        times, plus = models.call(wrapper, settings, x)
        assert (times[0].item(), plus[-1].item()) == (3 * value, value + 1)


def test_graphs_are_freed() -> None:
    """A reset graph cannot be replayed, and the wrapper captures anew."""
    graph = CudaStaticGraph()
    x = torch.ones(4, device="cuda")
    out = graph.record(lambda: x * 2, [x])
    assert out.tolist() == [2, 2, 2, 2]
    x.fill_(4)
    graph.replay([x])
    assert out.tolist() == [8, 8, 8, 8]
    graph.free()
    with pytest.raises(StaleAddress, match="freed"):
        graph.replay([x])


def test_inductor_says_which_partitions_a_graph_can_hold() -> None:
    """On a GPU two partitions can be captured, and the operator between them is the reason for the cut."""
    heard: list[dict[str, Any]] = []

    def emit(name: str, payload: Any, **_: Any) -> None:
        heard.append(payload)

    faults = Faults()
    undo = inductor_partitions.install(emit, faults)
    settings = models.config(backend="inductor", use_inductor_graph_partition=True)
    try:
        with models.uncached():
            x = torch.ones(4, models.WIDTH, device="cuda")
            models.call(models.A(vllm_config=settings), settings, x, ci.CUDAGraphMode.NONE)
    finally:
        undo()
    assert faults.counts() == {}
    (fact,) = heard
    assert [(one["kind"], one["capturable"]) for one in fact["partitions"]] == [
        ("compiled", True),
        ("splitting", False),
        ("compiled", True),
    ]
    assert fact["partitions"][1]["reason"] == "custom partition op: silly::attention.default"
