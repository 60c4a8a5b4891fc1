"""Records made by hand, as torch would have narrated them, for builders' tests that run without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from compile_inspector.model.records import Record
from compile_inspector.model.text import HeldText
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places

MODEL = "/home/ada/project/model.py"
TORCH = "/opt/venv/lib/python3.11/site-packages/torch/_dynamo/convert_frame.py"


def envelope(compile_id: str = "0/0", attempt: int = 0) -> dict[str, Any]:
    frame, _, count = compile_id.partition("/")
    return {"frame_id": int(frame), "frame_compile_id": int(count), "attempt": attempt}


def event(
    name: str, body: Any = None, payload: str | None = None, *, at: str = "0/0", attempt: int = 0
) -> Record:
    """One record of torch's."""
    text = None if payload is None else HeldText(payload)
    return Record(name, {} if body is None else body, envelope(at, attempt), text)


def artifact(name: str, payload: str | None, *, at: str = "0/0", attempt: int = 0) -> Record:
    """One artifact."""
    return event("artifact", {"name": name, "encoding": "string"}, payload, at=at, attempt=attempt)


def fact(name: str, value: object, *, at: str = "0/0", attempt: int = 0) -> Record:
    """One fact of ours."""
    return artifact(f"compile_inspector.{name}", json.dumps(value), at=at, attempt=attempt)


def frame(line: int, code: str, *, file: str | int = MODEL, function: str = "forward") -> dict[str, Any]:
    """One frame of a user's stack."""
    return {"filename": file, "line": line, "name": function, "loc": code}


def build(table: Any, records: Iterable[Record]) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """A table's rows, and what was lost in making them."""
    trace = Trace(records)
    rows = table(trace, Places(trace))
    return rows, tuple(loss.what for loss in trace.losses.rows())
