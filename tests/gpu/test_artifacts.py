"""Kept programs on a GPU: Inductor's Triton kernels, pieces that are captured again, and Inductor's own partitions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import attention_models as models
import compile_inspector as ci
from compile_inspector.engine.decorator import programs

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cache and key lie below the test's folder; no graph is captured for a call that needs gradients."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COMPILE_INSPECTOR_CACHE_ROOT", str(tmp_path / "cache"))
    with torch.no_grad():
        yield


def stack(vllm_config: ci.InspectorConfig, layers: int = 3) -> Any:
    torch.manual_seed(0)
    return models.Stack(vllm_config=vllm_config, layers=layers).cuda()


def lookups(model: Any) -> list[Any]:
    return [lookup for _, lookup, _ in programs.get(model).keeping.lookups]


@pytest.mark.parametrize(
    ("settings", "layers", "sizes"),
    [
        ({}, 3, (2, 1)),
        ({"use_inductor_graph_partition": True}, 1, (2, 1)),
        ({"compile_ranges_endpoints": [16], "cudagraph_num_of_warmups": 1}, 1, (3, 2)),
    ],
    ids=["pieces", "partitions", "ranges"],
)
def test_what_was_loaded_is_captured_again(
    settings: dict[str, Any], layers: int, sizes: tuple[int, int]
) -> None:
    """The second instance loads, captures as many graphs as the first, and both are right.

    Code of a range of sizes that never ran loads its kernels at its first run, which no capture allows: it is warmed up.
    """
    vllm_config = models.config(backend="inductor", use_aot_compile=True, largest=64, **settings)
    captured: list[int] = []
    for outcome in ("miss", "hit"):
        model = stack(vllm_config, layers)
        with models.counting() as grown:
            for x, result in models.serve(model, vllm_config, "cuda", sizes):
                wanted = programs.get(model).wrapper.original(model, x)
                torch.testing.assert_close(result, wanted, atol=1e-4, rtol=1e-4)
        assert lookups(model)[0].outcome == outcome, lookups(model)
        captured.append(grown()[-1])
    assert captured[0] == captured[1] > 0


def test_the_gpu_is_in_the_key() -> None:
    """Its name and capability; a model on the CPU has another key."""
    vllm_config = models.config(backend="inductor", use_aot_compile=True, cudagraph_mode="NONE")
    model = stack(vllm_config)
    models.call(model, vllm_config, torch.ones(9, 16, device="cuda"), ci.CUDAGraphMode.NONE)
    (first, *_) = lookups(model)
    texts = {one.name: one.text for one in first.components}
    assert torch.cuda.get_device_name() in texts["devices"]
    other = models.Stack(vllm_config=vllm_config, layers=3)
    models.call(other, vllm_config, torch.ones(9, 16), ci.CUDAGraphMode.NONE)
    assert {one.component for one in lookups(other)[0].differs} >= {"devices", "parameters", "arguments"}


def test_gradients_flow_on_a_gpu() -> None:
    """Forward and backward are kept."""

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.gelu(self.linear(x)).sum(dim=-1)

    config = ci.InspectorConfig(
        ci.CompilationConfig("DYNAMO_TRACE_ONCE", backend="inductor", use_aot_compile=True)
    )
    gradients = []
    with torch.enable_grad():
        for outcome in ("miss", "hit"):
            torch.manual_seed(0)
            model = Model().cuda()
            ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config)
            model(torch.ones(5, 8, device="cuda")).sum().backward()
            assert lookups(model)[0].outcome == outcome
            gradients.append(model.linear.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1])
