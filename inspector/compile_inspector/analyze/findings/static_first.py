"""Finds sizes that changed: torch takes each size for a number until it has seen a second one, and compiles again then."""

from __future__ import annotations

from collections.abc import Iterable

from compile_inspector.analyze.findings.changes import Change
from compile_inspector.analyze.findings.fixes import mark_fix
from compile_inspector.analyze.findings.merging import Group, grouped, recompile_severity
from compile_inspector.analyze.findings.names import often
from compile_inspector.analyze.findings.observed import Observed
from compile_inspector.model.findings import Finding


def static_first(observed: Observed, changes: Iterable[Change]) -> list[Finding]:
    """One finding for each group of sizes that changed together."""
    return [_finding(group) for group in grouped(observed, changes)]


def _finding(group: Group) -> Finding:
    cost = group.cost_ns
    return Finding(
        kind="static-first",
        severity=recompile_severity(cost, comes_back=len(group.changes) > 1),
        title=f"{group.function} was compiled again ({often(len(group.changes))}) because {group.named} changed: "
        "a size is a number for torch until a second one comes",
        subjects=group.subjects,
        cause=group.callers_line,
        evidence=group.evidence(),
        fix=mark_fix(
            group.subjects,
            group.first_site,
            what="it is dynamic from the first compile on",
        ),
        count=len(group.changes),
        compile_ids=group.compile_ids,
        cost_ns=cost,
    )
