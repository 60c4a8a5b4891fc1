"""Real compiles, captured with chosen seams only, for the seams' own tests."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch

from compile_inspector.model.records import Record
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.live import Catcher, records
from compile_inspector.recording.stacks import Places
from compile_inspector.torch_seams import trace
from compile_inspector.torch_seams.probe import Faults

FACT = "compile_inspector."


class Captured(NamedTuple):
    """What one call narrated, what it returned, and the faults inside the seams."""

    records: tuple[Record, ...]
    result: Any
    faults: dict[tuple[str, str], int]

    def table(self, build: Callable[[Trace, Places], tuple[Any, ...]]) -> tuple[Any, ...]:
        """The rows that a table's builder makes of it; nothing may be lost on the way."""
        folded = Trace(self.records)
        rows = build(folded, Places(folded))
        assert folded.losses.rows() == ()
        return rows

    def facts(self, name: str) -> list[Any]:
        """Every fact of one name, decoded, in order."""
        folded = Trace(())
        return [folded.fact(record) for record in self.records if record.artifact == FACT + name]

    def foreign(self) -> Captured:
        """The same as a torch without us would have narrated it."""
        kept = tuple(record for record in self.records if not (record.artifact or "").startswith(FACT))
        return self._replace(records=kept)


def capture(call: Callable[[], Any], *seams: str, reset: bool = True) -> Captured:
    """Runs a call with a handler and the named seams in place; an exception of the call is its result."""
    if reset:
        torch._dynamo.reset()
    faults = Faults()
    lost: list[BaseException] = []
    catcher = Catcher(lost.append)
    known = tuple(Record("str", [name, number], {}) for name, number in trace.interned_files())
    with contextlib.ExitStack() as stack:
        stack.callback(trace.listen(catcher))
        for name in seams:
            stack.callback(
                importlib.import_module(f"compile_inspector.torch_seams.{name}").install(trace.emit, faults)
            )
        try:
            result = call()
        except Exception as error:
            result = error
    assert lost == []
    return Captured((*known, *records(catcher.raw)), result, faults.counts())


def marked_line(path: str, marker: str = "# CAUSE") -> int:
    """The number of the line of a file that carries a marker."""
    with open(path) as file:
        return _line_of(file, marker)


def _line_of(lines: Iterable[str], marker: str) -> int:
    return next(number for number, line in enumerate(lines, 1) if marker in line)
