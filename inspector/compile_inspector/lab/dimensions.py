"""`try_dimensions`: each dimension of each input by itself: can it be dynamic, and if not, where is it pinned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from compile_inspector.lab.inputs import function_name, short
from compile_inspector.lab.sweep import Bench, Progress, by_source, check_kinds, lane, said
from compile_inspector.model.locations import Location
from compile_inspector.model.sweeps import KINDS, Cell, DimStatus, DimVerdict, Kind, Size, SweepResult
from compile_inspector.recording.recorder import Recorder

Place = tuple[str, int]
Group = tuple[Place, ...]


def try_dimensions(
    function: Any,
    example: Any,
    *,
    kinds: Sequence[Kind] = KINDS,
    backend: Any = "inductor",
    progress: Progress | None = None,
    recorder: Callable[[], Recorder] = Recorder,
) -> SweepResult:
    """Tries every dimension of every input tensor at its own size and at two others.

    Where eager does not take another size of one dimension alone, those of equal size are changed with it: first one by one, then all.

    Raises:
        LabError: A kind does not exist, or no tensor comes in.
    """
    check_kinds(kinds)
    bench = Bench(function, example, backend, recorder)
    places = [(source, dim) for source, tensor in bench.call.tensors.items() for dim in range(tensor.dim())]
    cells: list[Cell] = []
    verdicts: list[DimVerdict] = []
    notes: list[str] = []
    total = 3 * len(kinds) * len(places)
    try:
        seen: dict[Group, Group] = {}
        for place in places:
            if any(place in group for group in seen):
                continue
            group, refused = _group(bench, place, places)
            if group is None:
                total -= 3 * len(kinds)
                verdicts += (_fixed(bench, place, kind, refused) for kind in kinds)
                continue
            seen[group] = group
            total -= 3 * len(kinds) * (len(group) - 1)
            for kind in kinds:
                found = []
                for cell in lane(bench, kind, _combinations(bench, group), repeats=0):
                    found.append(cell)
                    cells.append(cell)
                    if progress is not None:
                        progress(len(cells), total, cell)
                verdicts += _verdicts(group, kind, found)
    except KeyboardInterrupt:
        notes.append(f"interrupted after {len(cells)} of {total} cells")
    order = {place: index for index, place in enumerate(places)}
    verdicts.sort(key=lambda one: (order[one.source, one.dim], kinds.index(one.kind)))
    return SweepResult(
        function_name(bench.function), str(backend), tuple(cells), tuple(verdicts), total, tuple(notes)
    )


def _sizes(bench: Bench, place: Place) -> tuple[int, int, int]:
    """Its own size and two others; a size of 0 or 1 says nothing of larger ones and is left for last."""
    size = bench.call.tensors[place[0]].size(place[1])
    return (size, size + 1, 2 * size + 1) if size > 1 else (2, 3, size)


def _combinations(bench: Bench, group: Group) -> list[tuple[Size, ...]]:
    return [tuple(Size(source, dim, size) for source, dim in group) for size in _sizes(bench, group[0])]


def _group(bench: Bench, place: Place, places: Sequence[Place]) -> tuple[Group | None, str]:
    """The dimensions that have to change for this one to change; None, and what eager says, where nothing helps."""
    size = bench.call.tensors[place[0]].size(place[1])
    alike = [
        other for other in places if other != place and bench.call.tensors[other[0]].size(other[1]) == size
    ]
    refused: str | None = ""
    for group in _candidates(place, alike):
        refused = _refusal(bench, group)
        if refused is None:
            return group, ""
    return None, refused or ""


def _candidates(place: Place, alike: Sequence[Place]) -> Iterator[Group]:
    yield (place,)
    for other in alike:
        yield (place, other)
    if len(alike) > 1:
        same = [other for other in alike if other[1] == place[1]]
        if 1 < len(same) < len(alike):
            yield (place, *same)
        yield (place, *alike)


def _refusal(bench: Bench, group: Group) -> str | None:
    for sizes in _combinations(bench, group)[:2]:
        result = bench.eager(by_source(sizes))
        if isinstance(result, Exception):
            return said(result)
    return None


def _fixed(bench: Bench, place: Place, kind: Kind, refused: str) -> DimVerdict:
    return DimVerdict(
        *place, kind, _sizes(bench, place)[:2], (), "fixed", f"eager itself takes no other size: {refused}"
    )


def _verdicts(group: Group, kind: Kind, cells: Sequence[Cell]) -> Iterator[DimVerdict]:
    for source, dim in group:
        status, why, location = _verdict(kind, cells)
        yield DimVerdict(
            source=source,
            dim=dim,
            kind=kind,
            sizes=tuple(cell.sizes[0].size for cell in cells),
            together=tuple(f"{short(other)}[{at}]" for other, at in group if (other, at) != (source, dim)),
            status=status,
            why=why,
            location=location,
        )


def _verdict(kind: Kind, cells: Sequence[Cell]) -> tuple[DimStatus, str, Location | None]:
    valid = [cell for cell in cells if cell.status != "invalid"]
    for cell in valid:
        if cell.status == "failed":
            return "pinned", _because(cell), _line(cell)
        if cell.status == "wrong":
            return "wrong", cell.problem or "the result is wrong", _line(cell)
    compiles = sum(cell.compiles for cell in valid)
    recompiled = [cell for cell in valid if cell.recompiles]
    if not recompiled:
        why = f"compiled once, serves the sizes {', '.join(str(cell.sizes[0].size) for cell in valid)}"
        broken = next(
            (cell for cell in valid if cell.finding is not None and cell.finding.kind == "graph-break"), None
        )
        if broken is None:
            return "dynamic", why, None
        at = _line(broken)
        return "dynamic", f"{why}, but the graph breaks" + (f" at {at.short}" if at else ""), at
    small = [cell for cell in recompiled if cell.sizes[0].size < 2]
    if len(small) == len(recompiled) and kind != "unbacked":
        return (
            "dynamic",
            f"dynamic from 2 on; a size of {small[0].sizes[0].size} compiles again",
            _line(small[0]),
        )
    told = recompiled[0].finding
    return (
        "recompiles",
        f"{compiles} compiles for {len(valid)} sizes" + (f": {told.title}" if told else ""),
        _line(recompiled[0]),
    )


def _because(cell: Cell) -> str:
    return cell.finding.title if cell.finding is not None else cell.problem or "the compile fails"


def _line(cell: Cell) -> Location | None:
    return None if cell.finding is None else cell.finding.cause
