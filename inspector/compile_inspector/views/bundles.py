"""The front end's built files, as text. They are made from ``inspector/frontend`` by ``npm run build`` and are part of the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_STATIC = Path(__file__).parent / "static"


@cache
def bundle(name: str) -> str:
    """One of ``inspector.esm.js`` (for anywidget), ``inspector.iife.js`` (for a page), ``progress.esm.js``."""
    return (_STATIC / name).read_text(encoding="utf-8")
