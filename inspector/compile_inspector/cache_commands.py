"""The command ``compile-inspector cache``: what the compile decorator has kept on disk. Needs no torch."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from compile_inspector.engine.artifacts import misses, secret, store
from compile_inspector.engine.artifacts.header import Difference
from compile_inspector.engine.config import artifact_folder
from compile_inspector.errors import InspectorError

_UNITS = (("d", 86400), ("h", 3600), ("min", 60))


def add(commands: Any) -> None:
    """Adds the command to those of the program."""
    cache = commands.add_parser(
        "cache", help="list, show, prune or clear what the compile decorator has kept on disk"
    )
    verbs = cache.add_subparsers(required=True, metavar="VERB")
    for name, run, text in (
        ("list", _list, "one line an artifact, the last used first"),
        (
            "show",
            _show,
            "what one artifact was made of, and what lookups differed in that came to it in vain",
        ),
        ("prune", _prune, "remove what was used longest ago, until the rest fits"),
        ("clear", _clear, "remove every artifact"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument(
            "--folder", type=Path, help="the cache folder (default: below COMPILE_INSPECTOR_CACHE_ROOT)"
        )
        verb.set_defaults(run=run)
        if name in ("list", "show"):
            verb.add_argument("--json", action="store_true", help="print JSON instead of text")
        if name == "show":
            verb.add_argument("artifact", metavar="NAME", help="the beginning of its name, as listed")
        if name == "prune":
            verb.add_argument("--limit", type=_size, required=True, help="what may stay: 500M, 2G, 0")


def _size(text: str) -> int:
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number, unit = (text[:-1], units[text[-1].upper()]) if text[-1:].upper() in units else (text, 1)
    try:
        found = int(float(number) * unit)
    except (ValueError, OverflowError) as error:
        msg = f"{text!r} is no size; give one such as 500M or 2G"
        raise argparse.ArgumentTypeError(msg) from error
    if found < 0:
        msg = f"{text!r} is less than nothing"
        raise argparse.ArgumentTypeError(msg)
    return found


def _store(chosen: argparse.Namespace) -> store.Store:
    try:
        return store.Store(chosen.folder or artifact_folder(None))
    except secret.NoSecret as error:
        raise InspectorError(str(error)) from error


def _list(chosen: argparse.Namespace) -> None:
    kept = _store(chosen)
    found = kept.stored()
    if chosen.json:
        _say(msgspec.json.format(msgspec.json.encode([_row(one) for one in found]), indent=2).decode())
        return
    if not found:
        _say(f"{kept.root} holds no artifact")
        return
    for one in found:
        _say(_line(one))
    total = sum(one.size_bytes for one in found)
    _say(f"{len(found)} artifacts, {_bytes(total)}, in {kept.root}")


def _line(one: store.Stored) -> str:
    when = f"{_bytes(one.size_bytes):>9}  used {one.uses} times, last {_ago(one.used_s)} ago"
    what = one.problem if one.header is None else _program(one)
    return f"{one.name}  {when}  {_plain(what or '')}"


def _program(one: store.Stored) -> str:
    assert one.header is not None
    prefix = f" ({one.header.prefix})" if one.header.prefix else ""
    return (
        f"{one.header.program}{prefix}, {one.header.backend}, compiled in {one.header.compile_ns / 1e9:.1f} s"
    )


def _row(one: store.Stored) -> dict[str, Any]:
    return {**one.row(), "file": str(one.path)}


def _show(chosen: argparse.Namespace) -> None:
    found = [one for one in _store(chosen).stored() if one.name.startswith(chosen.artifact)]
    if len(found) != 1:
        msg = f"{len(found)} artifacts have a name that begins with {chosen.artifact!r}; compile-inspector cache list names them"
        raise InspectorError(msg)
    (one,) = found
    if chosen.json:
        told = {**_row(one), "misses": misses.of(one.path), "header": one.header}
        _say(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
        return
    for line in _told(one):
        _say(_plain(line))


def _told(one: store.Stored) -> Iterator[str]:
    yield one.path.name
    yield _line(one)
    if one.header is None:
        return
    yield ""
    yield "Key"
    for part in one.header.components:
        lines = part.text.splitlines() or [""]
        more = f"  (and {len(lines) - 1} lines)" if len(lines) > 1 else ""
        yield f"  {part.name:<12} {part.hash[:12]}  {lines[0].strip()[:100]}{more}"
    yield ""
    yield f"Functions that were traced: {len(one.header.functions)}"
    for function in one.header.functions:
        yield f"  {function.hash[:12]}  {function.name}  ({os.path.basename(function.file)}:{function.line})"
    plain = [value for value in one.header.values if not value.text.startswith(("class ", "module "))]
    yield ""
    yield f"Values that were guarded: {len(one.header.values)}"
    for value in plain[:200]:
        yield f"  {value.source} = {value.text}"
    missed = misses.of(one.path)
    yield ""
    yield f"Lookups that it was the nearest for, and not the one: {len(missed) or 'none'}"
    for miss in reversed(missed):
        yield f"  {_ago(miss.at_s)} ago"
        yield from (f"    {_difference(part)}" for part in miss.differs)


def _difference(part: Difference) -> str:
    was, now = ("nothing" if text is None else " ".join(text.split())[:100] for text in (part.was, part.now))
    line = "" if part.line is None else f"  ({os.path.basename(part.file or '')}:{part.line})"
    return f"{part.component} was {was}, and is {now}{line}"


def _prune(chosen: argparse.Namespace) -> None:
    removed = _store(chosen).prune(limit_bytes=chosen.limit)
    _say(f"removed {len(removed)} artifacts")


def _clear(chosen: argparse.Namespace) -> None:
    removed = _store(chosen).clear()
    _say(f"removed {len(removed)} artifacts")


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"


def _ago(then_s: float) -> str:
    passed_s = max(0.0, time.time() - then_s)
    for unit, length_s in _UNITS:
        if passed_s >= length_s:
            return f"{passed_s / length_s:.0f} {unit}"
    return f"{passed_s:.0f} s"


def _plain(text: str) -> str:
    """Without characters that steer a terminal: names come from programs."""
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in text)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
