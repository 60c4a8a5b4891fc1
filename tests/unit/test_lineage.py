"""What torch noted of where nodes come from, read from facts; and what is concluded where it noted nothing."""

from __future__ import annotations

import hashlib
from typing import Any

import narrated
from compile_inspector.analyze.graph_match import match_graphs
from compile_inspector.model.graph import Graph
from compile_inspector.recording.tables.graphs import graphs
from compile_inspector.views.graph_parts import correspond_part
from narrated import event, fact

DYNAMO = """\
class GraphModule(torch.nn.Module):
    def forward(self, L_x_: "f32[4, 4]"):
        l_x_ = L_x_

        # File: /m.py:2 in f, code: return g(x.relu() @ x)
        relu: "f32[4, 4]" = l_x_.relu()
        w: "f32[4, 4]" = relu @ l_x_
        y: "f32[4, 4]" = torch.softmax(w, -1)
        z: "f32[4, 4]" = torch.sin(y)
        return (z,)
"""
JOINT = """\
class joint_helper(torch.nn.Module):
    def forward(self, primals_1: "f32[4, 4]", tangents_1: "f32[4, 4]"):
        # File: /m.py:2 in f, code: return g(x.relu() @ x)
        relu: "f32[4, 4]" = torch.ops.aten.relu.default(primals_1)
        sin: "f32[4, 4]" = torch.ops.aten.sin.default(relu)
        cos: "f32[4, 4]" = torch.ops.aten.cos.default(relu)
        mul: "f32[4, 4]" = torch.ops.aten.mul.Tensor(tangents_1, cos)
        return (sin, mul)
"""
FUSED = """\
class <lambda>(torch.nn.Module):
    def forward(self, arg0_1: "f32[4, 4]"):
        # File: /m.py:2 in f, code: return g(x.relu() @ x)
        relu: "f32[4, 4]" = torch.ops.aten.relu.default(arg0_1)

        # No stacktrace found for following nodes
        fused = torch.ops.aten._scaled_dot_product_attention.default(relu, arg0_1)
        getitem: "f32[4, 4]" = fused[0]
        unread: "f32[4]" = fused[1]

        # File: /m.py:2 in f, code: return g(x.relu() @ x)
        sin: "f32[4, 4]" = torch.ops.aten.sin.default(getitem)
        return (sin, unread)
"""


def noted(text: str, graph: int, **rest: Any) -> Any:
    """The fact that is told before a graph's record."""
    return fact("lineage", {"text": hashlib.md5(text.encode()).hexdigest(), "graph": graph, **rest})


def rows(*records: Any) -> tuple[tuple[Graph, ...], tuple[str, ...]]:
    return narrated.build(graphs, [noted(DYNAMO, 1), event("dynamo_output_graph", {}, DYNAMO), *records])


def named(left: Graph, right: Graph) -> dict[str, set[str]]:
    """By node of the right graph: those of the left one."""
    found: dict[str, set[str]] = {}
    for one, other in match_graphs(left, right):
        found.setdefault(right.nodes[other].name, set()).add(left.nodes[one].name)
    return found


def test_a_gradient_is_of_the_operation_with_its_number() -> None:
    """A node of the backward pass was made of what its forward node was made of; a number nobody was given says nothing."""
    (_, joint), lost = rows(
        noted(
            JOINT,
            2,
            sources=[[1, "relu"], [1, "z"]],
            nodes={"relu": [0], "sin": [1]},
            made={"7": "sin", "6": "relu"},
            gradients={"cos": 7, "mul": 7, "other": 9},
        ),
        event("aot_joint_graph", {}, JOINT),
    )
    assert lost == ()
    assert joint.made_of == {"relu": ("relu",), "sin": ("z",), "cos": ("z",), "mul": ("z",)}


def test_a_source_in_a_graph_between_leads_on() -> None:
    """A node made of a joint graph's node is of what that one was made of; one of a graph that nobody saw is of nothing known."""
    (_, _, post), lost = rows(
        noted(JOINT, 2, sources=[[1, "relu"]], nodes={"relu": [0]}),
        event("aot_joint_graph", {}, JOINT),
        noted(FUSED, 3, sources=[[2, "relu"], [9, "sin"], [3, "sin"]], nodes={"relu": [0], "sin": [1, 2]}),
        event("aot_inference_graph", {}, FUSED),
    )
    assert lost == ()
    assert post.made_of == {"relu": ("relu",)}


def test_names_that_the_program_lacks_are_no_lineage() -> None:
    """A place in Dynamo's graph that its printout does not have is left out, as is a number beyond the sources."""
    (_, post), lost = rows(
        noted(FUSED, 3, sources=[[1, "gone"], [1, "z"]], nodes={"relu": [0, 8], "sin": [0, 1]}),
        event("aot_inference_graph", {}, FUSED),
    )
    assert lost == ()
    assert post.made_of == {"sin": ("z",)}


def test_another_printout_has_no_lineage() -> None:
    """The facts are of the text they were told for; a graph that came from a cache is matched without."""
    (dynamo, post), lost = rows(
        noted(JOINT, 3, sources=[[1, "z"]], nodes={"sin": [0]}), event("aot_inference_graph", {}, FUSED)
    )
    assert lost == ()
    assert post.made_of == {}
    assert (correspond_part("k", dynamo, post).text or "").startswith(
        "Matched along the values, by line and operation"
    )


def test_a_damaged_fact_is_counted_and_the_graphs_stay() -> None:
    """One loss; nothing else is missing."""
    found, (lost,) = rows(fact("lineage", {"text": 5, "graph": "x"}), event("aot_inference_graph", {}, FUSED))
    assert [row.stage for row in found] == ["dynamo", "inference"]
    assert lost.startswith("the fact lineage cannot be read")


def test_what_took_the_place_of_several_is_found_from_around() -> None:
    """Between what is noted: the fused operation is the matmul and the softmax, and so are both items of its result."""
    (dynamo, post), _ = rows(
        noted(FUSED, 3, sources=[[1, "relu"], [1, "z"]], nodes={"relu": [0], "sin": [1]}),
        event("aot_inference_graph", {}, FUSED),
    )
    found = named(dynamo, post)
    assert found["fused"] == {"w", "y"}
    assert found["unread"] == {"w", "y"}
    assert found["sin"] == {"z"}
    assert correspond_part("k", dynamo, post).text == (
        "As torch noted it, but for 3 of 5 operations, matched by what is around them, line and module."
    )


def test_what_lies_within_one_operation_is_a_part_of_it() -> None:
    """All that it reads and all that reads it became of the sine, and so did it."""
    (dynamo, joint), _ = rows(
        noted(JOINT, 2, sources=[[1, "z"]], nodes={"sin": [0], "relu": [0], "mul": [0]}),
        event("aot_joint_graph", {}, JOINT),
    )
    assert "cos" not in joint.made_of
    assert named(dynamo, joint)["cos"] == {"z"}


def test_what_took_the_place_of_others_lies_where_they_lay() -> None:
    """Nodes without a line or a source are of the module that what they read and what reads them have in common."""
    paths = {"relu": "layers.0.attention", "w": "layers.0.attention.qkv", "z": "layers.0.attention.out"}
    modules = {
        "paths": [[path, f"m.{path.title()}"] for path in paths.values()],
        "nodes": {name: [index, None] for index, name in enumerate(paths)},
    }
    found, lost = narrated.build(
        graphs,
        [
            fact("modules", modules),
            noted(DYNAMO, 1),
            event("dynamo_output_graph", {}, DYNAMO),
            noted(FUSED, 3, sources=[[1, "relu"], [1, "z"]], nodes={"relu": [0], "sin": [1]}),
            event("aot_inference_graph", {}, FUSED),
        ],
    )
    assert lost == ()
    homes = {node.name: (node.module_path, node.module_class) for node in found[1].nodes if node.inputs}
    assert homes["sin"][0] == "layers.0.attention.out"
    assert homes["fused"] == homes["relu"] == ("layers.0.attention", "m.Layers.0.Attention")
