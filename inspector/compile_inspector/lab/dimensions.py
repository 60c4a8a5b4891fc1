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

    Where eager does not take another size of one dimension alone, or torch pins it, those of equal size are changed with it: first one by
    one, then all.

    Raises:
        LabError: A kind does not exist, or no tensor comes in.
    """
    check_kinds(kinds)
    trial = _Trial(Bench(function, example, backend, recorder), kinds, progress)
    notes: list[str] = []
    try:
        trial.run()
    except KeyboardInterrupt:
        notes.append(f"interrupted after {len(trial.cells)} of {trial.total} cells")
    order = {place: index for index, place in enumerate(trial.places)}
    verdicts = sorted(trial.verdicts, key=lambda one: (order[one.source, one.dim], kinds.index(one.kind)))
    return SweepResult(
        function_name(trial.bench.function),
        str(backend),
        tuple(trial.cells),
        tuple(verdicts),
        trial.total,
        tuple(notes),
    )


class _Trial:
    """Every dimension of one call, tried one after the other."""

    def __init__(self, bench: Bench, kinds: Sequence[Kind], progress: Progress | None) -> None:
        self.bench = bench
        self.kinds = kinds
        self.progress = progress
        self.places = [
            (source, dim) for source, tensor in bench.call.tensors.items() for dim in range(tensor.dim())
        ]
        self.cells: list[Cell] = []
        self.verdicts: list[DimVerdict] = []
        self.total = 3 * len(kinds) * len(self.places)

    def run(self) -> None:
        bench, per_place = self.bench, 3 * len(self.kinds)
        told: set[Place] = set()
        for place in self.places:
            if place in told:
                continue
            group, refused = _group(bench, place, self.places)
            if group is None:
                self.total -= per_place
                self.verdicts += (_fixed(bench, place, kind, refused) for kind in self.kinds)
                continue
            group, first = self._enough(place, group)
            for kind in self.kinds:
                found = first if kind == self.kinds[0] else self._lane(kind, group)
                self.verdicts += [
                    one for one in _verdicts(group, kind, found) if (one.source, one.dim) not in told
                ]
            others = [one for one in group if one != place and one not in told]
            self.total -= per_place * len(others)
            told.update(group)

    def _enough(self, place: Place, group: Group) -> tuple[Group, list[Cell]]:
        """The dimensions that have to change together for torch, too, and the cells of the first kind.

        Where torch pins a size that eager does not, another input may hold the same size as a number (a mask); then both are dynamic.
        """
        kind = self.kinds[0]
        found = self._lane(kind, group)
        if _verdict(kind, found)[0] != "pinned":
            return group, found
        for wider in _candidates(place, _alike(self.bench, place, self.places)):
            if set(group) < set(wider) and _refusal(self.bench, wider) is None:
                self.total += 3
                cells = self._lane(kind, wider)
                if _verdict(kind, cells)[0] in ("dynamic", "recompiles"):
                    return wider, cells
        return group, found

    def _lane(self, kind: Kind, group: Group) -> list[Cell]:
        found: list[Cell] = []
        for cell in lane(self.bench, kind, _combinations(self.bench, group), repeats=0):
            found.append(cell)
            self.cells.append(cell)
            if self.progress is not None:
                self.progress(len(self.cells), self.total, cell)
        return found


def _sizes(bench: Bench, place: Place) -> tuple[int, int, int]:
    """Its own size and two others; a size of 0 or 1 says nothing of larger ones and is left for last."""
    size = bench.call.tensors[place[0]].size(place[1])
    return (size, size + 1, 2 * size + 1) if size > 1 else (2, 3, size)


def _combinations(bench: Bench, group: Group) -> list[tuple[Size, ...]]:
    return [tuple(Size(source, dim, size) for source, dim in group) for size in _sizes(bench, group[0])]


def _group(bench: Bench, place: Place, places: Sequence[Place]) -> tuple[Group | None, str]:
    """The dimensions that have to change for this one to change; None, and what eager says, where nothing helps."""
    refused: str | None = ""
    for group in _candidates(place, _alike(bench, place, places)):
        refused = _refusal(bench, group)
        if refused is None:
            return group, ""
    return None, refused or ""


def _alike(bench: Bench, place: Place, places: Sequence[Place]) -> list[Place]:
    """The other dimensions of the same size."""
    size = bench.call.tensors[place[0]].size(place[1])
    return [
        other for other in places if other != place and bench.call.tensors[other[0]].size(other[1]) == size
    ]


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
