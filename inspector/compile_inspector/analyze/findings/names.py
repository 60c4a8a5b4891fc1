"""From Dynamo's names for things to those of the user's program, for code to paste and for sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable

from compile_inspector.model.locations import Location

_MOST = 6
_BASE = re.compile(r"([LG])\['([A-Za-z_]\w*)'\]")
_MODULE_STEP = re.compile(r"\._(?:modules|parameters|buffers)\['([^'\\]*)'\]|\.__dict__\['([^'\\]*)'\]")
_COMMENT = re.compile(r"((?:[^#'\"]|'[^'\n]*'|\"[^\"\n]*\")*)#")
_HIDDEN = re.compile(r"^(?:___|torch_dynamo_|__compiled_)")


def python_name(source: str) -> str | None:
    """``self.layers[0].scale`` of ``L['self']._modules['layers']._modules['0'].scale``; None for what the user's code has no name for."""
    found = _BASE.match(source)
    if found is None or _HIDDEN.match(found[2]):
        return None
    rest = _MODULE_STEP.sub(_step, source[found.end() :])
    return None if "___" in rest or "(" in rest else found[2] + rest


def _step(found: re.Match[str]) -> str:
    name = found[1] or found[2] or ""
    if name.isdecimal():
        return f"[{name}]"
    return f".{name}" if name.isidentifier() else f"[{name!r}]"


def listed(subjects: Iterable[str]) -> str:
    """``a, b and c``; a long list cut, with a count."""
    names = list(subjects)
    shown = names if len(names) <= _MOST else [*names[: _MOST - 1], f"{len(names) - _MOST + 1} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def at(location: Location | None, before: str = " at ") -> str:
    """`` at model.py:12``; nothing where the line is not known."""
    return "" if location is None else f"{before}{location.short}"


def line(location: Location | None) -> str:
    """``model.py:12 (x = x.view(3, -1))``."""
    if location is None:
        return "a line that torch did not keep"
    code = statement(location.code)
    return f"{location.short} ({code})" if code else location.short


def statement(code: str | None) -> str:
    """A line of code without the comment behind it; "" for none."""
    if not code or "#" not in code:
        return (code or "").strip()
    found = _COMMENT.match(code)
    return (found[1] if found else code).strip()


def often(number: int) -> str:
    """``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(number) or f"{number:,} times"


def times(number: int, noun: str) -> str:
    """``1 call``, ``3 calls``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def cut(text: str, most: int = 120) -> str:
    """A text on one line, cut with a mark."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"
