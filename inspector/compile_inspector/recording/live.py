"""The live source: a handler on torch's trace logger that keeps each record as plain data, at once.

A record is encoded to JSON where it arrives, so that nothing of torch is held; reading it back waits until a table is asked for.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from compile_inspector.model.records import Record
from compile_inspector.model.text import HeldText

Listen = Callable[[str, str | None], None]

_LEVELS = {"DEBUG": "V", "INFO": "I", "WARNING": "W", "ERROR": "E", "CRITICAL": "C"}


class Raw(NamedTuple):
    """One record as it was caught."""

    level: str
    created: float
    thread: int | None
    path: str
    line: int
    envelope: bytes
    payload: str | None


_encode = msgspec.json.Encoder(enc_hook=repr).encode


class Catcher(logging.Handler):
    """Keeps every record of torch's trace between `listen` and its undo.

    Args:
        lose: Called with what went wrong when a record cannot be kept; nothing is raised into the compile.
    """

    def __init__(self, lose: Callable[[BaseException], None]) -> None:
        super().__init__(logging.DEBUG)
        self.raw: list[Raw] = []
        self.listeners: tuple[Listen, ...] = ()
        self._lose = lose

    def handle(self, record: logging.LogRecord) -> bool:
        """Takes one record without the handler's lock: appending to a list needs none."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one record."""
        try:
            metadata: Mapping[str, Any] | None = getattr(record, "metadata", None)
            if metadata is None:
                return
            payload: Any = getattr(record, "payload", None)
            text = payload if payload is None or isinstance(payload, str) else str(payload)
            self.raw.append(
                Raw(
                    record.levelname,
                    record.created,
                    record.process,
                    record.pathname,
                    record.lineno,
                    _encode(metadata),
                    text,
                )
            )
            for listen in self.listeners:
                listen(next(iter(metadata), ""), text)
        except Exception as error:  # noqa: BLE001 - the recorder's edge: a fault here must not reach the compile
            self._lose(error)

    def add(
        self, event: str, body: object, payload: object = None, envelope: Mapping[str, object] | None = None
    ) -> None:
        """Writes a record of the recorder's own, as torch would have written it."""
        text = None if payload is None else _encode(payload).decode()
        encoded = _encode({event: body, **(envelope or {})})
        self.raw.append(
            Raw(
                "DEBUG", time.time(), os.getpid(), "compile_inspector/recording/recorder.py", 0, encoded, text
            )
        )


def records(raw: list[Raw]) -> tuple[Record, ...]:
    """Caught records as `Record` values."""
    return tuple(_record(caught) for caught in raw)


def _record(caught: Raw) -> Record:
    envelope: dict[str, Any] = msgspec.json.decode(caught.envelope)
    event = next(iter(envelope), "")
    body = envelope.pop(event, None)
    envelope.pop("has_payload", None)
    return Record(
        event=event,
        body=body,
        envelope=envelope,
        payload=None if caught.payload is None else HeldText(caught.payload),
        header=_header(caught),
    )


def _header(caught: Raw) -> str:
    """The prefix torch's own formatter writes before an envelope, in UTC-free local time as there."""
    stamp = time.strftime("%m%d %H:%M:%S", time.localtime(caught.created))
    micros = int(caught.created % 1 * 1_000_000)
    _, inside, rest = caught.path.rpartition("/torch/")
    path = f"torch/{rest}" if inside else caught.path
    return f"{_LEVELS.get(caught.level, 'V')}{stamp}.{micros:06d} {caught.thread or 0} {path}:{caught.line}]"
