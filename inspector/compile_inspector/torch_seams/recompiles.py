"""Observes recompiles: why each earlier entry of the code could not serve the call, all of its failing guards.

torch writes the first failing guard of each entry into its trace, and none where it was only the grad mode in older versions. This adds the
fact ``recompile`` with every failing guard. Source: `torch._dynamo.guards.get_and_maybe_log_recompilation_reasons`, which `convert_frame`
holds by name and `eval_frame` imports when it needs it.
"""

from __future__ import annotations

import inspect
from typing import Any
from weakref import WeakKeyDictionary

from compile_inspector.torch_seams import (
    dict_lengths,
    guard_evaluation,
    guard_findings,
    guard_walk,
    relation_checks,
    state_findings,
    tensor_facts,
)
from compile_inspector.torch_seams.dict_lengths import Lengths
from compile_inspector.torch_seams.finding import Finding
from compile_inspector.torch_seams.guard_evaluation import Evaluation
from compile_inspector.torch_seams.probe import Capability, Emit, Faults, Undo, lookup, patch, probe_names
from compile_inspector.torch_seams.user_stack import user_stack
from compile_inspector.torch_seams.value_text import shorten, text_of

NAME = "recompiles"
_FUNCTION = "get_and_maybe_log_recompilation_reasons"
_HOLDERS = ("torch._dynamo.convert_frame", "torch._dynamo.guards")
USES = (
    *(f"{holder}:{_FUNCTION}" for holder in _HOLDERS),
    "torch._guards:CompileContext.current_compile_id",
    "torch._guards:CompileId",
    *dict_lengths.USES,
    *guard_walk.USES,
    *guard_findings.USES,
    *tensor_facts.USES,
    *guard_evaluation.USES,
    *relation_checks.USES,
    *state_findings.USES,
)

EVALUATED = 8
"""How many entries, the newest, are evaluated for one recompile."""
_ENTRIES = ("cache_entries", "cache_entry")
_DEALLOCATED = "Cache line invalidated because "


def probe() -> Capability:
    """Whether this torch has the place where recompiles are explained, and guards that can be asked."""
    return probe_names(USES)


def install(emit: Emit, faults: Faults) -> Undo:
    """Begins to observe; the undo ends it and leaves torch's functions as they were."""
    wanted = [True]
    lengths: Lengths = WeakKeyDictionary()

    def wrap(original: Any) -> Any:
        def explained(*args: Any, **kwargs: Any) -> Any:
            if not wanted[0]:
                return original(*args, **kwargs)
            try:
                reasons = original(*args, **kwargs)
            except BaseException:
                _observe(emit, faults, lengths, args, kwargs, ())
                raise
            _observe(emit, faults, lengths, args, kwargs, reasons)
            return reasons

        explained.__wrapped__ = original  # type: ignore[attr-defined]
        return explained

    undos = [patch(lookup(holder), _FUNCTION, wrap) for holder in _HOLDERS]
    undos.append(dict_lengths.watch(lengths, faults, NAME))

    def undo() -> None:
        wanted[0] = False
        for one in reversed(undos):
            one()

    return undo


def _observe(
    emit: Emit,
    faults: Faults,
    lengths: Lengths,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    reasons: Any,
) -> None:
    try:
        given = {
            **dict(zip((_ENTRIES[0], "frame", "backend", "skip_logging"), args, strict=False)),
            **kwargs,
        }
        there = _entries(given)
        entries = sorted(there, key=lambda entry: -entry.compile_id.frame_compile_id)
        told = _by_entry(reasons, there)
        checked = [
            _entry(
                entry,
                given["frame"],
                given.get("backend"),
                told.get(index),
                faults,
                lengths.get(entry.guard_manager, {}),
                evaluated=index < EVALUATED,
            )
            for index, entry in enumerate(entries)
        ]
        emit(
            "recompile",
            {"entries": checked, "stack": user_stack(inspect.currentframe())},
            compile_id=_compile_id(entries),
        )
    except Exception as error:
        faults.count(NAME, error)


def _entries(given: dict[str, Any]) -> list[Any]:
    """The earlier entries: a list since torch 2.13, a chain of them before."""
    found = next((given[name] for name in _ENTRIES if name in given), None)
    if found is None or isinstance(found, list | tuple):
        return list(found or ())
    chain: list[Any] = []
    while found is not None:
        chain.append(found)
        found = found.next
    return chain


def _compile_id(entries: list[Any]) -> Any:
    """Torch's id of the compile that begins, None while it is current; made up where a stance forbids the compile."""
    if lookup("torch._guards:CompileContext.current_compile_id")() is not None or not entries:
        return None
    newest = entries[0].compile_id
    return lookup("torch._guards:CompileId")(
        frame_id=newest.frame_id, frame_compile_id=newest.frame_compile_id + 1
    )


def _by_entry(reasons: Any, entries: Any) -> dict[int, str]:
    """Torch's reasons by the place of their entry in the list from newest to oldest."""
    given = list(reasons)
    order = sorted(range(len(entries)), key=lambda index: -entries[index].compile_id.frame_compile_id)
    found: dict[int, str] = {}
    for place, index in enumerate(order):
        prefix = f"{entries[index].compile_id}: "
        reason = (
            given[index]
            if len(given) == len(entries)
            else next((one for one in given if one.startswith(prefix)), None)
        )
        if isinstance(reason, str):
            found[place] = reason.removeprefix(prefix)
    return found


def _entry(
    entry: Any,
    frame: Any,
    backend: Any,
    reason: str | None,
    faults: Faults,
    lengths: dict[str, int],
    *,
    evaluated: bool,
) -> dict[str, Any]:
    checked: dict[str, Any] = {
        "entry": str(entry.compile_id),
        "failing": [],
        "unevaluated": [],
        "torch_reason": reason,
        "evaluated": evaluated,
    }
    if not evaluated:
        checked["unevaluated"].append(["", "", "", f"only the newest {EVALUATED} entries are evaluated"])
        return checked
    invalid = getattr(entry.guard_manager, "invalidation_reason", None)
    if invalid is not None:
        checked["failing"].append(_row(_invalidated(invalid)))
        return checked
    try:
        failing, checked["unevaluated"] = _evaluate(entry.guard_manager, frame, lengths, reason)
        if not failing or _other_function(entry.backend, backend):
            failing += _backend(entry.backend, backend, reason)
        checked["failing"] = [_row(finding) for finding in failing]
    except Exception as error:
        faults.count(NAME, error)
        checked["evaluated"] = False
        checked["unevaluated"] = [["", "", "", f"evaluating it failed: {type(error).__name__}"]]
    return checked


def _evaluate(
    wrapper: Any, frame: Any, lengths: dict[str, int], reason: str | None
) -> tuple[list[Finding], list[list[str]]]:
    evaluation = Evaluation(wrapper, frame.f_locals, getattr(frame, "f_globals", None) or {}, lengths, reason)
    try:
        evaluation.run()
        return evaluation.failing, evaluation.unevaluated
    finally:
        evaluation.close()


def _row(finding: Finding) -> list[Any]:
    row = [finding.source, finding.kind, finding.expr, finding.expected, finding.actual]
    return [*row, list(finding.subjects)] if len(finding.subjects) > 1 else row


def _invalidated(reason: object) -> Finding:
    text = reason if isinstance(reason, str) else ""
    source = (
        text.removeprefix(_DEALLOCATED).partition(" got deallocated")[0]
        if text.startswith(_DEALLOCATED)
        else ""
    )
    return Finding(source.partition(" ")[0], "WEAKREF_ALIVE", shorten(text), "alive", "gone")


def _other_function(was: Any, now: Any) -> bool:
    function = type(_other_function)
    return type(was) is function and type(now) is function and was is not now


def _backend(was: Any, now: Any, reason: str | None) -> list[Finding]:
    if was is now or not (_other_function(was, now) or (reason or "").startswith("BACKEND_MATCH")):
        return []
    expected, actual = text_of(was), text_of(now)
    shown = f"{actual}, another one of this name" if actual == expected else actual
    return [
        Finding("backend", "BACKEND_MATCH", "the backend is the one it was compiled with", expected, shown)
    ]
