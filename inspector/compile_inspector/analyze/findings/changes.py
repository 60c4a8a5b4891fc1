"""Sorts recompiles by what made them: which kind of finding each belongs to, about what, and which line decided."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from compile_inspector.analyze.findings.observed import Observed, size_of
from compile_inspector.model.locations import Location
from compile_inspector.model.recompiles import EntryCheck, FailingGuard, Recompile

ChangeKind = Literal["specialization", "zero-one", "duck-shape", "static-first", "recompile"]


_AUTOCAST = re.compile(r"autocast\((\w+)\)_")
_INT = re.compile(r"-?\d+$")
_TORCH = re.compile(r"/(?:site|dist)-packages/torch/")
_SYMBOLIC = frozenset({"dynamic", "marked", "duck-shared", "unbacked"})


class Change(msgspec.Struct, frozen=True):
    """One recompile, judged by the nearest earlier entry.

    Attributes:
        kind: Of the finding that it belongs to.
        subjects: What changed.
        guards: The failing guards that say so; those that only follow from them (strides of a tensor whose size changed) left out.
        cause: The line that decided.
        entry: The nearest earlier entry, None where none is known.
    """

    recompile: Recompile
    kind: ChangeKind
    subjects: tuple[str, ...]
    guards: tuple[FailingGuard, ...]
    cause: Location | None
    entry: EntryCheck | None


def changes(observed: Observed) -> tuple[Change, ...]:
    """Every recompile of the recording, sorted."""
    return tuple(_change(observed, row) for row in observed.rows("recompiles"))


def _change(observed: Observed, row: Recompile) -> Change:
    entry = row.nearest
    guards = () if entry is None else telling(entry.failing)
    if entry is None or not guards:
        return Change(row, "recompile", (), (), _frame_line(observed, row, entry), entry)
    kinds: list[ChangeKind] = [_kind(observed, row, entry, guard) for guard in guards]
    kind: ChangeKind = kinds[0] if len(set(kinds)) == 1 else _mixed(kinds)
    return Change(
        recompile=row,
        kind=kind,
        subjects=tuple(dict.fromkeys(name for guard in guards for name in guard.subjects)),
        guards=guards,
        cause=_by_user(
            _cause(observed, kind, (entry.entry_id, row.compile_id), guards)
            or _frame_line(observed, row, entry),
            row,
        ),
        entry=entry,
    )


def _by_user(place: Location | None, row: Recompile) -> Location | None:
    """A place in torch itself is no line of the user's: what was compiled is all torch's, and the call is the only such line."""
    return place if place is None or _TORCH.search(place.file) is None else row.trigger or place


def telling(failing: Iterable[FailingGuard]) -> tuple[FailingGuard, ...]:
    """The guards that are no mere consequence of another: of a tensor whose sizes changed, the strides change too."""
    guards = tuple(failing)
    resized = {found[0] for guard in guards if (found := size_of(guard.source)) is not None}
    kept = tuple(
        guard
        for guard in guards
        if ".stride()[" not in guard.source or guard.source.partition(".stride()[")[0] not in resized
    )
    return _in_one_mode(_without_keys(kept or guards))


def _without_keys(guards: tuple[FailingGuard, ...]) -> tuple[FailingGuard, ...]:
    """Inside autocast each tensor has one more dispatch key: where autocast itself is told, that is not."""
    cast = {found[1].upper() for guard in guards if (found := _AUTOCAST.match(guard.source)) is not None}
    if not cast:
        return guards
    keys = {f"dispatch keys {without}Autocast{device}" for device in cast for without in ("", "without ")}
    return tuple(guard for guard in guards if guard.kind != "TENSOR_MATCH" or guard.expected not in keys)


def _in_one_mode(guards: tuple[FailingGuard, ...]) -> tuple[FailingGuard, ...]:
    """Under ``inference_mode`` every tensor loses dispatch keys: where nothing else tells of that mode, it is told once, as what changed."""
    lost = [guard for guard in guards if (guard.actual or "").endswith(" under torch.inference_mode()")]
    if not lost or any(guard.source == "grad_mode" for guard in guards):
        return guards
    mode = msgspec.structs.replace(
        lost[0], source="inference_mode", expected="False", actual="True", others=()
    )
    made = {
        "dispatch keys without ADInplaceOrView, AutogradCPU",
        "dispatch keys without ADInplaceOrView, AutogradCUDA",
    }
    return (mode, *(guard for guard in guards if guard not in lost and guard.actual not in made))


def _mixed(kinds: list[ChangeKind]) -> ChangeKind:
    """A recompile with reasons of several kinds: sizes only are told by the one that no marking heals, anything else as a recompile."""
    if "recompile" in kinds:
        return "recompile"
    order: tuple[ChangeKind, ...] = ("specialization", "zero-one", "duck-shape", "static-first")
    return next(kind for kind in order if kind in kinds)


def _kind(observed: Observed, row: Recompile, entry: EntryCheck, guard: FailingGuard) -> ChangeKind:
    if _shares_a_symbol(observed, entry.entry_id, guard):
        return "duck-shape"
    if (entry.entry_id, guard.source) in observed.pins and not guard.others:
        return "specialization"
    if size_of(guard.source) is None or guard.others:
        pinned = (row.compile_id, guard.source) in observed.pins and not guard.others
        return "specialization" if pinned and _INT.match(guard.expected or "") else "recompile"
    before = observed.dim(entry.entry_id, guard.source)
    after = observed.dim(row.compile_id, guard.source)
    if before is not None and before.verdict == "specialized":
        return "specialization"
    if before is not None and before.is_parameter:
        return "recompile"
    if (before is not None and before.verdict == "zero-one") or (
        after is not None and after.verdict == "zero-one"
    ):
        return "zero-one"
    if after is not None and after.verdict == "specialized":
        return "specialization"
    if after is None or after.verdict not in _SYMBOLIC:
        return "recompile"
    if before is not None and before.verdict != "static":
        return "recompile"
    return "zero-one" if guard.expected in ("0", "1") else "static-first"


def _shares_a_symbol(observed: Observed, entry_id: str, guard: FailingGuard) -> bool:
    symbol = observed.shared.get((entry_id, guard.source))
    return symbol is not None and bool(guard.others) and set(guard.subjects) <= set(symbol.sources)


def _cause(
    observed: Observed, kind: ChangeKind, compile_ids: tuple[str, str], guards: tuple[FailingGuard, ...]
) -> Location | None:
    if kind == "specialization":
        pinned = (_pinned_at(observed, one, guard.source) for guard in guards for one in compile_ids)
        place = next((found for found in pinned if found is not None), None)
        if place is not None:
            return place
    return next((guard.location for guard in guards if guard.location is not None), None)


def _pinned_at(observed: Observed, compile_id: str, source: str) -> Location | None:
    pin = observed.pins.get((compile_id, source))
    if pin is not None and pin.location is not None:
        return pin.location
    dim = observed.dim(compile_id, source)
    return dim.location if dim is not None and dim.verdict == "specialized" else None


def _frame_line(observed: Observed, row: Recompile, entry: EntryCheck | None) -> Location | None:
    frame = observed.frame(row.compile_id) or (None if entry is None else observed.frame(entry.entry_id))
    return None if frame is None else frame.location
