"""The table of compiles: what was compiled, why, how long it took, how it ended."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from compile_inspector.model.compiles import Compile, CompileFailure, Frame, Restart, Status
from compile_inspector.model.graph_text import parse_graph
from compile_inspector.model.locations import Location
from compile_inspector.model.records import Record
from compile_inspector.recording.fold import CompileTrace, Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.caches import outcome_of
from compile_inspector.recording.tables.phases import WHOLE, Spans, spans

_LEAF = re.compile(r"\+- [A-Z][A-Z0-9_]*:")
_USER_FRAME = re.compile(r'File "([^"\n]+)", line (\d+), in ([^\n]+)\n\s+([^\n]+)')
_NO_FORWARD = "the frame was compiled before the recording began; only later records of it are here"
_NO_METRICS = "torch's record of the compile's metrics is not there"

Metrics = Mapping[str, Any]


def compiles(trace: Trace, places: Places) -> tuple[Compile, ...]:
    """One row for each compile, in the order in which they began."""
    known: dict[str, Frame] = {}
    rows: list[Compile] = []
    for one in trace.compiles.values():
        row = _Reading(trace, places, one).row(known)
        if row.frame is not None:
            known[_frame_id(row.id)] = row.frame
        rows.append(row)
    return tuple(rows)


def _frame_id(compile_id: str) -> str:
    return compile_id.rpartition("/")[0] or compile_id


class _Reading:
    """One compile's records, read for its row."""

    def __init__(self, trace: Trace, places: Places, one: CompileTrace) -> None:
        self._trace = trace
        self._places = places
        self._one = one
        self._start = next(one.anywhere("dynamo_start"), None)
        self._existing = self._fact()
        self._own = self._metrics("compilation_metrics")
        self._metrics_found = self._own or _mapping(self._existing.get("metrics"))
        self._backward = self._metrics("bwd_compilation_metrics")
        self._spans = spans(trace, one.records)

    def row(self, known: Mapping[str, Frame]) -> Compile:
        """The row; ``known`` holds the frames of the compiles before it, by frame id."""
        status, error = self._outcome()
        return Compile(
            id=self._one.id,
            frame=self._frame() or known.get(_frame_id(self._one.id)),
            trigger=self._places.trigger(self._one),
            attempts=max(self._one.attempts, 1 + len(_texts(self._metrics_found.get("restart_reasons")))),
            restarts=tuple(self._restarts()),
            status=status,
            error=error,
            start_ns=self._spans.start_ns if self._spans.start_ns is not None else _start_ns(self._timed),
            elapsed_ns=_elapsed_ns(self._timed, self._spans),
            phases=self._spans.phases,
            guard_count=self._guard_count(),
            node_count=self._node_count(),
            caches=tuple(f"{cache}: {outcome}" for cache, outcome in self._lookups()),
            recovered=bool(self._existing),
            missing=self._missing(status),
            call=self._places.call(self._one),
            meant=self._places.meant(self._one),
        )

    @property
    def _timed(self) -> Metrics:
        return self._metrics_found or ({} if self._begun else self._backward)

    @property
    def _begun(self) -> bool:
        """Whether the records hold the beginning of the frame's compile."""
        return self._start is not None or any(phase.name == WHOLE for phase in self._spans.phases)

    @property
    def _ended(self) -> bool:
        return bool(self._own) or (self._begun and self._spans.elapsed_ns(WHOLE) is not None)

    def _metrics(self, event: str) -> Metrics:
        found = [record for record in self._one.records if record.event == event]
        return _mapping(found[-1].body) if found else {}

    def _fact(self) -> Metrics:
        return _mapping(self._trace.fact_of(self._one, "existing"))

    def _has(self, *events: str) -> bool:
        return any(record.event in events for record in self._one.shipped)

    def _lookups(self) -> Iterator[tuple[str, str]]:
        for record in self._one.records:
            if (found := outcome_of(record)) is not None:
                yield found

    def _missing(self, status: Status) -> str | None:
        if self._existing:
            return _text(self._existing.get("missing")) or "what torch no longer holds"
        if self._own or status == "unfinished" or self._is_autograd_graph:
            return None
        return _NO_METRICS if self._begun else _NO_FORWARD

    @property
    def _is_autograd_graph(self) -> bool:
        return self._one.id.startswith("!") and "/" not in self._one.id

    def _outcome(self) -> tuple[Status, CompileFailure | None]:
        metrics = self._own or self._metrics_found
        if (kind := _text(metrics.get("fail_type"))) is not None:
            return "failed", self._failure(kind, _text(metrics.get("fail_reason")) or "torch gives no reason")
        if (traceback := self._traceback()) is not None:
            kind, _, reason = _last_error(traceback).partition(": ")
            return "failed", self._failure(kind, reason or kind)
        if (kind := _text(self._backward.get("fail_type"))) is not None:
            return "failed", self._failure(
                kind, _text(self._backward.get("fail_reason")) or "torch gives no reason"
            )
        return self._outcome_without_error()

    def _outcome_without_error(self) -> tuple[Status, CompileFailure | None]:
        if self._existing:
            return "ok", None
        if self._is_autograd_graph:
            return ("ok" if self._has("compiled_autograd_graph") else "unfinished"), None
        if not self._begun and not self._own:
            whole = bool(self._backward) or (bool(self._spans.phases) and not self._spans.open)
            return ("ok" if whole else "unfinished"), None
        if not self._ended:
            return "unfinished", None
        if _count(self._own.get("guard_count")) is not None or self._has(
            "dynamo_cpp_guards_str", "dynamo_guards"
        ):
            return "ok", None
        if self._own.get("has_guarded_code") is False and self._has("dynamo_output_graph"):
            return "failed", CompileFailure(
                "Interrupted", "the compile was broken off; torch gives no reason"
            )
        return "skipped", None

    def _failure(self, kind: str, reason: str) -> CompileFailure:
        return CompileFailure(kind, reason, self._failed_at())

    def _failed_at(self) -> Location | None:
        metrics = self._own
        file, line = metrics.get("fail_user_frame_filename"), metrics.get("fail_user_frame_lineno")
        named = self._failed_in_traceback()
        if not isinstance(file, str) or (number := _count(line)) is None:
            return named
        place = Location(self._places.shown(file), number)
        return named if named is not None and (named.file, named.line) == (place.file, place.line) else place

    def _failed_in_traceback(self) -> Location | None:
        traceback = self._traceback() or ""
        frames = _USER_FRAME.findall(traceback.partition("from user code:")[2])
        if not frames:
            return None
        file, line, function, code = frames[-1]
        return self._places.location([file, int(line[:9]), function, code])

    def _traceback(self) -> str | None:
        record = next((r for r in self._one.shipped if r.artifact == "dynamo_error"), None)
        return None if record is None else self._read(record)

    def _read(self, record: Record) -> str | None:
        if record.payload is None:
            return None
        try:
            return record.payload.read()
        except OSError as error:
            self._trace.losses.add(self._trace.where(record), f"a payload cannot be read: {error}")
            return None

    def _frame(self) -> Frame | None:
        metrics = self._metrics_found
        name, file, line = (metrics.get(key) for key in ("co_name", "co_filename", "co_firstlineno"))
        if not isinstance(name, str) or not isinstance(file, str):
            name, file, line = (self._existing.get(key) for key in ("function", "file", "line"))
        if isinstance(name, str) and isinstance(file, str):
            return Frame(name, self._defined(Location(self._places.shown(file), _count(line) or 0, name)))
        place = self._places.compiled_frame(self._start)
        return None if place is None else Frame(place.function or "?", place)

    def _defined(self, place: Location) -> Location:
        """The place, with the line's code where the compile's stack has it."""
        found = self._places.compiled_frame(self._start)
        same = found is not None and (found.file, found.line) == (place.file, place.line)
        return found if found is not None and same else place

    def _restarts(self) -> Iterator[Restart]:
        reasons = _texts(self._metrics_found.get("restart_reasons"))
        if reasons or self._own:
            yield from (Restart(attempt, reason) for attempt, reason in enumerate(reasons))
            return
        last = self._one.attempts - 1
        for record in self._one.records:
            if record.artifact == "dynamo_graph_break_reason" and record.attempt < last:
                yield Restart(record.attempt, (self._read(record) or "a graph break").strip())

    def _guard_count(self) -> int | None:
        if (counted := _count(self._metrics_found.get("guard_count"))) is not None:
            return counted
        found = [record for record in self._one.shipped if record.event == "dynamo_cpp_guards_str"]
        text = self._read(found[-1]) if found else _text(self._existing.get("guards"))
        return None if text is None else len(_LEAF.findall(text))

    def _node_count(self) -> int | None:
        if (counted := _count(self._metrics_found.get("graph_node_count"))) is not None:
            return counted
        found = [record for record in self._one.shipped if record.event == "dynamo_output_graph"]
        text = self._read(found[-1]) if found else None
        return None if text is None else len(parse_graph(text, {}, {}).raw) or None


def _mapping(value: Any) -> Metrics:
    return value if isinstance(value, dict) else {}  # type: ignore[return-value]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 62 else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()  # type: ignore[misc]


def _last_error(traceback: str) -> str:
    """``Type: message``: the last line of a traceback that is not indented and names an error."""
    lines = [line for line in traceback.splitlines() if re.match(r"[A-Za-z_][\w.]*(?:: |$)", line)]
    return lines[0] if lines else traceback.strip()[:200]


def _start_ns(metrics: Metrics) -> int | None:
    """Nanoseconds since the epoch; old logs have seconds, older ones nothing."""
    return _scaled(metrics.get("start_time_us"), 1_000) or _scaled(metrics.get("start_time"), 1_000_000_000)


def _elapsed_ns(metrics: Metrics, found: Spans) -> int | None:
    for key, scale in (("duration_us", 1_000), ("entire_frame_compile_time_s", 1_000_000_000)):
        if (elapsed := _scaled(metrics.get(key), scale)) is not None:
            return elapsed
    elapsed = found.elapsed_ns("entire_frame_compile")
    return found.elapsed_ns(WHOLE) if elapsed is None else elapsed


def _scaled(value: Any, scale: int) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e18:
        return None
    return int(value * scale)
