"""The stages of real models: what corresponds is what torch lowered from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import compile_inspector as ci
from compile_inspector.analyze.graph_match import match_graphs
from compile_inspector.model.graph import Graph
from compile_inspector.views.wire_parts import part


class Block(torch.nn.Module):
    """A residual block with siblings on one line."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(16)
        self.gate, self.up, self.down = (
            torch.nn.Linear(16, 32),
            torch.nn.Linear(16, 32),
            torch.nn.Linear(32, 16),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.norm(x)
        return x + self.down(torch.nn.functional.gelu(self.gate(h)) * self.up(h))


def blocks() -> Callable[[], torch.Tensor]:
    """A loss of three blocks."""
    model = torch.compile(torch.nn.Sequential(Block(), Block(), Block()), backend="aot_eager")
    return lambda: model(torch.randn(4, 16)).sum()


def llama() -> Callable[[], torch.Tensor]:
    """A loss of two layers of a Llama."""
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=50,
        max_position_embeddings=64,
    )
    model = torch.compile(transformers.LlamaForCausalLM(config), backend="aot_eager")
    tokens = torch.randint(0, 50, (2, 8))
    return lambda: model(tokens, labels=tokens, use_cache=False).loss


def modules(left: Graph, right: Graph) -> list[tuple[str | None, str | None]]:
    """Of each pair of operations: the modules of both."""
    return [
        (left.nodes[one].module_path, right.nodes[other].module_path)
        for one, other in match_graphs(left, right)
        if right.nodes[other].op == "call_function"
    ]


@pytest.mark.parametrize("loss", [blocks, llama])
def test_a_models_stages_correspond(loss: Callable[[], Callable[[], torch.Tensor]]) -> None:
    """Every lowered operation with a line stems from one of Dynamo's; its module is that one's, or around it, or in it."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    step = loss()
    with ci.record() as recorder:
        step().backward()
    session = recorder.session
    by_stage = {graph.stage: graph for graph in session.graphs}
    assert {"dynamo", "joint", "forward", "backward"} <= by_stage.keys()
    for stage in ("joint", "forward", "backward"):
        lowered = by_stage[stage]
        found = modules(by_stage["dynamo"], lowered)
        made = [node for node in lowered.nodes if node.op == "call_function" and node.location is not None]
        assert len(made) <= len(found)
        astray = [pair for pair in found if not _nested(*pair)]
        assert astray == []
    rows = range(len(session.graphs))
    for left in rows:
        for right in rows:
            assert part(session, f"correspond:{left}:{right}").pairs
            assert part(session, f"graphdiff:{left}:{right}").problem is None


def _nested(one: str | None, other: str | None) -> bool:
    """Whether one path is the other, or lies in it; True where one is not known."""
    if not one or not other or one == other:
        return True
    return one.startswith(f"{other}.") or other.startswith(f"{one}.")
