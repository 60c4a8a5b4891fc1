"""Recompiles: why code compiled before could not be used."""

from __future__ import annotations

import msgspec

from compile_inspector.model.locations import Location


class FailingGuard(msgspec.Struct, frozen=True):
    """A guard of an earlier entry that the new call does not meet.

    A guard with several sides gives one of these for each side that differs: a tensor guard one a dimension, torch's global state one a
    setting.

    Attributes:
        source: As Dynamo names it (``L['x'].size()[0]``, ``L['self'].scale``, ``grad_mode``).
        kind: torch's name of the guard.
        expr: The check that failed.
        expected: What the entry was compiled for, as text; None where only the check is known.
        actual: What the call brought, as text; None where it was not evaluated.
        location: The user's line that made the guard; for one without a stack the first line of the entry's frame that made a graph node.
        others: The further sources that a check of several reads (``L['x'].size()[0] == L['y'].size()[0]``).
    """

    source: str
    kind: str
    expr: str
    expected: str | None
    actual: str | None
    location: Location | None
    others: tuple[str, ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every source that the check reads."""
        return (self.source, *self.others)


class Unevaluated(msgspec.Struct, frozen=True):
    """A guard that could not be judged for the call.

    Attributes:
        source: Of the guard; "" for a row that stands for several.
        kind: torch's name of the guard; "" for a row that stands for several.
        expr: The check; of a row that stands for several, how many there are.
        reason: Why: mostly a failed type or length check before it.
    """

    source: str
    kind: str
    expr: str
    reason: str


class EntryCheck(msgspec.Struct, frozen=True):
    """One earlier entry, held against the call that recompiled.

    Attributes:
        entry_id: The earlier compile.
        failing: Every guard that fails, in the order of the entry's checks.
        unevaluated: Guards that could not be judged.
        torch_reason: What torch itself gave as the reason: the first failing guard, or words such as a changed backend; None where
            torch gave none.
        complete: True where every guard was held against the call (live); False where only torch's first reason is known (a log without
            our facts, an entry that was not evaluated).
    """

    entry_id: str
    failing: tuple[FailingGuard, ...]
    unevaluated: tuple[Unevaluated, ...]
    torch_reason: str | None
    complete: bool


class Recompile(msgspec.Struct, frozen=True):
    """One recompile.

    Attributes:
        compile_id: The new compile.
        trigger: The user's call.
        entries: The earlier entries, newest first.
    """

    compile_id: str
    trigger: Location | None
    entries: tuple[EntryCheck, ...]

    @property
    def nearest(self) -> EntryCheck | None:
        """The entry with the fewest failing guards, the newest of several; None without entries.

        Entries whose guards were all evaluated go before those of which only torch's first reason is known.
        """
        failed = [entry for entry in self.entries if entry.failing]
        judged = [entry for entry in failed if entry.complete] or failed
        return min(judged, key=lambda entry: len(entry.failing)) if judged else next(iter(self.entries), None)
