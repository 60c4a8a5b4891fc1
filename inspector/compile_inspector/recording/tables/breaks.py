"""The table of graph breaks, read from torch's message about each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from compile_inspector.model.breaks import GraphBreak
from compile_inspector.model.locations import Location, Stack
from compile_inspector.model.records import Record
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places

_NAMES = frozenset({"dynamo_graph_break_reason", "dynamo_graph_break"})
_HEAD = re.compile(r"^Graph break[^\n]*? in user code at (.+):(\d+)\s*$", re.MULTILINE)
_REASON = re.compile(r"^(?:Graph Break Reason|Reason): ?", re.MULTILINE)
_END = re.compile(
    r"^\s*(?:User code traceback:|For more details about this graph break|Traceback \(most recent call last\))",
    re.MULTILINE,
)
_TRACEBACK = re.compile(r"^User code traceback:[^\n]*\n", re.MULTILINE)
_FRAME = re.compile(r'^  File "([^"\n]*)", line (\d+), in ([^\n]*)\n?((?:    [^\n]*\n?)*)', re.MULTILINE)
_REGISTRY = re.compile(r"/gb/gb(\d{1,6})\b|\b(?:GB|gb)(\d{4})\b")
_SECTION = re.compile(r"^\s*(Explanation|Hint|Developer debug context): ?(.*)$")


class Message(msgspec.Struct, frozen=True):
    """One message of torch about a graph break, taken apart."""

    reason: str
    explanation: str | None
    hints: tuple[str, ...]
    registry_id: str | None
    place: tuple[str, int] | None
    frames: tuple[tuple[str, int, str, str | None], ...]


def graph_breaks(trace: Trace, places: Places) -> tuple[GraphBreak, ...]:
    """One row per distinct break (line and reason), in the order of first meeting; breaks of every attempt count."""
    rows: dict[tuple[Any, ...], GraphBreak] = {}
    met: dict[tuple[Any, ...], set[str]] = {}
    for compiled in trace.compiles.values():
        for record in compiled.records:
            text = _text(trace, record)
            if text is None:
                continue
            row = _row(compiled.id, read_message(text), places)
            key = (row.location and (row.location.file, row.location.line), row.reason, row.registry_id)
            rows.setdefault(key, row)
            met.setdefault(key, set()).add(compiled.id)
    return tuple(msgspec.structs.replace(row, count=len(met[key])) for key, row in rows.items())


def _text(trace: Trace, record: Record) -> str | None:
    if record.event not in _NAMES and record.artifact not in _NAMES:
        return None
    if record.payload is None:
        trace.losses.add(trace.where(record), "a graph break has no message")
        return None
    try:
        return record.payload.read()
    except OSError as error:
        trace.losses.add(trace.where(record), f"a graph break's message cannot be read: {error}")
        return None


def _row(compile_id: str, message: Message, places: Places) -> GraphBreak:
    stack: Stack = tuple(
        place for frame in message.frames if (place := places.location(list(frame))) is not None
    )
    location = places.user_line(stack)
    if location is None and message.place is not None:
        file, line = message.place
        location = Location(file=places.shown(file), line=line)
    return GraphBreak(
        compile_id=compile_id,
        location=location,
        reason=message.reason,
        explanation=message.explanation,
        hints=message.hints,
        registry_id=message.registry_id,
        count=1,
        stack=stack,
    )


def read_message(text: str) -> Message:
    """Takes torch's message apart; what a version of torch does not say is None or empty."""
    head, start = _HEAD.search(text), _REASON.search(text)
    body = text[start.end() :] if start else text[head.end() :] if head else text
    end = _END.search(body)
    said = (body[: end.start()] if end else body).strip("\n")
    reason, sections = _sections(said)
    registry = _REGISTRY.search(body)
    number = next((group for group in registry.groups() if group), None) if registry else None
    return Message(
        reason=reason or "graph break",
        explanation=" ".join(sections.get("Explanation", ())) or None,
        hints=tuple(sections.get("Hint", ())),
        registry_id=None if number is None else f"GB{int(number):04d}",
        place=(head.group(1), int(head.group(2))) if head else None,
        frames=tuple(_frames(text)),
    )


def _sections(said: str) -> tuple[str, dict[str, list[str]]]:
    """The reason itself, and the texts under ``Explanation:``, ``Hint:`` and the like."""
    opening: list[str] = []
    sections: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in said.split("\n"):
        found = _SECTION.match(line)
        if found is not None:
            current = sections.setdefault(found.group(1), [])
            current.append(found.group(2).strip())
        elif current is None:
            opening.append(line.strip())
        elif line.strip():
            current[-1] = f"{current[-1]}\n{line.strip()}"
    return _reason(opening, explained=bool(sections)), sections


def _reason(opening: list[str], *, explained: bool) -> str:
    """The reason without the words it is wrapped in ("Encountered graph break when attempting to trace CALL: …")."""
    paragraphs = [lines[0] for lines in _paragraphs(opening)]
    if not paragraphs:
        return ""
    if explained:
        return paragraphs[-1]
    return next((first for first in paragraphs if not first.endswith(":")), paragraphs[0])


def _paragraphs(lines: list[str]) -> Iterator[list[str]]:
    paragraph: list[str] = []
    for line in (*lines, ""):
        if line:
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []


def _frames(text: str) -> Iterator[tuple[str, int, str, str | None]]:
    start = _TRACEBACK.search(text)
    if start is None:
        return
    stack = text[start.end() :]
    end = re.search(r"^(?:Traceback \(most|NOTE: )", stack, re.MULTILINE)
    for found in _FRAME.finditer(stack if end is None else stack[: end.start()]):
        file, line, function, code = found.groups()
        yield file, int(line), function.strip(), code.split("\n", 1)[0].strip() or None
