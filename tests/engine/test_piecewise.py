"""The piecewise backend: the known-good numbers, ranges and sizes, fallbacks, and pieces compiled once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.fx._lazy_graph_module

import attention_models as models
import compile_inspector as ci
from compile_inspector.engine.piecewise import make_backend
from compile_inspector.engine.static_graph import FakeStaticGraph, StaleAddress, static_graphs
from compile_inspector.errors import InvalidConfig
from compile_inspector.torch_seams import backends

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


@pytest.fixture(autouse=True)
def fake() -> Iterator[None]:
    """Graphs are fake ones, and no gradients are wanted."""
    with static_graphs(FakeStaticGraph), torch.no_grad():
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
    """Graphs, pieces, capturable pieces, backend compiles, captures: decorated, ignored, and decorated again below an ignored class."""
    settings = models.config(backend=backend)
    with models.counting() as grown:
        model = getattr(models, kind)(vllm_config=settings)
        check(models.serve(model, settings))
    assert grown() == numbers


@pytest.mark.parametrize("shapes", ["unbacked", "backed_size_oblivious"])
def test_known_good_numbers_with_guards_checked(shapes: str) -> None:
    """With dropped guards checked the numbers are the same, where size 1 is no other graph for torch."""
    settings = models.config(dropped_guards="recompile", dynamic_shapes_config={"type": shapes})
    with models.counting() as grown:
        check(models.serve(models.A(vllm_config=settings), settings))
    assert grown() == (1, 3, 2, 2, 4)


def test_known_good_numbers_with_inductor_partitions_on_a_cpu() -> None:
    """Left to Inductor the FX graph is one piece, and on a CPU no partition is wrapped: nothing is captured."""
    settings = models.config(backend="inductor", use_inductor_graph_partition=True)
    with models.counting() as grown:
        check(models.serve(models.A(vllm_config=settings), settings))
    assert grown() == (1, 1, 1, 1, 0)


def test_inputs_are_copied_where_asked() -> None:
    """With cudagraph_copy_inputs each call may bring a tensor of its own; without, a changed address raises and no wrong result is given."""
    for copies in (True, False):
        settings = models.config(cudagraph_copy_inputs=copies)
        model = models.A(vllm_config=settings)
        models.call(model, settings, torch.ones(32, models.WIDTH), ci.CUDAGraphMode.NONE)
        kept = [torch.full((2, models.WIDTH), float(value)) for value in range(3)]
        models.call(model, settings, kept[0])
        for x in kept[1:]:
            if copies:
                assert torch.equal(models.call(model, settings, x), 18 * x)
            else:
                with pytest.raises(StaleAddress):
                    models.call(model, settings, x)


def test_twelve_layers_are_thirteen_backend_compiles_and_three_programs() -> None:
    """Twelve layers split at the attention make 13 pieces to compile, of which the first, one middle and the last are compiled."""
    settings = models.config()
    model = models.Stack(vllm_config=settings, layers=12)
    x = torch.randn(32, models.WIDTH)
    with ci.compilation_counter.expect(
        num_piecewise_graphs_seen=25,
        num_piecewise_capturable_graphs_seen=13,
        num_backend_compilations=13,
        num_eager_compiles=3,
    ):
        result = models.call(model, settings, x, ci.CUDAGraphMode.NONE)
    torch.testing.assert_close(result, models.Stack.forward.__wrapped__(model, x))
    (fact,) = [one for one in models.told("ranges") if len(one["ranges"]) == 13]
    assert [row["outcome"] for row in fact["ranges"]] == ["compiled"] * 2 + ["reused"] * 10 + ["compiled"]
    assert {row["reused_from"] for row in fact["ranges"][2:-1]} == {2}


def test_a_layer_that_differs_is_compiled_by_itself() -> None:
    """A layer with a buffer of another dtype is another program, and computes its own result."""
    settings = models.config()
    model = models.Stack(vllm_config=settings, layers=4)
    model.layers[1].after.double()
    model.layers[1].after.forward = lambda x: torch.nn.functional.linear(
        x.double(), model.layers[1].after.weight
    ).float()
    x = torch.randn(8, models.WIDTH)
    with ci.compilation_counter.expect(num_backend_compilations=5, num_eager_compiles=4):
        result = models.call(model, settings, x, ci.CUDAGraphMode.NONE)
    torch.testing.assert_close(result, models.Stack.forward.__wrapped__(model, x))


def test_every_range_and_size_is_compiled_at_the_first_call() -> None:
    """Two ranges and two sizes, two pieces: eight backend compiles at the first call, none at later ones."""
    settings = models.config(
        backend="inductor",
        compile_ranges_endpoints=[8],
        compile_sizes=[4, 6],
        cudagraph_mode="NONE",
        largest=64,
    )
    model = models.A(vllm_config=settings)
    with ci.compilation_counter.expect(num_backend_compilations=8, num_inductor_compiles=8):
        models.call(model, settings, torch.ones(32, models.WIDTH))
    with ci.compilation_counter.expect(num_backend_compilations=0):
        for size in (2, 4, 5, 6, 8, 9, 64):
            x = torch.randn(size, models.WIDTH)
            torch.testing.assert_close(models.call(model, settings, x), 18 * x)
    calls = {
        (row["start"], row["end"], row["exact"]): row["call_count"]
        for fact in models.told("ranges")
        for row in fact["ranges"]
        if row["end"] in (4, 6, 8, 64)
    }
    assert calls == {(1, 8, False): 3, (9, 64, False): 3, (4, 4, True): 1, (6, 6, True): 1}


def test_a_size_in_no_range_falls_back_and_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Sizes beyond the last range run what is compiled for all sizes then; one warning says so."""
    settings = models.config(compile_ranges_endpoints=[8], largest=16, cudagraph_mode="NONE")
    model = models.A(vllm_config=settings)
    models.call(model, settings, torch.ones(4, models.WIDTH))
    with caplog.at_level(logging.WARNING):
        for size in (17, 18, 17):
            x = torch.randn(size, models.WIDTH)
            torch.testing.assert_close(models.call(model, settings, x), 18 * x)
    assert (
        caplog.text.count("the size 17 runs what was compiled for all sizes: no compile range holds it") == 1
    )
    assert "the size 18" not in caplog.text
    (fact,) = [one for one in models.told("ranges") if any(row["end"] is None for row in one["ranges"])]
    assert [row["call_count"] for row in fact["ranges"] if row["end"] is None] == [3, 3]


def test_a_size_beyond_the_only_range_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """One range is compiled for all sizes anyway: a size beyond it runs that, and one warning says so."""
    settings = models.config(largest=16, cudagraph_mode="NONE")
    model = models.A(vllm_config=settings)
    with caplog.at_level(logging.WARNING):
        for size in (4, 17, 18):
            x = torch.randn(size, models.WIDTH)
            torch.testing.assert_close(models.call(model, settings, x), 18 * x)
    assert caplog.text.count("no compile range holds the size 17") == 1
    assert "the size 18" not in caplog.text


def test_several_dynamic_sizes_are_compiled_once_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    """With two symbols ranges mean nothing: one compile serves all sizes, and the reason is reported."""

    class Two(models.Plain):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return (x * 3)[:, None] + y

    settings = models.config(
        compile_ranges_endpoints=[8], compile_sizes=[4], cudagraph_mode="NONE", splitting_ops=[]
    )
    model = ci.support_torch_compile(Two, dynamic_arg_dims={"x": 0, "y": [0, 1]})(vllm_config=settings)
    with caplog.at_level(logging.WARNING), ci.compilation_counter.expect(num_backend_compilations=1):
        for rows, columns in ((4, 6), (5, 9)):
            x, y = torch.randn(rows), torch.randn(rows, columns)
            torch.testing.assert_close(model(x, y), 3 * x[:, None] + y)
    assert "compile ranges and sizes need one dynamic size, and the graph has 2" in caplog.text


def test_endpoints_outside_the_sizes_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    """An endpoint beyond the largest size is left out, with a warning, at the first call."""
    settings = models.config(compile_ranges_endpoints=[8, 99], largest=16, cudagraph_mode="NONE")
    with caplog.at_level(logging.WARNING), ci.compilation_counter.expect(num_backend_compilations=4):
        models.call(models.A(vllm_config=settings), settings, torch.ones(4, models.WIDTH))
    assert "compile_ranges_endpoints: 99 lies outside 1..16 and is left out" in caplog.text


def test_what_a_backend_assumed_of_the_size_is_kept_to() -> None:
    """A range compiled under a condition on the size is not used for sizes that do not meet it."""

    class Branching(models.Plain):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.aten.relu(x + 1)

    settings = models.config(
        backend=f"{__name__}.assuming", splitting_ops=[], compile_ranges_endpoints=[8], largest=64
    )
    model = ci.support_torch_compile(Branching)(vllm_config=settings)
    for size in (32, 4, 6, 30):
        x = torch.randn(size, 3)
        torch.testing.assert_close(model(x), torch.relu(x + 1))
    rows = models.told("ranges")[-1]["ranges"]
    assert [(row["start"], row["end"], row["outcome"], row["call_count"]) for row in rows] == [
        (1, 8, "compiled", 1),
        (9, 64, "compiled", 2),
        (1, None, "compiled", 0),
        (1, None, "uncompiled", 1),
    ]


def assuming(module: torch.fx.GraphModule, values: list[Any]) -> Any:
    """A backend that decides by the size: what it returns is right only where the decision was."""
    size = next(value.shape[0] for value in values if isinstance(value, torch.Tensor))
    large = bool(size > 5)

    def run(*inputs: Any) -> Any:
        actual = next(one.shape[0] for one in inputs if isinstance(one, torch.Tensor))
        assert (actual > 5) is large
        return module(*inputs)

    return run


def test_gradients_flow_through_the_pieces() -> None:
    """A model that is trained has the gradients of the uncompiled one, also where a compiled piece is used for several layers."""
    settings = models.config(backend="inductor", cudagraph_mode="NONE", splitting_ops=["aten::sigmoid"])

    class Net(torch.nn.Module):
        def __init__(self, *, vllm_config: Any = None, prefix: str = "") -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                x = torch.sigmoid(torch.relu(layer(x)) + 1) * 2
            return x

    torch.manual_seed(0)
    plain = Net()
    torch.manual_seed(0)
    model = ci.support_torch_compile(Net)(vllm_config=settings)
    x = torch.randn(6, 4)
    with torch.enable_grad():
        plain(x).sum().backward()
        before = ci.compilation_counter.num_inductor_compiles
        model(x).sum().backward()
    assert ci.compilation_counter.num_inductor_compiles - before == 3
    for mine, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_an_unknown_backend_is_refused() -> None:
    """A backend that is neither registered nor importable is named in an error."""
    with pytest.raises(InvalidConfig, match="'nowhere'"):
        make_backend(models.config(backend="nowhere"), prefix="")


def test_a_backend_that_fails_leaves_the_instance_callable() -> None:
    """A failure in the middle of a compile is raised, and the next call compiles."""
    failures.append(RuntimeError("no memory"))
    settings = models.config(backend=f"{__name__}.failing")
    model = models.A(vllm_config=settings)
    x = torch.ones(4, models.WIDTH)
    with pytest.raises(Exception, match="no memory"):
        models.call(model, settings, x, ci.CUDAGraphMode.NONE)
    assert torch.equal(models.call(model, settings, x, ci.CUDAGraphMode.NONE), 18 * x)


failures: list[Exception] = []


def failing(module: torch.fx.GraphModule, _: list[Any]) -> Any:
    """A backend that fails while there is something in `failures`."""
    if failures:
        raise failures.pop()
    return module.forward


def test_splits_are_told() -> None:
    """The pieces, their nodes and the reasons are told as plain values."""
    settings = models.config()
    models.call(models.A(vllm_config=settings), settings, torch.ones(4, models.WIDTH), ci.CUDAGraphMode.NONE)
    fact = models.told("splits")[-1]
    assert [(one["index"], one["kind"], one["capturable"]) for one in fact["pieces"]] == [
        (0, "compiled", True),
        (1, "splitting", False),
        (2, "compiled", True),
    ]
    assert fact["pieces"][1]["nodes"] == ["attention"]
    assert fact["pieces"][1]["reason"] == "silly::attention is a splitting op"
    assert fact["by"] == "fx"


def test_a_lazy_graph_runs_its_own_code() -> None:
    """Its code is written once; calls do not go through the look whether it was."""
    traced = torch.fx.symbolic_trace(torch.nn.ReLU())
    lazy = torch.fx._lazy_graph_module._LazyGraphModule.from_graphmodule(traced)
    run = backends.forward_of(lazy)
    assert "_lazy_forward" not in run.__code__.co_name
    x = torch.tensor([-1.0, 2.0])
    assert torch.equal(run(x), torch.relu(x))
    assert torch.equal(backends.forward_of(traced)(x), torch.relu(x))
