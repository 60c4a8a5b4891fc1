"""Long texts (graphs, guard trees, generated code) that are read only when asked for."""

from __future__ import annotations

import zlib
from pathlib import Path

COMPRESS_ABOVE = 4096


class Text:
    """A text that may be large: in memory, compressed, or a stretch of a file.

    Two texts are equal when they read the same, wherever they are kept.
    """

    __slots__ = ("__weakref__",)

    def read(self) -> str:
        """The whole text.

        Raises:
            OSError: It lies in a file that can no longer be read.
        """
        raise NotImplementedError(type(self))

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
    """A text kept in memory, compressed with zlib."""

    __slots__ = ("_data",)

    def __init__(self, text: str) -> None:
        self._data = zlib.compress(text.encode("utf-8", "surrogatepass"), 1)

    def read(self) -> str:
        """The whole text, decompressed anew on each call."""
        return zlib.decompress(self._data).decode("utf-8", "surrogatepass")


class FileText(Text):
    """The tab-indented lines of a trace log between two byte offsets.

    Args:
        path: The log; it must stay where it is for as long as the text may be read.
        start: Offset of the first byte, in bytes.
        end: Offset behind the last byte, in bytes.
    """

    __slots__ = ("_end", "_path", "_start")

    def __init__(self, path: Path, start: int, end: int) -> None:
        self._path = path
        self._start = start
        self._end = end

    def read(self) -> str:
        """The whole text, read anew on each call, without the tabs torch puts before each line."""
        with self._path.open("rb") as file:
            file.seek(self._start)
            raw = file.read(self._end - self._start)
        return unindent(raw)


def unindent(raw: bytes) -> str:
    """A payload's text from its tab-indented lines; bytes that are not UTF-8 become U+FFFD."""
    text = raw.decode("utf-8", "replace")
    if text.endswith("\n"):
        text = text[:-1]
    text = text.removeprefix("\t")
    return text.replace("\n\t", "\n")


def hold(text: str) -> Text:
    """The text in memory, compressed where that saves something."""
    return CompressedText(text) if len(text) > COMPRESS_ABOVE else HeldText(text)
