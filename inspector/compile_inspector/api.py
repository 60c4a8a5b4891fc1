"""What users hold: `record`, `inspect`, `load`, and the `Session` they give."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compile_inspector.errors import InspectorError
from compile_inspector.model import recompiles as model
from compile_inspector.model.environment import Environment
from compile_inspector.model.findings import Judgement, Unjudged
from compile_inspector.model.records import Record
from compile_inspector.model.tables import Builder, Tables
from compile_inspector.recording import recorder as recorders
from compile_inspector.views.cells import cell_numbers

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from compile_inspector.analyze.why import Subject
    from compile_inspector.model.chains import Chain, Diff
    from compile_inspector.model.findings import Finding
    from compile_inspector.trials import Trial
    from compile_inspector.views.graph_view import GraphView


class Recompile(model.Recompile, frozen=True, dict=True):
    """A recompile of a session, which can say how the two compiles differ."""

    def diff(self) -> Diff:
        """What differs between the nearest earlier entry and this compile: guards, symbols, dimensions, graph, kernels.

        Raises:
            InspectorError: No earlier entry is recorded, or the session is gone.
        """
        session: Session | None = self.__dict__["_session"]()
        if session is None:
            msg = f"the session that {self.compile_id} belongs to is gone: use session.diff(recompile)"
            raise InspectorError(msg)
        return session.diff(self)


class Session(Tables):
    """One recording: its tables, and what can be done with them.

    Tables are tuples of frozen values, read by name (``session.guards``); each is built when it is first read. In a notebook a session
    shows itself; ``print(session)`` gives its summary as text.

    Attributes:
        name: What it was called when recorded, or the log's file name; None where it has no name.
        result: What the inspected call returned (`inspect`); None otherwise. Never saved.
    """

    def __init__(
        self,
        tables: Callable[[], Tables],
        records: Callable[[], Sequence[Record]],
        *,
        name: str | None = None,
        result: Any = None,
    ) -> None:
        builders: dict[str, Builder] = {table: partial(_read, tables, table) for table in Tables.names()}
        builders["recompiles"] = lambda: _bound(tables().read("recompiles"), self)
        builders["findings"] = lambda: self.judgement.findings
        builders["losses"] = lambda: (*tables().losses, *self.judgement.losses)
        super().__init__(builders)
        self._tables = tables
        self._judgement: Judgement | None = None
        self._records = records
        self.name = name
        self.result = result

    @property
    def environment(self) -> Environment:
        """Where it was recorded."""
        return self._tables().environment

    def why_absent(self, name: str) -> str | None:
        """Why a table is None; None for one that is there."""
        return None if name == "findings" else self._tables().why_absent(name)

    @property
    def judgement(self) -> Judgement:
        """What was concluded from the tables: the findings, the kinds that could not be judged, what contradicts itself."""
        with self._lock:
            if self._judgement is None:
                from compile_inspector.analyze.findings import judge

                self._judgement = judge(self._tables())
            return self._judgement

    @property
    def unjudged(self) -> tuple[Unjudged, ...]:
        """The kinds of finding that the recording cannot tell, and why."""
        return self.judgement.unjudged

    def why(self, subject: Subject, *, compile_id: str | None = None) -> Chain:
        """Why something is as it is: from the input through the operations to the guard or the constant that decided.

            print(session.why("x.shape[0]"))
            print(session.why(session.recompiles[0]))

        Args:
            subject: A row (a dimension, symbol, guard, specialization, recompile, finding), or a name: a source as Dynamo or as the program
                spells it, a symbol, the id of a recompile.
            compile_id: The compile to tell it for; the newest that knows the subject when None.

        Raises:
            InspectorError: Nothing in the recording has this name; the message has near ones.
        """
        from compile_inspector.analyze.why import why

        return why(self._tables(), subject, compile_id=compile_id, findings=self.findings)

    def diff(self, other: Session | model.Recompile | str, to: str | None = None) -> Diff:
        """What differs: between this session (left) and another, or between two compiles of this one.

        Args:
            other: A session; a recompile, which is held against its nearest earlier entry; or a compile's id, with ``to``.
            to: The id of the compile on the right side.

        Raises:
            InspectorError: There is no such compile, or the recompile has no earlier entry that is recorded.
        """
        from compile_inspector.analyze.diff import diff_compiles, diff_sessions

        tables = self._tables()
        if isinstance(other, Session):
            return diff_sessions(
                tables, other._tables(), names=(self.name or "this", other.name or "the other")
            )
        if isinstance(other, str):
            if to is None:
                msg = f"name two compiles: session.diff({other!r}, ...)"
                raise InspectorError(msg)
            return diff_compiles(tables, other, tables, to)
        if other.nearest is None:
            msg = f"no earlier entry of {other.compile_id} is recorded"
            raise InspectorError(msg)
        return diff_compiles(tables, other.nearest.entry_id, tables, other.compile_id)

    def try_fix(self, finding: Finding, call: Callable[[], Any]) -> Trial:
        """Makes the change that a finding proposes, where it can be made from outside, and reports before and after.

        Every compiled code of the process is forgotten before and after each of the two runs; settings are put back exactly.

        Args:
            finding: One of this session's.
            call: Makes the calls that led to it, without arguments; it is run twice.

        Raises:
            LabError: The fix changes the program itself, or there is none; the message says what it is.
        """
        from compile_inspector.lab.try_fix import try_fix
        from compile_inspector.trials import Trial, recorder

        return Trial.of(try_fix(self, finding, call, recorder=recorder))

    def save(self, path: str | PathLike[str]) -> Path:
        """Writes a torch trace log with everything in it; compressed where the name ends in ``.gz``.

        `load` gives an equal session back, and other tools for torch's trace logs open it too.
        """
        from compile_inspector.recording.trace_writer import write_log

        return write_log(self._records(), Path(path))

    def to_html(self, path: str | PathLike[str] | None = None) -> str:
        """The session as one interactive HTML page that needs nothing else, no network either; also written to ``path`` if given."""
        from compile_inspector.views.page import to_html

        page = to_html(self, title=self.name)
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page

    def graph(self, compile_id: str | None = None, stage: str | None = None) -> GraphView:
        """The graph of one compile, in the explorer.

        Args:
            compile_id: ``"0/1"``; the first compile that has a graph when None.
            stage: ``dynamo``, ``forward``, ``post_grad``, …; the compile's first when None.

        Raises:
            InspectorError: There is no such graph; the message lists those that there are.
        """
        from compile_inspector.views.collection import collection_put_off
        from compile_inspector.views.graph_view import GraphView, find_graph

        with collection_put_off():
            return GraphView(self, find_graph(self, compile_id, stage))

    def __str__(self) -> str:
        from compile_inspector.views.text import print_text

        return print_text(self)

    def __repr__(self) -> str:
        named = f" {self.name!r}" if self.name else ""
        return f"<Session{named}: {len(self.compiles)} compiles, {len(self.recompiles)} recompiles>"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from compile_inspector.views.text import render_text

        yield from render_text(self)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        from compile_inspector.views.display import mimebundle

        return mimebundle(self)

    def _ipython_display_(self) -> None:
        from compile_inspector.views.display import display_session

        display_session(self)


def _bound(rows: tuple[model.Recompile, ...] | None, session: Session) -> tuple[Recompile, ...] | None:
    if rows is None:
        return None
    found = tuple(Recompile(row.compile_id, row.trigger, row.entries) for row in rows)
    for row in found:
        vars(row)["_session"] = weakref.ref(session)
    return found


def _read(tables: Callable[[], Tables], name: str) -> tuple[Any, ...] | None:
    return tables().read(name)


class Recorder(recorders.Recorder):
    """Records every compile of the process between ``with`` and its end; see `record`."""

    def __init__(self, name: str | None = None, *, provenance: bool = False) -> None:
        super().__init__(provenance=provenance, name_cells=cell_numbers, tell=_told_by_decorator)
        self.name = name
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """What was recorded.

        Raises:
            NotRecording: Recording has not begun.
            StillRecording: It goes on.
        """
        finished = self.recording
        if self._session is None:
            self._session = _session(finished, self.name)
        return self._session

    def snapshot(self) -> Session:
        """What has been recorded up to now, while recording goes on.

        Raises:
            NotRecording: Recording has not begun.
        """
        return _session(self.so_far(), self.name)


def _told_by_decorator() -> Iterable[tuple[str, Mapping[str, Any], Any]]:
    """What the compile decorator and torch's CUDA graphs have accumulated; nothing where they were never used: importing them is not worth it."""
    narration: Any = sys.modules.get("compile_inspector.engine.narration")
    trees: Any = sys.modules.get("compile_inspector.torch_seams.cudagraph_trees")
    return [*(() if narration is None else narration.live()), *(() if trees is None else trees.live())]


def _session(recorded: recorders.Recording, name: str | None, result: Any = None) -> Session:
    return Session(recorded.tables, recorded.records, name=name, result=result)


def record(name: str | None = None, *, provenance: bool = False) -> Recorder:
    """A recorder: every compile of this process, of any thread, is recorded within its ``with`` block.

        with ci.record() as recorder:
            compiled(x)
        recorder.session.recompiles

    Args:
        name: Shown as the session's title.
        provenance: Also record which graph nodes each generated kernel was made of. This changes the key of Inductor's cache, so code
            that was compiled without it compiles again.
    """
    return Recorder(name, provenance=provenance)


def inspect(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Session:
    """Records one call; ``session.result`` holds what it returned.

    Raises:
        Exception: Whatever the call raises, unchanged; nothing is recorded then.
    """
    with Recorder(getattr(function, "__name__", type(function).__name__)) as recorder:
        result = function(*args, **kwargs)
    return _session(recorder.recording, recorder.name, result)


def guard_cost(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Session:
    """Records one call as `inspect` does, and times the guards of each compiled function that runs in it.

    They are timed in the call, while its locals are alive: cold, with the processor's caches emptied before each check, and warm. The
    session then has the tables ``guard_costs`` and ``guard_filters``, and so has every other recording that is going on.

        ci.guard_cost(compiled, x).guard_costs

    Raises:
        LabError: This torch's guards cannot be timed, or another profiler is at work on this thread.
        Exception: Whatever the call raises, unchanged; nothing is recorded then.
    """
    from compile_inspector.lab.guard_cost import recorded

    recorder = Recorder(getattr(function, "__name__", type(function).__name__))
    result = recorded(recorder, function, args, kwargs)
    return _session(recorder.recording, recorder.name, result)


def load(path: str | PathLike[str]) -> Session:
    """A session from a torch trace log: one that `Session.save` wrote, or any that torch wrote under ``TORCH_TRACE``.

    Args:
        path: A log, plain or ``.gz``, or a folder with the log of one rank. A plain log must stay in place while the session is used:
            long texts are read from it when asked for.

    Raises:
        NotATraceLog: It holds no trace record.
        SeveralRanks: The folder holds logs of several ranks; the message lists them.
        LogError: It cannot be read.
    """
    from compile_inspector.recording.assemble import assemble
    from compile_inspector.recording.trace_file import read_log

    log = read_log(Path(path))
    tables = assemble(log.records, losses=log.losses, path=str(log.path))
    return Session(lambda: tables, lambda: log.records, name=log.path.name)
