"""Files that Dynamo traced through."""

from __future__ import annotations

import msgspec


class TracedFile(msgspec.Struct, frozen=True):
    """One file, or notebook cell, that a compile read code from.

    Attributes:
        file: Its path, or ``In [n]``.
        functions: Names of the functions traced in it, sorted.
        inline_count: How many calls into it were inlined; the compiled frame itself is not counted.
        content_hash: SHA-256 of its text at recording time, hexadecimal; None where the text was not at hand.
        compile_ids: The compiles that traced it.
    """

    file: str
    functions: tuple[str, ...]
    inline_count: int
    content_hash: str | None
    compile_ids: tuple[str, ...]
