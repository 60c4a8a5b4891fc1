"""What a sweep over input sizes found: a cell for each combination, and a verdict on each dimension."""

from __future__ import annotations

from typing import Literal

import msgspec

from compile_inspector.model.findings import Finding
from compile_inspector.model.locations import Location

Kind = Literal["backed", "backed_size_oblivious", "unbacked"]
KINDS: tuple[Kind, ...] = ("backed", "backed_size_oblivious", "unbacked")
CellStatus = Literal["ok", "wrong", "failed", "invalid"]
DimStatus = Literal["dynamic", "recompiles", "pinned", "wrong", "fixed"]


class Size(msgspec.Struct, frozen=True):
    """One dimension of one input, at one size."""

    source: str
    dim: int
    size: int

    def __str__(self) -> str:
        return f"{self.source}[{self.dim}]={self.size}"


class Cell(msgspec.Struct, frozen=True):
    """One call: one kind of symbol, one combination of sizes. The cells of a kind share their compiled code, in the order they stand.

    Attributes:
        kind: What the varied dimensions were marked as.
        sizes: The sizes of the varied dimensions.
        status: ``ok``: the result equals eager's; ``wrong``: it does not; ``failed``: it raised where eager did not; ``invalid``: eager
            itself raises at these sizes.
        compiles: Compiles that the call set off.
        recompiles: Those of them that came because compiled code of the same function did not fit.
        specializations: Symbols that these compiles pinned to one value.
        guards: Of the code that these compiles made; None where the call compiled nothing.
        compile_ns: Time of these compiles, nanoseconds.
        call_ns: The median of further calls, nanoseconds; None where none was timed.
        problem: What differs, or what was raised; None where all is well.
        finding: The worst that is to be said of the call.
    """

    kind: Kind
    sizes: tuple[Size, ...]
    status: CellStatus
    compiles: int = 0
    recompiles: int = 0
    specializations: int = 0
    guards: int | None = None
    compile_ns: int = 0
    call_ns: int | None = None
    problem: str | None = None
    finding: Finding | None = None


class DimVerdict(msgspec.Struct, frozen=True):
    """Whether one dimension of one input can be dynamic.

    Attributes:
        sizes: The sizes that were tried.
        together: The dimensions that have to change with it: eager itself demands it, or torch pins each where the other is a number.
        status: ``dynamic``: one compile served every size; ``recompiles``: it took several; ``pinned``: torch insists on one size;
            ``wrong``: the result differs from eager's; ``fixed``: eager itself takes no other size.
        why: In one sentence.
        location: The line that pins it, None where none is known or none does.
    """

    source: str
    dim: int
    kind: Kind
    sizes: tuple[int, ...]
    together: tuple[str, ...]
    status: DimStatus
    why: str
    location: Location | None = None


class SweepResult(msgspec.Struct, frozen=True):
    """What a sweep found.

    Attributes:
        name: Of what was called.
        backend: That compiled it.
        cells: In the order they were run.
        dims: The verdicts, where each dimension was tried by itself; empty where a grid was given.
        total: How many cells were planned.
        notes: What to know of the run: kinds that this torch lacks, an interruption.
    """

    name: str
    backend: str
    cells: tuple[Cell, ...]
    dims: tuple[DimVerdict, ...] = ()
    total: int = 0
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """False where it was interrupted."""
        return len(self.cells) >= self.total

    def of_kind(self, kind: Kind) -> tuple[Cell, ...]:
        """The cells of one kind."""
        return tuple(cell for cell in self.cells if cell.kind == kind)

    @property
    def bad(self) -> tuple[Cell, ...]:
        """The cells whose result is wrong, or that failed where eager does not."""
        return tuple(cell for cell in self.cells if cell.status in ("wrong", "failed"))
