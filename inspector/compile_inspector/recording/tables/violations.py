"""The table of violations: calls that a dropped guard does not admit."""

from __future__ import annotations

from compile_inspector.model.violations import Violation
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.told import ViolationFact, told


def violations(trace: Trace, places: Places) -> tuple[Violation, ...]:
    """One row for each guard that did not hold and what was done about it, in the order of its first time."""
    return tuple(
        Violation(
            compile_id=one.compile_id or "",
            module=one.said.module,
            class_name=one.said.class_name,
            source=one.said.source,
            expr=one.said.expr,
            expected=one.said.expected,
            actual=one.said.actual,
            category=one.said.category,
            action=one.said.action,
            location=None if one.said.location is None else places.location(one.said.location.frame()),
            count=one.said.count,
        )
        for one in told(trace, "violations", ViolationFact)
    )
