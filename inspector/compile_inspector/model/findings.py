"""Findings: what cost compiles, speed or safety, why, and what to do about it."""

from __future__ import annotations

from typing import Literal

import msgspec

from compile_inspector.model.locations import Location
from compile_inspector.model.records import Loss

Severity = Literal["note", "warning", "error"]
FindingKind = Literal[
    "constraint-violation",
    "specialization",
    "zero-one",
    "duck-shape",
    "static-first",
    "recompile",
    "recompile-limit",
    "graph-break",
    "guard-cost",
    "guard-dropped",
    "cudagraph-skip",
    "cudagraph-rerecord",
    "cache-miss",
]
Marking = Literal["mark_dynamic", "maybe_mark_dynamic", "mark_unbacked"]


class MarkDim(msgspec.Struct, frozen=True, tag="mark"):
    """Marks one dimension of an argument before the call.

    Attributes:
        source: The argument, as Dynamo names it: ``L['x']``.
        dim: Which dimension, from 0.
        how: The function of ``torch._dynamo`` that marks it; it takes the place of another mark on this dimension.
    """

    source: str
    dim: int
    how: Marking = "mark_dynamic"


class SetConfig(msgspec.Struct, frozen=True, tag="config"):
    """Sets one setting of torch before the first call.

    Attributes:
        module: ``torch._dynamo.config``.
        name: Of the setting, dotted where it lies in a part of the module.
        value: A Python literal.
    """

    module: str
    name: str
    value: str


Action = MarkDim | SetConfig


class Fix(msgspec.Struct, frozen=True):
    """What to do about a finding.

    Attributes:
        code: Lines to paste, with this program's own names; None where no change of code or settings helps.
        note: Where the code belongs and what it changes; where ``code`` is None, why there is no fix.
        actions: The same change as data, where it can be made from outside the program; all of them together.
    """

    code: str | None
    note: str
    actions: tuple[Action, ...] = ()

    def __str__(self) -> str:
        return f"no fix: {self.note}" if self.code is None else f"{self.code}  # {self.note}"


class Finding(msgspec.Struct, frozen=True):
    """One thing that went wrong, told once however often it happened.

    Attributes:
        severity: ``error``: a compile failed, or code runs uncompiled from then on. ``warning``: it cost compiles, or splits a graph.
            ``note``: it cost little and does not come back, or nothing yet.
        title: What it is, in one sentence.
        subjects: What it is about, as Dynamo names it: ``L['x'].size()[0]``, ``grad_mode``.
        cause: The user's line that made the decision, None where torch kept none.
        evidence: What was observed, a sentence each.
        fix: What to do.
        count: How many times it was observed: recompiles of a recompile, compiles that met a graph break, and so on.
        compile_ids: The compiles that it cost, or in which it was met.
        cost_ns: Compile time that it cost, nanoseconds; None where that is not known.
    """

    kind: FindingKind
    severity: Severity
    title: str
    subjects: tuple[str, ...]
    cause: Location | None
    evidence: tuple[str, ...]
    fix: Fix
    count: int = 1
    compile_ids: tuple[str, ...] = ()
    cost_ns: int | None = None


class Unjudged(msgspec.Struct, frozen=True):
    """A kind of finding that a recording cannot tell, or not fully, and why."""

    kind: FindingKind
    reason: str


class Judgement(msgspec.Struct, frozen=True):
    """Everything that was concluded from one recording.

    Attributes:
        findings: Worst first.
        unjudged: The kinds that could not be judged.
        losses: What in the tables contradicts itself.
    """

    findings: tuple[Finding, ...]
    unjudged: tuple[Unjudged, ...]
    losses: tuple[Loss, ...]
