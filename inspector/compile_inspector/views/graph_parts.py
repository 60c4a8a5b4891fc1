"""What relates graphs to each other and to the tables, as parts of the wire: correspondence, differences, symbols, verdicts, source."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from compile_inspector.analyze.findings.observed import Observed
from compile_inspector.analyze.graph_diff import diff_graphs
from compile_inspector.analyze.graph_match import PYTHON_LEVEL, match_graphs, noted_in, same_level
from compile_inspector.analyze.symbol_flow import Flow, node_verdicts, symbol_flow
from compile_inspector.model.graph import Graph
from compile_inspector.model.recompiles import Recompile
from compile_inspector.model.symbols import Symbol
from compile_inspector.model.tables import Tables
from compile_inspector.views.source_texts import source_text
from compile_inspector.views.summary import rows_of
from compile_inspector.views.wire import ROW_LIMIT, WirePart, wire_rows
from compile_inspector.views.words import count, visible

RELATING = ("correspond", "graphdiff", "symbol", "verdicts")
KINDS = (*RELATING, "source")
"""The first words of these parts' keys."""

_NO_PART = "There is no such part."


def graph_part(tables: Tables, key: str, *, row_limit: int = ROW_LIMIT) -> WirePart:
    """One part.

    Args:
        tables: The session.
        key: ``correspond:3:7`` for the nodes of the graphs in rows 3 and 7 (from 0) that correspond; ``graphdiff:3:7`` for what differs
            from the first to the second; ``symbol:3:s77`` for the way of a symbol; ``verdicts:3`` for the verdicts of its nodes'
            dimensions; ``source:PATH`` for the text of a source file.
        row_limit: Rows that are sent.
    """
    kind, _, rest = key.partition(":")
    if kind == "source":
        text, problem = source_text(tables, rest)
        return WirePart(key, text=text, problem=problem)
    first, _, second = rest.partition(":")
    left = _graph(tables, first)
    if left is None:
        return WirePart(key, problem=_NO_PART)
    if kind == "verdicts" and not second:
        rows = node_verdicts(Observed(tables), left)
        return WirePart(key, table=wire_rows("verdicts", rows, row_limit))
    if kind == "symbol" and second:
        return _flow_part(key, symbol_flow(Observed(tables), left, second), row_limit)
    right = _graph(tables, second)
    if right is None or kind not in ("correspond", "graphdiff"):
        return WirePart(key, problem=_NO_PART)
    if kind == "graphdiff":
        return graphdiff_part(key, left, right, row_limit=row_limit)
    return correspond_part(key, left, right, forward=_forward(tables, left, right))


def correspond_part(key: str, left: Graph, right: Graph, *, forward: Graph | None = None) -> WirePart:
    """The nodes of two graphs, of one session or of two, that correspond; see `match_graphs`. ``text`` says how that is known."""
    pairs = match_graphs(left, right, forward=forward)
    return WirePart(key, text=_known_by(left, right), pairs=[place for pair in pairs for place in pair])


def _known_by(left: Graph, right: Graph) -> str | None:
    """How it is known what an operation of the program became; None for two graphs of one level, whose nodes correspond one to one."""
    if same_level(left, right):
        return None
    program, lowered = (left, right) if left.stage in PYTHON_LEVEL else (right, left)
    noted = noted_in(lowered, program)
    if not noted:
        return "Matched along the values, by line and operation: this recording does not hold what torch noted of it."
    made = [node.name for node in lowered.nodes if node.op.startswith("call_")]
    left_out = sum(name not in noted for name in made)
    if not left_out:
        return "As torch noted it."
    return f"As torch noted it, but for {left_out:,} of {len(made):,} operations, matched by what is around them, line and module."


def graphdiff_part(key: str, left: Graph, right: Graph, *, row_limit: int = ROW_LIMIT) -> WirePart:
    """What differs between two graphs, of one session or of two; ``text`` names them."""
    diff = diff_graphs(left, right)
    return WirePart(
        key,
        table=wire_rows("differences", diff.differences, row_limit),
        text=visible(f"From {_name(left)} to {_name(right)}"),
        pairs=[place for pair in diff.pairs for place in pair],
    )


def graph_part_keys(tables: Tables) -> Iterator[str]:
    """The keys of what relates graphs, for a page: of each pair that a reader is likely to hold against each other."""
    graphs: tuple[Graph, ...] = rows_of(tables, "graphs")
    by_compile: dict[str, list[int]] = {}
    for row, graph in enumerate(graphs):
        by_compile.setdefault(graph.compile_id, []).append(row)
    for rows in by_compile.values():
        for left, right in combinations(rows, 2):
            yield f"correspond:{left}:{right}"
    yield from _diff_keys(tables, graphs, by_compile)
    symbols: tuple[Symbol, ...] = rows_of(tables, "symbols")
    for symbol in symbols:
        rows = by_compile.get(symbol.compile_id, [])
        yield from (f"symbol:{row}:{visible(symbol.name)}" for row in rows if graphs[row].stage == "dynamo")
    yield from (f"verdicts:{row}" for row in range(len(graphs)))


def _diff_keys(tables: Tables, graphs: tuple[Graph, ...], by_compile: dict[str, list[int]]) -> Iterator[str]:
    """Each recompile against its nearest entry, stage by stage; then the neighbouring stages of one level."""
    recompiles: tuple[Recompile, ...] = rows_of(tables, "recompiles")
    for row in recompiles:
        before = by_compile.get(row.nearest.entry_id, []) if row.nearest is not None else []
        known = {_stage(graphs[left]): left for left in before}
        for right in by_compile.get(row.compile_id, []):
            left = known.get(_stage(graphs[right]))
            if left is not None:
                yield f"graphdiff:{left}:{right}"
                yield f"correspond:{left}:{right}"
    for rows in by_compile.values():
        for left, right in pairwise(rows):
            if same_level(graphs[left], graphs[right]):
                yield f"graphdiff:{left}:{right}"


def _stage(graph: Graph) -> tuple[str, str, str | None]:
    return graph.stage, graph.name, graph.direction


def _graph(tables: Tables, number: str) -> Graph | None:
    if not (number.isascii() and number.isdecimal()) or len(number) > 9:
        return None
    graphs: tuple[Graph, ...] = rows_of(tables, "graphs")
    return graphs[int(number)] if int(number) < len(graphs) else None


def _forward(tables: Tables, left: Graph, right: Graph) -> Graph | None:
    """The forward graph that a backward one's saved values come from."""
    backward = next((graph for graph in (left, right) if graph.direction == "backward"), None)
    if backward is None:
        return None
    graphs: tuple[Graph, ...] = rows_of(tables, "graphs")
    return next(
        (one for one in graphs if one.compile_id == backward.compile_id and one.stage == "forward"), None
    )


def _flow_part(key: str, flow: Flow, row_limit: int) -> WirePart:
    return WirePart(key, table=wire_rows("flow", flow.steps, row_limit), text=visible(_told(flow)))


def _told(flow: Flow) -> str:
    """The way of a symbol in a sentence."""
    said = [f"{flow.symbol} stands for {', '.join(flow.sources)}"] if flow.sources else []
    said.append(f"held by {count(len(flow.steps), 'node')} of this graph")
    if flow.guards:
        said.append(f"checked by {count(len(flow.guards), 'guard')}")
    if flow.pin is not None:
        place = "" if flow.pin.location is None else f" at {flow.pin.location.short}"
        said.append(f"pinned to {flow.pin.value}{place}")
    return "; ".join(said)


def _name(graph: Graph) -> str:
    direction = f" {graph.direction}" if graph.direction not in (None, graph.stage) else ""
    return f"{graph.compile_id} {graph.stage}{direction}"
