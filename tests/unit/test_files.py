"""The table of traced files from records made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.breaks import graph_breaks
from compile_inspector.recording.tables.dims import dims
from compile_inspector.recording.tables.files import traced_files
from compile_inspector.recording.tables.symbols import specializations, symbols
from compile_inspector.recording.trace_file import read_log
from narrated import MODEL, TORCH, artifact, build, event, fact

TRACES = Path(__file__).parents[2] / "../shared/traces"


def test_facts_of_several_compiles_are_merged() -> None:
    """Functions are joined and sorted, counts added, ids in order; the last hash stands."""
    records = [
        fact("traced_files", [[MODEL, ["forward", "twice"], 2, "aa"], ["/b.py", ["g"], 1, None]]),
        fact("traced_files", [[MODEL, ["attend"], 3, "bb"]], at="0/1"),
    ]
    rows, lost = build(traced_files, records)
    assert lost == ()
    assert [
        (row.file, row.functions, row.inline_count, row.content_hash, row.compile_ids) for row in rows
    ] == [
        (MODEL, ("attend", "forward", "twice"), 5, "bb", ("0/0", "0/1")),
        ("/b.py", ("g",), 1, None, ("0/0",)),
    ]


def test_a_cell_is_shown_by_its_number() -> None:
    """The temporary file of a notebook cell is shown as `In [n]`."""
    (row,), _ = build(
        traced_files,
        [
            fact("cells", {"/tmp/ipykernel_7/3.py": 2}),
            fact("traced_files", [["/tmp/ipykernel_7/3.py", ["f"], 0, "cc"]]),
        ],
    )
    assert row.file == "In [2]"


def test_a_foreign_log_gives_the_graphs_lines() -> None:
    """The user's files that the graph and the frame name, without torch's; functions made to go on after a break have their own name."""
    graph = f"""\
class GraphModule(torch.nn.Module):
         # File: {MODEL}:34 in forward, code: h = x.view(x.shape[0], -1)
        h = l_x_.view(4, -1)
         # File: /b.py:3 in torch_dynamo_resume_in_norm_at_2, code: return h * 2
        k = h * 2
         # File: {TORCH.replace("convert_frame", "external_utils")}:9 in wrapper, code: return fn()
"""
    records = [
        event("dynamo_output_graph", {}, graph),
        event("compilation_metrics", {"co_filename": "/c.py", "co_name": "main"}),
    ]
    rows, lost = build(traced_files, records)
    assert lost == ()
    assert [(row.file, row.functions, row.inline_count, row.content_hash) for row in rows] == [
        ("/c.py", ("main",), 0, None),
        (MODEL, ("forward",), 0, None),
        ("/b.py", ("norm",), 0, None),
    ]


@pytest.mark.parametrize("payload", ["{", "{}", '[["/a.py"]]', '[["/a.py", ["f"], "two", null]]'])
def test_a_damaged_fact_is_a_loss(payload: str) -> None:
    """A fact that cannot be read is counted, and the graph's lines serve instead."""
    graph = event("dynamo_output_graph", {}, f"# File: {MODEL}:3 in forward, code: x")
    rows, lost = build(traced_files, [artifact("compile_inspector.traced_files", payload), graph])
    assert [row.file for row in rows] == [MODEL]
    assert len(lost) == 1


@pytest.mark.parametrize(
    "name",
    [
        "simple.log",
        "simple_corrupted_json.log",
        "comp_failure.log",
        "cache_hit_miss.log",
        "export.log",
        "inductor_provenance_jit_cuda_log.txt",
        "multi_rank/dedicated_log_torch_trace_rank_1.log",
    ],
)
def test_logs_of_other_people(name: str) -> None:
    """Real logs of several versions of torch give rows for inputs and files wherever they describe any, and no loss of ours."""
    path = TRACES / name
    if not path.exists():
        pytest.skip("the folder of shared traces is not part of a checkout")
    log = read_log(path)
    trace = Trace(log.records, path=str(path))
    places = Places(trace)
    before = len(trace.losses.rows())
    tables = {
        table.__name__: table(trace, places)
        for table in (dims, symbols, specializations, graph_breaks, traced_files)
    }
    assert len(trace.losses.rows()) == before
    described = any(record.event == "describe_source" for record in log.records)
    assert bool(tables["dims"]) == described
    assert all(row.verdict == "static" for row in tables["dims"])
    assert bool(tables["traced_files"]) == any(
        record.event == "dynamo_output_graph" for record in log.records
    )
