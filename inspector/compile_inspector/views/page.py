"""A session as one HTML file: interactive, offline, with everything in it. Works from ``file://``."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import msgspec

from compile_inspector.errors import InspectorError
from compile_inspector.model.tables import Tables
from compile_inspector.views.answers import GUARDS_APART, answer
from compile_inspector.views.bundles import bundle
from compile_inspector.views.graph_parts import RELATING, graph_part_keys
from compile_inspector.views.graph_summary import graph_html
from compile_inspector.views.source_texts import source_keys
from compile_inspector.views.static_html import static_html
from compile_inspector.views.summary import rows_of
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
_GRAPH_ROWS = 5_000
"""Rows of a table that a page of graphs holds, for links out of them."""


class Budget(msgspec.Struct, frozen=True):
    """How much of a session a page holds. What is more is left out, and the page says so where it would stand.

    Attributes:
        nodes: Nodes of all its graphs.
        comparing_s: Seconds that all comparisons together may take, roughly.
        characters: Characters of all texts of programs.
        chains: Why-chains.
        chain_s: Seconds that all chains together may take, roughly.
        related: Nodes that correspond, differences and verdicts, together.
        related_s: Seconds that all of these may take, roughly.
        source_characters: Characters of all source files.
    """

    nodes: int = 60_000
    comparing_s: float = 10.0
    characters: int = 6_000_000
    chains: int = 600
    chain_s: float = 3.0
    related: int = 400_000
    related_s: float = 6.0
    source_characters: int = 2_000_000


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
    held = _Held(tables, budget or Budget(), clock, compress=compress)
    held.fill()
    payload = to_wire(
        tables, name=title, live=False, row_limit=row_limit, left_out=held.left_out, compress=compress
    )
    blocks = [_block("payload", payload), *(_block(key, data) for key, data in held.blocks.items())]
    page = _page(title or "torch.compile, recorded", blocks, static_html(tables, limit=_NOSCRIPT_ROWS))
    if path is not None:
        path.write_text(page, encoding="utf-8")
    return page


def graph_page(
    tables: Tables,
    row: int,
    *,
    selection: Sequence[str] = (),
    script: Sequence[Sequence[str | int]] = (),
    budget: Budget | None = None,
) -> str:
    """The explorer of a session's graphs as the text of one HTML page.

    Args:
        tables: The session.
        row: The graph that is shown first.
        selection: Names of nodes that are picked.
        script: Commands that are carried out first, as `GraphWidget.script` has them.
        budget: How much of what is large it holds; the first graph is always held.
    """
    held = _Held(tables, budget or Budget(), time.monotonic, compress=True)
    held.fill_graphs(row)
    graph = rows_of(tables, "graphs")[row]
    state = {"row": row, "selection": list(selection), "script": [list(command) for command in script]}
    blocks = [
        _block("graph", held.blocks.pop(f"explore:{row}")),
        *(_block(name, msgspec.json.encode(value)) for name, value in state.items()),
        _block("left_out", msgspec.json.encode(held.left_out)),
        *(_block(key, data) for key, data in held.blocks.items()),
    ]
    return _page(f"Graph of compile {graph.compile_id}, {graph.stage}", blocks, graph_html(graph))


class _Held:
    """The parts that a page holds, and why it does not hold the others."""

    def __init__(self, tables: Tables, budget: Budget, clock: Callable[[], float], *, compress: bool) -> None:
        self.blocks: dict[str, bytes] = {}
        self.left_out: dict[str, str] = {}
        self._tables = tables
        self._budget = budget
        self._clock = clock
        self._compress = compress
        self._whys = Whys(tables)
        self._nodes, self._characters = budget.nodes, budget.characters
        self._graphs = rows_of(tables, "graphs")

    def fill(self) -> None:
        """Takes in what there is room for."""
        until = self._clock() + self._budget.comparing_s
        for key in part_keys(self._tables):
            kind, _, number = key.partition(":")
            if kind == "explore":
                self._graph(key, int(number))
            elif kind == "diff":
                if self._clock() > until:
                    self.left_out[key] = (
                        f"This page does not hold every comparison; session.recompiles[{number}].diff() makes this one."
                    )
                else:
                    self._hold(key)
            else:
                self._text(key, kind, number)
        self._chains()
        self._related()
        self._sources()

    def fill_graphs(self, first: int) -> None:
        """Takes in graphs, their printouts and the code made of them, this one first, and comparisons of them."""
        self._hold(f"explore:{first}")
        keys = [f"guards_of:{first}", f"graphs:{first}"]
        for key in keys:
            self._hold(key)
        for key in part_keys(self._tables):
            kind, _, number = key.partition(":")
            if kind == "explore" and int(number) != first:
                self._graph(key, int(number))
            elif kind in ("graphs", "output_code", "kernels") and key not in self.blocks:
                self._text(key, kind, number)
        self._related()
        self._sources()
        self.blocks["session"] = to_wire(
            self._tables, live=False, row_limit=_GRAPH_ROWS, left_out=self.left_out, compress=self._compress
        )

    def _hold(self, key: str) -> None:
        self.blocks[key] = answer(self._tables, key, whys=self._whys, compress=self._compress)

    def _graph(self, key: str, row: int) -> None:
        graph = self._graphs[row]
        try:
            nodes = len(graph.nodes)
        except (OSError, InspectorError):
            nodes = 0
        if nodes > self._nodes:
            self.left_out[key] = (
                f"This page holds {self._budget.nodes:,} nodes at most; session.graph({graph.compile_id!r}, {graph.stage!r}) shows this graph."
            )
            return
        self._nodes -= nodes
        self._hold(key)
        if nodes > GUARDS_APART:
            self._hold(f"guards_of:{row}")

    def _text(self, key: str, kind: str, number: str) -> None:
        found = self._part(key)
        size = len(found.text or "")
        if size > self._characters:
            self.left_out[key] = (
                f"This page holds {self._budget.characters:,} characters of code at most; session.{kind}[{number}] has this."
            )
            return
        self._characters -= size
        self.blocks[key] = pack(found, compress=self._compress)

    def _part(self, key: str) -> WirePart:
        try:
            return part(self._tables, key)
        except InspectorError as error:
            return WirePart(key, problem=visible(str(error)))

    def _chains(self) -> None:
        """The why-chains of the first rows; that there are more is said once, under `LEFT_OUT`."""
        until = self._clock() + self._budget.chain_s
        for number, key in enumerate(why_keys(self._tables)):
            if number == self._budget.chains or self._clock() > until:
                self.left_out[LEFT_OUT] = (
                    "This page does not hold every answer; session.why(row) gives that of any row."
                )
                return
            self.blocks[key] = pack(self._whys.part(key), compress=self._compress)

    def _related(self) -> None:
        """What relates graphs to each other; that there is more is said once for each kind."""
        left, until = self._budget.related, self._clock() + self._budget.related_s
        for key in graph_part_keys(self._tables):
            if left <= 0 or self._clock() > until:
                self.left_out |= dict.fromkeys(
                    RELATING, "This page does not hold all of what relates its graphs."
                )
                return
            found = self._part(key)
            left -= len(found.pairs or ()) // 2 + (0 if found.table is None else found.table.count)
            self.blocks[key] = pack(found, compress=self._compress)

    def _sources(self) -> None:
        """The source files that were recorded and are still as they were."""
        left = self._budget.source_characters
        for key in source_keys(self._tables):
            found = self._part(key)
            left -= len(found.text or "")
            if left < 0:
                self.left_out["source"] = "This page does not hold the text of every file."
                return
            self.blocks[key] = pack(found, compress=self._compress)


def _block(key: str, data: bytes) -> str:
    return f'<script type="application/octet-stream" data-key="{escape(key)}">{base64.b64encode(data).decode()}</script>'


def _page(title: str, blocks: list[str], plain: str) -> str:
    script = bundle("inspector.iife.js")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(_STYLE)}'; img-src data:; worker-src blob: data:; "
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
