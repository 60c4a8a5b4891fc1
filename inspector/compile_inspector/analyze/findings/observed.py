"""What the findings look up in a recording: compiles by id, dimensions by source, who called what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from compile_inspector.analyze.findings.sites import Site
from compile_inspector.model.compiles import Compile, Frame
from compile_inspector.model.locations import Location
from compile_inspector.model.records import Loss
from compile_inspector.model.symbols import Dim, Specialization, Symbol
from compile_inspector.model.tables import Tables

_WRAPPER = "/torch/_dynamo/external_utils.py"
_RESUMED = re.compile(r"torch_dynamo_resume_in_(.+)_at_(\d+)$")
_SIZE = re.compile(r"(.+)\.size\(\)\[(\d+)\]$", re.DOTALL)


class Observed:
    """One recording, indexed; each index is made when first needed.

    Args:
        tables: The recording. A table that it cannot have counts as empty.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._by_compile: dict[str, dict[str, list[Any]]] = {}

    def rows(self, name: str) -> tuple[Any, ...]:
        """A table's rows, none where it is absent."""
        return self.tables.read(name) or ()

    def of_compile(self, name: str, compile_id: str) -> list[Any]:
        """A table's rows that belong to one compile."""
        found = self._by_compile.get(name)
        if found is None:
            found = self._by_compile[name] = {}
            for row in self.rows(name):
                found.setdefault(row.compile_id, []).append(row)
        return found.get(compile_id, [])

    @cached_property
    def compiles(self) -> dict[str, Compile]:
        """By id, in order."""
        return {row.id: row for row in self.rows("compiles")}

    @cached_property
    def dims(self) -> dict[tuple[str, str, int], Dim]:
        """By compile, input and dimension."""
        return {(row.compile_id, row.source, row.dim): row for row in self.rows("dims")}

    @cached_property
    def pins(self) -> dict[tuple[str, str], Specialization]:
        """The first specialization of each source of each compile."""
        found: dict[tuple[str, str], Specialization] = {}
        for row in self.rows("specializations"):
            for source in row.sources:
                found.setdefault((row.compile_id, source), row)
        return found

    @cached_property
    def shared(self) -> dict[tuple[str, str], Symbol]:
        """By compile and source: the symbol of several sources that it stands under."""
        return {
            (row.compile_id, source): row
            for row in self.rows("symbols")
            if len(row.sources) > 1
            for source in row.sources
        }

    def dim(self, compile_id: str, source: str) -> Dim | None:
        """The dimension that a size source (``L['x'].size()[0]``) names."""
        found = size_of(source)
        return None if found is None else self.dims.get((compile_id, *found))

    def frame(self, compile_id: str) -> Frame | None:
        """What was compiled; None where that is not known."""
        found = self.compiles.get(compile_id)
        return None if found is None else found.frame

    def function(self, compile_id: str) -> str:
        """The compiled function's name, for sentences."""
        return self.function_of((compile_id,))

    def function_of(self, compile_ids: Sequence[str]) -> str:
        """The name of what several compiles of one code were of: the decorator's own where they were of different functions."""
        known = [row for one in compile_ids if (row := self.compiles.get(one)) is not None]
        names = list(dict.fromkeys(row.function for row in known))
        if len(names) == 1 and names[0] is not None:
            return names[0]
        frame = next((row.frame for row in known if row.frame is not None), None)
        return f"compile {compile_ids[0]}" if frame is None else frame.function

    def frame_key(self, compile_id: str) -> object:
        """Equal for compiles of the same function."""
        return self.frame(compile_id) or compile_id.partition("#")[0].rpartition("/")[0] or compile_id

    def called(self, compile_id: str) -> Location | None:
        """The user's call that made it compile."""
        found = self.compiles.get(compile_id)
        return None if found is None else found.trigger

    def site(self, compile_id: str, location: Location | None = None) -> Site:
        """That call, read; at ``location`` where the compile is not known."""
        found = self.compiles.get(compile_id)
        if found is None:
            return Site(location)
        outer = self._outer(found)
        return Site(
            found.trigger or location,
            found.call if outer is None else None,
            torch=self.tables.environment.torch,
            wraps=self.is_wrapped(compile_id),
            outer=None if outer is None else self.site(outer.id),
        )

    def _outer(self, after: Compile) -> Compile | None:
        """The first compile of the function whose graph break cut this code off, None of code that none did."""
        place = resumed(after)
        if place is None or after.frame is None:
            return None
        function, line = place
        found: Compile | None = None
        nearest = 0
        for one in self.compiles.values():
            frame = one.frame
            if (
                frame is not None
                and frame.function == function
                and frame.location.file == after.frame.location.file
                and nearest < frame.location.line <= line
            ):
                found, nearest = one, frame.location.line
        return found

    def is_wrapped(self, compile_id: str) -> bool:
        """Whether torch compiled a function of its own around what is called: that has no Python code outside torch."""
        frame = self.frame(compile_id)
        return frame is not None and frame.location.file.endswith(_WRAPPER)

    def cost_ns(self, compile_ids: Iterable[str]) -> int | None:
        """Compile time of some compiles together, None where none of them is known."""
        known = [
            row.elapsed_ns
            for one in dict.fromkeys(compile_ids)
            if (row := self.compiles.get(one)) is not None and row.elapsed_ns is not None
        ]
        return sum(known) if known else None

    def losses(self) -> tuple[Loss, ...]:
        """What speaks of compiles that the recording does not have, counted by table."""
        lost: dict[str, int] = {}
        for name in ("dims", "recompiles", "specializations", "symbols", "graph_breaks"):
            for row in self.rows(name):
                if row.compile_id not in self.compiles:
                    lost[name] = lost.get(name, 0) + 1
        return tuple(
            Loss("findings", f"a row of {name} belongs to no compile of the recording", times)
            for name, times in lost.items()
        )


def resumed(compiled: Compile) -> tuple[str, int] | None:
    """The function and the line of the graph break that this code follows: torch names it by both; None of any other code."""
    found = None if compiled.frame is None else _RESUMED.match(compiled.frame.function)
    return None if found is None else (found[1], int(found[2][:9]))


def size_of(source: str) -> tuple[str, int] | None:
    """``("L['x']", 0)`` of ``L['x'].size()[0]``, None of what is no size."""
    found = _SIZE.match(source)
    return None if found is None else (found[1], int(found[2][:9]))


def size_source(tensor: str, dim: int) -> str:
    """``L['x'].size()[0]``."""
    return f"{tensor}.size()[{dim}]"
