"""The text of source files as a recording had them; nothing but what its table of traced files names by path and by hash is read."""

from __future__ import annotations

import hashlib
import linecache
import os
import stat
from collections.abc import Iterator

from compile_inspector.model.files import TracedFile
from compile_inspector.model.graph import Graph
from compile_inspector.model.tables import Tables
from compile_inspector.views.summary import rows_of
from compile_inspector.views.words import visible

_LARGEST = 2_000_000
"""Bytes of a file that is read."""


def source_text(tables: Tables, file: str) -> tuple[str | None, str | None]:
    """The text of a file, safe to show, and why it is not there.

    A file is read if the recording traced code from it, and shown if it still is, byte by byte, what was recorded; a notebook cell's text
    comes from the kernel that ran it.

    Args:
        tables: The session.
        file: As a view shows it: a path, or ``In [n]``.
    """
    traced: tuple[TracedFile, ...] = rows_of(tables, "traced_files")
    row = next((one for one in traced if visible(one.file) == file), None)
    if row is None:
        return None, "The recording traced no code from this file."
    if row.content_hash is None:
        return None, "The recording does not say what this file held, so its text is not shown."
    for raw in _candidates(tables, row.file):
        if hashlib.sha256(raw).hexdigest() == row.content_hash:
            return visible(raw.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")), None
    return None, _absent(row.file)


def source_keys(tables: Tables) -> Iterator[str]:
    """The keys of the files whose text may be at hand, those that most graphs name in front."""
    traced: tuple[TracedFile, ...] = rows_of(tables, "traced_files")
    rows = sorted(traced, key=lambda row: -len(row.compile_ids))
    yield from (f"source:{visible(row.file)}" for row in rows if row.content_hash is not None)


def _absent(file: str) -> str:
    if file.startswith("In ["):
        return "The text of this cell is not in this kernel."
    return "This file is not on this machine, is too large, or has changed since it was recorded."


def _candidates(tables: Tables, file: str) -> Iterator[bytes]:
    """What may be the text: the file's, then what Python itself kept of it."""
    names = [file]
    if file.startswith("In ["):
        names = _cell_files(tables, file)
    else:
        raw = _read(file)
        if raw is not None:
            yield raw
    for name in names:
        kept = linecache.cache.get(name)
        if kept is not None and len(kept) == 4:
            text = "".join(kept[2])
            yield text.encode("utf-8", "surrogatepass")
            yield text.removesuffix("\n").encode("utf-8", "surrogatepass")


def _cell_files(tables: Tables, cell: str) -> list[str]:
    graphs: tuple[Graph, ...] = rows_of(tables, "graphs")
    return list(
        dict.fromkeys(name for graph in graphs for name, number in graph.cells if f"In [{number}]" == cell)
    )


def _read(file: str) -> bytes | None:
    """The bytes of a plain file that is not too large; None of anything else, and of what another machine would be asked for."""
    if file[:2] in ("//", "\\\\"):
        return None
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError):
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            return None
        with open(descriptor, "rb", closefd=False) as opened:
            return opened.read(_LARGEST + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
