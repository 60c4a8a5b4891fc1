"""What differs between two compiles, or between two sessions: guards, symbols, dimensions, graphs, kernels. Linear in the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar

from compile_inspector.analyze.findings.names import cut
from compile_inspector.analyze.graph_diff import described, differing_nodes
from compile_inspector.errors import InspectorError
from compile_inspector.model.chains import Change, Diff
from compile_inspector.model.compiles import Compile
from compile_inspector.model.graph import Graph
from compile_inspector.model.guards import Guard
from compile_inspector.model.kernels import Kernel
from compile_inspector.model.locations import Location
from compile_inspector.model.nodes import GraphNode
from compile_inspector.model.symbols import Dim, Symbol
from compile_inspector.model.tables import Tables

Row = TypeVar("Row")
_TEXT = 200


def diff_compiles(left: Tables, left_id: str, right: Tables, right_id: str) -> Diff:
    """What differs between two compiles, of one session or of two.

    Raises:
        InspectorError: There is no such compile; the message lists those that there are.
    """
    for tables, compile_id in ((left, left_id), (right, right_id)):
        known = [row.id for row in tables.read("compiles") or ()]
        if compile_id not in known:
            msg = f"there is no compile {compile_id!r}; there are: {', '.join(known[:20]) or 'none at all'}"
            raise InspectorError(msg)
    one, other = _By(left), _By(right)
    return Diff(left_id, right_id, tuple(_compiles(one, left_id, other, right_id)))


def diff_sessions(left: Tables, right: Tables, *, names: tuple[str, str] = ("this", "the other")) -> Diff:
    """What differs between two sessions: their compiles in pairs, by function and order; then what only one of them has."""
    one, other = _By(left), _By(right)
    mine, theirs = _ordered(left), _ordered(right)
    changes: list[Change] = list(_environment(left, right))
    for key, row in mine.items():
        match = theirs.get(key)
        if match is None:
            changes.append(Change("compiles", f"{key[0]}, compile {key[1] + 1}", _compile_words(row), None))
        else:
            changes += _compiles(one, row.id, other, match.id)
    for key, row in theirs.items():
        if key not in mine:
            changes.append(Change("compiles", f"{key[0]}, compile {key[1] + 1}", None, _compile_words(row)))
    return Diff(*names, tuple(changes))


class _By:
    """Rows of each table by compile, indexed once."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._rows: dict[str, dict[str, list[Any]]] = {}

    def rows(self, table: str, compile_id: str) -> list[Any]:
        """A compile's rows of one table."""
        index = self._rows.get(table)
        if index is None:
            index = self._rows[table] = {}
            for row in self._tables.read(table) or ():
                index.setdefault(row.compile_id, []).append(row)
        return index.get(compile_id, [])


def _ordered(tables: Tables) -> dict[tuple[str, int], Compile]:
    """Each compile by its function and its place among the compiles of that function."""
    found: dict[tuple[str, int], Compile] = {}
    seen: dict[str, int] = {}
    for row in tables.read("compiles") or ():
        name = row.frame.function if row.frame is not None else f"frame {row.id.rpartition('/')[0]}"
        found[name, seen.get(name, 0)] = row
        seen[name] = seen.get(name, 0) + 1
    return found


def _compile_words(row: Compile) -> str:
    return f"{row.id} ({row.status}{f', {row.node_count} nodes' if row.node_count else ''})"


def _environment(left: Tables, right: Tables) -> Iterator[Change]:
    mine, theirs = left.environment, right.environment
    for name in ("torch", "python", "cuda", "gpu"):
        was, now = getattr(mine, name), getattr(theirs, name)
        if was != now:
            yield Change("environment", name, was, now)
    before = {f"{one.module}.{one.name}": one.value for one in mine.config}
    after = {f"{one.module}.{one.name}": one.value for one in theirs.config}
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield Change("environment", name, before.get(name), after.get(name))


def _compiles(one: _By, left: str, other: _By, right: str) -> Iterator[Change]:
    ids = (left, right)

    def both(table: str) -> tuple[list[Any], list[Any]]:
        return one.rows(table, left), other.rows(table, right)

    yield from _differing(
        "guards", ids, *both("guards"), key=_guard_key, words=lambda row: cut(row.expr, _TEXT)
    )
    yield from _differing(
        "symbols", ids, *both("symbols"), key=_symbol_key, words=_symbol_words, place=lambda row: row.created
    )
    yield from _differing("dims", ids, *both("dims"), key=_dim_key, words=_dim_words)
    yield from _graphs(ids, *both("graphs"))
    yield from _differing(
        "kernels",
        ids,
        *both("kernels"),
        key=lambda row: str(row.name),
        words=_kernel_words,
        place=lambda _: None,
    )


def _differing(
    table: str,
    compile_ids: tuple[str, str],
    left: Iterable[Row],
    right: Iterable[Row],
    *,
    key: Callable[[Row], str],
    words: Callable[[Row], str],
    place: Callable[[Row], Location | None] = lambda row: row.location,  # type: ignore[attr-defined]
) -> Iterator[Change]:
    before, after = _keyed(left, key), _keyed(right, key)
    for name in dict.fromkeys((*before, *after)):
        was, now = before.get(name, []), after.get(name, [])
        kept: dict[Hashable, int] = {}
        for row in was:
            kept[words(row)] = kept.get(words(row), 0) + 1
        fresh: list[Row] = []
        for row in now:
            text = words(row)
            if kept.get(text, 0):
                kept[text] -= 1
            else:
                fresh.append(row)
        gone: list[Row] = []
        for row in reversed(was):
            if kept.get(words(row), 0):
                kept[words(row)] -= 1
                gone.append(row)
        gone.reverse()
        for index in range(max(len(gone), len(fresh))):
            old = gone[index] if index < len(gone) else None
            new = fresh[index] if index < len(fresh) else None
            where = place(new) if new is not None else None if old is None else place(old)
            yield Change(
                table,
                name,
                None if old is None else words(old),
                None if new is None else words(new),
                where,
                compile_ids,
            )


def _keyed(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _guard_key(row: Guard) -> str:
    return f"{row.source or 'process state'} ({row.kind})"


def _symbol_key(row: Symbol) -> str:
    return ", ".join(row.sources) or row.name


def _symbol_words(row: Symbol) -> str:
    became = "" if row.replaced_by is None else f" = {row.replaced_by}"
    return f"{row.name}{became} in {row.range}, hint {row.hint}"


def _dim_key(row: Dim) -> str:
    return f"{row.source}.size()[{row.dim}]"


def _dim_words(row: Dim) -> str:
    return f"{row.symbol if row.symbol is not None else row.size} ({row.verdict})"


def _graphs(ids: tuple[str, str], left: Iterable[Graph], right: Iterable[Graph]) -> Iterator[Change]:
    """The nodes that differ, of Dynamo's graphs and of what Inductor lowered them to."""
    before, after = _last_of_each(left), _last_of_each(right)
    for name in dict.fromkeys((*before, *after)):
        was, now = before.get(name), after.get(name)
        if was is None or now is None:
            yield Change("graphs", f"{name} graph", _graph_words(was), _graph_words(now), None, ids)
            continue
        for one, other in differing_nodes(was, now):
            node = other or one
            if node is not None:
                what = f"{name} {node.name}"
                yield Change("graphs", what, _node_words(one), _node_words(other), node.location, ids)


def _last_of_each(graphs: Iterable[Graph]) -> dict[str, Graph]:
    """Of each stage and direction the graph that was printed last."""
    kept = [graph for graph in graphs if graph.stage in ("dynamo", "post_grad")]
    return {f"{graph.stage}{' backward' if graph.direction == 'backward' else ''}": graph for graph in kept}


def _graph_words(graph: Graph | None) -> str | None:
    return None if graph is None else f"{len(graph.nodes):,} nodes"


def _node_words(node: GraphNode | None) -> str | None:
    return None if node is None else described(node)


def _kernel_words(row: Kernel) -> str:
    try:
        source = None if row.source is None else row.source.read()
    except OSError:
        source = None
    digest = (
        ""
        if source is None
        else f", source {hashlib.sha256(source.encode('utf-8', 'replace')).hexdigest()[:12]}"
    )
    return f"{row.language}{digest}"
