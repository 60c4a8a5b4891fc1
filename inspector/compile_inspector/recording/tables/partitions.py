"""The table of partitions: where graphs were split, by the piecewise backend and by Inductor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from compile_inspector.model.partitions import Partition
from compile_inspector.recording.fold import FACT, Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.told import PieceFact, SplitFact, told

SEAM = "inductor_partitions"
_UNTOLD = "Inductor told of no partition of it; it tells of none for a graph that comes from its cache"


class _Fact(msgspec.Struct, frozen=True):
    """The fact ``partitions``."""

    partitions: tuple[PieceFact, ...]


def partitions(trace: Trace, places: Places) -> tuple[Partition, ...] | None:  # noqa: ARG001 - a builder takes both
    """One row for each piece, by compile, those of the piecewise backend in front.

    None for a log without our facts in which nothing else told of any: torch itself does not narrate partitions.
    """
    by_inductor = [
        row for compile_id, facts in _inductor(trace).items() for row in _pieces(compile_id, facts)
    ]
    by_fx = list(_fx(trace, {row.compile_id for row in by_inductor}))
    if not by_fx and not by_inductor and why_absent(trace) is not None:
        return None
    order = {compile_id: index for index, compile_id in enumerate(trace.compiles)}
    return tuple(sorted([*by_fx, *by_inductor], key=lambda row: order.get(row.compile_id, -1)))


def why_absent(trace: Trace) -> str | None:
    """Why Inductor's partitions cannot be known; None where they are."""
    environment = next(iter(trace.facts("environment")), None)
    if not isinstance(environment, dict):
        return "torch does not narrate partitions; they are observed while a recorder is in place, and this log was made without one"
    for seam in environment.get("seams") or ():  # type: ignore[misc]
        if isinstance(seam, list) and len(seam) == 2 and seam[0] == SEAM:  # type: ignore[arg-type]
            return str(seam[1])  # type: ignore[misc]
    return None


def _fx(trace: Trace, told_by_inductor: set[str]) -> Iterator[Partition]:
    graphs: Counter[str] = Counter()
    for one in told(trace, "splits", SplitFact):
        said, compile_id = one.said, one.compile_id or ""
        by: Literal["fx", "inductor"] = "inductor" if said.by == "inductor" else "fx"
        if by == "inductor" and compile_id in told_by_inductor:
            continue
        untold = (_UNTOLD,) if by == "inductor" else ()
        remarks = (*untold, *_remarks(said))
        yield from _rows(compile_id, by, graphs[compile_id], said.pieces, said.module, remarks)
        graphs[compile_id] += 1


def _remarks(said: SplitFact) -> Iterator[str]:
    for name, near in said.unmatched:
        hint = f"; there is {', '.join(near)}" if near else ""
        yield f"{name} matches no operator of the graph{hint}"
    if said.problem is not None:
        yield said.problem


def _inductor(trace: Trace) -> dict[str, list[_Fact]]:
    found: dict[str, list[_Fact]] = {}
    for compiled in trace.compiles.values():
        for record in compiled.artifacts(FACT + "partitions"):
            raw = trace.fact(record)
            if raw is None:
                continue
            try:
                found.setdefault(compiled.id, []).append(msgspec.convert(raw, _Fact))
            except msgspec.ValidationError as error:
                trace.losses.add(trace.where(record), f"compile_inspector.partitions cannot be read: {error}")
    return found


def _pieces(compile_id: str, facts: Iterable[_Fact]) -> Iterator[Partition]:
    for graph, fact in enumerate(facts):
        yield from _rows(compile_id, "inductor", graph, fact.partitions, None, ())


def _rows(
    compile_id: str,
    by: Literal["fx", "inductor"],
    graph: int,
    pieces: Iterable[PieceFact],
    module: str | None,
    remarks: tuple[str, ...],
) -> Iterator[Partition]:
    for piece in pieces:
        kind: Any = "splitting" if piece.kind == "splitting" else "compiled"
        yield Partition(
            compile_id=compile_id,
            by=by,
            graph=graph,
            index=piece.index,
            name=piece.name,
            kind=kind,
            nodes=piece.nodes,
            split_op=piece.split_op,
            reason=piece.reason,
            capturable=piece.capturable,
            kernels=piece.kernels,
            module=module,
            remarks=remarks,
        )
