"""Switching Inductor's provenance on and off."""

from __future__ import annotations

import pytest
import torch
import torch._functorch.config as functorch
import torch._inductor.config as config

from captured import capture
from compile_inspector.recording.tables.graphs import graphs
from compile_inspector.recording.tables.kernels import kernels
from compile_inspector.torch_seams import provenance, trace
from compile_inspector.torch_seams.probe import Faults


def test_the_level_is_put_back_exactly() -> None:
    """While installed the level is 1; afterwards it is what it was."""
    assert provenance.probe().available
    before = config.trace.provenance_tracking_level
    undo = provenance.install(trace.emit, Faults())
    assert config.trace.provenance_tracking_level == 1
    undo()
    assert before == config.trace.provenance_tracking_level


def test_a_level_set_by_the_user_stays() -> None:
    """A higher level is left alone, and one set meanwhile is not overwritten."""
    with config.patch({"trace.provenance_tracking_level": 2}):
        undo = provenance.install(trace.emit, Faults())
        assert config.trace.provenance_tracking_level == 2
        undo()
        assert config.trace.provenance_tracking_level == 2
    undo = provenance.install(trace.emit, Faults())
    config.trace.provenance_tracking_level = 2
    undo()
    assert config.trace.provenance_tracking_level == 2
    config.trace.provenance_tracking_level = 0


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_kernels_know_their_nodes() -> None:
    """With provenance, a C++ kernel compiled here names the post-grad nodes in it, and Dynamo's nodes name the kernel."""

    def run() -> None:
        with (
            torch.no_grad(),
            config.patch({"fx_graph_cache": False}),
            functorch.patch({"enable_autograd_cache": False}),
        ):
            torch.compile(lambda x: (x.sin() + x.cos()).sum(0), backend="inductor")(torch.ones(3, 5))

    captured = capture(run, "provenance", "modules")
    assert captured.faults == {}
    assert captured.result is None
    (kernel, *_) = captured.table(kernels)
    assert (kernel.language, kernel.direction) == ("cpp", "inference")
    assert {"sin", "cos", "add", "sum_1"} <= set(kernel.node_names or ())
    dynamo, *_, post = captured.table(graphs)
    assert (dynamo.stage, post.stage) == ("dynamo", "post_grad")
    for graph in (dynamo, post):
        sin = next(node for node in graph.nodes if node.name == "sin")
        assert sin.kernels == (kernel.name,)
