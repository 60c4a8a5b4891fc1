"""What trying a fix gave: the same calls without and with it."""

from __future__ import annotations

import msgspec

from compile_inspector.model.findings import Finding


class Outcome(msgspec.Struct, frozen=True):
    """One run of the calls, with nothing compiled before.

    Attributes:
        compile_ns: Time of all compiles, nanoseconds.
        problem: What the calls raised, None where they did not.
    """

    compiles: int
    recompiles: int
    graph_breaks: int
    compile_ns: int
    findings: tuple[Finding, ...]
    problem: str | None = None


class Trial(msgspec.Struct, frozen=True):
    """A fix, tried.

    Attributes:
        finding: Whose fix it is.
        before: Without it.
        after: With it.
        gone: Whether the finding is no longer met.
        difference: How the result with the fix differs from that without; None where they are equal, or there was none to compare.
        applied: What was done, a line each.
    """

    finding: Finding
    before: Outcome
    after: Outcome
    gone: bool
    difference: str | None
    applied: tuple[str, ...]

    @property
    def works(self) -> bool:
        """Whether the finding is gone, and the calls give what they gave."""
        return self.gone and self.difference is None and self.after.problem is None
