"""Sorts a recording's records by compile, attempt and kind, so that each table's builder finds its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from compile_inspector.model.records import Loss, Record
from compile_inspector.model.text import HeldText

Built = TypeVar("Built")
FACT = "compile_inspector."
_STARTS = frozenset({"dynamo_start"})
_SHORT = 1000
TOLD = frozenset(
    FACT + name
    for name in (
        "applied",
        "marked",
        "dropped_guards",
        "violations",
        "splits",
        "ranges",
        "captures",
        "stored",
        "artifacts",
    )
)
"""Facts that the compile decorator tells, each again when it has changed; they may be about compiles from before the recording."""
_START_ARTIFACTS = frozenset({"recompile_reasons", FACT + "recompile", FACT + "existing"})


class CompileTrace:
    """The records of one compile.

    Attributes:
        id: Unique in the recording: torch's, with ``#2`` behind it where torch used one again after a reset.
        records: All of them, in order.
    """

    def __init__(self, compile_id: str) -> None:
        self.id = compile_id
        self.records: list[Record] = []
        self._shipped: tuple[Record, ...] | None = None

    @property
    def attempts(self) -> int:
        """How many attempts there were."""
        return 1 + max((record.attempt for record in self.records), default=0)

    @property
    def shipped(self) -> tuple[Record, ...]:
        """The records of the last attempt: the one whose guards, symbols and graphs count."""
        if self._shipped is None or len(self._shipped) > len(self.records):
            last = self.attempts - 1
            self._shipped = tuple(record for record in self.records if record.attempt == last)
        return self._shipped

    def every(self, event: str) -> Iterator[Record]:
        """The shipped attempt's records of one event."""
        return (record for record in self.shipped if record.event == event)

    def first(self, event: str) -> Record | None:
        """The first of them, None where there is none."""
        return next(self.every(event), None)

    def artifacts(self, name: str) -> Iterator[Record]:
        """The shipped attempt's artifacts of one name."""
        return (record for record in self.shipped if record.event == "artifact" and record.artifact == name)

    def anywhere(self, event: str) -> Iterator[Record]:
        """The records of one event in any attempt."""
        return (record for record in self.records if record.event == event)


class Losses:
    """Collects what could not be read, each kind once with a count."""

    def __init__(self, initial: Iterable[Loss] = ()) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        for loss in initial:
            self.add(loss.where, loss.what, loss.count)

    def add(self, where: str, what: str, count: int = 1) -> None:
        """Counts one loss; ``where`` is ``file:line`` of a log, or a seam's name."""
        self._counts[where, what] = self._counts.get((where, what), 0) + count

    def rows(self) -> tuple[Loss, ...]:
        """What was lost, in the order of first loss."""
        return tuple(
            Loss(where=where, what=what, count=count) for (where, what), count in self._counts.items()
        )


class Trace:
    """All records of one recording, by compile.

    Attributes:
        compiles: By unique id, in order of appearance.
        outside: Records that belong to no compile.
        told: What the compile decorator told, in order: each record with the unique id of its compile, None for those of none.
        files: torch's table of file names: number to path.
        cells: Notebook cells: temporary file name to the number in ``In [n]``.
        losses: What could not be read; builders add to it.
        path: The log's path, None for a live recording.
    """

    def __init__(
        self, records: Iterable[Record], *, losses: Iterable[Loss] = (), path: str | None = None
    ) -> None:
        self.compiles: dict[str, CompileTrace] = {}
        self.outside: list[Record] = []
        self.told: list[tuple[Record, str | None]] = []
        self.files: dict[int, str] = {}
        self.cells: dict[str, int] = {}
        self.losses = Losses(losses)
        self.path = path
        self._current: dict[str, CompileTrace] = {}
        self._closed: set[str] = set()
        self._only_told: set[str] = set()
        self._kept: dict[str, Any] = {}
        for record in records:
            self._take(record)

    def _take(self, record: Record) -> None:
        if record.event == "str":
            self._intern(record)
            return
        compile_id = record.compile_id
        if record.artifact in TOLD:
            self.told.append((record, self._told_of(compile_id)))
            return
        if record.artifact == FACT + "cells":
            found = self.fact(record)
            if isinstance(found, dict):
                self.cells.update(found)  # type: ignore[arg-type]
        if compile_id is None:
            self.outside.append(record)
            return
        current = self._current.get(compile_id)
        if current is None or (compile_id in self._closed and _starts(record)):
            current = self._open(compile_id)
        current.records.append(record)
        if record.event == "compilation_metrics" or record.artifact == FACT + "existing":
            self._closed.add(compile_id)

    def _told_of(self, compile_id: str | None) -> str | None:
        """The unique id of the compile that something is told of; it is left to that compile alone where it began before the recording."""
        if compile_id is None:
            return None
        current = self._current.get(compile_id)
        if current is not None:
            return current.id
        self._only_told.add(compile_id)
        return compile_id

    def _open(self, compile_id: str) -> CompileTrace:
        self._closed.discard(compile_id)
        unique, count = compile_id, 1
        while unique in self.compiles or unique in self._only_told:
            count += 1
            unique = f"{compile_id}#{count}"
        opened = self.compiles[unique] = self._current[compile_id] = CompileTrace(unique)
        return opened

    def _intern(self, record: Record) -> None:
        body: Any = record.body
        if (
            isinstance(body, list)
            and len(body) == 2
            and isinstance(body[0], str)
            and isinstance(body[1], int)
        ):  # type: ignore[arg-type]
            self.files[body[1]] = body[0]
        else:
            self.losses.add(self.where(record), "a file name could not be read")

    def once(self, name: str, build: Callable[[], Built]) -> Built:
        """What ``build`` gives; made on first asking and kept, so that what several tables are made from is read and judged once."""
        if name not in self._kept:
            self._kept[name] = build()
        return self._kept[name]

    def where(self, record: Record) -> str:
        """``file:line`` of a record, for messages."""
        return f"{self.path}:{record.line}" if self.path else f"live record {record.event}"

    def fact(self, record: Record) -> Any:
        """A record's payload, decoded from JSON; None, and a loss counted, where it is missing or damaged."""
        if record.payload is None:
            self.losses.add(self.where(record), f"{record.artifact or record.event} has no payload")
            return None
        try:
            return msgspec.json.decode(record.payload.read())
        except (msgspec.DecodeError, UnicodeError, RecursionError, OSError) as error:
            self.losses.add(
                self.where(record),
                f"the payload of {record.artifact or record.event} cannot be read: {error}",
            )
            return None

    def facts(self, name: str) -> Iterator[Any]:
        """The decoded facts ``compile_inspector.<name>`` outside any compile."""
        for record in self.outside:
            if record.artifact == FACT + name and (value := self.fact(record)) is not None:
                yield value

    def fact_of(self, trace: CompileTrace, name: str) -> Any:
        """The last fact ``compile_inspector.<name>`` of a compile's shipped attempt; None where there is none."""
        found = list(trace.artifacts(FACT + name))
        return self.fact(found[-1]) if found else None


def _starts(record: Record) -> bool:
    if record.event in _STARTS or record.artifact in _START_ARTIFACTS:
        return True
    if record.event != "chromium_event" or not isinstance(record.payload, HeldText):
        return False  # the event that begins a compile is short; the one that ends it carries every metric
    text = record.payload.read()
    return len(text) < _SHORT and '"dynamo"' in text and '"B"' in text
