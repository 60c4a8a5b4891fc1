"""Findings: pure conclusions from the tables, a file a kind. Nothing here knows torch, or how findings are shown."""

from __future__ import annotations

from compile_inspector.analyze.findings.cache_miss import cache_miss
from compile_inspector.analyze.findings.changes import changes
from compile_inspector.analyze.findings.constraint_violation import constraint_violation
from compile_inspector.analyze.findings.cudagraph import cudagraph
from compile_inspector.analyze.findings.duck_shape import duck_shape
from compile_inspector.analyze.findings.graph_break import graph_break
from compile_inspector.analyze.findings.guard_cost import guard_cost
from compile_inspector.analyze.findings.guard_dropped import guard_dropped
from compile_inspector.analyze.findings.merging import ranked
from compile_inspector.analyze.findings.observed import Observed
from compile_inspector.analyze.findings.recompile import recompile
from compile_inspector.analyze.findings.recompile_limit import recompile_limit
from compile_inspector.analyze.findings.specialization import specialization
from compile_inspector.analyze.findings.static_first import static_first
from compile_inspector.analyze.findings.unjudged import unjudged
from compile_inspector.analyze.findings.zero_one import zero_one
from compile_inspector.model.findings import Judgement
from compile_inspector.model.tables import Tables


def judge(tables: Tables) -> Judgement:
    """Every finding of a recording, worst first; what could not be judged; what contradicts itself in the tables."""
    observed = Observed(tables)
    sorted_out = changes(observed)
    limits, accounted = recompile_limit(observed, sorted_out)
    of_kind = {
        kind: tuple(change for change in sorted_out if change.kind == kind)
        for kind in ("specialization", "zero-one", "duck-shape", "static-first", "recompile")
    }
    others = tuple(one for one in of_kind["recompile"] if one.recompile.compile_id not in accounted)
    found = (
        *constraint_violation(observed),
        *limits,
        *specialization(observed, of_kind["specialization"]),
        *zero_one(observed, of_kind["zero-one"]),
        *duck_shape(observed, of_kind["duck-shape"]),
        *static_first(observed, of_kind["static-first"]),
        *recompile(observed, others),
        *graph_break(observed),
        *guard_cost(observed),
        *guard_dropped(observed),
        *cudagraph(observed),
        *cache_miss(observed),
    )
    return Judgement(ranked(found), unjudged(observed), observed.losses())
