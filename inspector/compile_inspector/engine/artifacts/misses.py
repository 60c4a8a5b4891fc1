"""Lookups that came to an artifact and did not load it: the latest, in a file beside it, so that every process can tell of them.

A line a miss, added whole; where the file has grown long it is written anew with the latest ones. It is read for people only: nothing is
loaded or left out because of it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

import msgspec

from compile_inspector.engine.artifacts.header import Difference

SUFFIX = ".misses"
KEPT = 32
"""So many are kept of an artifact."""
LIMIT_BYTES = 1 << 16
"""A file that is longer is written anew."""
READ_LIMIT = 1 << 22
_TOLD = 8
_TEXT = 500


class Miss(msgspec.Struct, frozen=True):
    """One lookup for which this artifact was the nearest, and not the one.

    Attributes:
        at_s: When, seconds since the epoch.
        differs: What differed; at most eight, long texts cut.
    """

    at_s: float
    differs: tuple[Difference, ...]


_decode = msgspec.json.Decoder(Miss).decode


def file_of(artifact: Path) -> Path:
    """Where the misses of an artifact are written."""
    return artifact.with_suffix(SUFFIX)


def note(artifact: Path, miss: Miss) -> bytes | None:
    """Writes a miss down; where the file has grown too long, what it is to hold instead.

    Raises:
        OSError: It could not be written.
    """
    shown = tuple(map(_short, miss.differs[:_TOLD]))
    line = msgspec.json.encode(Miss(miss.at_s, shown)) + b"\n"
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    handle = os.open(file_of(artifact), flags, 0o600)
    try:
        os.write(handle, line)
        size = os.fstat(handle).st_size
    finally:
        os.close(handle)
    if size <= LIMIT_BYTES:
        return None
    return b"".join(msgspec.json.encode(one) + b"\n" for one in of(artifact))


def _short(one: Difference) -> Difference:
    cut = {name: _cut(getattr(one, name)) for name in ("component", "was", "now")}
    return msgspec.structs.replace(one, **cut)


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"


def of(artifact: Path) -> tuple[Miss, ...]:
    """The latest misses of an artifact, in order; lines that cannot be read are left out, and a file that others can write to is not read."""
    found: list[Miss] = []
    for line in _read(file_of(artifact)).splitlines()[-KEPT:]:
        with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
            found.append(_decode(line))
    return tuple(found)


def _read(file: Path) -> bytes:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    with os.fdopen(handle, "rb") as opened:
        own = os.fstat(handle)
        if not stat.S_ISREG(own.st_mode) or own.st_uid != os.geteuid() or own.st_mode & 0o022:
            return b""
        return opened.read(READ_LIMIT)
