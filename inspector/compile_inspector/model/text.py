"""Long texts (graphs, guard trees, generated code) that are read only when asked for."""

from __future__ import annotations

import os
import weakref
import zlib
from abc import ABC, abstractmethod
from pathlib import Path

COMPRESS_ABOVE = 4096


class Text(ABC):
    """A text that may be large: in memory, compressed, or a stretch of a file.

    Two texts are equal when they read the same, wherever they are kept.
    """

    __slots__ = ("__weakref__",)

    @abstractmethod
    def read(self) -> str:
        """The whole text.

        Raises:
            OSError: It lies in a file that can no longer be read.
        """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and (self is other or self.read() == other.read())

    def __hash__(self) -> int:
        return hash(self.read())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.read())} characters>"


class HeldText(Text):
    """A text kept in memory as it is."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> str:
        """The whole text."""
        return self._text


class CompressedText(Text):
    """A text kept in memory, compressed with zlib.

    Args:
        text: The text; or its UTF-8 bytes, already compressed with zlib.
    """

    __slots__ = ("_data",)

    def __init__(self, text: str | bytes) -> None:
        if isinstance(text, str):
            text = zlib.compress(text.encode("utf-8", "surrogatepass"), 1)
        self._data = text

    def read(self) -> str:
        """The whole text, decompressed anew on each call."""
        return decoded(zlib.decompress(self._data))


class LogFile:
    """A log that stays open for as long as a text of it may be asked for.

    It goes on reading the same file when another one is put in its place, so a log may be saved over.

    Args:
        path: The log.

    Raises:
        OSError: It cannot be opened.
    """

    __slots__ = ("__weakref__", "_descriptor", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._descriptor)

    def read(self, start: int, size: int) -> bytes:
        """Up to ``size`` bytes from an offset; fewer where the file ends."""
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, size, start)
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(size)

    def read_exactly(self, start: int, size: int) -> bytes:
        """``size`` bytes from an offset.

        Raises:
            OSError: The file has become shorter.
        """
        pieces: list[bytes] = []
        while size and (piece := self.read(start, size)):
            pieces.append(piece)
            start += len(piece)
            size -= len(piece)
        if size:
            msg = f"{self.path} has become shorter since it was opened"
            raise OSError(msg)
        return b"".join(pieces)


class FileText(Text):
    """The tab-indented lines of a trace log between two byte offsets.

    Args:
        file: The log.
        start: Offset of the first byte, in bytes.
        end: Offset behind the last byte, in bytes.
        crlf: Whether the log's lines end in a carriage return and a line feed.
    """

    __slots__ = ("_crlf", "_end", "_file", "_start")

    def __init__(self, file: LogFile, start: int, end: int, *, crlf: bool = False) -> None:
        self._file = file
        self._start = start
        self._end = end
        self._crlf = crlf

    def read(self) -> str:
        """The whole text, read anew on each call, without the tabs torch puts before each line."""
        return unindent(self._file.read_exactly(self._start, self._end - self._start), crlf=self._crlf)


def unindent(raw: bytes, *, crlf: bool = False) -> str:
    """A payload's text from its tab-indented lines; bytes that are not UTF-8 become U+FFFD."""
    return decoded(unindented(raw, crlf=crlf))


def unindented(raw: bytes, *, crlf: bool = False) -> bytes:
    """A payload's bytes from its tab-indented lines: the text torch made its checksum of."""
    if crlf:
        raw = raw.replace(b"\r\n", b"\n")
    start = 1 if raw.startswith(b"\t") else 0
    end = len(raw) - 1 if raw.endswith(b"\n") else len(raw)
    return raw[start:end].replace(b"\n\t", b"\n")


def decoded(raw: bytes) -> str:
    """Text from UTF-8; lone surrogates are kept, other bytes that are not UTF-8 become U+FFFD."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        try:
            return raw.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return raw.decode("utf-8", "replace")


def hold(text: str) -> Text:
    """The text in memory, compressed where that saves something."""
    return CompressedText(text) if len(text) > COMPRESS_ABOVE else HeldText(text)
