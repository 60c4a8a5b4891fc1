"""The stages of a real model: what corresponds is what torch says was lowered from it."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import compile_inspector as ci
from compile_inspector.analyze.graph_match import match_graphs
from compile_inspector.model.graph import Graph
from compile_inspector.views.wire_parts import part


def recorded() -> ci.Session:
    """Two layers of a Llama, a loss and its gradient."""
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=50,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    torch._dynamo.reset()
    model = torch.compile(LlamaForCausalLM(config), backend="aot_eager")
    with ci.record() as recorder:
        tokens = torch.randint(0, 50, (2, 8))
        model(tokens, labels=tokens, use_cache=False).loss.backward()
    return recorder.session


def origins(left: Graph, right: Graph) -> list[tuple[str | None, str | None]]:
    """Of each pair of operations: the modules of both."""
    return [
        (left.nodes[one].module_path, right.nodes[other].module_path)
        for one, other in match_graphs(left, right)
        if right.nodes[other].op == "call_function"
    ]


def test_a_llamas_stages_correspond() -> None:
    """Every lowered operation stems from one of Dynamo's, in its module or the one around it (but for one in a hundred, where the lowered
    node's own module is guessed); each pair of stages is a part.
    """  # noqa: D205
    session = recorded()
    by_stage = {graph.stage: graph for graph in session.graphs}
    assert {"dynamo", "joint", "forward", "backward"} <= by_stage.keys()
    dynamo = by_stage["dynamo"]
    for stage in ("joint", "forward", "backward"):
        lowered = by_stage[stage]
        found = origins(dynamo, lowered)
        made = [node for node in lowered.nodes if node.op == "call_function" and node.location is not None]
        assert len(made) <= len(found)
        astray = [pair for pair in found if not _nested(*pair)]
        assert 100 * len(astray) <= len(found)
    rows = range(len(session.graphs))
    for left in rows:
        for right in rows:
            assert part(session, f"correspond:{left}:{right}").pairs
            assert part(session, f"graphdiff:{left}:{right}").problem is None


def _nested(one: str | None, other: str | None) -> bool:
    """Whether one path is the other, or lies in it."""
    if one is None or other is None or "" in (one, other) or one == other:
        return True
    return one.startswith(f"{other}.") or other.startswith(f"{one}.")
