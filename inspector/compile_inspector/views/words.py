"""Values as short text that every view words alike. Text from users' code and logs is made safe to show here, once."""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_LINES = re.compile(r"\s*\n\s*")


def visible(text: str) -> str:
    r"""A text whose control characters are written out.

    ANSI escapes, marks that turn the writing direction, and halves of surrogate pairs become ``\x1b``, ``\u202e``, ``\ud800``, so that
    no terminal or browser acts on them and every encoder takes the text. Newlines and tabs stay.
    """
    return text if text.isprintable() else _UNSAFE.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def one_line(text: str, limit: int | None = None) -> str:
    """A visible text on one line, cut to ``limit`` characters with a marker where it is longer."""
    line = visible(text)
    if "\n" in line or "\t" in line:
        line = _LINES.sub(" ", line.strip()).replace("\t", " ")
    return line if limit is None or len(line) <= limit else line[: max(limit - 1, 0)] + "…"


def duration(elapsed_ns: float) -> str:
    """Nanoseconds in three digits and a unit: ``1.24 s``, ``83.0 ms``, ``512 µs``; minutes from 100 s on."""
    if elapsed_ns >= 99.95e9:
        minutes, seconds = divmod(round(elapsed_ns / 1e9), 60)
        return f"{minutes} min {seconds:02d} s"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if elapsed_ns >= size * 0.9995:
            value = elapsed_ns / size
            digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
            return f"{value:.{digits}f} {unit}"
    return f"{elapsed_ns:.0f} ns"


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: ``1 compile``, ``1,024 compiles``, ``no compiles``."""
    noun = one if number == 1 else many or f"{one}s"
    return f"{number:,} {noun}" if number else f"no {noun}"


def short_place(place: str) -> str:
    """``name.py:12`` for a place given with its folders; a notebook cell's stays as it is."""
    return place.rsplit("/", 1)[-1].rsplit("\\", 1)[-1]
