"""Nodes read from a printout against the FX graph itself."""

from __future__ import annotations

from typing import Any

import torch
import torch.utils.checkpoint

from captured import capture
from compile_inspector.recording.tables.graphs import graphs


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(8, 8)
        self.seq = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU())
        self.register_buffer("bias", torch.ones(8))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        a = torch.cond(x.sum() > 0, lambda x: x.sin() * 2, lambda x: x.cos(), (x,))
        b = torch.utils.checkpoint.checkpoint(
            lambda z: torch.nn.functional.gelu(z).relu(), a, use_reentrant=False
        )
        c = -b + ~(y > 0).bool() * 2 - 1 + 3**b
        c += 1
        c[0] = 4.0
        first, second = torch.split(c, 4, dim=1)
        product = torch.einsum("ij,jk->ik", c, c.T)
        cut = c[..., None, : x.size(0) // 2]
        padded = torch.nn.functional.pad(c, (1, 1), mode="constant", value=float("inf"))
        total = torch.add(input=c, other=first.sum())
        return self.seq(self.fc(c)) + self.bias, second, {"p": [product, cut]}, padded, total


def test_nodes_are_those_of_fx() -> None:
    """Names, operations, inputs and users of every node are FX's own, of every form of statement torch prints."""
    seen: list[dict[str, tuple[str, set[str], set[str]]]] = []

    def backend(module: torch.fx.GraphModule, _inputs: list[Any]) -> Any:
        seen.append(
            {
                node.name: (node.op, {n.name for n in node.all_input_nodes}, {n.name for n in node.users})
                for node in module.graph.nodes
            }
        )
        return module.forward

    compiled = torch.compile(Block(), backend=backend, dynamic=True, fullgraph=True)
    captured = capture(lambda: compiled(torch.ones(6, 8), torch.ones(6, 8)))
    assert not isinstance(captured.result, BaseException)
    (graph,) = captured.table(graphs)
    assert graph.problem is None
    read = {
        node.name: (node.op, set(node.inputs), set(node.users))
        for node in graph.nodes
        if "." not in node.name
    }
    assert seen == [read]


def test_later_stages_are_read_whole() -> None:
    """Joint, forward and backward graphs of a training step parse without a problem, and their nodes know their modules."""
    model = Block()
    compiled = torch.compile(lambda x, y: model(x, y)[0].sum(), backend="aot_eager", fullgraph=True)
    captured = capture(lambda: compiled(torch.ones(6, 8), torch.ones(6, 8)).backward(), "modules")
    assert captured.result is None
    rows = captured.table(graphs)
    assert [row.stage for row in rows] == ["dynamo", "joint", "forward", "backward"]
    for row in rows:
        assert row.problem is None
        products = [node for node in row.nodes if node.target.endswith(("linear", "addmm.default"))]
        assert [node.module_path for node in products if row.stage != "backward"] == [
            node.module_path
            for node in rows[0].nodes
            if node.target.endswith("linear") and row.stage != "backward"
        ]
