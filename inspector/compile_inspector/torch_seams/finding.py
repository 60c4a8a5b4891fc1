"""A guard that fails, as plain texts; and torch's texts of guards, cut to what matters."""

from __future__ import annotations

import ast

import msgspec

from compile_inspector.torch_seams.value_text import shorten


class Finding(msgspec.Struct, frozen=True):
    """A guard, or one facet of it, that fails.

    Attributes:
        source: What it is about, as Dynamo names it.
        subjects: Every source that it reads; empty where that is `source` alone.
    """

    source: str
    kind: str
    expr: str
    expected: str | None
    actual: str | None
    subjects: tuple[str, ...] = ()


def code_of(part: str) -> str:
    """Torch's text of a guard without the comment behind it."""
    at = part.find("  # ")
    while at >= 0:
        try:
            ast.parse(part[:at].strip(), mode="eval")
        except (SyntaxError, ValueError):
            at = part.find("  # ", at + 1)
        else:
            return shorten(part[:at].strip())
    return shorten(part.partition("  # ")[0].strip())


def plain_name(name: str) -> str:
    """A class's name as torch prints it, without ``builtins`` and ``__main__``."""
    return name.removeprefix("builtins.").removeprefix("__main__.")
