"""What the lab found, as text and as plain HTML: a sweep's cells and verdicts, a fix's before and after. Pure; every text is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from io import StringIO

import msgspec
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from compile_inspector.model.sweeps import KINDS, Cell, DimVerdict, Kind, SweepResult
from compile_inspector.model.trials import Outcome, Trial
from compile_inspector.views.words import count, duration, one_line, visible

_WORDS = 200
_ROWS = 200
_BAD = frozenset({"wrong", "failed", "pinned", "no"})
_FAIR = frozenset({"recompiles", "fixed", "invalid"})
_GOOD = frozenset({"ok", "dynamic", "yes"})


class Grid(msgspec.Struct, frozen=True):
    """A table of texts; those of ``numbers`` stand to the right, those of ``words`` are told apart by how welcome they are."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    words: int | None = None


class Told(msgspec.Struct, frozen=True):
    """What there is to be said: a headline, sentences, tables, and the numbered notes that the tables point to."""

    headline: str
    sentences: tuple[str, ...]
    grids: tuple[Grid, ...]
    notes: tuple[str, ...] = ()


def told_sweep(result: SweepResult) -> Told:
    """A sweep."""
    bad = len(result.bad)
    backend = one_line(result.backend, 40)
    tail = f"{count(bad, 'bad cell')}" if result.cells else "nothing was run"
    headline = f"Sweep of {one_line(result.name, 40)} with {backend}: {len(result.cells):,} of {count(result.total, 'cell')}, {tail}"
    sentences = [*result.notes]
    if not result.dims:
        sentences += [_lane_words(kind, result.of_kind(kind)) for kind in KINDS if result.of_kind(kind)]
    if result.dims:
        return Told(headline, tuple(sentences), (_verdicts(result.dims),))
    notes = list(dict.fromkeys(filter(None, map(_trouble, result.cells))))
    grids = (_cells(result.cells, notes),) if result.cells else ()
    return Told(headline, tuple(sentences), grids, tuple(notes))


def _lane_words(kind: Kind, cells: Sequence[Cell]) -> str:
    compiles = sum(cell.compiles for cell in cells)
    served = sum(cell.status == "ok" for cell in cells)
    words = f"{kind}: {count(compiles, 'compile')} for {count(len(cells), 'combination of sizes', 'combinations of sizes')}, {served:,} right"
    told = {status: sum(cell.status == status for cell in cells) for status in ("wrong", "failed", "invalid")}
    said = {"wrong": "wrong", "failed": "failed", "invalid": "that eager itself refuses"}
    return words + "".join(f", {number:,} {said[status]}" for status, number in told.items() if number)


def _cells(cells: Sequence[Cell], notes: Sequence[str]) -> Grid:
    head = (
        "kind",
        "sizes",
        "result",
        "compiles",
        "recompiles",
        "specialized",
        "guards",
        "compile",
        "call",
        "note",
    )
    rows = tuple(_cell_row(cell, notes) for cell in cells)
    return Grid("Cells", head, rows, frozenset({3, 4, 5, 6, 7, 8, 9}), 2)


def _cell_row(cell: Cell, notes: Sequence[str]) -> tuple[str, ...]:
    numbers = (cell.compiles, cell.recompiles, cell.specializations)
    trouble = _trouble(cell)
    return (
        cell.kind,
        ", ".join(f"{_input(size.source)}[{size.dim}]={size.size}" for size in cell.sizes),
        cell.status,
        *(str(number) if number else "" for number in numbers),
        "" if cell.guards is None else f"{cell.guards:,}",
        duration(cell.compile_ns) if cell.compile_ns else "",
        "" if cell.call_ns is None else duration(cell.call_ns),
        str(notes.index(trouble) + 1) if trouble else "",
    )


def _input(source: str) -> str:
    """``x`` for ``L['x']``."""
    head, _, rest = source.removeprefix("L['").partition("']")
    return head + rest if source.startswith("L['") else source


def _trouble(cell: Cell) -> str | None:
    found = cell.finding
    if found is None:
        return cell.problem
    at = "" if found.cause is None or found.cause.short in found.title else f" ({found.cause.short})"
    told = f"{found.kind}: {found.title}{at}"
    return f"{cell.problem}; {told}" if cell.status == "wrong" else told


def _verdicts(dims: Sequence[DimVerdict]) -> Grid:
    head = ("input", "dim", "kind", "verdict", "changes with", "why", "line")
    rows = tuple(
        (
            one.source,
            str(one.dim),
            one.kind,
            one.status,
            ", ".join(one.together),
            one.why,
            "" if one.location is None else f"{one.location.short} {one.location.code or ''}".strip(),
        )
        for one in dims
    )
    return Grid("Which dimensions can be dynamic", head, rows, frozenset({1}), 3)


def told_trial(trial: Trial) -> Told:
    """A fix that was tried."""
    verdict = "The fix works" if trial.works else "The fix does not work"
    gone = "the finding is gone" if trial.gone else "the finding is still there"
    if trial.after.problem is not None:
        same = f"the calls raise {trial.after.problem}"
    elif trial.difference is not None:
        same = trial.difference
    else:
        same = "the result is the same" if trial.before.problem is None else "the calls no longer raise"
    sentences = (f"Finding: {trial.finding.title}", *(f"Applied: {line}" for line in trial.applied))
    return Told(f"{verdict}: {gone}, {same}", sentences, (_outcomes(trial.before, trial.after),))


def _outcomes(before: Outcome, after: Outcome) -> Grid:
    rows: list[tuple[str, ...]] = [
        (name, f"{one:,}", f"{other:,}")
        for name, one, other in (
            ("compiles", before.compiles, after.compiles),
            ("recompiles", before.recompiles, after.recompiles),
            ("graph breaks", before.graph_breaks, after.graph_breaks),
            ("findings", len(before.findings), len(after.findings)),
        )
    ]
    rows.append(("compile time", duration(before.compile_ns), duration(after.compile_ns)))
    if before.problem is not None or after.problem is not None:
        rows.append(("raised", before.problem or "nothing", after.problem or "nothing"))
    return Grid("Before and after", ("", "before", "after"), tuple(rows), frozenset({1, 2}))


def render_told(told: Told) -> Iterator[RenderableType]:
    """As what ``rich`` prints."""
    yield Text(one_line(told.headline, _WORDS), style="bold")
    for sentence in told.sentences:
        yield Text(f"  {one_line(sentence, _WORDS)}")
    for grid in told.grids:
        yield Text()
        yield Text(grid.title, style="bold")
        yield _table(grid)
    for number, note in enumerate(told.notes, 1):
        yield Text(f"{number:>3}  {one_line(note, 2 * _WORDS)}")


def _table(grid: Grid) -> Table:
    shown = _filled(grid)
    table = Table.grid(padding=(0, 2, 0, 0))
    for column in shown:
        table.add_column(justify="right" if column in grid.numbers else "left")
    table.add_row(*(Text(grid.head[column], style="dim") for column in shown))
    for row in grid.rows[:_ROWS]:
        table.add_row(
            *(Text(one_line(row[at], _WORDS), style=_style(row[at], at == grid.words)) for at in shown)
        )
    if len(grid.rows) > _ROWS:
        table.add_row(Text(f"... {len(grid.rows) - _ROWS:,} more", style="dim"))
    return table


def _filled(grid: Grid) -> list[int]:
    """The columns that say something in any row."""
    return [at for at in range(len(grid.head)) if any(row[at] for row in grid.rows)]


def _style(word: str, is_word: bool) -> str:
    if not is_word:
        return ""
    return "red" if word in _BAD else "yellow" if word in _FAIR else "green" if word in _GOOD else ""


def text_of(told: Told, width: int = 120) -> str:
    """As plain text, without a final newline."""
    file = StringIO()
    console = Console(
        file=file,
        width=width,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
    )
    console.print(Group(*render_told(told)))
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().split("\n"))


def html_of(told: Told) -> str:
    """As plain HTML: no script, style sheet or class, so that every front end shows it."""
    parts = [f"<p><strong>{_safe(told.headline)}</strong></p>"]
    if told.sentences:
        parts.append(f"<ul>{''.join(f'<li>{_safe(one)}</li>' for one in told.sentences)}</ul>")
    for grid in told.grids:
        shown = _filled(grid)
        head = "".join(f"<th{_align(grid, at)}>{_safe(grid.head[at])}</th>" for at in shown)
        rows = "".join(
            f"<tr>{''.join(f'<td{_align(grid, at)}>{_html_cell(row[at], at == grid.words)}</td>' for at in shown)}</tr>"
            for row in grid.rows[:_ROWS]
        )
        more = f"<p>{len(grid.rows) - _ROWS:,} more</p>" if len(grid.rows) > _ROWS else ""
        parts.append(
            f'<table cellpadding="4"><caption>{_safe(grid.title)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}'
        )
    if told.notes:
        parts.append(f"<ol>{''.join(f'<li>{_safe(one)}</li>' for one in told.notes)}</ol>")
    return f"<div>{''.join(parts)}</div>"


def _html_cell(text: str, is_word: bool) -> str:
    shown = _safe(text)
    return f"<strong>{shown}</strong>" if is_word and text in _BAD else shown


def _align(grid: Grid, at: int) -> str:
    return f' style="text-align:{"right" if at in grid.numbers else "left"}"'


def _safe(text: str) -> str:
    return escape(visible(one_line(text, 2 * _WORDS)), quote=True)
