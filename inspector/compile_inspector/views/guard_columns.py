"""The columns of what guards cost and of what ready-made filters would drop, and the same in a few lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from compile_inspector.model.guard_costs import GuardCost, GuardFilter, GuardGroup
from compile_inspector.model.tables import Tables
from compile_inspector.views.column import Column
from compile_inspector.views.words import count, duration, one_line, visible

_GROUPS = 60
_LINES = 8

GUARD_COSTS: tuple[Column[GuardCost], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("checks", "Guards", "number", lambda row: row.checks),
    Column("warm_ns", "Warm", "duration", lambda row: row.warm_ns),
    Column("cold_ns", "Cold", "duration", lambda row: row.cold_ns),
    Column("dominated_by", "Mostly", "list", lambda row: [group.name for group in row.dominated_by]),
    Column("problem", "Not timed", "text", lambda row: row.problem),
    Column(
        "groups", "Where", "list", lambda row: [_group(row, group) for group in _costliest(row)], detail=True
    ),
)

GUARD_FILTERS: tuple[Column[GuardFilter], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("name", "Filter", "code", lambda row: row.name),
    Column("dropped", "Drops", "number", lambda row: row.dropped),
    Column("kept", "Keeps", "number", lambda row: row.kept),
    Column("warm_ns", "Warm then", "duration", lambda row: row.warm_ns),
    Column(
        "failed",
        "Dropped, and failed here",
        "list",
        lambda row: [f"{source} ({kind})" for source, kind in row.failed],
    ),
)


def guard_cost_lines(tables: Tables) -> Iterator[str]:
    """A line for each compile whose guards were timed, and for each filter; visible text. Nothing where none was."""
    costs: tuple[GuardCost, ...] = tables.read("guard_costs") or ()
    filters: tuple[GuardFilter, ...] = tables.read("guard_filters") or ()
    for row in costs[:_LINES]:
        if row.problem is not None or row.warm_ns is None:
            yield one_line(f"{row.compile_id}: {count(row.checks, 'guard')}, not timed: {row.problem}")
            continue
        cold = "" if row.cold_ns is None else f", {duration(row.cold_ns)} cold"
        mostly = ", ".join(group.name for group in row.dominated_by)
        yield one_line(
            f"{row.compile_id}: {count(row.checks, 'guard')}, {duration(row.warm_ns)} warm{cold}; mostly {mostly}"
        )
        yield from (_filter(one) for one in filters if one.compile_id == row.compile_id and one.dropped)
    if len(costs) > _LINES:
        yield f"... {len(costs) - _LINES:,} more: session.to_dicts('guard_costs')"


def _filter(row: GuardFilter) -> str:
    left = "" if row.warm_ns is None else f", {duration(row.warm_ns)} left"
    failed = ", ".join(visible(source or kind) for source, kind in row.failed[:3])
    said = (
        f"; of those {len(row.failed):,} failed here: {failed}"
        if row.failed
        else "; none of those failed here"
    )
    return one_line(f"  {row.name.rpartition('.')[2]} drops {row.dropped:,}{left}{said}")


def _costliest(row: GuardCost) -> list[GuardGroup]:
    return sorted(row.groups, key=lambda group: (-(row.own_ns(group) or 0), -group.checks))[:_GROUPS]


def _group(row: GuardCost, group: GuardGroup) -> str:
    own = row.own_ns(group)
    timed = (
        "" if own is None else f", {duration(own)} by itself, {duration(group.saved_ns or 0)} with all within"
    )
    return f"{group.name}: {count(group.checks, 'guard')}{timed}"
