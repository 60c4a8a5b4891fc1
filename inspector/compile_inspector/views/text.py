"""A recording as text, for terminals, logs and ``print``: what went wrong first, then what there is.

All text from users' code goes into `rich.text.Text`, which reads no markup, after `words.visible`, which leaves no control character.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import chain, repeat
from typing import Any

import msgspec
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from compile_inspector.model.caches import CacheLookup
from compile_inspector.model.captures import Capture
from compile_inspector.model.graph import Graph
from compile_inspector.model.guards import Guard
from compile_inspector.model.locations import Location
from compile_inspector.model.recompiles import EntryCheck, FailingGuard, Recompile
from compile_inspector.model.symbols import Dim
from compile_inspector.model.tables import Tables
from compile_inspector.views.captures_text import capture_lines, share_text
from compile_inspector.views.columns import COLUMNS, Column, Value, columns_of, failure_text, title_of
from compile_inspector.views.findings_text import findings_text
from compile_inspector.views.guard_columns import guard_cost_lines
from compile_inspector.views.story import (
    NOTHING_HINT,
    cache_counts,
    guard_counts,
    kernel_counts,
    newest_dims,
    partition_counts,
    range_counts,
    recorded_compiles,
    rows_of,
    violation_text,
)
from compile_inspector.views.summary import FINDING, Absence, summarise
from compile_inspector.views.words import count, duration, one_line, short_place, visible

_COMPILES = ("id", "function", "location", "elapsed_ns", "node_count", "guard_count", "attempts", "status")
_APPLIED = ("module", "class", "mode", "backend", "dynamic_dims", "compile_ids")
_DIMS = ("compile_id", "source", "dim", "size", "symbol", "verdict", "why")
_DECIDED = frozenset({"specialized", "unbacked"})
_STYLES = {
    "id": "cyan",
    "code": "",
    "badge": "yellow",
    "location": "blue",
    "number": "",
    "duration": "",
    "text": "",
    "list": "",
}
_CAPTURES = ("compile_id", "partition", "key", "event", "call_count", "reason", "location")
_TABLE_ROWS = 12
_CARDS = 8
_GUARDS = 6
_NOTES = 3
_CELL = 48
_VALUE = 24
_SENTENCE = 160


def print_text(tables: Tables, width: int = 100, *, name: str | None = None) -> str:
    """The whole view as plain text, no line longer than ``width`` characters, without a final newline."""
    file = StringIO()
    console = Console(
        file=file,
        width=width,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
    )
    console.print(Group(*render_text(tables, name=name)))
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().split("\n"))


def render_text(tables: Tables, *, name: str | None = None) -> Iterator[RenderableType]:
    """The view as what ``rich`` prints, in colour where its console has it.

    Args:
        tables: What to show.
        name: The recording's name, None for none.
    """
    summary = summarise(tables)
    yield _headline(name, summary.headline)
    if not recorded_compiles(tables):
        yield Text(NOTHING_HINT, style="dim")
    for title, body in (
        ("Findings", list(findings_text(rows_of(tables, "findings")))),
        ("Failed", list(_failed(tables))),
        ("Compiles", list(_compiles(tables))),
        ("Recompiles", list(_recompiles(tables))),
        ("Graph breaks", list(_breaks(tables))),
        ("Input dimensions", list(_table("dims", _DIMS, [_with_line(dim) for dim in newest_dims(tables)]))),
        ("Applied modules", list(_table("applied", _APPLIED, rows_of(tables, "applied")))),
        ("Violations", list(_violations(tables))),
        ("CUDA graphs", list(_captures(rows_of(tables, "captures")))),
    ):
        if body:
            yield Text()
            yield Text(title, style="bold")
            yield from (Padding(part, (0, 0, 0, 2)) for part in body)
    if closing := [*_closing(tables), *_gaps(tables, summary.not_recorded)]:
        yield Text()
        yield _labelled(closing)


def _headline(name: str | None, headline: str) -> Text:
    named = Text(f"{one_line(name, 40)}: " if name else "", style="bold")
    return named.append(headline, style="bold")


def _failed(tables: Tables) -> Iterator[RenderableType]:
    failed = [compiled for compiled in rows_of(tables, "compiles") if compiled.status == "failed"]
    for compiled in failed[:_CARDS]:
        title = Text(visible(compiled.id), style="cyan")
        title.append(f"  {one_line(compiled.function, _CELL)}" if compiled.function else "", style="default")
        place = compiled.error.location if compiled.error and compiled.error.location else compiled.trigger
        yield _cut(title.append(_place_text(place, "  ")))
        yield Padding(
            _cut(Text(one_line(failure_text(compiled.error) or "no reason recorded"), style="red")),
            (0, 0, 0, 2),
        )
    yield from _more(len(failed) - _CARDS, "compiles")


def _recompiles(tables: Tables) -> Iterator[RenderableType]:
    recompiles: tuple[Recompile, ...] = rows_of(tables, "recompiles")
    for recompile in recompiles[:_CARDS]:
        title = Text(visible(recompile.compile_id), style="cyan")
        yield _cut(title.append(_place_text(recompile.trigger, "  ")))
        yield Padding(_nearest(recompile), (0, 0, 0, 2))
    yield from _more(len(recompiles) - _CARDS, "recompiles")


def _nearest(recompile: Recompile) -> RenderableType:
    entry = recompile.nearest
    if entry is None:
        return Text("which guards failed is not recorded", style="dim")
    lines = Table.grid()
    others = len(recompile.entries) - 1
    title = Text("does not fit ").append(visible(entry.entry_id), style="cyan")
    title.append(f", the nearest of {others + 1} earlier entries" if others else "")
    title.append(":" if entry.complete else "; only torch's first reason is known:")
    lines.add_row(title)
    lines.add_row(Padding(_changes(entry), (0, 0, 0, 2)))
    return lines


def _changes(entry: EntryCheck) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column()
    grid.add_column()
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for guard in entry.failing[:_GUARDS]:
        grid.add_row(Text(one_line(guard.source, 40)), _change(guard), _place_text(guard.location))
    lines = Table.grid()
    if entry.failing:
        lines.add_row(grid)
    elif entry.torch_reason:
        lines.add_row(Text(one_line(entry.torch_reason, 200)))
    if (rest := len(entry.failing) - _GUARDS) > 0:
        lines.add_row(Text(f"... {rest:,} more failing guards: session.to_dicts('recompiles')", style="dim"))
    if entry.unevaluated:
        first = entry.unevaluated[0]
        others = f" and {len(entry.unevaluated) - 1:,} more" if len(entry.unevaluated) > 1 else ""
        lines.add_row(
            _cut(
                Text(
                    f"not evaluable: {one_line(first.source)}{others} ({one_line(first.reason)})", style="dim"
                )
            )
        )
    return lines


def _change(guard: FailingGuard) -> Text:
    if guard.expected is None and guard.actual is None:
        return Text(one_line(guard.expr, 2 * _VALUE))
    expected = guard.expr if guard.expected is None else guard.expected
    text = Text(one_line(expected, _VALUE), style="green").append(" -> ", style="default")
    return text.append("?" if guard.actual is None else one_line(guard.actual, _VALUE), style="red")


def _breaks(tables: Tables) -> Iterator[RenderableType]:
    breaks = rows_of(tables, "graph_breaks")
    for found in breaks[:_CARDS]:
        title = _place_text(found.location) if found.location else Text("somewhere")
        notes = [visible(found.registry_id)] if found.registry_id else []
        notes.append(
            f"in {count(found.count, 'compile')}" if found.count > 1 else f"in {visible(found.compile_id)}"
        )
        yield _cut(title.append(f"  {', '.join(notes)}", style="dim"))
        yield Padding(Text(one_line(found.reason, 200)), (0, 0, 0, 2))
        if found.hints:
            yield Padding(Text(f"hint: {one_line(found.hints[0], 200)}", style="green"), (0, 0, 0, 2))
    yield from _more(len(breaks) - _CARDS, "graph_breaks")


def _violations(tables: Tables) -> Iterator[RenderableType]:
    rows = rows_of(tables, "violations")
    for row in rows[:_CARDS]:
        yield Text(one_line(violation_text(row), 300), style="red" if row.action == "raised" else "")
    yield from _more(len(rows) - _CARDS, "violations")


def _captures(rows: tuple[Capture, ...]) -> Iterator[RenderableType]:
    if not rows:
        return
    yield Text(share_text(rows))
    lines = [one_line(line, 200) for line in capture_lines(rows)]
    yield from map(Text, lines[:_TABLE_ROWS])
    yield from _more(len(lines) - _TABLE_ROWS, "captures")
    yield from _table("captures", _CAPTURES, [row for row in rows if row.reason is not None])


def _with_line(dim: Dim) -> Dim:
    """The dimension, its reason followed by the line where a line of code decided."""
    if dim.location is None or dim.verdict not in _DECIDED or dim.location.short in dim.why:
        return dim
    return msgspec.structs.replace(dim, why=f"{dim.why} ({dim.location.short})")


def _compiles(tables: Tables) -> Iterator[RenderableType]:
    compiles = recorded_compiles(tables)
    yield from _table("compiles", _COMPILES, compiles)
    earlier = len(rows_of(tables, "compiles")) - len(compiles)
    if earlier:
        yield Text(
            f"and {count(earlier, 'compile')} from before the recording: session.compiles", style="dim"
        )
    partial = [compiled for compiled in compiles if compiled.missing]
    for compiled in partial[:_NOTES]:
        yield Text(one_line(f"{compiled.id}: not recovered: {compiled.missing}", 200), style="dim")
    yield from _more(len(partial) - _NOTES, "compiles")


def _closing(tables: Tables) -> Iterator[tuple[str, Text]]:
    graphs: tuple[Graph, ...] = rows_of(tables, "graphs")
    if graphs:
        stages = Counter(graph.stage for graph in graphs)
        yield "Graphs", Text(", ".join(f"{number:,} {visible(stage)}" for stage, number in stages.items()))
    if guards := rows_of(tables, "guards"):
        yield "Guards", Text(f"{len(guards):,}: {guard_counts(guards)}{_dropped(guards)}")
    yield from zip(chain(("Guard cost",), repeat("")), map(Text, guard_cost_lines(tables)), strict=False)
    if symbols := rows_of(tables, "symbols"):
        kinds = Counter(symbol.kind for symbol in symbols)
        pinned = rows_of(tables, "specializations")
        shown = ", ".join(f"{number:,} {visible(kind)}" for kind, number in kinds.items())
        yield "Symbols", Text(f"{shown}; {len(pinned):,} pinned to a value" if pinned else shown)
    if files := rows_of(tables, "traced_files"):
        names = ", ".join(one_line(short_place(file.file), _CELL) for file in files[:_NOTES])
        yield "Traced files", Text(f"{len(files):,}: {names}" + (", ..." if len(files) > _NOTES else ""))
    if kernels := rows_of(tables, "kernels"):
        yield "Kernels", Text(kernel_counts(kernels))
    if partitions := rows_of(tables, "partitions"):
        yield "Partitions", Text(partition_counts(partitions))
    if ranges := rows_of(tables, "ranges"):
        yield "Compile ranges", Text(range_counts(ranges))
    if lookups := rows_of(tables, "caches"):
        yield "Caches", Text(cache_counts(lookups))
        yield from (("", note) for note in _cache_notes(lookups))


def _dropped(guards: Sequence[Guard]) -> str:
    dropped = [guard for guard in guards if guard.dropped]
    checked = sum(guard.checked_by is not None for guard in dropped)
    if not dropped:
        return ""
    return f"; {len(dropped):,} dropped" + (
        f", {checked:,} of them checked by the decorator" if checked else ""
    )


def _gaps(tables: Tables, absences: Iterable[Absence]) -> Iterator[tuple[str, Text]]:
    measured = ("guard_costs", "guard_filters")  # asked for, not recorded: `Tables.why_absent` tells how
    shown = (name for name in COLUMNS if name not in measured)
    expected = {title_of(name) for name in (*shown, *(seam for seam, _ in tables.environment.seams))}
    for absence in absences:
        if absence.name in expected or absence.name.startswith(FINDING):
            yield "Not recorded", Text(one_line(f"{absence.name}: {absence.reason}", 200))
    losses = rows_of(tables, "losses")
    for loss in losses[:_NOTES]:
        times = f" ({loss.count:,} times)" if loss.count > 1 else ""
        yield "Lost", Text(one_line(f"{loss.where}: {loss.what}", 200) + times, style="red")
    yield from (("", more) for more in _more(len(losses) - _NOTES, "losses"))
    if rows_of(tables, "compiles"):
        yield (
            "More",
            Text(
                "session.to_dicts('guards'), session.to_html('file.html'), session.save('trace.log')",
                style="dim",
            ),
        )


def _cache_notes(lookups: Iterable[CacheLookup]) -> Iterator[Text]:
    told = [lookup for lookup in lookups if lookup.differs or lookup.reason]
    for lookup in told[:_NOTES]:
        why = (
            lookup.reason
            or f"differs in {', '.join(difference.component for difference in lookup.differs[:4])}"
        )
        yield Text(
            one_line(f"{lookup.compile_id or lookup.module} {lookup.cache} {lookup.outcome}: {why}", 160),
            style="dim",
        )
    yield from _more(len(told) - _NOTES, "caches")


def _table(name: str, keys: Sequence[str], rows: Sequence[Any]) -> Iterator[RenderableType]:
    if not rows:
        return
    shown = rows[:_TABLE_ROWS]
    by_key = {column.key: column for column in columns_of(name)}
    grid = _grid()
    filled: list[tuple[Column[Any], list[Value]]] = []
    for column in (by_key[key] for key in keys):
        values = [column.value(row) for row in shown]
        if any(value is not None for value in values):
            filled.append((column, values))
            grid.add_column(justify="right" if column.kind in {"number", "duration"} else "left")
    grid.add_row(*(Text(column.title.lower(), style="dim") for column, _ in filled))
    for index in range(len(shown)):
        grid.add_row(*(_cell(column, values[index]) for column, values in filled))
    yield grid
    yield from _more(len(rows) - len(shown), name)


def _cell(column: Column[Any], value: Value) -> Text:
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, list):
        text = ", ".join(value)
    elif column.kind == "duration" and not isinstance(value, str):
        text = duration(value)
    elif column.kind == "location" and isinstance(value, str):
        text = short_place(value)
    else:
        text = f"{value:,}" if isinstance(value, int) else str(value)
    limit = _SENTENCE if column.kind in {"text", "list"} else _CELL
    return Text(one_line(text, limit), style=_STYLES[column.kind])


def _place_text(location: Location | None, before: str = "") -> Text:
    if location is None:
        return Text()
    text = Text(before).append(one_line(location.short, _CELL), style="blue")
    return text.append(f"  {one_line(location.code, 80)}", style="dim") if location.code else text


def _cut(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _more(rest: int, table: str) -> Iterator[Text]:
    if rest > 0:
        yield Text(f"... {rest:,} more: session.to_dicts('{table}')", style="dim")


def _grid() -> Table:
    return Table.grid(padding=(0, 2, 0, 0))


def _labelled(lines: Sequence[tuple[str, Text]]) -> Table:
    grid = _grid()
    for label, text in lines:
        grid.add_row(Text(label, style="bold"), text)
    return grid
