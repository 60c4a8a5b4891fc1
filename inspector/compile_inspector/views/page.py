"""A session as one HTML file: interactive, offline, with everything in it. Works from ``file://``."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

import msgspec

from compile_inspector.errors import InspectorError
from compile_inspector.model.tables import Tables
from compile_inspector.views.bundles import bundle
from compile_inspector.views.static_html import static_html
from compile_inspector.views.why_parts import LEFT_OUT, Whys, why_keys
from compile_inspector.views.wire import ROW_LIMIT, WirePart, pack, to_wire
from compile_inspector.views.wire_parts import part, part_keys
from compile_inspector.views.words import visible

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{margin:0;background:#fff;color:#1d2329}"
    "h1{position:absolute;width:1px;height:1px;margin:0;overflow:hidden;clip-path:inset(50%)}"
    "@media(prefers-color-scheme:dark){body{background:#14181d;color:#e2e8ee}}"
)
_NOSCRIPT_ROWS = 50


class Budget(msgspec.Struct, frozen=True):
    """How much of a session a page holds. What is more is left out, and the page says so where it would stand.

    Attributes:
        nodes: Nodes of all its graphs.
        drawings: Drawings of graphs.
        drawing_s: Seconds that all drawings together may take, roughly.
        characters: Characters of all texts of programs.
        chains: Why-chains.
        chain_s: Seconds that all chains together may take, roughly.
    """

    nodes: int = 20_000
    drawings: int = 60
    drawing_s: float = 20.0
    characters: int = 6_000_000
    chains: int = 600
    chain_s: float = 3.0


def to_html(
    tables: Tables,
    path: Path | None = None,
    *,
    title: str | None = None,
    budget: Budget | None = None,
    row_limit: int = ROW_LIMIT,
    compress: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """The session as the text of one HTML page.

    Args:
        tables: The session.
        path: Where to write it as well; None for nowhere.
        title: The page's title, and the session's name in it.
        budget: How much of what is large it holds.
        row_limit: Rows of one table that it holds.
        compress: False for browsers without ``DecompressionStream`` (before 2023).
        clock: Seconds, monotonic.
    """
    allowed = budget or Budget()
    parts, left_out = _parts(tables, allowed, clock)
    parts += _chains(tables, allowed, clock, left_out)
    payload = to_wire(
        tables, name=title, live=False, row_limit=row_limit, left_out=left_out, compress=compress
    )
    blocks = [_block("payload", payload), *(_block(p.key, pack(p, compress=compress)) for p in parts)]
    page = _page(title or "torch.compile, recorded", blocks, static_html(tables, limit=_NOSCRIPT_ROWS))
    if path is not None:
        path.write_text(page, encoding="utf-8")
    return page


def _parts(
    tables: Tables, budget: Budget, clock: Callable[[], float]
) -> tuple[list[WirePart], dict[str, str]]:
    held: list[WirePart] = []
    left_out: dict[str, str] = {}
    nodes, drawings, characters, until = (
        budget.nodes,
        budget.drawings,
        budget.characters,
        clock() + budget.drawing_s,
    )
    for key in part_keys(tables):
        kind, _, number = key.partition(":")
        if kind == "drawing":
            if drawings == 0 or clock() > until:
                left_out[key] = (
                    f"This page does not hold every drawing; session.graph() draws the one of session.graphs[{number}]."
                )
                continue
            drawings -= 1
        if kind == "diff" and clock() > until:
            left_out[key] = (
                f"This page does not hold every comparison; session.recompiles[{number}].diff() makes this one."
            )
            continue
        found = _part(tables, key)
        if kind == "nodes" and found.table is not None:
            nodes -= found.table.total
            if nodes < 0:
                left_out[key] = (
                    f"This page holds {budget.nodes:,} nodes at most; session.graphs[{number}].nodes has these."
                )
                nodes += found.table.total
                continue
        if found.text is not None:
            characters -= len(found.text)
            if characters < 0:
                left_out[key] = (
                    f"This page holds {budget.characters:,} characters of code at most; session.{kind}[{number}] has this."
                )
                characters += len(found.text)
                continue
        held.append(found)
    return held, left_out


def _chains(
    tables: Tables, budget: Budget, clock: Callable[[], float], left_out: dict[str, str]
) -> Iterator[WirePart]:
    """The why-chains of the first rows; that there are more is said once, under `LEFT_OUT`."""
    whys, until = Whys(tables), clock() + budget.chain_s
    for number, key in enumerate(why_keys(tables)):
        if number == budget.chains or clock() > until:
            left_out[LEFT_OUT] = (
                "This page does not hold every answer; session.why(row) gives that of any row."
            )
            return
        yield whys.part(key)


def _part(tables: Tables, key: str) -> WirePart:
    try:
        return part(tables, key)
    except InspectorError as error:
        return WirePart(key, problem=visible(str(error)))


def _block(key: str, data: bytes) -> str:
    return (
        f'<script type="application/octet-stream" data-key="{key}">{base64.b64encode(data).decode()}</script>'
    )


def _page(title: str, blocks: list[str], plain: str) -> str:
    script = bundle("inspector.iife.js")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(_STYLE)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(visible(title))}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<main data-compile-inspector data-place="page">\n<h1>{escape(visible(title))}</h1>\n{chr(10).join(blocks)}\n</main>\n'
        f"<noscript>{plain}</noscript>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
