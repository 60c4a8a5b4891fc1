"""`capture_graphs` and torch's trees with real CUDA graphs: what the fake graph shows on a CPU, and what only a GPU can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

import attention_models as models
import compile_inspector as ci
from compile_inspector.model.captures import Capture

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
    pytest.mark.filterwarnings("default"),
]
WIDTH = 64


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    """No graph is captured for a call that needs gradients."""
    torch._dynamo.reset()
    with torch.no_grad():
        yield


class Model(torch.nn.Module):
    """Two linear layers, each row by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.up = torch.nn.Linear(WIDTH, 4 * WIDTH)
        self.down = torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(torch.relu(self.up(x)))


def batch(size: int) -> torch.Tensor:
    return torch.randn(size, WIDTH, device="cuda")


def applied(model: torch.nn.Module, **settings: Any) -> Any:
    config = ci.InspectorConfig({"backend": "inductor", **settings})
    one = ci.apply(model.cuda(), dynamic_arg_dims={"x": 0}, vllm_config=config)
    model(batch(4))
    return one


def right(model: Any, x: torch.Tensor) -> None:
    expected = type(model).__mro__[1].forward(model, x)
    torch.testing.assert_close(model(x), expected, rtol=1e-3, atol=1e-3)


def captured(model: Any) -> dict[int, int]:
    from compile_inspector.engine.decorator import programs

    rows = programs.get(model).captured.captures()
    return {one.key["num_tokens"]: one.replay_count for one in rows if one.event == "captured"}


def test_batches_run_from_the_next_captured_size() -> None:
    """Padded, exact and too large ones compute what the model does; the graph's kernels, its memory and its times are known."""
    model = Model()
    report = applied(model).capture([1, 2, 4, 8, 16], measure=True)
    for size in (1, 2, 3, 5, 8, 13, 16, 17):
        right(model, batch(size))
    assert captured(model) == {16: 2, 8: 2, 4: 1, 2: 1, 1: 1}
    for row in report.rows:
        assert row.event == "captured"
        assert row.kernel_count is None or row.kernel_count >= 2
        assert row.pool_bytes_after is None or row.pool_bytes_after > 0
        assert min(row.capture_ns or 0, row.replay_ns or 0, row.compiled_ns or 0, row.eager_ns or 0) > 0


def test_a_graph_computes_what_the_compiled_code_does_bit_by_bit() -> None:
    """At its own size, with results of the caller's own."""
    model = Model()
    one = applied(model)
    x = batch(8)
    without = model(x)
    one.capture([8])
    first = model(x)
    model(batch(8))
    assert torch.equal(first, without)


@pytest.mark.parametrize("by_inductor", [False, True])
def test_pieces_run_from_their_graphs(by_inductor: bool) -> None:
    """Two layers split at their attention: three pieces a size, by the FX graph or by Inductor."""
    settings = models.config(
        backend="inductor",
        cudagraph_mode="PIECEWISE",
        dropped_guards="recompile",
        use_inductor_graph_partition=by_inductor,
    )
    model = models.Stack(vllm_config=settings, layers=2).cuda()
    with models.uncached():
        model(torch.randn(8, models.WIDTH, device="cuda"))
        report = ci.capture_graphs(model, [2, 4])
    assert report.captured == (2, 4)
    assert sum(row.partition is not None for row in report.rows) == 6
    for size in (2, 3, 4, 9):
        x = torch.randn(size, models.WIDTH, device="cuda")
        expected = models.Stack.forward.__wrapped__(model, x)
        torch.testing.assert_close(model(x), expected, rtol=1e-3, atol=1e-3)
    assert captured(model) == {4: 2, 2: 1}


def test_a_whole_model_and_its_pieces() -> None:
    """FULL_AND_PIECEWISE captures both; this attention can be captured whole."""
    settings = models.config(
        backend="inductor", cudagraph_mode="FULL_AND_PIECEWISE", dropped_guards="recompile"
    )
    model = models.Stack(vllm_config=settings, layers=2).cuda()
    model(torch.randn(8, models.WIDTH, device="cuda"))
    report = ci.capture_graphs(model, [4])
    assert [(row.mode, row.event) for row in report.rows if row.partition is None] == [
        ("FULL", "captured"),
        ("PIECEWISE", "captured"),
    ]
    x = torch.randn(3, models.WIDTH, device="cuda")
    torch.testing.assert_close(model(x), models.Stack.forward.__wrapped__(model, x), rtol=1e-3, atol=1e-3)


@torch.library.custom_op("gpu_tests::syncing", mutates_args=())
def syncing(x: torch.Tensor) -> torch.Tensor:
    return x + float(x.sum().item() > 0)


@syncing.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


class Syncing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return syncing(x * 2) + 1


def test_a_model_that_synchronises_is_left_as_it_is() -> None:
    """Each size is skipped with CUDA's reason; calls go on, and so do other captures."""
    model, other = Syncing(), Model()
    report = applied(model).capture([2, 4])
    assert {row.event for row in report.rows} == {"skipped"}
    assert all("capture" in (row.reason or "") for row in report.rows)
    right(model, batch(4))
    assert applied(other).capture([4]).captured == (4,)
    right(other, batch(3))


def test_changes_after_the_capture_are_noticed() -> None:
    """Another parameter, moved data, a freed input: never an old result."""
    model = Model()
    applied(model, dropped_guards="ignore").capture([4])
    x = batch(4)
    right(model, x)
    del x
    torch.cuda.empty_cache()
    right(model, batch(4))
    model.up.weight.mul_(2)
    right(model, batch(4))
    assert captured(model) == {4: 3}
    model.up.weight = torch.nn.Parameter(torch.randn_like(model.up.weight))
    right(model, batch(4))
    model.down.weight.data = torch.randn_like(model.down.weight)
    right(model, batch(4))
    assert captured(model) == {4: 3}


def test_out_of_memory_keeps_what_was_captured() -> None:
    """A size that does not fit is told, its memory is returned, the smaller ones are captured and used."""
    model = Model()
    one = applied(model)
    free, _ = torch.cuda.mem_get_info()
    huge = max(free // (4 * WIDTH * 4), 1 << 20)
    program = one._program
    program.vllm_config.max_num_batched_tokens = huge
    report = one.capture([4, huge])
    assert [row.event for row in report.rows] == ["skipped", "captured"]
    assert (report.rows[0].reason or "").startswith("out of memory")
    after, _ = torch.cuda.mem_get_info()
    assert after > free - (1 << 30)
    right(model, batch(3))
    assert captured(model) == {4: 1}


def test_calls_on_other_streams_wait_for_one_another() -> None:
    """Streams share the buffers and never mix their results."""
    model = Model()
    applied(model).capture([8])
    streams = [torch.cuda.Stream() for _ in range(4)]
    inputs = [batch(8) for _ in range(40)]
    torch.cuda.synchronize()
    results = []
    for index, x in enumerate(inputs):
        with torch.cuda.stream(streams[index % 4]):
            results.append(model(x))
    torch.cuda.synchronize()
    for x, result in zip(inputs, results, strict=True):
        torch.testing.assert_close(result, Model.forward(model, x), rtol=1e-3, atol=1e-3)


def test_a_call_that_is_being_captured_runs_compiled() -> None:
    """Within a capture of the caller's own the compiled code becomes part of that graph."""
    model = Model()
    applied(model).capture([4])
    x = batch(4)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = model(x)
    x.normal_()
    graph.replay()
    torch.testing.assert_close(out, Model.forward(model, x), rtol=1e-3, atol=1e-3)
    assert captured(model) == {4: 0}


def of_torch(session: Any) -> list[Capture]:
    return [row for row in session.captures if row.source == "cudagraph_trees"]


def test_torchs_own_graphs_are_told() -> None:
    """Warm-up, recording, replays; another size is another graph of the same compile, with its key."""
    model = Model().cuda()
    compiled = torch.compile(model, mode="reduce-overhead", dynamic=True)
    with ci.record() as recorder:
        for size in (4, 4, 4, 4, 8, 8, 8):
            torch.compiler.cudagraph_mark_step_begin()
            compiled(batch(size))
    session = recorder.session
    rows = of_torch(session)
    assert [(row.event, row.key, row.replay_count, row.warmups) for row in rows] == [
        ("captured", "4", 2, 1),
        ("captured", "8", 1, 1),
    ]
    assert {row.compile_id for row in rows} == {session.compiles[0].id}
    assert all((row.capture_ns or 0) > 0 for row in rows)
    assert session.losses == ()


def test_a_mutated_input_and_its_line() -> None:
    """Torch leaves the function out; the row has the reason and the line that writes."""

    def adds(x: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        return x * 2

    compiled = torch.compile(adds, mode="reduce-overhead")
    with ci.record() as recorder:
        for _ in range(3):
            compiled(batch(4))
    (row,) = of_torch(recorder.session)
    assert row.event == "skipped"
    assert "mutated inputs" in (row.reason or "")
    assert row.location is not None
    assert row.location.code == "x.add_(1)"


def test_an_address_that_changes_is_a_re_recording() -> None:
    """A parameter that is replaced between calls: torch records again, and the row says what lies elsewhere."""
    model = Model().cuda()
    compiled = torch.compile(model, mode="reduce-overhead")
    with ci.record() as recorder:
        for step in range(5):
            torch.compiler.cudagraph_mark_step_begin()
            compiled(batch(4))
            if step == 2:
                model.up.weight = torch.nn.Parameter(model.up.weight.clone())
    rows = of_torch(recorder.session)
    assert [row.event for row in rows] == ["captured", "re-recorded"]
    assert "static input data pointer changed" in (rows[1].reason or "")


@pytest.mark.parametrize("partition", [False, True])
def test_a_cpu_tensor_has_a_reason(partition: bool) -> None:
    """Whole graphs with a CPU tensor are left out; with partitions what runs on the GPU is captured."""

    def mixed(x: torch.Tensor, y: torch.Tensor) -> Any:
        return x * 2, (y + 1).sin()

    with torch._inductor.config.patch(graph_partition=partition), models.uncached():
        compiled = torch.compile(mixed, mode="reduce-overhead")
        with ci.record() as recorder:
            for _ in range(3):
                torch.compiler.cudagraph_mark_step_begin()
                compiled(batch(4), torch.ones(4))
    rows = of_torch(recorder.session)
    assert rows
    if not partition:
        assert [(row.event, row.call_count) for row in rows] == [("skipped", 3)]
        assert "cpu" in (rows[0].reason or "")
