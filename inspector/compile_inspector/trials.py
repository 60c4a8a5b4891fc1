"""What users hold of the lab: `sweep`, and its and `Session.try_fix`'s results, which show themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import msgspec

from compile_inspector.model import sweeps, trials
from compile_inspector.model.sweeps import KINDS, Cell, DimVerdict, Kind
from compile_inspector.recording.recorder import Recorder
from compile_inspector.views.cells import cell_numbers

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from compile_inspector.views.trials import Told

Progress = Callable[[int, int, Cell], object]


class _Shown:
    """Shows itself: as text, through rich, in a notebook; its class says by `told` what there is to be shown."""

    if TYPE_CHECKING:

        def told(self) -> Told: ...

    def __str__(self) -> str:
        from compile_inspector.views.trials import text_of

        return text_of(self.told())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from compile_inspector.views.trials import render_told

        yield from render_told(self.told())

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        from compile_inspector.views.trials import html_of, text_of

        told = self.told()
        return {"text/plain": text_of(told), "text/html": html_of(told)}


class Sweep(_Shown, sweeps.SweepResult, frozen=True):
    """What a sweep found: `cells`, or a verdict on each dimension in `dims`; `bad` has the cells that are wrong or failed."""

    @classmethod
    def of(cls, result: sweeps.SweepResult) -> Self:
        """The same, able to show itself."""
        return cls(*msgspec.structs.astuple(result))

    def to_dicts(self) -> list[dict[str, Any]]:
        """The cells as plain rows; the verdicts where each dimension was tried by itself."""
        rows: Sequence[Cell | DimVerdict] = self.dims or self.cells
        return [msgspec.to_builtins(row) for row in rows]

    def __repr__(self) -> str:
        return f"<Sweep of {self.name}: {len(self.cells)} of {self.total} cells, {len(self.bad)} bad>"

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.cells)

    def told(self) -> Told:
        """What there is to be shown."""
        from compile_inspector.views.trials import told_sweep

        return told_sweep(self)


class Trial(_Shown, trials.Trial, frozen=True):
    """A fix that was tried: `before`, `after`, whether the finding is `gone`, how the result differs, and whether it `works`."""

    @classmethod
    def of(cls, trial: trials.Trial) -> Self:
        """The same, able to show itself."""
        return cls(*msgspec.structs.astuple(trial))

    def __repr__(self) -> str:
        return f"<Trial of a fix for {self.finding.kind}: {'it works' if self.works else 'it does not work'}>"

    def told(self) -> Told:
        """What there is to be shown."""
        from compile_inspector.views.trials import told_trial

        return told_trial(self)


def recorder() -> Recorder:
    """A recorder that knows the numbers of a notebook's cells."""
    return Recorder(name_cells=cell_numbers)


def sweep(
    function: Callable[..., Any],
    example_inputs: Any,
    dims: Mapping[str | tuple[str, ...], Mapping[int, Sequence[int]]] | None = None,
    *,
    kinds: Sequence[Kind] = KINDS,
    backend: Any = "inductor",
    progress: Progress | None = None,
) -> Sweep:
    """Runs a program over input sizes, each kind of symbol by itself, and checks every result against eager.

        ci.sweep(model, x, dims={"x": {0: [1, 2, 3, 8, 64]}})

    Every compiled code of the process is forgotten before and after. Modules keep their modes, parameters, buffers, attributes and
    gradients, and random numbers go on where they were. KeyboardInterrupt ends it with the cells that are done.

    Args:
        function: A module or a function; a compiled one is taken as what it was compiled from.
        example_inputs: One tensor, a tuple or list of arguments, or a dict of named ones. Other sizes are made by repeating or cutting.
        dims: By input, the sizes of each dimension to be tried; several make a grid, a tuple of inputs changes together. None: try each
            dimension of each tensor by itself, and say which can be dynamic and where the others are pinned.
        kinds: What to mark the dimensions as: ``backed`` (``mark_dynamic``), ``backed_size_oblivious`` (that, and no guess from the
            size's value), ``unbacked`` (``mark_unbacked``).
        backend: That compiles it.
        progress: Called after each cell with how many are done, how many there are, and the cell.

    Raises:
        LabError: An input, dimension or kind does not exist, or no tensor comes in.
    """
    from compile_inspector.lab import dimensions
    from compile_inspector.lab import sweep as grid

    options: dict[str, Any] = {"kinds": kinds, "backend": backend, "progress": progress, "recorder": recorder}
    if dims is None:
        return Sweep.of(dimensions.try_dimensions(function, example_inputs, **options))
    return Sweep.of(grid.sweep(function, example_inputs, dims, **options))
