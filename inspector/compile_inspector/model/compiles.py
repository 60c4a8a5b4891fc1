"""Compiles: each time Dynamo turned a frame into code."""

from __future__ import annotations

from typing import Literal

import msgspec

from compile_inspector.model.locations import Location

Status = Literal["ok", "failed", "skipped", "unfinished"]


class Frame(msgspec.Struct, frozen=True):
    """The Python function that was compiled."""

    function: str
    location: Location


class Phase(msgspec.Struct, frozen=True):
    """A span of a compile, as torch names it (``bytecode_tracing``, ``backend_compile``, …).

    Attributes:
        name: torch's name of the phase.
        start_ns: From the start of the compile, nanoseconds.
        elapsed_ns: Wall time, nanoseconds; of a phase whose end is not recorded, up to the compile's last event.
        depth: How many phases it lies within.
    """

    name: str
    start_ns: int
    elapsed_ns: int
    depth: int


class CompileFailure(msgspec.Struct, frozen=True):
    """Why a compile gave no code."""

    type: str
    message: str
    location: Location | None = None


class Restart(msgspec.Struct, frozen=True):
    """An attempt that was thrown away, and why."""

    attempt: int
    reason: str


class Call(msgspec.Struct, frozen=True):
    """The call that made a frame compile, as the user wrote it.

    Attributes:
        text: Its source: ``model(x, 2)``, of several lines where it has several.
        parameters: Names of the positional arguments of what was compiled, in order; ``*name`` for the one that takes the rest.
        module: Whether what is called is a module.
        bound: Whether the first of all arguments, taken by ``*name``, is the object of the method that is called, as in a decorator's
            ``wrapper(*args)``.
        library: The line of an installed library that makes the call, None where the user's own code makes it.
    """

    text: str
    parameters: tuple[str, ...]
    module: bool = False
    bound: bool = False
    library: Location | None = None


class Compile(msgspec.Struct, frozen=True):
    """One compile.

    Attributes:
        id: ``"0/1"``: frame and count. Where torch used an id again after a reset, ``"0/1#2"``.
        frame: What was compiled; None where the record does not say.
        trigger: The user's call that made it compile (the deepest frame of its stack outside torch and site-packages).
        attempts: Tries it took; more than one after a graph break or a restart of the analysis.
        restarts: The attempts before the one that shipped.
        status: ``skipped``: Dynamo decided to leave the frame alone; ``unfinished``: the record ends inside it.
        error: Only where it failed.
        start_ns: Wall-clock start, nanoseconds since the epoch; None where unknown.
        elapsed_ns: Wall time of Dynamo's compile of the frame, nanoseconds; a backward compiled later is not in it. None where unknown.
        phases: In order of start.
        guard_count: Guards of the attempt that shipped; None where unknown.
        node_count: Nodes of the Dynamo graph; None where there is none.
        caches: ``"fx_graph: miss"``, …: one a lookup.
        recovered: True where the compile happened before the recording and was rebuilt from what torch still held.
        missing: What could not be recovered of it, None when nothing is missing.
        call: The call at ``trigger``; None where that does not call the compiled function itself, or its source was not at hand.
        meant: What the compiled code stands for where a decorator made it (``Llama.forward`` of a ``wrapper``); None where that is not known.
    """

    id: str
    frame: Frame | None
    trigger: Location | None
    attempts: int
    restarts: tuple[Restart, ...]
    status: Status
    error: CompileFailure | None
    start_ns: int | None
    elapsed_ns: int | None
    phases: tuple[Phase, ...]
    guard_count: int | None
    node_count: int | None
    caches: tuple[str, ...]
    recovered: bool = False
    missing: str | None = None
    call: Call | None = None
    meant: str | None = None

    @property
    def function(self) -> str | None:
        """The name of what was compiled, a reader's where a decorator stands around it; None where that is not known."""
        return self.meant or (None if self.frame is None else self.frame.function)
