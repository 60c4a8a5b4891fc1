"""The recorder around real compiles: nested, threaded, interrupted, faulty; and what it leaves behind."""

from __future__ import annotations

import contextlib
import logging
import random
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import pytest
import torch

import compile_inspector as ci
from compile_inspector.errors import InspectorError, NotRecording, RecordingError, StillRecording
from compile_inspector.torch_seams import observe

TRACE = logging.getLogger("torch.__trace")


def double(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def compiled(function=double, **options):
    torch._dynamo.reset()
    return torch.compile(function, backend="eager", **options)


def ids(session: ci.Session) -> list[str]:
    return [row.id for row in session.compiles]


def test_a_session_tells_the_compile_and_the_recompile() -> None:
    """Two sizes give two compiles of one function and one recompile, each triggered by its own line."""
    f = compiled()
    with ci.record("sizes") as recorder:
        f(torch.ones(3))
        f(torch.ones(4))
    session = recorder.session
    assert ids(session) == ["0/0", "0/1"]
    assert [row.frame.function for row in session.compiles] == ["double", "double"]
    assert [row.compile_id for row in session.recompiles] == ["0/1"]
    assert [row.trigger.code for row in session.compiles] == ["f(torch.ones(3))", "f(torch.ones(4))"]
    assert session.losses == ()
    assert session.name == "sizes"


def test_a_session_is_asked_for_at_the_right_time() -> None:
    """Too early, too soon and a second use each have an error of their own; a snapshot is there while recording goes on."""
    recorder = ci.record()
    with pytest.raises(NotRecording):
        _ = recorder.session
    with pytest.raises(NotRecording):
        recorder.snapshot()
    f = compiled()
    with recorder:
        f(torch.ones(3))
        with pytest.raises(StillRecording):
            _ = recorder.session
        early = recorder.snapshot()
        f(torch.ones(4))
    assert ids(early) == ["0/0"]
    assert ids(recorder.session) == ["0/0", "0/1"]
    assert recorder.session is recorder.session
    with pytest.raises(RecordingError), recorder:
        pass


def test_the_snapshot_after_the_end_is_the_session() -> None:
    """After the end, a snapshot equals the session."""
    with ci.record() as recorder:
        compiled()(torch.ones(3))
    assert recorder.snapshot() == recorder.session


def test_inspect_records_one_call_and_keeps_its_result() -> None:
    """`inspect` gives the call's result beside what it compiled."""
    session = ci.inspect(compiled(), torch.ones(3))
    assert torch.equal(session.result, torch.full((3,), 2.0))
    assert ids(session) == ["0/0"]


def test_recorders_nest_and_each_gets_all_of_its_span() -> None:
    """An inner recorder sees what is compiled within it, the outer one everything, nothing twice."""
    f = compiled()
    with ci.record() as outer:
        f(torch.ones(3))
        with ci.record() as inner:
            f(torch.ones(4))
        f(torch.ones(4).double())
    assert ids(outer.session) == ["0/0", "0/1", "0/2"]
    within = [row for row in inner.session.compiles if not row.recovered]
    assert [row.id for row in within] == ["0/1"]
    outer_guards = [row for row in outer.session.guards if row.compile_id == "0/1"]
    assert outer_guards == [row for row in inner.session.guards if row.compile_id == "0/1"]
    assert outer.session.losses == inner.session.losses == ()


def test_two_threads_record_at_once() -> None:
    """Recorders of two threads overlap; each gets every compile of the process within its own span, none twice."""
    torch._dynamo.reset()
    started, finished = threading.Barrier(2), threading.Barrier(2)
    sessions: dict[int, ci.Session] = {}

    def work(number: int) -> None:
        def body(x: torch.Tensor) -> torch.Tensor:
            return x + number

        f = torch.compile(body, backend="eager")
        with ci.record() as recorder:
            started.wait(60)
            f(torch.ones(3))
            finished.wait(60)
        sessions[number] = recorder.session

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(ids(sessions[1])) == sorted(ids(sessions[2])) == ["0/0", "0/1"]
    assert sessions[1].losses == sessions[2].losses == ()


def test_a_compile_from_before_is_recovered_and_says_what_is_missing() -> None:
    """A recorder attached late still shows the earlier compile, its guards, and that the rest cannot be recovered."""
    f = compiled()
    f(torch.ones(3))
    with ci.record() as recorder:
        f(torch.ones(4))
    session = recorder.session
    first, second = session.compiles
    assert (first.id, first.recovered) == ("0/0", True)
    assert first.missing
    assert (second.id, second.recovered) == ("0/1", False)
    assert any(row.kind == "TENSOR_MATCH" for row in session.guards if row.compile_id == "0/0")
    (recompile,) = session.recompiles
    assert [guard.source for guard in recompile.nearest.failing] == ["L['x'].size()[0]"]


def test_an_id_used_again_after_a_reset_stays_apart() -> None:
    """After `torch._dynamo.reset()` torch counts from 0/0 again; the second one is `0/0#2`."""
    with ci.record() as recorder:
        compiled()(torch.ones(3))
        compiled()(torch.ones(5))
    assert ids(recorder.session) == ["0/0", "0/0#2"]
    assert {row.compile_id for row in recorder.session.guards} >= {"0/0", "0/0#2"}


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_the_program_raises_comes_through_and_nothing_stays(kind: type[BaseException]) -> None:
    """An exception, an interrupt and an exit leave the block unchanged; what was recorded until then is there."""
    before = list(TRACE.handlers)
    recorder = ci.record()

    def program() -> None:
        with recorder:
            compiled()(torch.ones(3))
            raise kind("stop")

    with pytest.raises(kind):
        program()
    assert TRACE.handlers == before
    assert observe._recorders == 0
    assert ids(recorder.session) == ["0/0"]


def test_an_interrupt_in_the_middle_of_a_compile_leaves_nothing_behind() -> None:
    """A backend interrupted by the user raises the interrupt unchanged; the compile shows as failed or unfinished."""

    def backend(graph, inputs):
        raise KeyboardInterrupt

    torch._dynamo.reset()
    before = list(TRACE.handlers)
    recorder = ci.record()
    with pytest.raises(KeyboardInterrupt), recorder:
        torch.compile(double, backend=backend)(torch.ones(3))
    assert TRACE.handlers == before
    assert [row.status for row in recorder.session.compiles] in (["failed"], ["unfinished"])
    assert torch.equal(compiled()(torch.ones(3)), torch.full((3,), 2.0))


def test_a_failing_backend_raises_what_it_raises_without_us() -> None:
    """The error of a backend is the same with and without a recorder, and the session names it."""

    def backend(graph, inputs):
        message = "this backend is broken"
        raise ValueError(message)

    def run() -> str:
        torch._dynamo.reset()
        try:
            torch.compile(double, backend=backend)(torch.ones(3))
        except Exception as error:
            return f"{type(error).__name__}: {str(error).splitlines()[0]}"
        return "nothing raised"

    bare = run()
    with ci.record() as recorder:
        assert run() == bare
    (row,) = recorder.session.compiles
    assert row.status == "failed"
    assert "this backend is broken" in row.error.message


@pytest.mark.parametrize("seam", observe.HOOKS)
def test_a_seam_that_cannot_be_installed_is_a_loss_and_no_more(
    seam: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A seam whose installation fails is counted; the result and the other tables stand."""
    import importlib

    module = importlib.import_module(f"compile_inspector.torch_seams.{seam}")

    def broken(emit, faults):
        message = "planted"
        raise RuntimeError(message)

    monkeypatch.setattr(module, "install", broken)
    f = compiled()
    with ci.record() as recorder:
        assert torch.equal(f(torch.ones(3)), torch.full((3,), 2.0))
        f(torch.ones(4))
    assert ids(recorder.session) == ["0/0", "0/1"]
    assert any(loss.where == seam and "planted" in loss.what for loss in recorder.session.losses)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("seam", observe.HOOKS)
def test_a_seam_this_torch_has_no_place_for_is_named(seam: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a private name is missing the environment says which, instead of an empty table."""
    import importlib

    importlib.import_module("torch._inductor.cudagraph_trees")
    importlib.import_module("torch._inductor.scheduler")  # a part that is not loaded yet is not looked into
    module = importlib.import_module(f"compile_inspector.torch_seams.{seam}")
    monkeypatch.setattr(module, "USES", ("torch._dynamo:no_such_name",))
    with ci.record() as recorder:
        compiled()(torch.ones(3))
    named = dict(recorder.session.environment.seams)
    assert "no_such_name" in named[seam]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("seam", observe.HOOKS)
def test_a_fault_while_a_seam_writes_reaches_nobody(seam: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing facts fails, the user's result is right, torch's own records are all there, and losses count it."""
    import importlib

    module = importlib.import_module(f"compile_inspector.torch_seams.{seam}")
    real = module.install

    def install(emit, faults):
        def failing(name, payload, *, compile_id=None):
            message = f"planted in {name}"
            raise RuntimeError(message)

        return real(failing, faults)

    monkeypatch.setattr(module, "install", install)
    torch._dynamo.reset()
    scale = 1 + random.random()  # a graph that no cache holds
    lowering = ("inductor_partitions", "cudagraph_trees", "kernel_nodes")
    backend = "inductor" if seam in lowering else "eager"
    mode = "reduce-overhead" if seam == "cudagraph_trees" else None
    f = torch.compile(lambda x: x * scale, backend=backend, mode=mode)
    trained = seam == "kernel_nodes"
    with ci.record(provenance=trained) as recorder:
        for size in (3, 4):
            made = f(torch.ones(size, requires_grad=trained))
            torch.testing.assert_close(made.detach(), torch.full((size,), scale))
            if trained:
                made.sum().backward()
    assert ids(recorder.session) == ["0/0", "0/1"]
    assert any("planted" in loss.what for loss in recorder.session.losses)


def test_a_fault_in_the_handler_reaches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that cannot be encoded is counted as lost; the compile goes on."""
    from compile_inspector.recording import live

    def broken(metadata):
        message = "planted"
        raise RuntimeError(message)

    with ci.record() as recorder:
        monkeypatch.setattr(live, "_encode", broken)
        assert torch.equal(compiled()(torch.ones(3)), torch.full((3,), 2.0))
        monkeypatch.undo()
    assert any("planted" in loss.what for loss in recorder.session.losses)


def test_nothing_of_torch_is_kept() -> None:
    """After recording, the compiled module can be freed: a session holds none of it."""

    class Scale(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x).relu()

    torch._dynamo.reset()
    module = Scale()
    with ci.record() as recorder:
        torch.compile(module, backend="eager")(torch.ones(2, 3))
        torch.compile(module, backend="eager")(torch.ones(4, 3))
    gone = weakref.ref(module)
    del module
    torch._dynamo.reset()
    import gc

    gc.collect()
    assert gone() is None
    assert len(recorder.session.compiles) == 2


def test_every_hook_is_taken_back() -> None:
    """Each private name a seam uses is the very object it was before recording."""
    import importlib

    from compile_inspector.torch_seams.probe import lookup

    names = [
        use
        for seam in observe.HOOKS
        for use in importlib.import_module(f"compile_inspector.torch_seams.{seam}").USES
    ]
    before = {name: lookup(name) for name in names}
    with ci.record():
        compiled()(torch.ones(3))
    assert all(lookup(name) is before[name] for name in names)


def test_a_wrapper_put_on_top_of_ours_stays_and_works() -> None:
    """Someone who wraps torch during recording keeps their wrapper; ours below it goes quiet."""
    from torch._dynamo.guards import CheckFunctionManager

    calls = []
    with ci.record():
        inside = CheckFunctionManager.__init__

        def theirs(self, *args, **kwargs):
            calls.append(1)
            return inside(self, *args, **kwargs)

        CheckFunctionManager.__init__ = theirs
    try:
        assert CheckFunctionManager.__init__ is theirs
        assert torch.equal(compiled()(torch.ones(3)), torch.full((3,), 2.0))
        assert calls == [1]
    finally:
        original = inside
        while hasattr(original, "__wrapped__"):
            original = original.__wrapped__
        CheckFunctionManager.__init__ = original


def test_watching_tells_the_phases_as_they_happen() -> None:
    """A listener hears of open phases during a compile and of its end; a listener that raises is a loss, not an error."""
    seen = []

    def broken(progress) -> None:
        message = "planted"
        raise RuntimeError(message)

    with ci.record() as recorder:
        stop = recorder.watch(seen.append)
        stop_broken = recorder.watch(broken)
        compiled()(torch.ones(3))
        stop()
        stop_broken()
        heard = len(seen)
        compiled()(torch.ones(4))
    assert len(seen) == heard
    assert {active.phase for progress in seen for active in progress.active} >= {"dynamo", "bytecode_tracing"}
    assert (seen[-1].compiles, seen[-1].active) == (1, ())
    assert any("planted" in loss.what for loss in recorder.session.losses)


PROGRAM = """
import torch, compile_inspector as ci
def f(x): return x + 1
{body}
"""


def run(body: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    code = PROGRAM.format(body=textwrap.dedent(body))
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **environment},
    )


def test_an_interpreter_that_ends_while_recording_ends_cleanly() -> None:
    """A recorder never left does not disturb the end of the process."""
    done = run(
        "r = ci.record().__enter__(); print(torch.compile(f, backend='eager')(torch.ones(2)).tolist())"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[2.0, 2.0]\n", "")


@pytest.mark.parametrize("also", [False, True])
def test_recording_and_torch_trace_live_side_by_side(tmp_path: Path, also: bool) -> None:
    """With TORCH_TRACE set, torch's log has every fact of ours exactly once, and the session is the same as without."""
    body = """
    with ci.record() as r:
        g = torch.compile(f, backend='eager')
        g(torch.ones(2)); g(torch.ones(3))
    print([c.id for c in r.session.compiles], len(r.session.guards), r.session.losses)
    """
    done = run(body, **({"TORCH_TRACE": str(tmp_path)} if also else {}))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("['0/0', '0/1']")
    assert done.stdout.rstrip().endswith("()")
    if also:
        (log,) = tmp_path.iterdir()
        assert [row.id for row in ci.load(log).compiles] == ["0/0", "0/1"]
        text = log.read_text()
        assert text.count('"compile_inspector.guards"') == 2
        assert text.count('"compile_inspector.recompile"') == 1


def test_a_graph_that_is_not_there_is_answered_with_those_that_are() -> None:
    """Asking for a stage that was not recorded lists the graphs there are."""
    session = ci.inspect(compiled(), torch.ones(3))
    with pytest.raises(InspectorError, match="0/0 dynamo"):
        session.graph(stage="post_grad")


def test_recording_never_raises_when_the_cells_cannot_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault while naming notebook cells is a loss."""
    from compile_inspector.recording.recorder import Recorder

    def broken() -> dict[str, int]:
        message = "planted"
        raise RuntimeError(message)

    with Recorder(name_cells=broken) as recorder, contextlib.suppress(ZeroDivisionError):
        compiled()(torch.ones(3))
    assert any("planted" in loss.what for loss in recorder.recording.tables().losses)
