"""The file source: torch trace logs, ours or anyone's, plain or compressed, whole or damaged.

A log is untrusted: nothing in it is executed, and whatever is wrong with it is counted as a loss while the rest is read. A record is a line
``V1206 15:18:15.925000 1500233 torch/_dynamo/utils.py:1288] {json}``, its payload the tab-indented lines behind it.
"""

from __future__ import annotations

import gc
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from compile_inspector.errors import NotATraceLog
from compile_inspector.model.records import Loss, Record
from compile_inspector.model.text import CompressedText, FileText, HeldText, Text, decoded, unindented
from compile_inspector.recording.fold import Losses
from compile_inspector.recording.log_bytes import HEADER, Piece, Stretches, find_log, pieces

HOLD_BELOW = 1024
"""Payloads of fewer bytes are kept in memory; longer ones stay in the file, or are compressed."""

_RESERVED = frozenset(
    {
        "rank",
        "compiled_autograd_id",
        "frame_id",
        "frame_compile_id",
        "attempt",
        "severity",
        "timestamp",
        "pathname",
        "thread",
        "subgraph_name",
        "stack",
        "has_payload",
    }
)
_NUMBERS = frozenset({"rank", "compiled_autograd_id", "frame_id", "frame_compile_id", "attempt"})
_decode = msgspec.json.Decoder().decode


class Limits(NamedTuple):
    """How much of a log is read at most, so that a hostile one cannot fill the memory.

    Attributes:
        total_bytes: Of a compressed log, after decompression.
        payload_bytes: Of one record with its payload; of a longer one the payload is left out.
        line_bytes: Of the line that begins a record; a longer one is left out.
        records: Of the whole log.
        named: Losses of one kind that are listed one by one; the others are counted together.
    """

    total_bytes: int = 2 << 30
    payload_bytes: int = 256 << 20
    line_bytes: int = 16 << 20
    records: int = 5_000_000
    named: int = 20


class Log(NamedTuple):
    """A log that was read.

    Attributes:
        records: In the order of the file.
        losses: What of it could not be read.
        path: The file itself, where a folder was named.
    """

    records: list[Record]
    losses: tuple[Loss, ...]
    path: Path


def read_log(path: Path, *, limits: Limits | None = None) -> Log:
    """Everything that can be read of a torch trace log.

    Args:
        path: A log, plain or gzip-compressed whatever its name, or a folder that holds the log of one rank.
        limits: How much to read at most.

    Raises:
        NotATraceLog: It holds no trace record.
        SeveralRanks: The folder holds several logs; the message lists them.
        LogError: It is not there or cannot be read.
    """
    limits = limits or Limits()
    path = find_log(path)
    reader = _Reader(path, limits)
    collecting = gc.isenabled()
    gc.disable()
    try:
        reader.run()
    finally:
        if collecting:
            gc.enable()
    if not reader.records:
        raise NotATraceLog(reader.why_nothing())
    return Log(reader.records, reader.losses.rows(), path)


class _LineLosses:
    """Losses of a file by line; after the first few of a kind they are counted together."""

    def __init__(self, path: Path, named: int) -> None:
        self._path = path
        self._named = named
        self._kinds: dict[str, int] = {}
        self._later: dict[str, str] = {}
        self._found = Losses()

    def add(self, line: int, what: str, count: int = 1) -> None:
        """Counts one loss at a line."""
        seen = self._kinds[what] = self._kinds.get(what, 0) + 1
        where = f"{self._path}:{line}"
        if seen > self._named:
            where = self._later.setdefault(what, f"{where} and later lines")
        self._found.add(where, what, count)

    def rows(self) -> tuple[Loss, ...]:
        """All of them."""
        return self._found.rows()


class _Reader:
    def __init__(self, path: Path, limits: Limits) -> None:
        self.records: list[Record] = []
        self.losses = _LineLosses(path, limits.named)
        self._path = path
        self._limits = limits
        self._stretches = Stretches(path, limits.total_bytes)
        self._line = 1
        self._ends = False

    def run(self) -> None:
        """Reads the whole file."""
        held: Piece | None = None
        for piece in pieces(self._stretches, self._limits.payload_bytes):
            if held is not None:
                self._take(held)
                self._line += held.feeds
                if len(self.records) >= self._limits.records:
                    self.losses.add(
                        self._line,
                        f"the log has more than {self._limits.records} records; the rest was not read",
                    )
                    return
            held = piece
        if held is not None:
            self._ends = True
            self._take(held)
        if self._stretches.problem is not None:
            self.losses.add(self._line, self._stretches.problem)

    def why_nothing(self) -> str:
        """What to say where no record was found."""
        rows = self.losses.rows()
        if not self._ends and not rows:
            return f"{self._path} is empty"
        found = f": line {rows[0].where.rpartition(':')[2]}: {rows[0].what}" if rows else ""
        hint = "torch writes trace logs into the folder that TORCH_TRACE names"
        return f"{self._path} holds no record of torch's trace{found}. {hint}"

    def _take(self, piece: Piece) -> None:
        match = HEADER.match(piece.raw)
        split = piece.raw.find(b"\n") + 1 or len(piece.raw)
        if match is None:
            if piece.raw.strip():
                self.losses.add(self._line, "not a trace record", max(piece.feeds, 1))
            return
        start = match.end()
        envelope = self._envelope(piece, start, split)
        if envelope is None:
            return
        event = next(iter(envelope), None)
        if event is None or event in _RESERVED:
            event = next((key for key in envelope if key not in _RESERVED), None)
            if event is None:
                self.losses.add(self._line, "a record without the name of an event")
                return
        body: Any = envelope.pop(event)
        digest: Any = envelope.pop("has_payload", None)
        for name in _NUMBERS.intersection(envelope):
            if type(envelope[name]) is not int and envelope[name] is not None:
                del envelope[name]
                self.losses.add(self._line, f"a record whose {name} is not a number; read without it")
        payload = None
        if split < len(piece.raw) or digest is not None:
            payload = self._payload(piece, split, _name(event, body), digest)
        header = piece.raw[:start].decode("utf-8", "replace").rstrip()
        self.records.append(Record(event, body, envelope, payload, header, self._line))

    def _envelope(self, piece: Piece, start: int, end: int) -> dict[str, Any] | None:
        if end > self._limits.line_bytes:
            self.losses.add(self._line, "a record whose line is too long")
            return None
        envelope = _json_object(piece.raw[start:end])
        if envelope is None:
            cut = self._ends and end == len(piece.raw) and not piece.raw.endswith(b"\n")
            self.losses.add(
                self._line, "the log ends inside this record" if cut else "a record that is not JSON"
            )
        return envelope

    def _payload(self, piece: Piece, start: int, name: str, digest: object) -> Text | None:
        crlf = piece.raw.endswith(b"\r\n", 0, start)
        if start == len(piece.raw) or (digest is None and not piece.raw[start:].strip(b"\r\n")):
            if digest is not None:
                self.losses.add(
                    self._line,
                    f"the payload of {name} is missing" + (": the log ends before it" if self._ends else ""),
                )
            return None
        if not piece.whole:
            self.losses.add(self._line, f"the payload of {name} is too long")
            return None
        raw = unindented(piece.raw[start:], crlf=crlf)
        if digest is None:
            self.losses.add(
                self._line, f"the lines behind {name} are not announced by it; kept as its payload"
            )
        elif hashlib.md5(raw, usedforsecurity=False).hexdigest() != digest:
            how = "is damaged, or cut short by the end of the log" if self._ends else "is damaged"
            self.losses.add(
                self._line, f"the payload of {name} {how}: it does not match its checksum; kept as it is"
            )
        if len(raw) < HOLD_BELOW:
            return HeldText(decoded(raw))
        if self._stretches.file is None:
            return CompressedText(decoded(raw))
        return FileText(self._stretches.file, piece.offset + start, piece.offset + len(piece.raw), crlf=crlf)


def _name(event: str, body: Any) -> str:
    name: Any = body.get("name") if event == "artifact" and isinstance(body, dict) else None  # type: ignore[misc]
    return f"{event} {name}"[:120] if isinstance(name, str) else event[:120]


def _json_object(raw: bytes) -> dict[str, Any] | None:
    """A JSON object; also where Python's own writer left what strict JSON forbids: NaN, lone surrogates."""
    found: Any = None
    try:
        found = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            found = json.loads(decoded(raw))
        except (ValueError, RecursionError):
            return None
    return found if isinstance(found, dict) else None  # type: ignore[return-value]
