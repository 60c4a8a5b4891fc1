"""One record of torch's structured trace, whatever it came from.

A record is what a trace log holds on one line (an envelope) and, where there is one, the payload behind it. Records are the only
input of `assemble`: a live recording and a log file both become a sequence of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from compile_inspector.model.text import Text


class Record(msgspec.Struct, frozen=True):
    """One record.

    Attributes:
        event: The record's kind: the first key of its envelope (``dynamo_start``, ``artifact``, …).
        body: What stands under that key: mostly a mapping; a list for ``str``.
        envelope: The other keys (``frame_id``, ``frame_compile_id``, ``attempt``, ``rank``, …), without ``has_payload``.
        payload: The text behind the envelope, None where there is none.
        header: The log line's prefix up to the ``]`` (level, time, thread or process id, file and line of torch that wrote it), as
            text; what `save` writes back.
        line: The line of the log file it stood on, from 1; 0 for a live record.
    """

    event: str
    body: Any
    envelope: Mapping[str, Any]
    payload: Text | None = None
    header: str = ""
    line: int = 0

    @property
    def artifact(self) -> str | None:
        """The name of an ``artifact`` record, None for other events."""
        if self.event == "artifact" and isinstance(self.body, dict):
            name: Any = self.body.get("name")
            return name if isinstance(name, str) else None
        return None

    @property
    def compile_id(self) -> str | None:
        """``"0/1"`` (``"!2/0/1"`` under compiled autograd, ``"!2"`` for the compiled-autograd graph itself), None outside any compile."""
        frame = self.envelope.get("frame_id")
        within = self.envelope.get("frame_compile_id")
        autograd = self.envelope.get("compiled_autograd_id")
        inner = None if frame is None or within is None else f"{frame}/{within}"
        if autograd is None:
            return inner
        return f"!{autograd}" if inner is None else f"!{autograd}/{inner}"

    @property
    def attempt(self) -> int:
        """Which try at the compile this belongs to, from 0."""
        value = self.envelope.get("attempt")
        return value if isinstance(value, int) else 0


class Loss(msgspec.Struct, frozen=True):
    """Something that could not be read or recorded.

    Attributes:
        where: ``file:line`` of a log, or the name of the seam.
        what: What was lost and why, in a sentence.
        count: How often.
    """

    where: str
    what: str
    count: int = 1
