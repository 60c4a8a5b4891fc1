"""What torch notes of where nodes come from, recorded, and what is made of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch
import torch._functorch.config as functorch
import torch._inductor.config as inductor

import compile_inspector as ci
from compile_inspector.analyze.graph_match import match_graphs
from compile_inspector.analyze.op_families import family_of
from compile_inspector.api import Session
from compile_inspector.model.graph import Graph
from compile_inspector.model.nodes import GraphNode
from compile_inspector.torch_seams import lineage
from compile_inspector.views.graph_parts import correspond_part
from staged_models import PROGRAMS

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
LOWERED = ("joint", "forward", "backward", "inference", "post_grad")


def recorded(name: str, backend: str = "aot_eager") -> Session:
    """One compile of a program, its backward pass included, with caches off."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    program, inputs = PROGRAMS[name]()
    with (
        inductor.patch({"fx_graph_cache": False}),
        functorch.patch({"enable_autograd_cache": False}),
        ci.record() as recorder,
    ):
        result = torch.compile(program, backend=backend)(*inputs)
        if result.requires_grad:
            result.sum().backward()
    return recorder.session


def calls(graph: Graph) -> list[GraphNode]:
    return [node for node in graph.nodes if node.op == "call_function"]


def printed(graph: Graph) -> dict[str, tuple[str, int]]:
    """By node: the line that the printout gives it."""
    bare = msgspec.structs.replace(graph, lineage=None, ancestor=None, origins=())
    return {
        node.name: (node.location.file, node.location.line)
        for node in bare.nodes
        if node.location is not None
    }


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_nearly_every_node_has_a_lineage_on_its_own_line(name: str) -> None:
    """Nine in ten lowered operations, gradients included, know the Dynamo nodes they were made of; one of these stands on their line.

    What is written back to a module's buffers at the end has none.
    """
    session = recorded(name)
    assert session.losses == ()
    dynamo, *rest = session.graphs
    lines = printed(dynamo)
    assert dynamo.made_of == {}
    assert {graph.stage for graph in rest} <= set(LOWERED)
    for graph in rest:
        made = [node for node in calls(graph) if node.target != "torch.ops.aten.copy_.default"]
        assert sum(node.name in graph.made_of for node in made) >= 0.9 * len(made)
        own = printed(graph)
        astray = [
            node.name
            for node in made
            if node.name in graph.made_of
            and node.name in own
            and own[node.name] not in {lines.get(source) for source in graph.made_of[node.name]}
        ]
        assert astray == []


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_log_without_lineage_is_matched_nearly_as_well(name: str) -> None:
    """Along values, lines and operations alone, nine in ten of all pairs are those that torch noted, and nine in ten found are right."""
    session = recorded(name)
    dynamo = session.graphs[0]
    bare = [msgspec.structs.replace(graph, lineage=None) for graph in session.graphs]
    forward = next((graph for graph in bare if graph.stage == "forward"), None)
    for graph, blind in zip(session.graphs[1:], bare[1:], strict=True):
        noted = {(source, node.name) for node in calls(graph) for source in graph.made_of.get(node.name, ())}
        known = {other for _, other in noted}
        pairs = match_graphs(dynamo, blind, forward=forward if graph.direction == "backward" else None)
        found = {
            (one.inputs[0] if one.target == "operator.getitem" else one.name, blind.nodes[other].name)
            for one, other in ((dynamo.nodes[one], other) for one, other in pairs)
            if blind.nodes[other].name in known
        }
        assert len(noted & found) >= 0.9 * len(noted)
        assert len(noted & found) >= 0.9 * len(found)


@pytest.mark.parametrize("name", ["learnt", "rotary training"])
def test_nodes_lie_in_the_module_of_what_they_were_made_of(name: str) -> None:
    """The module of a lowered node is exactly that of its Dynamo node, through every stage of Inductor."""
    session = recorded(name, "inductor")
    dynamo = session.graphs[0]
    modules = {node.name: node.module_path for node in dynamo.nodes}
    for graph in session.graphs[1:]:
        if graph.stage in LOWERED:
            assert graph.made_of
            for node in calls(graph):
                if node.name in graph.made_of:
                    assert node.module_path == modules[graph.made_of[node.name][0]]


def test_one_operation_is_matched_with_all_that_it_became() -> None:
    """A silu's decomposition is the silu's, through three linears on its line; the two products are theirs."""
    session = recorded("rotary", "inductor")
    dynamo = session.graphs[0]
    post = next(graph for graph in session.graphs if graph.name == "inductor_post_grad_graph")
    became: dict[str, list[str]] = {}
    for one, other in match_graphs(dynamo, post):
        became.setdefault(dynamo.nodes[one].target, []).append(family_of(post.nodes[other].target))
    assert {"neg", "exp", "add"} <= set(became["torch.nn.functional.silu"])
    assert "mm" not in became["torch.nn.functional.silu"]
    linear = next(found for target, found in became.items() if target.endswith("linear"))
    assert set(linear) == {"mm", "transpose", "view"}
    part = correspond_part("correspond:0:7", dynamo, post)
    assert part.text == "As torch noted it."


@pytest.mark.parametrize("name", ["learnt", "learnt training"])
def test_a_fused_attention_stands_for_what_it_took_the_place_of(name: str) -> None:
    """What Inductor's pass puts in the place of matmul, division, softmax and matmul corresponds to these; transposes to transposes."""
    session = recorded(name, "inductor")
    dynamo = session.graphs[0]
    post = next(
        graph
        for graph in session.graphs
        if graph.name == "inductor_post_grad_graph" and graph.direction != "backward"
    )
    pairs: dict[str, list[GraphNode]] = {}
    for one, other in match_graphs(dynamo, post):
        pairs.setdefault(post.nodes[other].name, []).append(dynamo.nodes[one])
    fused = [node for node in calls(post) if "scaled_dot_product" in node.target]
    assert len(fused) == 2
    for node in fused:
        assert (node.module_path or "").endswith(".attention")
        assert {"matmul", "truediv", "softmax"} <= {one.target.rpartition(".")[2] for one in pairs[node.name]}
        for name_ in node.inputs:
            assert [one.target for one in pairs[name_]] == ["transpose"]
    assert all(node.name in pairs for node in calls(post))


def test_a_saved_recording_keeps_the_lineage(tmp_path: Path) -> None:
    """What is loaded says of every node what was recorded."""
    session = recorded("learnt training")
    loaded = ci.load(session.save(tmp_path / "log.gz"))
    assert [graph.made_of for graph in loaded.graphs] == [graph.made_of for graph in session.graphs]
    assert any(graph.made_of for graph in loaded.graphs)


def test_printing_is_as_before_when_nobody_records() -> None:
    """The printout is the same while recording, `print_readable` is put back, and a graph that is printed outside a compile is no fact."""
    before = torch.fx.GraphModule.print_readable
    module = torch.fx.symbolic_trace(torch.nn.ReLU())
    text = module.print_readable(print_output=False)
    with ci.record() as recorder:
        assert torch.fx.GraphModule.print_readable is not before
        assert module.print_readable(print_output=False) == text
    assert torch.fx.GraphModule.print_readable is before
    assert recorder.session.losses == ()


def test_a_long_chain_of_sources_is_followed_without_recursion() -> None:
    """Five hundred graphs back, the first node is found."""

    class Node:
        def __init__(self, name: str, source: object = None) -> None:
            self.name, self.graph_id, self.node_info = name, 7, self
            self.from_node = [] if source is None else [source]

    source = Node("first")
    for number in range(500):
        source = Node(f"n{number}", source)
    graph = torch.fx.Graph()
    node = graph.call_function(torch.relu)
    node.meta["from_node"] = [source]
    told = lineage.lineage(graph)
    assert told["sources"] == [(7, "first")]
    assert told["nodes"] == {"relu": [0]}
