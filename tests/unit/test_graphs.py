"""The graphs table."""

from __future__ import annotations

import narrated
from compile_inspector.model.graph import Ancestor
from compile_inspector.model.locations import Location
from compile_inspector.model.records import Record
from compile_inspector.recording.tables.graphs import graphs
from narrated import artifact, event, fact

DYNAMO = """\
class GraphModule(torch.nn.Module):
    def forward(self, L_x_: "f32[4][1]cpu"):
        l_x_ = L_x_

        # File: /tmp/ipykernel_1/9.py:2 in f, code: return x.sin()
        sin: "f32[4][1]cpu" = l_x_.sin();  l_x_ = None
        return (sin,)
"""
LOWERED = """\
class <lambda>(torch.nn.Module):
    def forward(self, {}: "f32[4][1]cpu"):
        # File: /tmp/ipykernel_1/9.py:2 in f, code: return x.sin()
        sin: "f32[4][1]cpu" = torch.ops.aten.sin.default({})
        return (sin,)
"""
CODE = """\
# AOT ID: ['0_{}']
async_compile = AsyncCompile()
# Graph fragment:
#   %sin : [num_users=1] = call_function[target=torch.ops.aten.sin.default](args = (%x,), kwargs = {{}})
triton_{} = async_compile.triton('triton_{}', '''
kernel
''', device_str='cuda')
async_compile.wait(globals())
"""


def test_each_stage_has_its_name_and_direction() -> None:
    """Torch's events and artifacts become stages; post-grad graphs are told apart by their tangents."""
    rows, lost = narrated.build(
        graphs,
        [
            event("dynamo_output_graph", {"sizes": {}}, DYNAMO),
            artifact("before_pre_grad_graph", DYNAMO),
            event("aot_joint_graph", {}, DYNAMO),
            event("aot_forward_graph", {}, LOWERED.format("primals_1", "primals_1")),
            event("aot_backward_graph", {}, LOWERED.format("tangents_1", "tangents_1")),
            artifact("inductor_post_grad_graph", LOWERED.format("primals_1", "primals_1")),
            artifact("inductor_post_grad_graph", LOWERED.format("tangents_1", "tangents_1")),
            event("aot_inference_graph", {}, DYNAMO, at="1/0"),
            event("inductor_post_grad_graph", {}, DYNAMO, at="1/0"),
            artifact("fx_graph_runnable", "import torch"),
        ],
    )
    assert lost == ()
    assert [(row.compile_id, row.stage, row.name, row.direction) for row in rows] == [
        ("0/0", "dynamo", "dynamo_output_graph", None),
        ("0/0", "pre_grad", "before_pre_grad_graph", None),
        ("0/0", "joint", "aot_joint_graph", None),
        ("0/0", "forward", "aot_forward_graph", "forward"),
        ("0/0", "backward", "aot_backward_graph", "backward"),
        ("0/0", "post_grad", "inductor_post_grad_graph", "forward"),
        ("0/0", "post_grad", "inductor_post_grad_graph", "backward"),
        ("1/0", "inference", "aot_inference_graph", "inference"),
        ("1/0", "post_grad", "inductor_post_grad_graph", "inference"),
    ]
    assert rows[0].ancestor is None
    assert rows[3].ancestor == Ancestor(rows[0])


def test_only_the_attempt_that_shipped_counts() -> None:
    """A graph of an attempt that was thrown away is no row."""
    rows, _ = narrated.build(
        graphs, [event("dynamo_output_graph", {}, DYNAMO, attempt=number) for number in (0, 1)]
    )
    assert len(rows) == 1


def test_exact_modules_reach_later_stages() -> None:
    """The fact ``modules`` gives Dynamo's nodes path, class and line; lowered nodes inherit them; cells show their numbers."""
    place = ["/tmp/ipykernel_1/9.py", 2, "f", "return x.sin()"]
    modules = {
        "paths": [["layers.0", "m.Layer"]],
        "lines": [place],
        "nodes": {"sin": [0, 0], "odd": "x", "far": [7, 9]},
    }
    rows, lost = narrated.build(
        graphs,
        [
            Record(
                "artifact",
                {"name": "compile_inspector.cells"},
                {},
                narrated.HeldText('{"/tmp/ipykernel_1/9.py": 4}'),
            ),
            fact("modules", modules),
            event("dynamo_output_graph", {}, DYNAMO),
            event("aot_inference_graph", {}, LOWERED.format("arg0_1", "arg0_1")),
        ],
    )
    assert lost == ()
    for row in rows:
        node = next(node for node in row.nodes if node.name == "sin")
        assert (node.module_path, node.module_class) == ("layers.0", "m.Layer")
        assert node.location == Location("In [4]", 2, "f", "return x.sin()")


def test_kernels_are_joined_by_direction() -> None:
    """A lowered node has the kernels of its own pass at every stage of it, a Dynamo node those that provenance leads to."""
    mapping = '{"cppCodeToPost": {"triton_a:1": ["sin"]}, "preToPost": {"sin": ["sin"]}}'
    rows, lost = narrated.build(
        graphs,
        [
            event("dynamo_output_graph", {}, DYNAMO),
            event("aot_forward_graph", {}, LOWERED.format("primals_1", "primals_1")),
            artifact("inductor_post_grad_graph", LOWERED.format("primals_1", "primals_1")),
            event("inductor_output_code", {"filename": "/c/a.py"}, CODE.format("forward", "a", "a")),
            artifact("inductor_provenance_tracking_node_mappings", mapping),
            artifact("inductor_post_grad_graph", LOWERED.format("tangents_1", "tangents_1")),
            event("inductor_output_code", {"filename": "/c/b.py"}, CODE.format("backward", "b", "b")),
        ],
    )
    assert lost == ()
    found = [
        (row.stage, row.direction, next(n.kernels for n in row.nodes if n.name == "sin")) for row in rows
    ]
    assert found == [
        ("dynamo", None, ("triton_a",)),
        ("forward", "forward", ("triton_a",)),
        ("post_grad", "forward", ("triton_a",)),
        ("post_grad", "backward", ("triton_b",)),
    ]


def test_a_graph_without_text_is_a_loss() -> None:
    """A record whose payload is gone is counted, and the others are rows."""
    rows, lost = narrated.build(
        graphs, [event("dynamo_output_graph"), artifact("before_pre_grad_graph", DYNAMO)]
    )
    assert [row.stage for row in rows] == ["pre_grad"]
    assert lost == ("dynamo_output_graph has no text",)


def test_a_damaged_fact_leaves_the_names() -> None:
    """With a broken ``modules`` fact the graph is there, its paths best effort, and the loss counted."""
    rows, lost = narrated.build(
        graphs,
        [artifact("compile_inspector.modules", '{"nodes": {'), event("dynamo_output_graph", {}, DYNAMO)],
    )
    assert [node.name for node in rows[0].nodes] == ["l_x_", "sin", "output"]
    assert len(lost) == 1


def test_unknown_events_are_passed_over() -> None:
    """What a newer torch may print beside graphs is no graph and no loss."""
    assert narrated.build(graphs, [event("brand_new_graph", {}, DYNAMO), artifact("some_graph", DYNAMO)]) == (
        (),
        (),
    )
