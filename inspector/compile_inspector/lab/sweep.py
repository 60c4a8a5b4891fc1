"""`sweep`: runs a program over a grid of input sizes, each kind of symbol by itself, and holds each result against eager's."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from compile_inspector.analyze.findings import judge
from compile_inspector.errors import LabError
from compile_inspector.lab.agreement import difference
from compile_inspector.lab.inputs import Call, call_of, function_name, resized, short, source_named
from compile_inspector.lab.state import State
from compile_inspector.model.findings import Finding
from compile_inspector.model.sweeps import KINDS, Cell, CellStatus, Kind, Size, SweepResult
from compile_inspector.model.tables import Tables
from compile_inspector.recording.recorder import Recorder

Progress = Callable[[int, int, Cell], object]
"""Called after each cell with how many are done, how many there are, and the cell."""
Dims = Mapping[str | tuple[str, ...], Mapping[int, Sequence[int]]]
Axis = tuple[tuple[tuple[str, int], ...], tuple[int, ...]]
"""Dimensions that change together, and their sizes."""

REPEATS = 3
_MARKS: Mapping[Kind, str] = {
    "backed": "mark_dynamic",
    "backed_size_oblivious": "mark_dynamic",
    "unbacked": "mark_unbacked",
}
_WORTH_TELLING = ("error", "warning")


class Bench:
    """A function under trial: its original, its example call, and its state, which every call begins with.

    Args:
        function: A module or function, compiled or not.
        example: Its example inputs.
        backend: What compiles it.
        recorder: Makes the recorder of one call.
    """

    def __init__(
        self, function: Callable[..., Any], example: Any, backend: Any, recorder: Callable[[], Recorder]
    ) -> None:
        self.recorder = recorder
        self.function = original(function)
        self.call = call_of(self.function, example)
        self.backend = backend
        self._state = State(self.function)
        if not self.call.tensors:
            msg = f"no tensor comes into {function_name(self.function)}: there is no size to vary"
            raise LabError(msg)

    def run(self, function: Callable[..., Any], call: Call) -> tuple[Any, ...]:
        """The result, and the tensors of the call as it left them; the program's state is put back afterwards.

        Raises:
            Exception: What the call raises.
        """
        try:
            return function(*call.args, **call.kwargs), tuple(call.tensors.values())
        finally:
            self._state.restore()

    def eager(self, sizes: Mapping[str, Mapping[int, int]]) -> tuple[Any, ...] | Exception:
        """The same without a compiler; the exception where it raises one."""
        try:
            return self.run(self.function, resized(self.call, sizes))
        except Exception as error:  # noqa: BLE001 - the user's own, told as such
            return error


def original(function: Callable[..., Any]) -> Callable[..., Any]:
    """What was given to torch.compile, for a compiled module or function; itself otherwise."""
    for name in ("_orig_mod", "_torchdynamo_orig_callable"):
        found = getattr(function, name, None)
        if callable(found):
            return found
    return function


def sweep(
    function: Callable[..., Any],
    example: Any,
    dims: Dims,
    *,
    kinds: Sequence[Kind] = KINDS,
    backend: Any = "inductor",
    progress: Progress | None = None,
    recorder: Callable[[], Recorder] = Recorder,
) -> SweepResult:
    """Runs the grid.

    Args:
        function: A module or function; a compiled one is taken as what it was compiled from.
        example: Its example inputs: one tensor, a tuple or list of arguments, or a dict of named ones.
        dims: By input, the sizes of each dimension to be tried: ``{"x": {0: [1, 2, 3]}}``. A tuple of inputs changes together. Several
            dimensions make a grid.
        kinds: What to mark the dimensions as.
        backend: That compiles it.
        progress: Called after each cell.
        recorder: Makes the recorder of one call.

    Returns:
        The cells; where the user interrupts (KeyboardInterrupt), those that were done.

    Raises:
        LabError: An input, a dimension or a kind does not exist.
    """
    bench = Bench(function, example, backend, recorder)
    axes = list(_axes(bench.call, dims))
    check_kinds(kinds)
    combinations = list(itertools.product(*(sizes for _, sizes in axes)))
    cells: list[Cell] = []
    total = len(kinds) * len(combinations)
    notes: list[str] = []
    try:
        for kind in kinds:
            for cell in lane(bench, kind, [_assigned(axes, chosen) for chosen in combinations]):
                cells.append(cell)
                if progress is not None:
                    progress(len(cells), total, cell)
    except KeyboardInterrupt:
        notes.append(f"interrupted after {len(cells)} of {total} cells")
    return SweepResult(function_name(bench.function), str(backend), tuple(cells), (), total, tuple(notes))


def check_kinds(kinds: Sequence[str]) -> None:
    """Raises LabError for a kind that does not exist."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        msg = f"kinds must be some of {', '.join(KINDS)}; got {list(kinds)!r}"
        raise LabError(msg)


def lane(
    bench: Bench, kind: Kind, combinations: Sequence[tuple[Size, ...]], repeats: int = REPEATS
) -> Iterator[Cell]:
    """The cells of one kind, on code that is compiled anew; every compiled code of the process is forgotten before and after."""
    import torch

    with apart(kind, len(combinations)):
        compiled = torch.compile(bench.function, backend=bench.backend)
        for sizes in combinations:
            yield _cell(bench, compiled, kind, sizes, repeats)


@contextmanager
def apart(kind: Kind | None = None, compiles: int | None = None) -> Generator[None, None, None]:
    """Compiled code forgotten before and after, caches off, room for that many compiles where it is said how many; settings are put back exactly."""
    from compile_inspector.torch_seams import isolation

    oblivious = isolation.oblivious() if kind == "backed_size_oblivious" else {}
    room = {} if compiles is None else isolation.unlimited(compiles + 8)
    settings = isolation.quiet() | room | oblivious
    with isolation.silent(), isolation.patched(settings):
        isolation.reset()
        try:
            yield
        finally:
            isolation.reset()


def by_source(sizes: Sequence[Size]) -> dict[str, dict[int, int]]:
    """Sizes by source and dimension."""
    found: dict[str, dict[int, int]] = {}
    for size in sizes:
        found.setdefault(size.source, {})[size.dim] = size.size
    return found


def _axes(call: Call, dims: Dims) -> Iterator[Axis]:
    for names, wanted in dims.items():
        together = (names,) if isinstance(names, str) else tuple(names)
        sources = [source_named(call, name) for name in together]
        for dim, sizes in wanted.items():
            for source in sources:
                _check_dim(call, source, dim)
            if not sizes or any(type(size) is not int or size < 0 for size in sizes):
                msg = f"the sizes of {short(sources[0])} dimension {dim} must be whole numbers of at least 0; got {list(sizes)!r}"
                raise LabError(msg)
            yield tuple((source, dim) for source in sources), tuple(sizes)


def _check_dim(call: Call, source: str, dim: int) -> None:
    ndim = call.tensors[source].dim()
    if type(dim) is not int or not 0 <= dim < ndim:
        msg = f"{short(source)} has {ndim} dimensions, counted from 0; there is no {dim!r}"
        raise LabError(msg)


def _assigned(axes: Sequence[Axis], chosen: Sequence[int]) -> tuple[Size, ...]:
    return tuple(
        Size(source, dim, size)
        for (places, _), size in zip(axes, chosen, strict=True)
        for source, dim in places
    )


def _marked(call: Call, kind: Kind, sizes: Sequence[Size]) -> Call:
    from compile_inspector.torch_seams import isolation

    for size in sizes:
        isolation.mark(call.tensors[size.source], size.dim, _MARKS[kind])
    return call


def _cell(
    bench: Bench, compiled: Callable[..., Any], kind: Kind, sizes: tuple[Size, ...], repeats: int
) -> Cell:
    wanted = by_source(sizes)
    expected = bench.eager(wanted)
    if isinstance(expected, Exception):
        return Cell(kind, sizes, "invalid", problem=f"eager raises {said(expected)}")
    status: CellStatus = "ok"
    problem: str | None = None
    with bench.recorder() as recorder:
        try:
            actual = bench.run(compiled, _marked(resized(bench.call, wanted), kind, sizes))
            problem = differs(expected, actual)
            status = "ok" if problem is None else "wrong"
        except Exception as error:  # noqa: BLE001 - whatever a compiler raises is what is asked for
            status, problem = "failed", said(error)
    tables = recorder.recording.tables()
    call_ns = _timed(bench, compiled, kind, sizes, repeats) if status == "ok" else None
    return _told(Cell(kind, sizes, status, problem=problem, call_ns=call_ns), tables)


def differs(expected: tuple[Any, ...], actual: tuple[Any, ...]) -> str | None:
    """What differs of two runs: the result, or else what was done to the inputs."""
    return difference(expected[0], actual[0]) or difference(
        expected[1], actual[1], "the inputs after the call"
    )


def _timed(
    bench: Bench, compiled: Callable[..., Any], kind: Kind, sizes: Sequence[Size], repeats: int
) -> int | None:
    times: list[int] = []
    for _ in range(repeats):
        call = _marked(resized(bench.call, by_source(sizes)), kind, sizes)
        began = time.perf_counter_ns()
        try:
            compiled(*call.args, **call.kwargs)
        except Exception:  # noqa: BLE001 - the call that counts has not raised
            return None
        finally:
            took = time.perf_counter_ns() - began
            bench.run(_nothing, call)
        times.append(took)
    return round(statistics.median(times)) if times else None


def _nothing(*_: Any, **__: Any) -> None:
    """Stands for the function where only the state is to be put back."""


def _told(cell: Cell, tables: Tables) -> Cell:
    """The cell with what was recorded of its call."""
    compiles = [row for row in tables.compiles if not row.recovered]
    ids = {row.id for row in compiles}
    guards = [row.guard_count for row in compiles if row.guard_count is not None]
    return msgspec.structs.replace(
        cell,
        compiles=len(compiles),
        recompiles=sum(row.compile_id in ids for row in tables.recompiles),
        specializations=sum(row.compile_id in ids for row in tables.specializations),
        guards=sum(guards) if guards else None,
        compile_ns=sum(row.elapsed_ns or 0 for row in compiles),
        finding=worst(tables),
    )


def worst(tables: Tables) -> Finding | None:
    """The first finding that is more than a note; where something recompiled, the first one at all."""
    found = judge(tables).findings
    told = next((one for one in found if one.severity in _WORTH_TELLING), None)
    return told or (next(iter(found), None) if tables.recompiles else None)


def said(error: BaseException) -> str:
    """An exception as one line: its class, and the first line of its message that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
