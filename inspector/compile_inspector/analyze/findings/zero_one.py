"""Finds sizes of 0 and 1, which torch compiles as constants although the dimension is dynamic, or was to be."""

from __future__ import annotations

from collections.abc import Iterable

from compile_inspector.analyze.findings.changes import Change
from compile_inspector.analyze.findings.fixes import OBLIVIOUS, mark_fix
from compile_inspector.analyze.findings.merging import Group, grouped, recompile_severity
from compile_inspector.analyze.findings.names import often
from compile_inspector.analyze.findings.observed import Observed, size_source
from compile_inspector.analyze.findings.sites import Site
from compile_inspector.model.findings import Finding, Fix
from compile_inspector.model.symbols import Dim


def zero_one(observed: Observed, changes: Iterable[Change]) -> list[Finding]:
    """Sizes of 0 or 1 that cost a compile, then those that were marked as dynamic and stayed constants."""
    found = [_recompiled(group) for group in grouped(observed, changes)]
    told = {subject for finding in found for subject in finding.subjects}
    for dim in observed.rows("dims"):
        source = size_source(dim.source, dim.dim)
        if dim.verdict == "zero-one" and "marked" in dim.why and source not in told:
            told.add(source)
            found.append(_marked(observed, dim, source))
    return found


def _recompiled(group: Group) -> Finding:
    cost = group.cost_ns
    return Finding(
        kind="zero-one",
        severity=recompile_severity(cost, comes_back=len(group.changes) > 1),
        title=f"{group.function} was compiled again ({often(len(group.changes))}): {group.named} is 0 or 1 in one call "
        "and larger in another, and torch compiles 0 and 1 as constants",
        subjects=group.subjects,
        cause=group.callers_line,
        evidence=group.evidence(),
        fix=_fix(group.subjects, group.first_site),
        count=len(group.changes),
        compile_ids=group.compile_ids,
        cost_ns=cost,
    )


def _marked(observed: Observed, dim: Dim, source: str) -> Finding:
    return Finding(
        kind="zero-one",
        severity="warning",
        title=f"{source} is marked as dynamic but was {dim.size} when {observed.function(dim.compile_id)} was compiled: "
        "torch made it a constant, and other sizes compile again",
        subjects=(source,),
        cause=dim.location,
        evidence=(f"{dim.compile_id}: {dim.why}",),
        fix=_fix((source,), observed.site(dim.compile_id)),
        compile_ids=(dim.compile_id,),
    )


def _fix(sizes: tuple[str, ...], site: Site) -> Fix:
    return mark_fix(
        sizes,
        site,
        what="one compile serves 0, 1 and every other size; or make the first call with a size of 2 or more, and pad 1 to 2",
        settings=(OBLIVIOUS,),
    )
