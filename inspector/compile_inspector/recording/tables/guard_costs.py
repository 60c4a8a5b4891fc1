"""The tables of guard costs and of what ready-made filters would drop, where a call's guards were timed while recording."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from compile_inspector.model.guard_costs import GuardCost, GuardFilter, GuardGroup
from compile_inspector.recording.fold import CompileTrace, Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.recompiles import recompiles

_FACT = "compile_inspector.guard_cost"
_RELATION = "SHAPE_ENV"


class _Fact(msgspec.Struct, frozen=True):
    checks: int
    cold_ns: int | None
    warm_ns: int | None
    groups: tuple[tuple[tuple[str, ...], int, tuple[tuple[str, int], ...], int | None], ...]
    filters: tuple[tuple[str, tuple[tuple[str, str], ...], int, int | None], ...] | None = None
    problem: str | None = None


def guard_costs(trace: Trace, places: Places) -> tuple[GuardCost, ...] | None:  # noqa: ARG001 - as every builder
    """One row for each compile whose guards were timed; None where that was not asked for."""
    found = _facts(trace)
    if not found:
        return None
    return tuple(
        GuardCost(
            compile_id=compile_id,
            checks=fact.checks,
            cold_ns=fact.cold_ns,
            warm_ns=fact.warm_ns,
            groups=tuple(GuardGroup(*group) for group in fact.groups),
            problem=fact.problem,
        )
        for compile_id, fact in found
    )


def guard_filters(trace: Trace, places: Places) -> tuple[GuardFilter, ...] | None:
    """One row for each filter and compile whose guards it was asked about; None where nothing was timed."""
    found = _facts(trace)
    if not found:
        return None
    failed = _failed(trace, places)
    return tuple(
        GuardFilter(
            compile_id=compile_id,
            name=f"torch.compiler.{name}",
            dropped=len(dropped),
            kept=kept,
            warm_ns=warm_ns,
            failed=tuple(_failing(dropped, failed)),
        )
        for compile_id, fact in found
        for name, dropped, kept, warm_ns in fact.filters or ()
    )


def _facts(trace: Trace) -> list[tuple[str, _Fact]]:
    return trace.once("guard cost facts", lambda: list(_read(trace)))


def _read(trace: Trace) -> Iterator[tuple[str, _Fact]]:
    for compiled in trace.compiles.values():
        fact = _last(trace, compiled)
        if fact is not None:
            yield compiled.id, fact


def _last(trace: Trace, compiled: CompileTrace) -> _Fact | None:
    """The last one of any attempt: it is written when the code runs, under no attempt of the compile."""
    records = [record for record in compiled.records if record.artifact == _FACT]
    if not records:
        return None
    try:
        return msgspec.convert(trace.fact(records[-1]), _Fact)
    except msgspec.ValidationError as error:
        trace.losses.add(f"compile {compiled.id}", f"{_FACT} cannot be read: {error}")
        return None


def _failed(trace: Trace, places: Places) -> dict[tuple[str, str], None]:
    """Source and kind of each guard that failed at a recompile, in order, each once."""
    rows = trace.once("recompiles", lambda: recompiles(trace, places))
    return {
        (source, guard.kind): None
        for row in rows
        for entry in row.entries
        for guard in entry.failing
        for source in guard.subjects
    }


def _failing(
    dropped: tuple[tuple[str, str], ...], failed: dict[tuple[str, str], None]
) -> Iterator[tuple[str, str]]:
    """The failed guards that are among the dropped. A tensor's size, type or stride fails as part of the guard on the tensor."""
    sources = {source for source, _ in dropped if source}
    tensors = {source for source, kind in dropped if kind == "TENSOR_MATCH"}
    shapes = any(kind == _RELATION for _, kind in dropped)
    for source, kind in failed:
        symbolic = kind in ("LAMBDA_GUARD", "SYMBOLIC_SHAPE_GUARD", _RELATION)
        of_tensor = kind == "TENSOR_MATCH" and any(
            source == tensor or source.startswith((f"{tensor}.", f"{tensor}[")) for tensor in tensors
        )
        if of_tensor or (shapes and symbolic) or (source in sources and kind != "TENSOR_MATCH"):
            yield source, kind
