"""``%inspector on``: every cell is recorded, and says in one line what it compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import ExitStack

    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

    from compile_inspector.api import Recorder, Session
    from compile_inspector.notebook.magics import CompileInspector


class Watch:
    """Records each cell of a shell between `start` and `stop`.

    A cell that another one runs is part of it, and a cell that records itself with ``%%inspect`` gets no line.
    """

    def __init__(self, shell: InteractiveShell, magics: CompileInspector) -> None:
        self._shell = shell
        self._magics = magics
        self._on = False
        self._cell: ExecutionInfo | None = None
        self._recorder: Recorder | None = None
        self._open: ExitStack | None = None
        self.cells = 0
        self.compiles = 0

    def start(self) -> None:
        """Records from the next cell on."""
        if not self._on:
            self._shell.events.register("pre_run_cell", self._begin)
            self._shell.events.register("post_run_cell", self._end)
            self._on = True

    def stop(self) -> None:
        """Records no more, the running cell included."""
        if self._on:
            self._shell.events.unregister("pre_run_cell", self._begin)
            self._shell.events.unregister("post_run_cell", self._end)
            self._on = False
        self._close()

    def reset(self) -> None:
        """As `stop`, and the counts start anew."""
        self.stop()
        self.cells = self.compiles = 0

    def status(self) -> str:
        """One line for the user."""
        from compile_inspector.views.words import count

        state = "on" if self._on else "off"
        return f"inspector {state}: {count(self.cells, 'cell')} recorded, {count(self.compiles, 'compile')}"

    def _begin(self, info: ExecutionInfo) -> None:
        if self._cell is not None and not info.store_history:
            return
        self._close()
        if (info.raw_cell or "").lstrip().startswith("%%inspect"):
            return
        from contextlib import ExitStack

        from compile_inspector.api import record
        from compile_inspector.notebook.progress import live_progress

        recorder = record(provenance=self._magics.provenance)
        with ExitStack() as stack:
            stack.enter_context(recorder)
            stack.enter_context(live_progress(recorder, self._magics))
            self._open = stack.pop_all()
        self._recorder, self._cell = recorder, info

    def _end(self, result: ExecutionResult) -> None:
        if self._cell is None or result.info is not self._cell:
            return
        recorder = self._recorder
        self._close()
        self.cells += 1
        if recorder is not None and (here := _compiled(recorder.session)):
            self.compiles += here
            self._magics.keep(recorder.session)
            badge(recorder.session)

    def _close(self) -> None:
        opened, self._open, self._recorder, self._cell = self._open, None, None, None
        if opened is not None:
            opened.close()


def _compiled(session: Session) -> int:
    return sum(not one.recovered for one in session.compiles)


def badge(session: Session) -> None:
    """Displays one line about a session."""
    from IPython.display import display

    text = badge_text(session)
    display({"text/plain": text, "text/html": _html(text)}, raw=True)


def badge_text(session: Session) -> str:
    """``2 compiles in 1.24 s, 1 recompile, 1 graph break · _session``."""
    from compile_inspector.notebook.magics import DEFAULT_NAME
    from compile_inspector.views.words import count, duration

    new = [one for one in session.compiles if not one.recovered]
    spent = sum(one.elapsed_ns or 0 for one in new)
    parts = [f"{count(len(new), 'compile')} in {duration(spent)}"]
    for rows, noun in (
        (session.recompiles, "recompile"),
        (session.graph_breaks, "graph break"),
        (session.losses, "loss"),
    ):
        if rows:
            parts.append(count(len(rows), noun, "losses" if noun == "loss" else None))
    failed = sum(one.status == "failed" for one in new)
    if failed:
        parts.append(f"{failed} failed")
    return f"{', '.join(parts)} · {DEFAULT_NAME}"


def _html(text: str) -> str:
    from html import escape

    style = "font-size:12px;opacity:.75;border-left:3px solid #8884;padding-left:8px"
    return f'<div style="{style}">{escape(text)}</div>'
