"""From torch's stacks to places in the user's program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from compile_inspector.model.compiles import Call
from compile_inspector.model.locations import Location, Stack
from compile_inspector.model.records import Record
from compile_inspector.recording.fold import FACT, CompileTrace, Trace

_LIBRARY = re.compile(r"/(?:site|dist)-packages/|/lib/python3\.\d+/|^<frozen |^<__array_function__")
_OWN = re.compile(
    r"/compile_inspector/(?:(?:api|trials)\.py$|(?:engine|lab|notebook|recording|torch_seams)/)|^<the engine's wrapper of "
)
_UNKNOWN = "<file "
_ANCHOR = "/torch/_dynamo/convert_frame.py"


class Places:
    """Reads stacks of one recording.

    Knows where torch lay on the machine that recorded (a source checkout too), the notebook's cells, and torch's table of file names.
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._torch_roots = tuple(
            {
                name[: -len("_dynamo/convert_frame.py")]
                for name in trace.files.values()
                if name.endswith(_ANCHOR)
            }
        )

    def stack(self, frames: object) -> Stack:
        """The frames of a record's ``stack`` field, outermost first; what is malformed is left out."""
        if not isinstance(frames, list):
            return ()
        return tuple(place for frame in frames if (place := self.location(frame)) is not None)  # type: ignore[misc]

    def location(self, frame: Any) -> Location | None:
        """One frame: torch's ``{"line", "name", "filename", "loc"}``, or ``[file, line, function, code]`` of a fact."""
        if isinstance(frame, dict):
            frame = [frame.get("filename"), frame.get("line"), frame.get("name"), frame.get("loc")]  # type: ignore[misc]
        if not isinstance(frame, list) or len(frame) != 4:  # type: ignore[arg-type]
            return None
        file, line, function, code = frame  # type: ignore[misc]
        if isinstance(file, int):
            file = self._trace.files.get(file, f"{_UNKNOWN}{file}>")
        if not isinstance(file, str):
            return None
        return Location(
            file=self.shown(file),
            line=line if isinstance(line, int) else 0,
            function=function if isinstance(function, str) else None,
            code=code.strip() or None if isinstance(code, str) else None,
        )

    def shown(self, file: str) -> str:
        """A file's name as users know it: ``In [3]`` for a notebook cell, the path otherwise."""
        cell = self._trace.cells.get(file)
        return file if cell is None else f"In [{cell}]"

    def is_torch(self, file: str) -> bool:
        """Whether a file is part of torch, or of this package."""
        return (
            any(file.startswith(root) for root in self._torch_roots)
            or "/site-packages/torch/" in file
            or "/dist-packages/torch/" in file
            or _OWN.search(file) is not None
        )

    def is_library(self, file: str) -> bool:
        """Whether a file is installed code: torch, anything in site-packages, or Python itself."""
        return self.is_torch(file) or file.startswith(_UNKNOWN) or _LIBRARY.search(file) is not None

    def user_line(self, stack: Iterable[Location]) -> Location | None:
        """The user's line of a stack: its deepest frame outside torch and site-packages.

        A model may itself be installed: with no such frame the deepest one outside torch serves.
        """
        frames = tuple(stack)
        for known in (self.is_library, self.is_torch):
            for place in reversed(frames):
                if not known(place.file):
                    return place
        return None

    def compiled_frame(self, start: Record | None) -> Location | None:
        """The function that a ``dynamo_start`` record is about: the last frame of its stack, at its first line."""
        frames = self._frames(start)
        return frames[-1] if frames else None

    def trigger(self, one: CompileTrace) -> Location | None:
        """The user's call that made a frame compile.

        From our own fact where there is one: torch's stack leaves out the frame that called a plain function.
        """
        own = self.user_line(self.stack(self._called(one).get("stack")))
        return own or self.user_line(self._frames(next(one.anywhere("dynamo_start"), None))[:-1])

    def call(self, one: CompileTrace) -> Call | None:
        """That call as it is written; None where that is not known."""
        fact = self._called(one)
        text, names = fact.get("text"), fact.get("parameters")
        stack = [place for place in self.stack(fact.get("stack")) if not self.is_torch(place.file)]
        if not isinstance(text, str) or not isinstance(names, list) or not stack:
            return None
        known: list[Any] = names
        return Call(
            text,
            tuple(name for name in known if isinstance(name, str)),
            module=bool(fact.get("module")),
            bound=bool(fact.get("bound")),
            library=stack[-1] if stack[-1] != self.user_line(stack) else None,
        )

    def meant(self, one: CompileTrace) -> str | None:
        """What the decorator's code stands for that was compiled; None of other code, and where that is not known."""
        name = self._called(one).get("meant")
        return name if isinstance(name, str) else None

    def _called(self, one: CompileTrace) -> Mapping[str, Any]:
        record = next((record for record in one.records if record.artifact == FACT + "call"), None)
        fact: Any = None if record is None else self._trace.fact(record)
        return fact if isinstance(fact, dict) else {}  # type: ignore[return-value]

    def _frames(self, start: Record | None) -> Stack:
        body: Any = start.body if start is not None else None
        return self.stack(body.get("stack")) if isinstance(body, dict) else ()  # type: ignore[misc]
