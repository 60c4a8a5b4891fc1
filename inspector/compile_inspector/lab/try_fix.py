"""`try_fix`: makes the change that a finding proposes, from outside, and holds a run with it against one without."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

from compile_inspector.analyze.findings import judge
from compile_inspector.errors import LabError
from compile_inspector.lab.agreement import difference
from compile_inspector.lab.state import State
from compile_inspector.lab.sweep import apart, said
from compile_inspector.model.findings import Finding, MarkDim, SetConfig
from compile_inspector.model.tables import Tables
from compile_inspector.model.trials import Outcome, Trial
from compile_inspector.recording.recorder import Recorder


def try_fix(
    tables: Tables,
    finding: Finding,
    call: Callable[[], Any],
    *,
    recorder: Callable[[], Recorder] = Recorder,
) -> Trial:
    """Runs ``call`` without and with the fix, each time with nothing compiled before.

    Args:
        tables: Of the recording that the finding is of: it tells which functions the fix is for.
        finding: Whose fix is tried.
        call: Makes the calls that led to the finding; it is run twice, and must compile what it needs.
        recorder: Makes the recorder of a run.

    Raises:
        LabError: The fix cannot be made from outside the program; the message says what it is.
    """
    if not finding.fix.actions:
        raise LabError(_not_from_outside(finding))
    state = State(call)
    applied = _Applied(tables, finding)
    before, expected = _run(call, state, nullcontext(), recorder())
    after, actual = _run(call, state, applied, recorder())
    return Trial(
        finding=finding,
        before=before,
        after=after,
        gone=not any(_same(finding, one) for one in after.findings),
        difference=_difference(before, after, expected, actual),
        applied=_applied_words(finding, applied.marked()),
    )


def _not_from_outside(finding: Finding) -> str:
    if finding.fix.code is None:
        return f"there is no fix to try: {finding.fix.note}"
    return f"this fix changes the program itself, so it cannot be tried from outside; make it and run again: {finding.fix.code}"


def _run(
    call: Callable[[], Any], state: State, change: AbstractContextManager[None], recorder: Recorder
) -> tuple[Outcome, Any]:
    """What a run gave; a run that raises is an outcome too."""
    problem: str | None = None
    result: Any = None
    with apart():
        with change, recorder:
            try:
                result = call()
            except Exception as error:  # noqa: BLE001 - told in the outcome
                problem = said(error)
        result = _kept(result)
        state.restore()
    tables = recorder.recording.tables()
    compiles = [row for row in tables.compiles if not row.recovered]
    outcome = Outcome(
        compiles=len(compiles),
        recompiles=len(tables.recompiles),
        graph_breaks=len(tables.graph_breaks),
        compile_ns=sum(row.elapsed_ns or 0 for row in compiles),
        findings=judge(tables).findings,
        problem=problem,
    )
    return outcome, result


def _kept(result: Any) -> Any:
    """The result apart from what the next run may change in place."""
    try:
        return copy.deepcopy(result)
    except Exception:  # noqa: BLE001 - a tensor of a graph cannot be copied so: it is compared as it is
        return result


class _Applied:
    """The fix's actions, in force in a ``with`` block; `marked` gives how many dimensions have been marked."""

    def __init__(self, tables: Tables, finding: Finding) -> None:
        actions = finding.fix.actions
        self._settings = {
            (one.module, one.name): ast.literal_eval(one.value)
            for one in actions
            if isinstance(one, SetConfig)
        }
        self._marks = [(one.source, one.dim, one.how) for one in actions if isinstance(one, MarkDim)]
        ids = set(finding.compile_ids)
        self._frames = frozenset(
            ("" if _is_cell(row.frame.location.file) else row.frame.location.file, row.frame.function)
            for row in tables.compiles
            if row.id in ids and row.frame is not None
        )

        self.marked: Callable[[], int] = lambda: 0

    def __enter__(self) -> None:
        from compile_inspector.torch_seams import forced_marks, isolation, observe

        self._stack = ExitStack()
        try:
            self._stack.enter_context(isolation.patched(self._settings))
            self.marked, undo = forced_marks.install(self._marks, self._frames, observe.FAULTS)
            self._stack.callback(undo)
        except AttributeError as error:
            self._stack.close()
            msg = f"this fix cannot be tried with this torch: {error}"
            raise LabError(msg) from error

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _is_cell(file: str) -> bool:
    """Whether a file is shown as a notebook's cell: the name it has for torch is not kept."""
    return file.startswith("In [")


def _same(finding: Finding, other: Finding) -> bool:
    return finding.kind == other.kind and bool(
        set(finding.subjects) & set(other.subjects) or finding.cause == other.cause
    )


def _difference(before: Outcome, after: Outcome, expected: Any, actual: Any) -> str | None:
    if after.problem is not None:
        return None if before.problem == after.problem else f"the call raises {after.problem}"
    return None if before.problem is not None else difference(expected, actual)


def _applied_words(finding: Finding, marked: int) -> tuple[str, ...]:
    words: list[str] = []
    for one in finding.fix.actions:
        if isinstance(one, SetConfig):
            words.append(f"{one.module}.{one.name} = {one.value}")
        else:
            words.append(f"torch._dynamo.{one.how}({one.source}, {one.dim})")
    if marked == 0 and any(isinstance(one, MarkDim) for one in finding.fix.actions):
        words.append("no such input was met: nothing was marked")
    return tuple(words)
