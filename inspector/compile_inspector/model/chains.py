"""Why-chains: from what a program brought to the guard or the constant that came of it, step by step."""

from __future__ import annotations

from typing import Literal

import msgspec

from compile_inspector.model.locations import Location

StepKind = Literal["input", "symbol", "operation", "decision", "guard", "recompile", "finding"]


class Step(msgspec.Struct, frozen=True):
    """One step of a chain.

    Attributes:
        text: What happened, in one sentence.
        location: The user's line of it, None where there is none.
    """

    kind: StepKind
    text: str
    location: Location | None = None

    def __str__(self) -> str:
        place = self.location
        if place is None:
            return f"{self.kind}: {self.text}"
        return f"{self.kind}: {self.text}  [{place.short}{f': {place.code}' if place.code else ''}]"


class Chain(msgspec.Struct, frozen=True):
    """How one thing became what it is.

    Attributes:
        subject: What was asked about, by Dynamo's name.
        compile_id: The compile that it is told for, None where no compile knows it alone.
        verdict: The answer in one sentence.
        steps: From the input to the guard or the constant.
    """

    subject: str
    compile_id: str | None
    verdict: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        where = f" in {self.compile_id}" if self.compile_id else ""
        lines = [f"{self.subject}{where}: {self.verdict}"]
        return "\n".join([*lines, *(f"  {number}. {step}" for number, step in enumerate(self.steps, 1))])


class Change(msgspec.Struct, frozen=True):
    """One thing that differs between two compiles, or two sessions.

    Attributes:
        table: Where it stands: ``guards``, ``symbols``, ``dims``, ``graphs``, ``kernels``, ``compiles``, ``environment``.
        what: Its name there.
        was: On the left side; None where it is not there.
        now: On the right side; None where it is not there.
        location: The user's line of it, None where there is none.
        compile_ids: The two compiles that were compared, None of a session as a whole.
    """

    table: str
    what: str
    was: str | None
    now: str | None
    location: Location | None = None
    compile_ids: tuple[str, str] | None = None

    def __str__(self) -> str:
        if self.was is None:
            return f"+ {self.what}: {self.now}"
        return (
            f"- {self.what}: {self.was}" if self.now is None else f"~ {self.what}: {self.was} -> {self.now}"
        )


class Diff(msgspec.Struct, frozen=True):
    """What differs between two compiles or two sessions.

    Attributes:
        left: Name of the one that was before.
        right: Name of the other.
        changes: Table by table; empty where nothing differs.
    """

    left: str
    right: str
    changes: tuple[Change, ...]

    def of(self, table: str) -> tuple[Change, ...]:
        """The changes of one table."""
        return tuple(change for change in self.changes if change.table == table)

    def __str__(self) -> str:
        if not self.changes:
            return f"{self.left} and {self.right} do not differ"
        lines = [f"{self.left} -> {self.right}"]
        for table in dict.fromkeys(change.table for change in self.changes):
            lines += [f"{table}:", *(f"  {change}" for change in self.of(table))]
        return "\n".join(lines)
