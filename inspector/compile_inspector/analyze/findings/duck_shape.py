"""Finds sizes that share one symbol only because they were equal when the code was compiled."""

from __future__ import annotations

from collections.abc import Iterable

from compile_inspector.analyze.findings.changes import Change
from compile_inspector.analyze.findings.fixes import SHAPES, marking, marks, with_settings
from compile_inspector.analyze.findings.merging import Group, grouped, recompile_severity
from compile_inspector.analyze.findings.names import often
from compile_inspector.analyze.findings.observed import Observed
from compile_inspector.model.findings import Finding, Fix, SetConfig

_NO_DUCKS = SetConfig(SHAPES, "use_duck_shape", "False")


def duck_shape(observed: Observed, changes: Iterable[Change]) -> list[Finding]:
    """One finding for each group of sizes that were taken for one."""
    return [_finding(group) for group in grouped(observed, changes)]


def _finding(group: Group) -> Finding:
    cost = group.cost_ns
    return Finding(
        kind="duck-shape",
        severity=recompile_severity(cost, comes_back=len(group.changes) > 1),
        title=f"{group.function} was compiled again ({often(len(group.changes))}): {group.named} were equal when it was "
        "compiled, so torch gave them one symbol, and now they differ",
        subjects=group.subjects,
        cause=group.callers_line,
        evidence=group.evidence(),
        fix=_fix(group),
        count=len(group.changes),
        compile_ids=group.compile_ids,
        cost_ns=cost,
    )


def _fix(group: Group) -> Fix:
    marked = marks(sorted(group.subjects))
    if marked is None:
        return with_settings((_NO_DUCKS,), "before the first call: every size gets a symbol of its own")
    code, where = marking(marked, group.first_site)
    return Fix(code, f"{where}: a marked dimension shares its symbol with no other", marked)
