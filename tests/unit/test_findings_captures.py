"""Findings on CUDA graphs: what has none and why, what is recorded again, each with its line and a fix."""

from __future__ import annotations

from typing import Any

import pytest

from compile_inspector.analyze.findings import judge
from compile_inspector.model.captures import Capture
from compile_inspector.model.findings import Finding, SetConfig
from compile_inspector.model.locations import Location
from factory import MODEL, make_capture, make_compile, make_tables

WRITES = Location(file=MODEL, line=12, function="forward", code="x.add_(1)  # grows")


def found(*rows: Capture) -> list[Finding]:
    tables = make_tables(compiles=[make_compile("0/1")], captures=rows)
    return [one for one in judge(tables).findings if one.kind.startswith("cudagraph")]


def skipped(reason: str, **changes: Any) -> Capture:
    given = {
        "source": "cudagraph_trees",
        "mode": "INFERENCE",
        "event": "skipped",
        "size": None,
        "call_count": 3,
    }
    return make_capture(reason=reason, **(given | changes))


def test_graphs_that_are_captured_and_replayed_are_no_finding() -> None:
    """Nor is what was asked for."""
    asked = skipped("the forward context asks for no graph", event="bypassed")
    assert found(make_capture(), asked) == []


def test_a_mutated_input_names_the_tensor_and_its_line() -> None:
    """The line that writes, the calls that it cost, and a line to paste with the program's own name."""
    (one,) = found(skipped("mutated inputs (1 instances)", location=WRITES))
    assert (one.kind, one.severity, one.count, one.cause) == ("cudagraph-skip", "warning", 3, WRITES)
    assert one.title == "forward has no CUDA graph (3 calls) at model.py:12: mutated inputs (1 instances)"
    assert one.subjects == ("x",)
    assert one.fix.code == "torch._dynamo.mark_static_address(x)"
    assert one.compile_ids == ("0/1",)
    assert one.evidence[-1] == "from model.py:12 (x.add_(1))"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("self.cache[:n] = keys", "self.cache"),
        ("total += x", "total"),
        ("return x * 2", None),
        ("if x == 3:", None),
        (None, None),
    ],
)
def test_the_written_tensor_is_read_off_the_line(code: str | None, name: str | None) -> None:
    """Where the line does not say it, the fix says what to change and pastes nothing."""
    place = Location(file=MODEL, line=12, function="forward", code=code)
    (one,) = found(skipped("mutated inputs (1 instances)", location=place))
    assert one.fix.code == (None if name is None else f"torch._dynamo.mark_static_address({name})")


@pytest.mark.parametrize(
    ("reason", "code", "severity"),
    [
        ("cpu device (arg1_1)", "torch._inductor.config.graph_partition = True", "warning"),
        ("multiple devices: cuda:0, cuda:1", "torch._inductor.config.graph_partition = True", "warning"),
        ("incompatible op aten.nonzero.default", "torch._inductor.config.graph_partition = True", "warning"),
        (
            "graph with symbolic shapes inputs and config.triton.cudagraph_skip_dynamic_graphs=True",
            "torch._inductor.config.triton.cudagraph_skip_dynamic_graphs = False",
            "warning",
        ),
        ("it runs on cpu: torch captures what runs on one CUDA device", None, "note"),
        ("inputs on cpu cannot be captured into a CUDA graph", None, "note"),
        (
            "function 0 exceeding max re-recording limit (=128)",
            "torch.compiler.cudagraph_mark_step_begin()",
            "warning",
        ),
        (
            "L['self'].scale is another tensor than at the capture",
            "with torch.no_grad(): old.copy_(new)",
            "warning",
        ),
        ("the batch is larger than the largest captured size, 8", "applied.capture(sizes=[...])", "note"),
        ("left out: max_capture_seconds=1 was over", "applied.capture(sizes=[...])", "note"),
        ("out of memory: CUDA out of memory.", "applied.capture(sizes=[...], max_pool_bytes=...)", "warning"),
        ("the call needs gradients", "with torch.no_grad():", "warning"),
        (
            "its sizes are not among those of torch._inductor.config.triton.cudagraph_capture_sizes",
            "torch._inductor.config.triton.cudagraph_capture_sizes = None",
            "note",
        ),
        (
            "torch captures no more than 2 of its sizes: torch._inductor.config.triton.cudagraph_dynamic_shape_rerecord_limit",
            "torch._inductor.config.triton.cudagraph_dynamic_shape_rerecord_limit = None",
            "note",
        ),
        ("the moon is full", None, "warning"),
    ],
)
def test_each_reason_has_its_fix(reason: str, code: str | None, severity: str) -> None:
    """A reason that nobody knows has none, and says so."""
    (one,) = found(skipped(reason))
    assert (one.fix.code, one.severity) == (code, severity)
    if reason.startswith("the moon"):
        assert one.fix.note == "no fix is known for this reason"


def test_a_setting_can_be_tried() -> None:
    """A fix that is a setting is there as data too."""
    (one,) = found(skipped("cpu device (arg1_1)"))
    assert one.fix.actions == (SetConfig("torch._inductor.config", "graph_partition", "True"),)


def test_sizes_of_one_reason_are_one_finding() -> None:
    """Four sizes that were left out are told once, with the sizes."""
    rows = [
        make_capture(
            number, size, event="skipped", reason="the capture failed: RuntimeError: no", replay_count=0
        )
        for number, size in enumerate((8, 4, 2, 1), 1)
    ]
    (one,) = found(*rows)
    assert (
        one.title == "Sizes 8, 4, 2 and 1 of forward have no CUDA graph: the capture failed: RuntimeError: no"
    )
    assert one.subjects == ("8", "4", "2", "1")
    assert one.count == 4
    assert (one.fix.code or "").startswith("ci.CompilationConfig(splitting_ops=")


def test_re_recordings_of_one_cause_are_one_finding() -> None:
    """However often the address changed: a count, the time it took, and what keeps addresses."""
    changed = "static input data pointer changed. input name: primals_1. data pointer changed from {} to {}"
    rows = [
        make_capture(n, None, source="cudagraph_trees", event="re-recorded", reason=changed.format(n, n + 1))
        for n in range(1, 4)
    ]
    (one,) = found(*rows)
    assert (one.kind, one.severity, one.count, one.cost_ns) == ("cudagraph-rerecord", "warning", 3, 6_000_000)
    assert one.fix.code == "with torch.no_grad(): old.copy_(new)"


def test_many_sizes_are_a_finding_of_torchs_graphs_alone() -> None:
    """More sizes than torch warns at; sizes that somebody chose to capture are none."""
    rows = [make_capture(n, n, source="cudagraph_trees", mode="INFERENCE") for n in range(1, 10)]
    (one,) = found(*rows)
    assert one.title.startswith("forward was recorded for 9 sizes: 1, 2, 3, 4, 5 and 4 more")
    assert found(*rows[:8]) == []
    assert found(*(make_capture(n, n) for n in range(1, 20))) == []


def test_an_absent_table_is_said_not_to_be_judged() -> None:
    """A log of torch's own cannot tell of graphs."""
    tables = make_tables(captures=None, absent={"captures": "nobody looked"})
    reasons = {one.kind: one.reason for one in judge(tables).unjudged}
    assert reasons["cudagraph-skip"] == "there is no table of captures: nobody looked"
