"""Saving: records as a torch trace log, as torch itself would have written it, so that any tool for such logs opens it."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import IO

from compile_inspector.errors import LogError
from compile_inspector.model.records import Record

_HEADER = "V0101 00:00:00.000000 0 compile_inspector:0]"
"""Stands before a record that came without a header: one made by hand."""


def write_log(records: Iterable[Record], path: Path) -> Path:
    """Writes a trace log; what was there before is replaced in one step, or kept where writing fails.

    Args:
        records: In the order to write them.
        path: The log; compressed where the name ends in ``.gz``.

    Returns:
        The path.

    Raises:
        LogError: It cannot be written, or a text of the recording can no longer be read.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with _opened(beside, compressed=path.name.endswith(".gz")) as file:
            for record in records:
                file.write(encode_record(record))
        beside.replace(path)
    except OSError as error:
        msg = f"{path} cannot be written: {error}"
        raise LogError(msg) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    return path


@contextlib.contextmanager
def _opened(path: Path, *, compressed: bool) -> Generator[IO[bytes]]:
    with path.open("xb") as file:
        if not compressed:
            yield file
            return
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as packed:
            yield packed  # type: ignore[misc]


def encode_record(record: Record) -> bytes:
    """One record as the lines of a trace log.

    Raises:
        OSError: Its payload lies in a file that can no longer be read.
    """
    line: dict[str, object] = {record.event: record.body, **record.envelope}
    payload = None if record.payload is None else record.payload.read().encode("utf-8", "surrogatepass")
    if payload is not None:
        line["has_payload"] = hashlib.md5(payload, usedforsecurity=False).hexdigest()
    header = record.header.replace("\n", " ").replace("\r", " ") or _HEADER
    first = f"{header} {json.dumps(line, default=repr)}\n".encode("utf-8", "replace")
    if payload is None:
        return first
    return first + b"\t" + payload.replace(b"\n", b"\n\t") + b"\n"
