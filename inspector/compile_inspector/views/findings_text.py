"""Findings as text: what to know, the line, the fix; worst first."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from compile_inspector.model.findings import Finding
from compile_inspector.views.words import duration, one_line, visible

MOST = 8
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_CODE_LINES = 8


def findings_text(findings: tuple[Finding, ...]) -> Iterator[RenderableType]:
    """The worst findings, each with its line and its fix; the rest counted."""
    for found in findings[:MOST]:
        yield _title(found)
        yield Padding(Text(one_line(found.title, 300)), (0, 0, 0, 2))
        yield from (Padding(part, (0, 0, 0, 2)) for part in _fix(found))
    if (rest := len(findings) - MOST) > 0:
        yield Text(f"... {rest:,} more: session.findings", style="dim")


def _title(found: Finding) -> Text:
    title = Text(found.severity, style=_STYLES[found.severity]).append(f" {found.kind}", style="default bold")
    if found.cause is not None:
        title.append(f"  {one_line(found.cause.short, 48)}", style="blue")
        if found.cause.code:
            title.append(f"  {one_line(found.cause.code, 80)}", style="dim")
    if found.cost_ns:
        title.append(f"  {duration(found.cost_ns)}", style="dim")
    title.no_wrap, title.overflow = True, "ellipsis"
    return title


def _fix(found: Finding) -> Iterator[Text]:
    code = found.fix.code
    if code is None:
        yield Text(one_line(found.fix.note, 300), style="green")
        return
    lines = code.split("\n")
    for line in lines[:_CODE_LINES]:
        yield Text(f"    {visible(line)}", style="green")
    if len(lines) > _CODE_LINES:
        yield Text(f"    ... {len(lines) - _CODE_LINES:,} more lines", style="dim")
    yield Text(one_line(found.fix.note, 300), style="dim")
