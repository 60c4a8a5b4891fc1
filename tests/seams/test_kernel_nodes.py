"""The nodes of the kernels of backward graphs that are compiled by themselves."""

from __future__ import annotations

import pytest
import torch
import torch._functorch.config as functorch
import torch._inductor.config as inductor
import torch._inductor.debug as debug

import compile_inspector as ci


def first(x: torch.Tensor) -> torch.Tensor:
    return (x.sin() * x.exp()).sum()


def second(x: torch.Tensor) -> torch.Tensor:
    return (x.cos() * x.sigmoid() * x.exp()).sum()


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_each_backward_graph_has_its_own_kernels() -> None:
    """Two programs' backward graphs, compiled when `backward` is called: each kernel names nodes of its own graph, and all know their own."""
    torch._dynamo.reset()
    before = debug.dump_inductor_provenance_info
    with (
        inductor.patch({"fx_graph_cache": False}),
        functorch.patch({"enable_autograd_cache": False}),
        ci.record(provenance=True) as recorder,
    ):
        for program in (first, second):
            torch.compile(program)(torch.ones(8, requires_grad=True)).backward()
    assert debug.dump_inductor_provenance_info is before
    session = recorder.session
    assert session.losses == ()
    ids = {row.id for row in session.compiles}
    assert len(ids) == 2
    for compile_id in ids:
        graph = next(
            row
            for row in session.graphs
            if (row.compile_id, row.name, row.direction)
            == (compile_id, "inductor_post_grad_graph", "backward")
        )
        kernels = [
            row for row in session.kernels if (row.compile_id, row.direction) == (compile_id, "backward")
        ]
        names = {node.name for node in graph.nodes}
        assert len(kernels) == 1
        assert kernels[0].node_names
        assert set(kernels[0].node_names) <= names
        computing = [node for node in graph.nodes if node.op == "call_function"]
        assert [node.kernels for node in computing] == [(kernels[0].name,)] * len(computing)
