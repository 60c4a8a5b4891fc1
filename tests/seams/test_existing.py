"""What is read of compiles from before a recording."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from compile_inspector.recording.fold import Trace
from compile_inspector.recording.live import Catcher, records
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.guards import guards
from compile_inspector.torch_seams import existing as seam
from compile_inspector.torch_seams import observe


def scaled(x, k):
    return torch.relu(x) * k


def told() -> Trace:
    """What a recorder that enters now would say of the compiles before it."""
    catcher = Catcher(lambda error: pytest.fail(str(error)))
    for envelope, fact in observe.existing():
        artifact = {"name": "compile_inspector.existing", "encoding": "json"}
        catcher.add("artifact", artifact, fact, envelope)
    return Trace(records(catcher.raw))


def test_each_compile_that_torch_holds_is_told() -> None:
    """Two entries of one function are two compiles, with place, backend, measurements, guards and what cannot be recovered."""
    torch._dynamo.reset()
    f = torch.compile(scaled, backend="eager")
    f(torch.ones(3), 2)
    f(torch.ones(3), 3)
    first, second = seam.existing()
    assert (first["id"], second["id"]) == ("0/0", "0/1")
    assert (first["function"], first["file"]) == ("scaled", __file__)
    assert first["line"] == scaled.__code__.co_firstlineno
    assert first["backend"] == "eager"
    assert first["metrics"]["co_name"] == "scaled"
    assert first["metrics"]["guard_count"] > 5
    assert "L['k'] == 2" in first["guards"]
    assert "graphs" in first["missing"]


def test_guards_from_before_have_rows_and_the_users_lines() -> None:
    """The table of guards has the recovered compile's checks, with the line that torch kept of each."""
    torch._dynamo.reset()
    torch.compile(scaled, backend="eager")(torch.ones(3), 2)
    recording = told()
    rows = guards(recording, Places(recording))
    assert {row.compile_id for row in rows} == {"0/0"}
    number = next(row for row in rows if row.source == "L['k']")
    assert number.expr == "L['k'] == 2"
    assert number.location is not None
    assert (number.location.file, number.location.code) == (__file__, "return torch.relu(x) * k")
    assert number.dropped is None
    assert recording.losses.rows() == ()


def test_after_a_reset_nothing_is_told() -> None:
    """`torch._dynamo.reset` takes the entries away, and with them what can be told."""
    torch.compile(scaled, backend="eager")(torch.ones(3), 2)
    torch._dynamo.reset()
    assert seam.existing() == []


def test_forgotten_measurements_are_said_to_be_missing() -> None:
    """Where torch has forgotten the measurements, metrics is None and the row says so."""
    torch._dynamo.reset()
    torch.compile(scaled, backend="eager")(torch.ones(3), 2)
    torch._dynamo.utils.clear_compilation_metrics()
    (only,) = seam.existing()
    assert only["metrics"] is None
    assert only["missing"].endswith("torch no longer holds its timings")


def test_reading_keeps_nothing_alive() -> None:
    """A module that was read of is freed with the last of the user's references, and its printed tree forgotten by the next reading."""
    torch._dynamo.reset()
    net = torch.nn.Linear(2, 2)
    torch.compile(net, backend="eager")(torch.ones(1, 2))
    assert len(seam.existing()) == 1
    gone = weakref.ref(net)
    torch._dynamo.reset()
    del net
    gc.collect()
    assert gone() is None
    assert seam.existing() == []
    assert len(seam._printed) == 0


def test_the_parts_around_a_graph_break_are_told_by_their_frames() -> None:
    """A function with a graph break has an entry for the part before it and one for the part after."""
    torch._dynamo.reset()

    def broken(x):
        x = x + 1
        torch._dynamo.graph_break()
        return x * 2

    torch.compile(broken, backend="eager")(torch.ones(3))
    found = seam.existing()
    assert [one["id"] for one in found] == ["0/0", "1/0"]
    assert found[1]["function"].startswith("torch_dynamo_resume_in_broken")
