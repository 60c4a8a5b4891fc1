"""The kernels and output-code tables."""

from __future__ import annotations

from pathlib import Path

import pytest

import narrated
from compile_inspector.model.kernels import OutputCode
from compile_inspector.model.records import Record
from compile_inspector.model.text import Text
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.graphs import graphs
from compile_inspector.recording.tables.kernels import kernels, output_code
from compile_inspector.recording.trace_file import read_log
from narrated import artifact, event

TRACES = Path(__file__).parents[3] / "shared" / "traces"

TRITON = """\
# AOT ID: ['0_inference']
from torch._inductor.select_algorithm import extern_kernels
async_compile = AsyncCompile()


# kernel path: /tmp/k.py
# Topologically Sorted Source Nodes: [y, z], Original ATen: [aten.addmm, aten.relu]
# Source node to ATen node mapping:
#   y => add_tensor
#   z => relu
# Graph fragment:
#   %arg0_1 : Tensor = PlaceHolder[target=arg0_1]
#   %add_tensor : [num_users=1] = call_function[target=torch.ops.aten.add.Tensor](args = (%mm, %arg0_1), kwargs = {})
#   %relu : [num_users=1] = call_function[target=torch.ops.aten.relu.default](args = (%add_tensor,), kwargs = {})
triton_poi_fused_addmm_relu_0 = async_compile.triton('triton_poi_fused_addmm_relu_0', '''
import triton
@triton.jit
def triton_poi_fused_addmm_relu_0(x):
    # extern_kernels.bmm(in a comment)
    pass
''', device_str='cuda')


async_compile.wait(globals())
del async_compile

def call(args):
    # Topologically Sorted Source Nodes: [y], Original ATen: [aten.addmm]
    extern_kernels.mm(arg2_1, reinterpret_tensor(arg0_1, (10, 16), (1, 10), 0), out=buf0)
    for _ in range(2):
        triton_poi_fused_addmm_relu_0.run(buf1, arg1_1, 128, stream=stream0)
        triton_poi_fused_addmm_relu_0.run(buf1, arg1_1, 128, stream=stream0)
    # Topologically Sorted Source Nodes: [w, y], Original ATen: [aten.cumsum]
    buf5 = torch.ops.aten.cumsum.default(buf4, dim=-1)
    extern_kernels.mm(buf5, buf6, out=buf7)
"""
CPP = """\
# AOT ID: ['3_backward']
cpp_fused_sum_0 = async_compile.cpp_pybinding(['const float*', 'float*'], r'''
#include <torch/csrc/inductor/cpp_prefix.h>
extern "C" void kernel(const float* in_ptr0) {}
''')
async_compile.wait(globals())
def call(args):
    cpp_fused_sum_0(arg0_1, buf0)
"""


def test_kernels_of_generated_code() -> None:
    """Triton kernels come with source and nodes from the comment above, library calls with how often, nothing from inside a source."""
    rows, lost = narrated.build(kernels, [event("inductor_output_code", {"filename": "/c/a.py"}, TRITON)])
    assert lost == ()
    assert [(row.name, row.language, row.node_names, row.origin_names, row.call_count) for row in rows] == [
        ("triton_poi_fused_addmm_relu_0", "triton", ("add_tensor", "relu"), ("y", "z"), 2),
        ("extern_kernels.mm", "extern", None, ("y",), 2),
        ("torch.ops.aten.cumsum.default", "extern", None, ("w", "y"), 1),
    ]
    assert rows[0].source is not None
    assert rows[0].source.read().startswith("import triton\n@triton.jit\n")
    assert rows[1].source is None
    assert {row.direction for row in rows} == {"inference"}


def test_cpp_kernels() -> None:
    """A C++ kernel has its own text; without comment or provenance its nodes are unknown."""
    (row,), lost = narrated.build(kernels, [event("inductor_output_code", {}, CPP)])
    assert lost == ()
    assert (row.name, row.language, row.node_names, row.direction, row.call_count) == (
        "cpp_fused_sum_0",
        "cpp",
        None,
        "backward",
        1,
    )
    assert row.source is not None
    assert 'extern "C" void kernel' in row.source.read()


def test_provenance_names_the_nodes() -> None:
    """With provenance a kernel's nodes are those of all its calls, and lead back to Dynamo's."""
    mapping = (
        '{"cppCodeToPost": {"cpp_fused_sum_0:1": ["sum_1"], "cpp_fused_sum_0:4": ["sum_2", "sum_1"]},'
        ' "preToPost": {"a": ["sum_1"], "b": ["sum_2", "other"]}}'
    )
    records = [
        event("inductor_output_code", {}, CPP),
        artifact("inductor_provenance_tracking_node_mappings", mapping),
    ]
    (row,), lost = narrated.build(kernels, records)
    assert lost == ()
    assert (row.node_names, row.origin_names) == (("sum_1", "sum_2"), ("a", "b"))


def test_a_backward_graph_does_not_repeat_the_forward_kernels() -> None:
    """A record that tells again what the forward graph's told gives the backward graph what is new in it; ours stands for torch's empty one."""
    forward = '"cpp_fused_sum_0:1": ["sum_1"]'
    records = [
        event("inductor_output_code", {}, CPP),
        artifact("inductor_provenance_tracking_node_mappings", f'{{"cppCodeToPost": {{{forward}}}}}'),
        event("inductor_output_code", {}, CPP.replace("inference", "backward")),
        artifact(
            "inductor_provenance_tracking_node_mappings",
            f'{{"cppCodeToPost": {{{forward}, "cpp_fused_sum_0:2": ["sum_9"]}}}}',
        ),
        event("inductor_output_code", {}, CPP.replace("inference", "backward")),
        narrated.fact("kernel_nodes", {"cppCodeToPost": {"cpp_fused_sum_0:3": ["sum_7"]}}),
        artifact("inductor_provenance_tracking_node_mappings", '{"version": 2.0}'),
    ]
    rows, lost = narrated.build(kernels, records)
    assert lost == ()
    assert [row.node_names for row in rows] == [("sum_1",), ("sum_9",), ("sum_7",)]


def test_empty_provenance_says_nothing() -> None:
    """What torch writes for a graph it could not map, ``{"version": 2.0}``, leaves nodes unknown, not empty."""
    records = [
        event("inductor_output_code", {}, CPP),
        artifact("inductor_provenance_tracking_node_mappings", '{"version": 2.0}'),
    ]
    assert narrated.build(kernels, records)[0][0].node_names is None


def test_kernels_known_by_name_alone() -> None:
    """Where only the kernels' names were recorded, they are rows without source."""
    (row,), lost = narrated.build(
        kernels, [artifact("triton_kernel_info", '{"triton_red_0": {"num_configs": 2}}')]
    )
    assert lost == ()
    assert (row.name, row.language, row.source, row.call_count) == ("triton_red_0", "triton", None, None)


def test_output_code() -> None:
    """Each file has its path, its direction and its whole text."""
    rows, lost = narrated.build(
        output_code,
        [
            event("inductor_output_code", {"filename": "/c/a.py", "file_path": "/d/a.py"}, TRITON),
            event("inductor_output_code", "odd", "print()"),
        ],
    )
    assert lost == ()
    assert [(type(row), row.direction, row.path, row.source.read()) for row in rows] == [
        (OutputCode, "inference", "/d/a.py", TRITON),
        (OutputCode, None, None, "print()"),
    ]


@pytest.mark.parametrize(
    "payload", ['{"cppCodeToPost": ', "[1, 2]", '{"cppCodeToPost": {"a": 3}, "preToPost": []}']
)
def test_damaged_provenance(payload: str) -> None:
    """The kernel stays; JSON that cannot be read is a loss."""
    records = [
        event("inductor_output_code", {}, CPP),
        artifact("inductor_provenance_tracking_node_mappings", payload),
    ]
    rows, lost = narrated.build(kernels, records)
    assert [row.name for row in rows] == ["cpp_fused_sum_0"]
    assert len(lost) == (payload[-1] not in "]}")


class Gone(Text):
    """A text whose file was removed."""

    def read(self) -> str:
        raise FileNotFoundError("gone.log")


def test_code_that_is_gone() -> None:
    """A payload whose log was removed is a loss, a record without payload too, and neither is an error."""
    gone = Record("inductor_output_code", {}, narrated.envelope(), Gone())
    rows, lost = narrated.build(kernels, [gone, event("inductor_output_code")])
    assert rows == ()
    assert sorted(what.split(" cannot")[0] for what in lost) == [
        "generated code", "inductor_output_code has no payload", "the payload of inductor_output_code",
    ]  # fmt: skip


@pytest.mark.skipif(not TRACES.is_dir(), reason="the shared trace logs are not there")
def test_kernels_of_a_real_log() -> None:
    """Of a CUDA run with provenance, every kernel has source, nodes and the Dynamo nodes they came from."""
    rows, lost = narrated.build(kernels, read_log(TRACES / "inductor_provenance_jit_cuda_log.txt").records)
    assert lost == ()
    assert [(row.name, row.language, row.node_names, row.origin_names) for row in rows[:2]] == [
        (
            "triton_poi_fused_addmm_relu_sigmoid_0",
            "triton",
            ("sigmoid", "relu", "add_tensor_1"),
            ("x_2", "x_1", "x"),
        ),
        ("triton_poi_fused_mul_1", "triton", ("mul",), ("d",)),
    ]
    assert rows[3].name == "extern_kernels.mm"
    assert all(row.source is not None for row in rows[:3])


def test_a_cache_hit_loses_nothing() -> None:
    """The empty provenance records that torch writes on a cache hit are no loss, and damage is counted once, whoever reads it."""
    empty = artifact("inductor_provenance_tracking_node_mappings", None)
    assert narrated.build(kernels, [event("inductor_output_code", {}, CPP), empty])[1] == ()
    damaged = artifact("inductor_provenance_tracking_node_mappings", "{")
    trace = Trace([event("inductor_output_code", {}, CPP), damaged, event("dynamo_output_graph", {}, "")])
    for table in (kernels, output_code, graphs):
        table(trace, Places(trace))
    assert [loss.count for loss in trace.losses.rows()] == [1]
