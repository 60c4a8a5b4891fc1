"""The bytes of a trace log: finding the file, and reading it in stretches, decompressed where need be."""

from __future__ import annotations

import contextlib
import re
import stat
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from compile_inspector.errors import LogError, SeveralRanks
from compile_inspector.model.text import LogFile

HEADER = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\[[^\]\n]{1,80}\]:? ?)?[A-Z]\d{4} \d\d:\d\d:\d\d\.\d{1,9} \d{1,20} [^\n]{0,4000}?:\d{1,9}\] ?(?=\{)"
)
"""What stands before a record's envelope; a rank in brackets may precede it."""

STRETCH = 4 << 20
_GZIP = b"\x1f\x8b"
_TORCH_PREFIX = "dedicated_log_torch_trace_"
_ENDINGS = (".log", ".txt", ".gz")
_LOOKED_AT = 200
_LISTED = 20
_PACKED = 1 << 18
_SALVAGED = 64
_EXPANDED = 256 << 20
_RATIO = 300
_CONTINUES = (b"\t", b"\r", b"\n")


def find_log(path: Path) -> Path:
    """The log that a path means: itself, or the only log of a folder.

    Raises:
        SeveralRanks: The folder holds several.
        LogError: There is none, or it cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _only_log(path)
    except FileNotFoundError as error:
        msg = f"{path} does not exist"
        raise LogError(msg) from error
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be opened: {error}"
        raise LogError(msg) from error
    if not stat.S_ISREG(mode):
        msg = f"{path} is not a regular file"
        raise LogError(msg)
    return path


def _only_log(folder: Path) -> Path:
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.stat().st_size > 0)
    found = [file for file in files if file.name.startswith(_TORCH_PREFIX)]
    if not found:
        named = [file for file in files if file.name.endswith(_ENDINGS)]
        found = [file for file in named[:_LOOKED_AT] if _begins_like_a_log(file)]
    if not found:
        msg = f"the folder {folder} holds no torch trace log"
        raise LogError(msg)
    if len(found) > 1:
        names = "".join(f"\n  {file}" for file in found[:_LISTED])
        more = f"\n  and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        msg = f"the folder {folder} holds {len(found)} trace logs, one for each rank or process; open one of them:{names}{more}"
        raise SeveralRanks(msg)
    return found[0]


def _begins_like_a_log(file: Path) -> bool:
    try:
        first = next(iter(Stretches(file, 1 << 16)), b"")
    except LogError:
        return False
    return any(HEADER.match(line) for line in first[: 1 << 16].split(b"\n"))


class Stretches:
    """A log's bytes, a stretch at a time; what stops them early is noted, not raised.

    Args:
        path: The log.
        limit: How many bytes of a compressed log are read at most, after decompression.

    Attributes:
        file: The open file where it is not compressed, None otherwise: offsets into it are offsets into the stretches.
        problem: Why the bytes ended early, None where they did not.

    Raises:
        LogError: The file cannot be opened.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.problem: str | None = None
        self._limit = limit
        try:
            self._source = LogFile(path)
            compressed = self._source.read(0, 2) == _GZIP
        except OSError as error:
            msg = f"{path} cannot be opened: {error}"
            raise LogError(msg) from error
        self.file: LogFile | None = None if compressed else self._source

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._plain() if self.file is not None else self._decompressed()
        except OSError as error:
            self.problem = f"the file could not be read further: {error}"
        except zlib.error as error:
            self.problem = f"the compressed data is damaged from here on: {error}"

    def _plain(self) -> Iterator[bytes]:
        offset = 0
        while stretch := self._source.read(offset, STRETCH):
            offset += len(stretch)
            yield stretch

    def _decompressed(self) -> Iterator[bytes]:
        taken = given = 0
        pending = b""
        member = zlib.decompressobj(wbits=31)
        while True:
            if not pending:
                pending = self._source.read(taken, _PACKED)
                taken += len(pending)
            if not pending:
                break
            before = member.copy()
            try:
                stretch = member.decompress(pending, STRETCH)
            except zlib.error:
                yield _salvaged(before, pending)
                raise
            pending = member.unused_data if member.eof else member.unconsumed_tail
            given += len(stretch)
            yield stretch
            if given > self._limit or (given > _EXPANDED and given > _RATIO * taken):
                self.problem = f"the compressed log is larger than {given >> 20} MB; the rest was not read"
                return
            if member.eof:
                pending = pending.lstrip(b"\0")
                member = zlib.decompressobj(wbits=31)
                if not pending and not self._source.read(taken, 1):
                    return
        self.problem = "the compressed log is cut short"


class _Decompressor(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


def _salvaged(member: _Decompressor, packed: bytes) -> bytes:
    """What can be decompressed in front of the damage."""
    found: list[bytes] = []
    with contextlib.suppress(zlib.error):
        for start in range(0, len(packed), _SALVAGED):
            found.append(member.decompress(packed[start : start + _SALVAGED]))  # noqa: PERF401 - those before the error count
    return b"".join(found)


class Piece(NamedTuple):
    """A line that may begin a record, and the lines indented behind it.

    Attributes:
        offset: Of the first byte in the log.
        feeds: Line feeds in it.
        raw: Its bytes; of one that is too long only the beginning.
        whole: Whether these are all of them.
    """

    offset: int
    feeds: int
    raw: bytes
    whole: bool = True


def pieces(stretches: Iterable[bytes], longest: int) -> Iterator[Piece]:
    """A log cut into pieces.

    A piece begins at a line that is neither blank nor indented by a tab: some tools strip the tab of a payload's blank lines.

    Args:
        stretches: The log's bytes.
        longest: Of a piece with more bytes than this only so many are kept.
    """
    starts = re.compile(rb"\n(?=[^\t\r\n])")
    held = _Held(longest)
    offset = 0
    fed = False
    for stretch in stretches:
        if not stretch:
            continue
        start = 0
        if fed and stretch[:1] not in _CONTINUES:
            piece = held.take(offset)
            offset += held.size
            yield piece
            held = _Held(longest)
        for match in starts.finditer(stretch):
            end = match.end()
            if held.size:
                held.add(stretch[start:end])
                piece = held.take(offset)
                offset += held.size
                yield piece
                held = _Held(longest)
            else:
                raw = stretch[start:end]
                yield Piece(offset, raw.count(b"\n"), raw[:longest], len(raw) <= longest)
                offset += end - start
            start = end
        held.add(stretch[start:])
        fed = stretch.endswith(b"\n")
    if held.size:
        yield held.take(offset)


class _Held:
    """A piece that reaches over several stretches."""

    def __init__(self, longest: int) -> None:
        self.size = 0
        self._longest = longest
        self._feeds = 0
        self._kept: list[bytes] = []

    def add(self, part: bytes) -> None:
        room = self._longest - self.size
        self.size += len(part)
        self._feeds += part.count(b"\n")
        if room > 0:
            self._kept.append(part[:room])

    def take(self, offset: int) -> Piece:
        return Piece(offset, self._feeds, b"".join(self._kept), self.size <= self._longest)
