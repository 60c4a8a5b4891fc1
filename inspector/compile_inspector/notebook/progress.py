"""Shows what a long compile is doing, while it goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from compile_inspector.notebook.show import in_notebook
from compile_inspector.torch_seams.observe import FAULTS

if TYPE_CHECKING:
    from compile_inspector.api import Recorder
    from compile_inspector.notebook.settings import Settings
    from compile_inspector.recording.progress import Progress

_PERIOD = 0.1
_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Shown(Protocol):
    """Progress on the screen."""

    def update(self, progress: Progress) -> None:
        """Shows a new state; called on the watching thread only."""

    def close(self) -> None:
        """Takes it off the screen."""


@contextmanager
def live_progress(recorder: Recorder, settings: Settings) -> Generator[None]:
    """Shows the progress of a recorder's long compiles within the ``with`` block, in a notebook; a terminal stays as it is.

    What is shown goes when the block ends, so that a cell's saved output does not depend on how long a compile took.
    """
    if not settings.progress or not in_notebook(settings.ip):
        yield
        return
    watcher = Watcher(
        Panel, after=settings.progress_after, lose=lambda error: FAULTS.count("progress", error)
    )
    stop = recorder.watch(watcher.take)
    try:
        yield
    finally:
        stop()
        watcher.close()


class Watcher:
    """Decides when progress is shown: once a compile has taken ``after`` seconds, on a thread of its own.

    The compiling thread only leaves its newest state here; no thread exists before the first compile.

    Args:
        make: Puts progress on the screen.
        after: Seconds.
        lose: Told of a fault in showing it; the recording goes on.
        clock: Seconds, of the same origin as the `started` of a compile.
    """

    def __init__(
        self,
        make: Callable[[], Shown],
        *,
        after: float,
        lose: Callable[[Exception], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._after = after
        self._lose = lose
        self._clock = clock
        self._latest: Progress | None = None
        self._changed = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def take(self, progress: Progress) -> None:
        """Takes a new state, on the compiling thread."""
        self._latest = progress
        self._changed.set()
        if self._thread is None and progress.active and not self._closed:
            self._thread = threading.Thread(target=self._run, name="compile_inspector progress", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ends the thread, and takes what is shown off the screen."""
        self._closed = True
        self._changed.set()
        if self._thread is not None:
            self._thread.join()

    def due_in(self, progress: Progress) -> float | None:
        """Seconds until this state is to be shown; None where nothing is going on."""
        if not progress.active:
            return None
        oldest = min(one.started for one in progress.active)
        return max(oldest + self._after - self._clock(), 0.0)

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # noqa: BLE001 - a line on the screen is not worth a fault in the user's cell
            self._lose(error)

    def _follow(self) -> None:
        shown: Shown | None = None
        try:
            while not self._closed:
                self._changed.clear()
                latest = self._latest
                due = None if latest is None else self.due_in(latest)
                if shown is None and due == 0.0:
                    shown = self._make()
                if shown is not None and latest is not None:
                    shown.update(latest)
                    due = _PERIOD if latest.active else None
                if not self._closed:
                    self._changed.wait(due)
        finally:
            if shown is not None:
                shown.close()


class Panel:
    """One line of a cell's output that follows a compile, and goes when it has ended.

    Its output holds nothing but the widget, so that tests of notebooks, which pass over widgets, see the same outputs however long a
    compile took.
    """

    def __init__(self) -> None:
        from uuid import uuid4

        from compile_inspector.views.widget import ProgressWidget

        self._widget = ProgressWidget()
        self._display_id = uuid4().hex
        model = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
        self._publish({_WIDGET_VIEW: model}, update=False)

    def update(self, progress: Progress) -> None:
        """Shows what is compiled, the oldest compile first."""
        oldest = min(progress.active, key=lambda one: one.started, default=None)
        self._widget.update(
            compiles=progress.compiles,
            active=oldest and oldest.id,
            phase=oldest and oldest.phase,
            elapsed_ns=0 if oldest is None else round((time.monotonic() - oldest.started) * 1e9),
        )

    def say(self, text: str, value: int, total: int) -> None:
        """Shows a line of other work, and how much of it is done."""
        self._widget.say(text, value=value, total=total)

    def close(self) -> None:
        """Empties the output and lets the widget go."""
        self._publish({}, update=True)
        self._widget.close()

    def _publish(self, data: dict[str, object], *, update: bool) -> None:
        from IPython.display import publish_display_data

        publish_display_data(data, transient={"display_id": self._display_id}, update=update)
