"""A recording told in sentences, and the counts that its views put into words. Pure; no markup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from compile_inspector.model.applied import Applied
from compile_inspector.model.breaks import GraphBreak
from compile_inspector.model.caches import CacheLookup
from compile_inspector.model.compiles import Compile
from compile_inspector.model.guards import Guard
from compile_inspector.model.kernels import Kernel
from compile_inspector.model.locations import Location
from compile_inspector.model.partitions import Partition
from compile_inspector.model.ranges import CompileRange
from compile_inspector.model.recompiles import EntryCheck, FailingGuard, Recompile
from compile_inspector.model.symbols import Dim
from compile_inspector.model.tables import Tables
from compile_inspector.model.violations import Violation
from compile_inspector.views.captures_text import share_text
from compile_inspector.views.columns import change_text, failure_text, title_of, unmarked_text
from compile_inspector.views.words import count, duration, one_line, visible

Tone = Literal["plain", "good", "warn", "bad"]

NOTHING = "Nothing was compiled while this was recorded."
NOTHING_HINT = "Either nothing ran under torch.compile, or all of it was compiled before and still fits; torch.compiler.reset() forgets that code."
_SENTENCES_EACH = 3
_VERDICTS = ("dynamic", "marked", "unbacked", "duck-shared", "specialized", "zero-one", "static")


class Sentence(msgspec.Struct, frozen=True):
    """One sentence of the story, and the table that tells more."""

    text: str
    tone: Tone
    table: str | None


def sentences(tables: Tables) -> Iterable[Sentence]:
    """What compiled, what failed, recompiled and broke and why, what the dims became; the longest lists cut, with a count."""
    compiles = recorded_compiles(tables)
    if not compiles:
        yield Sentence(f"{NOTHING} {NOTHING_HINT}", "plain", None)
    yield from _first(_functions(compiles), "compiles")
    yield from _first(_failures(compiles), "compiles")
    yield from _first(_recompiles(rows_of(tables, "recompiles")), "recompiles")
    yield from _first(_breaks(rows_of(tables, "graph_breaks")), "graph_breaks")
    yield from _decorated(tables)
    if dims := newest_dims(tables):
        yield Sentence(dims_sentence(dims), "plain", "dims")
    if lookups := rows_of(tables, "caches"):
        yield Sentence(f"Caches: {cache_counts(lookups)}.", "plain", "caches")
    earlier = [compiled for compiled in rows_of(tables, "compiles") if compiled.recovered]
    if earlier:
        yield Sentence(
            f"{count(len(earlier), 'compile')} happened before the recording and {_was(earlier)} rebuilt.",
            "plain",
            "compiles",
        )
    if losses := rows_of(tables, "losses"):
        times = sum(loss.count for loss in losses)
        yield Sentence(f"Not everything could be read: {count(times, 'loss', 'losses')}.", "bad", "losses")


def _decorated(tables: Tables) -> Iterable[Sentence]:
    """What the compile decorator did: to which modules, which calls their code did not admit, where graphs were split, for which sizes."""
    applied: tuple[Applied, ...] = rows_of(tables, "applied")
    yield from _first([Sentence(_module(row), "plain", "applied") for row in applied], "applied")
    yield from _first([one for row in applied for one in _unmarked(row)], "applied")
    yield from _first(_violations(rows_of(tables, "violations")), "violations")
    unchecked = [guard for guard in rows_of(tables, "guards") if guard.dropped and guard.checked_by is None]
    if unchecked:
        what = "guard is dropped and checked" if len(unchecked) == 1 else "guards are dropped and checked"
        yield Sentence(f"{len(unchecked):,} {what} by nobody.", "warn", "guards")
    yield from _first(_splits(rows_of(tables, "partitions")), "partitions")
    if ranges := rows_of(tables, "ranges"):
        yield Sentence(f"Pieces by size: {range_counts(ranges)}.", "plain", "ranges")
    problems = dict.fromkeys(problem for row in ranges for problem in row.problems)
    yield from _first([Sentence(_sentence(problem), "warn", "ranges") for problem in problems], "ranges")
    if captures := rows_of(tables, "captures"):
        yield Sentence(f"{share_text(captures)}.", "plain", "captures")


def range_counts(ranges: Iterable[CompileRange]) -> str:
    """``13 compiled, 11 reused, run 48 times``."""
    rows = list(ranges)
    outcomes = Counter(row.outcome for row in rows)
    shown = [f"{number:,} {visible(outcome)}" for outcome, number in outcomes.items()]
    return ", ".join([*shown, f"run {count(sum(row.call_count for row in rows), 'time')}"])


def partition_counts(partitions: Iterable[Partition]) -> str:
    """``0/0: 25 pieces, 12 of them split off at silly::attention``, for each graph that was split; graphs left whole are counted."""
    graphs = _graphs(partitions)
    split = {key: pieces for key, pieces in graphs.items() if len(pieces) > 1}
    shown = [f"{visible(compile_id)}: {_pieces(pieces)}" for (compile_id, _, _), pieces in split.items()]
    whole = len(graphs) - len(split)
    return "; ".join([*shown, f"{count(whole, 'graph')} left whole"] if whole else shown)


def _graphs(partitions: Iterable[Partition]) -> dict[tuple[str, str, int], list[Partition]]:
    graphs: dict[tuple[str, str, int], list[Partition]] = {}
    for piece in partitions:
        graphs.setdefault((piece.compile_id, piece.by, piece.graph), []).append(piece)
    return graphs


def _pieces(pieces: list[Partition]) -> str:
    ops = dict.fromkeys(piece.split_op for piece in pieces if piece.split_op is not None)
    splitting = sum(piece.kind == "splitting" for piece in pieces)
    off = f", {splitting:,} of them split off at {', '.join(map(visible, ops))}" if splitting else ""
    return f"{count(len(pieces), 'piece')}{off}"


def _splits(partitions: Iterable[Partition]) -> list[Sentence]:
    found: list[Sentence] = []
    for (compile_id, by, _), pieces in _graphs(partitions).items():
        if len(pieces) > 1:
            who = "Inductor" if by == "inductor" else "the piecewise backend"
            text = f"{who} split the graph of {compile_id} into {_pieces(pieces)}."
            found.append(Sentence(one_line(text[0].upper() + text[1:]), "plain", "partitions"))
        found += [
            Sentence(_sentence(f"{compile_id}: {remark}"), "warn", "partitions")
            for remark in pieces[0].remarks
        ]
    return found


def _sentence(text: str) -> str:
    return one_line(f"{text[:1].upper()}{text[1:].rstrip('.')}.", 300)


def _module(row: Applied) -> str:
    if row.how == "ignored":
        return one_line(f"{row.name} is ignored: it runs as it is.")
    if not row.compiles:
        return one_line(f"{row.name} was {row.how} and runs as it is ({row.mode}).")
    dims = "; ".join(row.dynamic_dims)
    times = f"compiled {_times(len(row.compile_ids))}" if row.compile_ids else "not called yet"
    return one_line(f"{row.name} was {row.how}: {row.mode} with {row.backend}, dynamic {dims}; {times}.", 300)


def _unmarked(row: Applied) -> Iterable[Sentence]:
    if row.unmarked:
        shown = "; ".join(unmarked_text(dim) for dim in row.unmarked[:_SENTENCES_EACH])
        more = len(row.unmarked) - _SENTENCES_EACH
        rest = f"; {more:,} more" if more > 0 else ""
        text = f"{row.name}: inputs of a dynamic size that were not marked themselves: {shown}{rest}."
        yield Sentence(one_line(text), "warn", "applied")


def _violations(violations: Iterable[Violation]) -> list[Sentence]:
    return [
        Sentence(one_line(violation_text(row)), "bad" if row.action == "raised" else "warn", "violations")
        for row in violations
    ]


def violation_text(row: Violation) -> str:
    """A violation in one sentence."""
    times = "" if row.count == 1 else f" ({row.count:,} times)"
    line = _at(row.location, " ({})")
    if row.expected is not None and row.expected != row.expr:
        return (
            f"{row.compile_id} does not admit a call: {row.expr.rstrip('.')}{line}; it {row.action}{times}."
        )
    what = row.source or "the process's state"
    had = f"{what} was {row.actual}" if row.actual is not None else f"{what} did not fit"
    return f"{had}, and {row.compile_id} wants {row.expr}{line}: the call {row.action}{times}."


def rows_of(tables: Tables, name: str) -> tuple[Any, ...]:
    """A table's rows; none where it is absent."""
    return tables.read(name) or ()


def recorded_compiles(tables: Tables) -> tuple[Compile, ...]:
    """The compiles that happened within the recording: without those from before it, which were only rebuilt."""
    return tuple(compiled for compiled in rows_of(tables, "compiles") if not compiled.recovered)


def compile_ns(compiles: Iterable[Compile]) -> int:
    """The time of the compiles whose time is known, nanoseconds."""
    return sum(compiled.elapsed_ns or 0 for compiled in compiles)


def newest_dims(tables: Tables) -> tuple[Dim, ...]:
    """What each dimension of each input became in the newest compile of its function: parameters left out, the unusual ones first."""
    order = {compiled.id: index for index, compiled in enumerate(rows_of(tables, "compiles"))}
    frames = {compiled.id: compiled.frame for compiled in rows_of(tables, "compiles")}
    newest: dict[tuple[object, str, int], Dim] = {}
    for dim in sorted(rows_of(tables, "dims"), key=lambda dim: order.get(dim.compile_id, -1)):
        if not dim.is_parameter:
            newest[frames.get(dim.compile_id) or dim.compile_id, dim.source, dim.dim] = dim
    return tuple(sorted(newest.values(), key=lambda dim: dim.verdict == "static"))


def cache_counts(lookups: Iterable[CacheLookup]) -> str:
    """``fx_graph: 1 hit, 2 misses; aot_autograd: 1 bypass``."""
    caches: dict[str, Counter[str]] = {}
    for lookup in lookups:
        caches.setdefault(lookup.cache, Counter())[lookup.outcome] += 1
    plurals = {"hit": "hits", "miss": "misses", "bypass": "bypasses"}
    return "; ".join(
        f"{visible(cache)}: "
        + ", ".join(count(seen[one], one, many) for one, many in plurals.items() if seen[one])
        for cache, seen in caches.items()
    )


def guard_counts(guards: Iterable[Guard], most: int = 4) -> str:
    """How many guards of which kinds, the most frequent kinds first."""
    kinds = Counter(guard.kind for guard in guards)
    shown = [f"{number:,} {visible(kind)}" for kind, number in kinds.most_common(most)]
    rest = len(kinds) - len(shown)
    return ", ".join([*shown, count(rest, "other kind")] if rest else shown)


def kernel_counts(kernels: Iterable[Kernel]) -> str:
    """``2 triton, 1 extern``."""
    return ", ".join(
        f"{number:,} {visible(language)}" for language, number in Counter(k.language for k in kernels).items()
    )


def change(guard: FailingGuard) -> str:
    """A failing guard and the user's line behind it, on one line."""
    return one_line(change_text(guard) + _at(guard.location, " ({})"))


def dims_sentence(dims: Iterable[Dim]) -> str:
    """How many input dimensions became what."""
    verdicts = Counter(dim.verdict for dim in dims)
    shown = [f"{verdicts[verdict]:,} {verdict}" for verdict in _VERDICTS if verdicts[verdict]]
    return f"Input dimensions: {', '.join(shown)}."


def _was(rows: list[Any]) -> str:
    return "was" if len(rows) == 1 else "were"


def _first(sentences: list[Sentence], table: str) -> list[Sentence]:
    rest = len(sentences) - _SENTENCES_EACH
    if rest <= 1:
        return sentences
    return [
        *sentences[:_SENTENCES_EACH],
        Sentence(f"… and {rest:,} more under {title_of(table)}.", "plain", table),
    ]


def _functions(compiles: Iterable[Compile]) -> list[Sentence]:
    grouped: dict[object, list[Compile]] = {}
    for compiled in compiles:
        if compiled.status not in {"failed", "skipped"}:
            grouped.setdefault(compiled.frame or compiled.id, []).append(compiled)
    return [Sentence(_function(group), "plain", "compiles") for group in grouped.values()]


def _function(group: list[Compile]) -> str:
    frame = group[0].frame
    names = {one.function for one in group}
    function = group[0].function if len(names) == 1 or frame is None else frame.function
    name = f"{function} ({frame.location.short})" if frame else f"Compile {group[0].id}"
    took = f", in {duration(compile_ns(group))}" if any(one.elapsed_ns is not None for one in group) else ""
    return one_line(f"{name} was compiled {_times(len(group))}{took}.")


def _times(number: int) -> str:
    return "once" if number == 1 else "twice" if number == 2 else f"{number:,} times"


def _failures(compiles: Iterable[Compile]) -> list[Sentence]:
    return [
        Sentence(
            one_line(f"{failed.id} failed: {failure_text(failed.error) or 'no reason recorded'}", 300),
            "bad",
            "compiles",
        )
        for failed in compiles
        if failed.status == "failed"
    ]


def _recompiles(recompiles: Iterable[Recompile]) -> list[Sentence]:
    return [Sentence(one_line(_recompile(recompile)), "warn", "recompiles") for recompile in recompiles]


def _recompile(recompile: Recompile) -> str:
    nearest = recompile.nearest
    called = _at(recompile.trigger, ", called from {},")
    if nearest is None:
        return f"{recompile.compile_id}{called} is a recompile; which guards failed is not recorded."
    return f"{recompile.compile_id}{called} does not fit {nearest.entry_id}: {cause(nearest)}."


def cause(entry: EntryCheck, most: int = 3) -> str:
    """Why an entry did not fit, in one line: its failing guards, or torch's own words where there are none."""
    if not entry.failing:
        return one_line(entry.torch_reason or "the failing guard is not recorded")
    shown = [change(guard) for guard in entry.failing[:most]]
    rest = len(entry.failing) - len(shown)
    return "; ".join([*shown, f"{rest:,} more"] if rest else shown)


def _breaks(breaks: Iterable[GraphBreak]) -> list[Sentence]:
    return [
        Sentence(
            one_line(f"A graph ends{_at(found.location, ' at {}')}: {found.reason.rstrip('.')}.", 300),
            "warn",
            "graph_breaks",
        )
        for found in breaks
    ]


def _at(location: Location | None, form: str) -> str:
    return "" if location is None else form.format(location.short)
