"""When progress is shown, what it shows, and that it goes."""

from __future__ import annotations

import threading

from compile_inspector.notebook.progress import Watcher
from compile_inspector.recording.progress import ActiveCompile, Progress


def fail(error: Exception) -> None:
    raise AssertionError(error)


IDLE = Progress(compiles=1, active=())


def compiling(started: float, phase: str = "backend_compile") -> Progress:
    return Progress(compiles=0, active=(ActiveCompile(id="0/0", phase=phase, started=started),))


class Screen:
    """Stands for the panel: what was put on it, and when it went."""

    def __init__(self) -> None:
        self.shown: list[Progress] = []
        self.appeared = threading.Event()
        self.closed = False

    def update(self, progress: Progress) -> None:
        self.shown.append(progress)
        self.appeared.set()

    def close(self) -> None:
        self.closed = True


def test_a_state_is_due_when_its_oldest_compile_has_taken_long_enough() -> None:
    """Half a second after the start it is due at once, before that in what is left, between compiles never."""
    now = 100.0
    watcher = Watcher(Screen, after=0.5, lose=fail, clock=lambda: now)
    assert watcher.due_in(compiling(started=100.0)) == 0.5
    assert watcher.due_in(compiling(started=99.75)) == 0.25
    assert watcher.due_in(compiling(started=90.0)) == 0.0
    assert watcher.due_in(IDLE) is None


def test_a_short_compile_is_never_shown() -> None:
    """A compile that ends in time puts nothing on the screen."""
    made: list[Screen] = []
    watcher = Watcher(lambda: made.append(Screen()) or made[-1], after=0.5, lose=fail, clock=lambda: 100.0)
    watcher.take(compiling(started=100.0))
    watcher.take(IDLE)
    watcher.close()
    assert made == []


def test_a_long_compile_is_shown_until_the_recording_ends() -> None:
    """It appears without a further word from the compile, follows its phases, and goes at the end, with its thread."""
    screen = Screen()
    watcher = Watcher(lambda: screen, after=0.5, lose=fail, clock=lambda: 100.5)
    watcher.take(compiling(started=100.0))
    assert screen.appeared.wait(30)
    screen.appeared.clear()
    watcher.take(compiling(started=100.0, phase="inductor_compile"))
    assert screen.appeared.wait(30)
    watcher.close()
    assert screen.shown[0].active[0].phase == "backend_compile"
    assert screen.shown[-1].active[0].phase == "inductor_compile"
    assert screen.closed
    assert not any("compile_inspector" in thread.name for thread in threading.enumerate())


def test_no_thread_is_started_where_nothing_compiles() -> None:
    """A recording without a compile costs no thread."""
    before = threading.active_count()
    watcher = Watcher(Screen, after=0.5, lose=fail)
    watcher.take(IDLE)
    assert threading.active_count() == before
    watcher.close()


def test_a_fault_of_the_screen_is_counted_and_goes_no_further() -> None:
    """Where showing fails the compile and the end of the recording know nothing of it."""
    lost: list[Exception] = []
    told = threading.Event()

    def broken() -> Screen:
        raise OSError("no screen")

    watcher = Watcher(
        broken, after=0.0, lose=lambda error: (lost.append(error), told.set()), clock=lambda: 100.0
    )
    watcher.take(compiling(started=100.0))
    assert told.wait(30)
    watcher.take(compiling(started=100.0))
    watcher.close()
    assert [str(error) for error in lost] == ["no screen"]


def test_a_terminal_shows_no_progress(shell, run) -> None:
    """Outside a notebook nothing is displayed while a compile goes on, however short the delay."""
    run("%config CompileInspector.progress_after = 0")
    run("%config CompileInspector.show = 'none'")
    ran = run("%%inspect\nimport torch\n_ = torch.compile(lambda x: x + 1, backend='eager')(torch.ones(3))")
    assert (ran.error, ran.displayed, ran.text) == (None, [], "")
