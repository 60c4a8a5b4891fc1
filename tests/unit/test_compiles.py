"""The table of compiles."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from compile_inspector.model.compiles import Compile
from compile_inspector.model.records import Loss, Record
from compile_inspector.model.text import HeldText
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.compiles import compiles
from compile_inspector.recording.trace_file import read_log

DATA = Path(__file__).parents[1] / "data"
FOREIGN = Path(__file__).parents[3] / "shared" / "traces"


@cache
def log_of(name: str) -> tuple[Record, ...]:
    return tuple(read_log(DATA / f"{name}.log.gz").records)


def built(records: Iterable[Record]) -> tuple[dict[str, Compile], tuple[Loss, ...]]:
    trace = Trace(records)
    rows = compiles(trace, Places(trace))
    return {row.id: row for row in rows}, trace.losses.rows()


def part_of(name: str, compile_id: str) -> list[Record]:
    """One compile's records, and torch's table of file names."""
    records = log_of(name)
    return [r for r in records if r.event == "str"] + Trace(records).compiles[compile_id].records


def rows_of(name: str) -> dict[str, Compile]:
    rows, losses = built(log_of(name))
    assert losses == ()
    return rows


def record(
    event: str,
    body: Any = None,
    payload: Any = None,
    frame: int | None = 0,
    count: int | None = 0,
    **envelope: Any,
) -> Record:
    ids = {"frame_id": frame, "frame_compile_id": count} if frame is not None else {}
    text = payload if isinstance(payload, str) or payload is None else json.dumps(payload)
    return Record(
        event, {} if body is None else body, {**ids, **envelope}, None if text is None else HeldText(text)
    )


def phase(name: str, kind: str, time_us: float, **envelope: Any) -> Record:
    return record("chromium_event", payload={"name": name, "ph": kind, "ts": time_us, "tid": 0}, **envelope)


def test_each_compile_is_a_row_with_its_outcome() -> None:
    """Success, failure, an interrupt and a skipped frame are told apart; a compile id used again after a reset is a row of its own."""
    assert {key: row.status for key, row in rows_of("recompiles").items()} == {
        "0/0": "ok",
        "0/1": "ok",
        "0/2": "ok",
        "1/0": "ok",
        "2/0": "ok",
        "3/0": "failed",
        "4/0": "skipped",
        "5/0": "failed",
        "6/0": "failed",
        "7/0": "ok",
        "7/1": "ok",
        "7/2": "failed",
        "0/0#2": "ok",
    }


def test_a_row_says_what_was_compiled_and_what_called_it() -> None:
    """The frame is the compiled function at its first line; the trigger is the user's call, not a line of torch."""
    row = rows_of("recompiles")["0/1"]
    assert row.frame is not None
    assert row.trigger is not None
    assert (row.frame.function, str(row.frame.location)) == ("forward", "/home/user/recompiles.py:12")
    assert (str(row.trigger), row.trigger.code) == (
        "/home/user/recompiles.py:51",
        "net(torch.randn(size, 8))",
    )


def test_counts_and_times_are_torchs_own() -> None:
    """Guards, nodes, start and duration come from the compile's metrics."""
    records = log_of("recompiles")
    metrics = next(r.body for r in records if r.event == "compilation_metrics" and r.compile_id == "0/1")
    row = rows_of("recompiles")["0/1"]
    assert (
        (row.guard_count, row.node_count) == (metrics["guard_count"], metrics["graph_node_count"]) == (52, 13)
    )
    assert row.elapsed_ns == metrics["duration_us"] * 1000
    assert row.start_ns is not None
    assert 0 <= metrics["start_time_us"] * 1000 - row.start_ns < 10_000_000
    assert row.missing is None


def test_phases_are_nested_spans_in_order() -> None:
    """Each phase lies within the one it is nested in."""
    phases = rows_of("training")["0/0"].phases
    assert [(p.name, p.depth) for p in phases[:5]] == [
        ("dynamo", 0),
        ("entire_frame_compile", 1),
        ("compile_attempt_0", 2),
        ("bytecode_tracing", 3),
        ("insert_deferred_runtime_asserts", 3),
    ]
    assert ("aot_trace_joint_graph", 5) in [(p.name, p.depth) for p in phases]
    assert [p.start_ns for p in phases] == sorted(p.start_ns for p in phases)
    whole, inner = phases[0], phases[1]
    assert whole.start_ns == 0
    assert inner.start_ns + inner.elapsed_ns <= whole.elapsed_ns
    assert "entire_backward_compile" in {p.name for p in phases}


def test_a_graph_break_costs_an_attempt() -> None:
    """The attempt that was thrown away is there with its reason; the phases of both attempts are."""
    row = rows_of("recompiles")["1/0"]
    assert row.attempts == 2
    assert [restart.attempt for restart in row.restarts] == [0]
    assert row.restarts[0].reason.startswith("Failed to trace builtin operator")
    assert {"compile_attempt_0", "compile_attempt_1"} <= {p.name for p in row.phases}


def test_a_failure_names_the_users_line() -> None:
    """Of an error of tracing: its type, torch's words, and the line of the user's code with its text."""
    error = rows_of("recompiles")["3/0"].error
    assert error is not None
    assert error.type == "Unsupported"
    assert error.message.startswith("Failed to trace builtin operator")
    assert error.location is not None
    assert (str(error.location), error.location.function) == ("/home/user/recompiles.py:25", "untraceable")
    assert error.location.code == 'print("not in one graph")'


def test_a_failing_backend_and_an_interrupt_are_failures() -> None:
    """A backend's exception is quoted; where torch gives no reason the row says so."""
    rows = rows_of("recompiles")
    backend, interrupt = rows["5/0"].error, rows["6/0"].error
    assert backend is not None
    assert interrupt is not None
    assert (backend.type, backend.message) == (
        "BackendCompilerFailed",
        "backend='broken' raised:\nRuntimeError: the backend gave up",
    )
    assert interrupt.type == "Interrupted"


def test_the_frame_beyond_the_recompile_limit_is_that_of_the_compiles_before() -> None:
    """Of that one torch writes no frame; the frame id tells it."""
    rows = rows_of("recompiles")
    assert rows["7/2"].frame == rows["7/1"].frame
    assert rows["7/2"].error is not None
    assert rows["7/2"].error.message.startswith("Dynamo recompile limit exceeded")


def test_cache_lookups_are_listed() -> None:
    """One text a lookup, in order."""
    rows = rows_of("caches")
    assert rows["0/0"].caches == ("aot_autograd: miss", "fx_graph: miss")
    assert rows["0/0#2"].caches == ("fx_graph: hit", "aot_autograd: hit")


def test_compiled_autograd_has_a_row_of_its_own() -> None:
    """``!0`` is the graph of the backward; the frame compiled from it is ``!0/1/0``."""
    rows = rows_of("training")
    assert list(rows) == ["0/0", "0/1", "0/0#2", "!0", "!0/1/0"]
    assert (rows["!0"].status, rows["!0"].frame, rows["!0"].missing) == ("ok", None, None)
    assert rows["!0/1/0"].status == "ok"


def test_a_recording_that_ends_inside_a_compile_has_an_unfinished_row() -> None:
    """Its phases that have not ended last until the last event; nothing is counted as lost."""
    records = part_of("training", "0/0")
    end = next(i for i, r in enumerate(records) if r.event == "aot_joint_graph")
    rows, losses = built(records[:end])
    row = rows["0/0"]
    assert (row.status, row.error, row.elapsed_ns, row.guard_count, losses) == (
        "unfinished",
        None,
        None,
        None,
        (),
    )
    assert row.node_count == rows_of("training")["0/0"].node_count
    assert row.phases[0].elapsed_ns == max(p.start_ns + p.elapsed_ns for p in row.phases)
    assert row.trigger == rows_of("training")["0/0"].trigger


def test_without_metrics_a_finished_compile_is_read_from_its_other_records() -> None:
    """A log whose metrics line is damaged still gives times, counts and the frame."""
    whole = rows_of("training")["0/0"]
    rows, _ = built(r for r in part_of("training", "0/0") if "metrics" not in r.event)
    row = rows["0/0"]
    assert (row.status, row.missing) == ("ok", "torch's record of the compile's metrics is not there")
    assert row.node_count == whole.node_count
    assert row.guard_count is not None
    assert row.guard_count > 20
    assert row.frame is not None
    assert whole.frame is not None
    assert (row.frame.function, row.frame.location.line) == (whole.frame.function, whole.frame.location.line)
    assert row.elapsed_ns is not None
    assert whole.elapsed_ns is not None
    assert abs(row.elapsed_ns - whole.elapsed_ns) < whole.elapsed_ns // 10


def test_a_failure_without_metrics_is_read_from_the_traceback() -> None:
    """``dynamo_error`` has the type, the words and the user's line too."""
    rows, _ = built(r for r in part_of("recompiles", "3/0") if "metrics" not in r.event)
    error = rows["3/0"].error
    assert rows["3/0"].status == "failed"
    assert error is not None
    assert error.type.endswith("Unsupported")
    assert error.location is not None
    assert str(error.location) == "/home/user/recompiles.py:25"


def test_a_backward_whose_forward_was_before_the_recording() -> None:
    """Such a row says what is missing of it; its time is the backward's."""
    records = part_of("training", "0/0")
    start = next(i for i, r in enumerate(records) if r.event == "compilation_metrics")
    rows, losses = built(records[start + 2 :])
    row = rows["0/0"]
    assert (row.status, row.frame, row.trigger, losses) == ("ok", None, None, ())
    assert row.missing is not None
    assert "before the recording began" in row.missing
    body = next(r.body for r in records if r.event == "bwd_compilation_metrics")
    assert row.elapsed_ns == body["duration_us"] * 1000


EXISTING = {
    "id": "0/0",
    "function": "forward",
    "file": "/home/user/model.py",
    "line": 12,
    "backend": "eager",
    "guards": "\nTREE_GUARD_MANAGER:\n+- RootGuardManager\n| +- GLOBAL_STATE: ___check_global_state()\n| +- GuardManager: source=L['x']\n| | +- TENSOR_MATCH: check\n",
    "metrics": {"graph_node_count": 7, "start_time_us": 1_700_000_000_000_000, "duration_us": 2500},
    "objects": {},
    "missing": "its graphs and the users' stacks of its guards",
}


def test_a_compile_from_before_the_recording_is_marked() -> None:
    """What torch still held of it is there, and what is missing is said."""
    rows, losses = built([record("artifact", {"name": "compile_inspector.existing"}, EXISTING)])
    row = rows["0/0"]
    assert row.frame is not None
    assert (row.status, row.recovered, row.missing) == (
        "ok",
        True,
        "its graphs and the users' stacks of its guards",
    )
    assert (row.frame.function, str(row.frame.location)) == ("forward", "/home/user/model.py:12")
    assert (row.guard_count, row.node_count, row.elapsed_ns, losses) == (2, 7, 2_500_000, ())
    assert row.start_ns == 1_700_000_000_000_000_000


def test_a_new_compile_does_not_mix_with_one_from_before_the_recording() -> None:
    """After a reset torch uses the id again."""
    records = [
        record("artifact", {"name": "compile_inspector.existing"}, EXISTING),
        *(r for r in log_of("recompiles") if r.compile_id == "0/0"),
    ]
    rows, _ = built(records)
    assert [(row.id, row.recovered) for row in rows.values()] == [
        ("0/0", True),
        ("0/0#2", False),
        ("0/0#3", False),
    ]


def test_phases_of_a_hand_made_compile() -> None:
    """Ends are paired by name, also where threads interleave them; an end without a beginning is passed over."""
    rows, losses = built(
        [
            phase("stray", "E", 5),
            phase("dynamo", "B", 10),
            phase("a", "B", 20),
            phase("b", "B", 30),
            phase("a", "E", 40),
            phase("b", "E", 60),
            phase("x", "i", 61),
            phase("dynamo", "E", 70),
        ]
    )
    found = [(p.name, p.start_ns, p.elapsed_ns, p.depth) for p in rows["0/0"].phases]
    assert found == [("dynamo", 0, 60_000, 0), ("a", 10_000, 20_000, 1), ("b", 20_000, 30_000, 2)]
    assert losses == ()


@pytest.mark.parametrize(
    "payload",
    [
        "{",
        "[]",
        '{"name": "dynamo"}',
        '{"name": 1, "ph": "B", "ts": 1}',
        '{"name": "x", "ph": "B", "ts": "soon"}',
        '{"name": "x", "ph": "B", "ts": 1, "args": ' + "[" * 100_000,
        '{"name": "\ud800", "ph": "B", "ts": 1}',
    ],
    ids=range(7),
)
def test_a_damaged_phase_is_a_loss(payload: str) -> None:
    """The other phases are there."""
    rows, losses = built(
        [phase("dynamo", "B", 1), record("chromium_event", payload=payload), phase("dynamo", "E", 2)]
    )
    assert [p.name for p in rows["0/0"].phases] == ["dynamo"]
    assert [loss.count for loss in losses] == [1]
    assert losses[0].what.startswith("a phase of a compile cannot be read")


@pytest.mark.parametrize("value", [None, "x", -1, 1e300, [], {}, True, {"guard_count": []}])
def test_metrics_of_the_wrong_type_are_as_good_as_none(value: Any) -> None:
    """A field that is not what torch writes is not believed; nothing is raised for it."""
    real = next(r for r in log_of("recompiles") if r.event == "compilation_metrics" and r.compile_id == "0/0")
    for key in real.body:
        rows, _ = built(
            [
                record("compilation_metrics", real.body | {key: value}),
                record("bwd_compilation_metrics", value),
            ]
        )
        row = rows["0/0"]
        assert msgspec.convert(msgspec.to_builtins(row), Compile) == row, key
        if key in {"guard_count", "graph_node_count"}:
            assert None in (row.guard_count, row.node_count)


@pytest.mark.skipif(not FOREIGN.is_dir(), reason="the logs recorded elsewhere are not here")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("simple.log", ("0/0", "ok", "forward", "test_torchinductor.py:11160", 49, 5, 1659332608)),
        ("comp_failure.log", ("0/0", "failed", "fn", "test_misc.py:10765", None, 3, 157247744)),
        ("inductor_provenance_jit_cuda_log.txt", ("0/0", "ok", "forward", "aot.py:61", 53, 13, 8540315000)),
    ],
)
def test_compiles_of_other_torches(name: str, expected: tuple[Any, ...]) -> None:
    """Logs of early torch give the same rows; where metrics have no time it is that of the phases."""
    rows, losses = built(read_log(FOREIGN / name).records)
    row = next(iter(rows.values()))
    assert row.frame is not None
    assert row.trigger is not None
    found = (
        row.id,
        row.status,
        row.frame.function,
        row.trigger.short,
        row.guard_count,
        row.node_count,
        row.elapsed_ns,
    )
    assert (found, losses) == (expected, ())
