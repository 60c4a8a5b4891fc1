"""The table of traced files: what Dynamo read code from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from compile_inspector.model.files import TracedFile
from compile_inspector.recording.fold import CompileTrace, Trace
from compile_inspector.recording.stacks import Places

_COMMENT = re.compile(r"^\s*# File: (.+?):\d+ in ([^,\n]+), code:", re.MULTILINE)
_RESUMED = re.compile(r"torch_dynamo_resume_in_(.+)_at_\d+$")


class _Traced(msgspec.Struct, frozen=True):
    file: str
    functions: tuple[str, ...]
    inline_count: int
    content_hash: str | None


class _Merged:
    """What all compiles together traced in one file."""

    def __init__(self) -> None:
        self.functions: set[str] = set()
        self.inline_count = 0
        self.content_hash: str | None = None
        self.compile_ids: dict[str, None] = {}

    def add(self, traced: _Traced, compile_id: str) -> None:
        self.functions.update(traced.functions)
        self.inline_count += traced.inline_count
        self.content_hash = traced.content_hash or self.content_hash
        self.compile_ids[compile_id] = None


def traced_files(trace: Trace, places: Places) -> tuple[TracedFile, ...]:
    """One row per file, in the order of first tracing. A log without our facts gives the user's files that its graphs name."""
    merged: dict[str, _Merged] = {}
    for compiled in trace.compiles.values():
        recorded = _recorded(trace, compiled)
        for traced in _named(trace, compiled, places) if recorded is None else recorded:
            merged.setdefault(places.shown(traced.file), _Merged()).add(traced, compiled.id)
    return tuple(
        TracedFile(
            file=file,
            functions=tuple(sorted(one.functions)),
            inline_count=one.inline_count,
            content_hash=one.content_hash,
            compile_ids=tuple(one.compile_ids),
        )
        for file, one in merged.items()
    )


def _recorded(trace: Trace, compiled: CompileTrace) -> list[_Traced] | None:
    raw = trace.fact_of(compiled, "traced_files")
    if raw is None:
        return None
    try:
        rows = msgspec.convert(raw, list[tuple[str, tuple[str, ...], int, str | None]])
    except msgspec.ValidationError as error:
        trace.losses.add(f"compile {compiled.id}", f"compile_inspector.traced_files cannot be read: {error}")
        return None
    return [_Traced(*row) for row in rows]


def _named(trace: Trace, compiled: CompileTrace, places: Places) -> Iterable[_Traced]:
    """The files that a compile's graph, and the frame itself, name; torch's own are left out."""
    functions: dict[str, set[str]] = {}
    for file, function in (*_frame(compiled), *_graph_lines(trace, compiled)):
        if not places.is_torch(file):
            functions.setdefault(file, set()).add(_RESUMED.sub(r"\1", function))
    return [_Traced(file, tuple(names), 0, None) for file, names in functions.items()]


def _frame(compiled: CompileTrace) -> Iterator[tuple[str, str]]:
    for record in compiled.records:
        if record.event == "compilation_metrics" and isinstance(record.body, dict):
            file, function = record.body.get("co_filename"), record.body.get("co_name")  # type: ignore[misc]
            if isinstance(file, str) and isinstance(function, str):
                yield file, function


def _graph_lines(trace: Trace, compiled: CompileTrace) -> Iterator[tuple[str, str]]:
    for record in compiled.every("dynamo_output_graph"):
        if record.payload is None:
            continue
        try:
            text = record.payload.read()
        except OSError as error:
            trace.losses.add(trace.where(record), f"a graph cannot be read: {error}")
            continue
        yield from dict.fromkeys(_COMMENT.findall(text))
