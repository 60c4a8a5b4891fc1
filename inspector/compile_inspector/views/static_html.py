"""A recording as plain HTML: what a notebook shows where no script may run, and what it shows on a code host.

Only elements that sanitisers leave alone: tables, lists, ``details``, images from ``data:`` addresses. No script, style sheet or class,
and no colour but the white behind a drawing, so that it takes on the page's own, light or dark. Every text is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Any

from compile_inspector.analyze.why import Chains
from compile_inspector.errors import InspectorError
from compile_inspector.model.captures import Capture
from compile_inspector.model.chains import Chain
from compile_inspector.model.findings import Finding
from compile_inspector.model.locations import Location
from compile_inspector.model.recompiles import EntryCheck, Recompile
from compile_inspector.model.tables import Tables
from compile_inspector.views.captures_text import pays_text, share_text
from compile_inspector.views.columns import COLUMNS, Column, Value, columns_of, title_of
from compile_inspector.views.story import NOTHING_HINT, rows_of
from compile_inspector.views.summary import Summary, summarise
from compile_inspector.views.words import duration, one_line, short_place, visible

_OPEN = frozenset({"findings", "recompiles", "violations", "graph_breaks", "losses"})
_DETAILS_SHOWN = frozenset({"problems", "remarks", "explanation", "missing", "error_location", "restarts"})
_LEFT = ' style="text-align:left"'
_PLACE = ' style="text-align:left;white-space:nowrap"'
_RIGHT = ' style="text-align:right;white-space:nowrap"'
_CELL = 400
_LIST = 12
_CHAINS = 12
_STEPS = 24

Why = Callable[[Finding | Recompile], str]
"""The why-chain of a row as markup, "" where none is told."""


def static_html(tables: Tables, *, drawing_svg: str | None = None, limit: int = 100) -> str:
    """One ``div`` with the whole recording.

    Args:
        tables: What to show.
        drawing_svg: A graph's drawing, shown as an image; None for none.
        limit: The most rows of any one table; what is left out is counted under it.
    """
    return f"<div>{''.join(_parts(tables, drawing_svg, limit))}</div>"


def _parts(tables: Tables, drawing_svg: str | None, limit: int) -> Iterator[str]:
    summary = summarise(tables)
    why = _whys(tables)
    yield f"<p><strong>{_safe(summary.headline)}</strong></p>"
    if findings := rows_of(tables, "findings"):
        yield _findings(findings, limit, why)
    if rows_of(tables, "compiles"):
        yield _list(sentence.text for sentence in summary.sentences)
    else:
        yield f"<p>{_safe(NOTHING_HINT)}</p>"
    for name in COLUMNS:
        if name != "findings" and (rows := rows_of(tables, name)):
            yield _section(name, rows, limit, why)
    if drawing_svg is not None:
        yield _details("Graph", _image(drawing_svg))
    yield from _surroundings(summary)


def _section(name: str, rows: tuple[Any, ...], limit: int, why: Why) -> str:
    shown = rows
    if name == "dims":
        shown = tuple(sorted(rows, key=lambda dim: dim.is_parameter))
    body = _recompiles(shown[:limit], limit, why) if name == "recompiles" else _table(name, shown[:limit])
    if name == "captures":
        body = _captures(rows, limit) + body
    return _details(
        f"{title_of(name)} ({len(rows):,})", body + _left_out(len(rows) - limit, name), open=name in _OPEN
    )


def _captures(rows: Sequence[Capture], limit: int) -> str:
    """What ran from graphs, and the times of each size as bars."""
    timed = [row for row in rows if row.partition is None and row.replay_ns is not None]
    timed = sorted(timed, key=lambda row: (row.size or 0, row.number))[:limit]
    longest = max(
        (ns for row in timed for ns in (row.replay_ns, row.compiled_ns, row.eager_ns) if ns), default=1
    )
    lines = "".join(
        f"<tr><td{_LEFT}>{_safe(row.key or '')} {_safe(row.mode)}</td><td{_LEFT}>{_safe(title)}</td>"
        f'<td><progress value="{ns}" max="{longest}"></progress></td><td{_RIGHT}>{_safe(duration(ns))}</td>'
        f"<td{_LEFT}>{_safe(pays_text(row)) if title == 'replay' else ''}</td></tr>"
        for row in timed
        for title, ns in (("eager", row.eager_ns), ("compiled", row.compiled_ns), ("replay", row.replay_ns))
        if ns is not None
    )
    table = f'<table cellpadding="4"><tbody>{lines}</tbody></table>' if lines else ""
    return f"<p>{_safe(share_text(rows))}.</p>{table}"


def _details(title: str, body: str, *, open: bool = False) -> str:  # noqa: A002 - the attribute's name
    return f"<details{' open' if open else ''}><summary>{_safe(title)}</summary>{body}</details>"


def _left_out(rest: int, name: str) -> str:
    if rest <= 0:
        return ""
    rows = "row is" if rest == 1 else "rows are"
    return f"<p>{rest:,} more {rows} not shown: <code>session.to_dicts('{_safe(name)}')</code> has all of them.</p>"


def _table(name: str, rows: Sequence[Any]) -> str:
    columns = [column for column in columns_of(name) if not column.detail or column.key in _DETAILS_SHOWN]
    values = {column.key: [column.value(row) for row in rows] for column in columns}
    shown = [column for column in columns if any(value not in (None, []) for value in values[column.key])]
    head = "".join(f"<th{_align(column)}>{_safe(column.title)}</th>" for column in shown)
    body = "".join(
        f"<tr>{''.join(_cell(column, values[column.key][index]) for column in shown)}</tr>"
        for index in range(len(rows))
    )
    return f'<table cellpadding="4"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _align(column: Column[Any]) -> str:
    if column.kind in {"number", "duration"}:
        return _RIGHT
    return _PLACE if column.kind == "location" else _LEFT


def _cell(column: Column[Any], value: Value) -> str:
    return "<td></td>" if value is None else f"<td{_align(column)}>{_content(column, value)}</td>"


def _content(column: Column[Any], value: str | float | list[str]) -> str:
    if isinstance(value, list):
        rest = [f"{len(value) - _LIST:,} more"] if len(value) > _LIST else []
        return "<br>".join(_safe(item) for item in [*value[:_LIST], *rest])
    if not isinstance(value, str):
        return duration(value) if column.kind == "duration" else f"{value:,}"
    if column.kind == "location":
        return _safe(short_place(value))
    return f"<code>{_safe(value)}</code>" if column.kind in {"code", "id"} else _safe(value)


def _whys(tables: Tables) -> Why:
    """Tells the chains of the first findings and of the first recompiles."""
    findings = rows_of(tables, "findings")
    chains = Chains(tables, findings)
    told = {id(row) for row in (*findings[:_CHAINS], *rows_of(tables, "recompiles")[:_CHAINS])}

    def why(row: Finding | Recompile) -> str:
        if id(row) not in told:
            return ""
        try:
            return _chain(chains.of(row))
        except InspectorError:
            return ""

    return why


def _chain(chain: Chain) -> str:
    where = "" if chain.compile_id is None else f" in {_safe(chain.compile_id)}"
    steps = [
        f"<li>{_safe(step.kind)}: {_safe(step.text)}{'' if step.location is None else f' ({_place(step.location)})'}</li>"
        for step in chain.steps[:_STEPS]
    ]
    if (rest := len(chain.steps) - _STEPS) > 0:
        steps.append(f"<li>{rest:,} more steps: <code>session.why()</code> has all of them.</li>")
    verdict = f"<p><code>{_safe(chain.subject)}</code>{where}: {_safe(chain.verdict)}</p>"
    return _details("Why, step by step", f"{verdict}<ul>{''.join(steps)}</ul>")


def _findings(findings: Sequence[Finding], limit: int, why: Why) -> str:
    items = "".join(f"<li>{_finding(found)}{why(found)}</li>" for found in findings[:limit])
    body = f"<ul>{items}</ul>{_left_out(len(findings) - limit, 'findings')}"
    return _details(f"{title_of('findings')} ({len(findings):,})", body, open=True)


def _finding(found: Finding) -> str:
    where = "" if found.cause is None else f"<br>{_place(found.cause)}"
    head = f"<strong>{_safe(found.severity)}, {_safe(found.kind)}</strong>: {_safe(found.title)}{where}"
    if found.fix.code is None:
        fix = f"<br>No fix to paste: {_safe(found.fix.note)}"
    else:
        lines = "<br>".join(_code(line) for line in found.fix.code.split("\n"))
        fix = f"<br>Fix: {lines}<br>{_safe(found.fix.note)}"
    evidence = _details("Evidence", _list(found.evidence)) if found.evidence else ""
    return f"{head}{fix}{evidence}"


def _code(line: str) -> str:
    indent = "&nbsp;" * (len(line) - len(line.lstrip()))
    return f"<code>{indent}{_safe(line.strip())}</code>"


def _recompiles(recompiles: Sequence[Recompile], limit: int, why: Why) -> str:
    return "".join(_recompile(recompile, limit) + why(recompile) for recompile in recompiles)


def _recompile(recompile: Recompile, limit: int) -> str:
    called = f", called from {_place(recompile.trigger)}" if recompile.trigger else ""
    title = f"<p><strong><code>{_safe(recompile.compile_id)}</code></strong>{called}</p>"
    nearest = recompile.nearest
    if nearest is None:
        return f"{title}<p>Which guards failed is not recorded.</p>"
    others = [entry for entry in recompile.entries if entry is not nearest]
    body = title + _entry(nearest, "the nearest earlier entry" if others else "the earlier entry", limit)
    if not others:
        return body
    noun = "entry" if len(others) == 1 else "entries"
    rest = "".join(_entry(entry, "an earlier entry", limit) for entry in others[:limit])
    return body + _details(f"{len(others):,} other {noun}", rest)


def _entry(entry: EntryCheck, which: str, limit: int) -> str:
    known = "" if entry.complete else " (only torch's first reason is known)"
    parts = [f"<p>Does not fit <code>{_safe(entry.entry_id)}</code>, {which}{known}:</p>"]
    if entry.failing:
        parts += [
            _table("failing", entry.failing[:limit]),
            _left_out(len(entry.failing) - limit, "recompiles"),
        ]
    elif entry.torch_reason:
        parts.append(f"<p><code>{_safe(entry.torch_reason)}</code></p>")
    if entry.unevaluated:
        body = _table("unevaluated", entry.unevaluated[:limit]) + _left_out(
            len(entry.unevaluated) - limit, "recompiles"
        )
        parts.append(_details(f"Not evaluable ({len(entry.unevaluated):,})", body))
    return "".join(parts)


def _place(location: Location) -> str:
    code = f" <code>{_safe(location.code)}</code>" if location.code else ""
    return f"{_safe(location.short)}{code}"


def _image(svg: str) -> str:
    from compile_inspector.views.graph_drawing import as_image

    data = base64.b64encode(as_image(svg).encode("utf-8", "replace")).decode("ascii")
    return f'<p><img alt="The graph, drawn" style="max-width:100%;background:#fff" src="data:image/svg+xml;base64,{data}"></p>'


def _surroundings(summary: Summary) -> Iterator[str]:
    if summary.environment:
        rows = "".join(
            f"<tr><td{_LEFT}>{_safe(label)}</td><td{_LEFT}>{_safe(value)}</td></tr>"
            for label, value in summary.environment
        )
        yield _details("Environment", f'<table cellpadding="4"><tbody>{rows}</tbody></table>')
    if summary.not_recorded:
        yield _details(
            "Not recorded", _list(f"{absence.name}: {absence.reason}" for absence in summary.not_recorded)
        )


def _list(texts: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{_safe(text)}</li>' for text in texts)}</ul>"


def _safe(text: str) -> str:
    return escape(visible(one_line(text, _CELL)), quote=True)
