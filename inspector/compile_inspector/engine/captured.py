"""What was captured of one program: what its calls go through, by the entry that admits them."""

from __future__ import annotations

import weakref
from typing import Any

from compile_inspector.engine import narration
from compile_inspector.engine.arguments import CallShape
from compile_inspector.engine.cudagraph import Capture, PieceOf, next_id
from compile_inspector.engine.dispatch import Behaviour, Dispatch
from compile_inspector.torch_seams import direct, trace


class Captured:
    """What was captured of one program, and what its calls go through.

    Args:
        program: The program, referred to weakly.
    """

    def __init__(self, program: Any, shape: CallShape, *, copy_outputs: bool) -> None:
        self._program = weakref.ref(program)
        self.shape, self.copy_outputs = shape, copy_outputs
        self.dispatches: dict[int, Dispatch] = {}
        self.skipped: list[Capture] = []
        self._uncompiled: Capture | None = None
        narration.register(self)
        self._last = weakref.finalize(self, _tell_counts, self.dispatches, self.skipped)
        self._last.atexit = False

    def through(self, entry: direct.Entry) -> Dispatch:
        """What the calls go through that an entry's guards admit."""
        found = self.dispatches.get(id(entry.guards))
        if found is None:
            program = self._program()
            piece = PieceOf(entry.compile_id, None, "" if program is None else program.prefix)
            found = self.dispatches[id(entry.guards)] = Dispatch(
                entry, self.shape, None, Behaviour(), piece, copy_outputs=self.copy_outputs
            )
        return found

    def has_graphs(self, entry: direct.Entry) -> bool:
        """Whether calls that this entry admits can run from a graph: it is tried before the others."""
        found = self.dispatches.get(id(entry.guards))
        return found is not None and bool(found.full or found.pieces)

    def ran_uncompiled(self) -> None:
        """Counts a call that nothing compiled admits, and for which nothing is compiled any more."""
        if self._uncompiled is None:
            program = self._program()
            piece = PieceOf(None, None, "" if program is None else program.prefix)
            reason = "no compiled code admits the call, and torch compiles this module no more (recompile_limit): it ran as it is"
            self._uncompiled = Capture(next_id(), piece, None, "FULL", event="bypassed", reason=reason)
            self.skipped.append(self._uncompiled)
        self._uncompiled.call_count += 1
        if self._uncompiled.call_count == 1:
            narration.capture(self._uncompiled.to_dict())

    def release(self) -> None:
        """Frees every graph; how often each was replayed is told before."""
        self._last()
        narration.forget(self)
        for one in self.dispatches.values():
            one.drop()

    def captures(self) -> list[Capture]:
        """Everything that is told of it."""
        found = [capture for one in self.dispatches.values() for capture in one.captures()]
        return sorted([*found, *self.skipped], key=lambda one: one.id)

    def facts(self) -> list[tuple[str, dict[str, Any], Any]]:
        """Every capture as it stands now."""
        return [("captures", one.to_dict(), one.piece.compile_id) for one in self.captures()]


def _tell_counts(dispatches: dict[int, Dispatch], others: list[Capture]) -> None:
    """Tells what was counted, for the last time: nobody asks for it once the program is gone."""
    if trace.heard():
        rows = [
            capture for one in dispatches.values() for capture in (*one.captures(), *one.captured_pieces())
        ]
        rows += others
        counted = [
            one for one in rows if one.replay_count or one.call_count or one.piece.partition is not None
        ]
        narration.tell(("captures", one.to_dict(), one.piece.compile_id) for one in counted)
