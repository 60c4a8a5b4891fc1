"""What a reader's request for a part of a session is answered with: the bytes that go over."""

from __future__ import annotations

from compile_inspector.errors import InspectorError
from compile_inspector.model.tables import Tables
from compile_inspector.views.graph_wire import encode_graph, encode_guard_lists
from compile_inspector.views.summary import rows_of
from compile_inspector.views.why_parts import Whys
from compile_inspector.views.wire import ROW_LIMIT, WirePart, pack, to_wire
from compile_inspector.views.wire_parts import part
from compile_inspector.views.words import count, visible

GUARDS_APART = 3_000
"""Above so many nodes a graph is sent without its guards, which are asked for by themselves."""


def answer(
    tables: Tables, key: str, *, row_limit: int = ROW_LIMIT, whys: Whys | None = None, compress: bool = True
) -> bytes:
    """The answer to one request; a request that makes no sense is answered with a part that says so.

    Args:
        tables: The session.
        key: ``explore:3`` for the columns of the fourth row of graphs, ``guards_of:3`` for the guards of its nodes (see `graph_wire`),
            ``session`` for all of its tables, or one of `wire_parts.part`.
        row_limit: Rows of one table that are sent.
        whys: The session's chains, where several are asked for.
        compress: False for a reader that cannot inflate.
    """
    if key == "session":
        return to_wire(tables, row_limit=row_limit, name=getattr(tables, "name", None), compress=compress)
    kind, _, number = key.partition(":")
    if kind not in ("explore", "guards_of"):
        return pack(part(tables, key, row_limit=row_limit, whys=whys), compress=compress)
    graphs = rows_of(tables, "graphs")
    if not number.isdecimal() or int(number) >= len(graphs):
        problem = f"There is no such graph: the session has {count(len(graphs), 'graph')}."
        return pack(WirePart(key, problem=problem), compress=compress)
    try:
        if kind == "guards_of":
            return encode_guard_lists(tables, int(number), compress=compress)
        at_once = len(graphs[int(number)].raw) <= GUARDS_APART
        return encode_graph(tables, int(number), guards=at_once, compress=compress)
    except (OSError, InspectorError) as error:
        return pack(WirePart(key, problem=visible(f"The graph cannot be read: {error}")), compress=compress)
