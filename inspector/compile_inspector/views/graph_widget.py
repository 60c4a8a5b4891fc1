"""The explorer as a widget. Importing this imports anywidget."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import traitlets

from compile_inspector.model.graph import Graph
from compile_inspector.model.tables import Tables
from compile_inspector.views.answers import answer
from compile_inspector.views.summary import rows_of
from compile_inspector.views.widget import PartsWidget
from compile_inspector.views.words import count


@contextmanager
def _collection_put_off() -> Generator[None]:
    """Puts off Python's search for cycles, where it is on: in a process with torch one takes longer than reading a graph of 10,000 nodes."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


class GraphWidget(PartsWidget):
    """The explorer of a session's graphs, opened on one of them.

    Args:
        tables: The session.
        row: Of its table of graphs, from 0.

    Attributes:
        graph: The columns of the graph that it opens on.
        row: The graph that is shown; readers change it too.
        selection: Names of the nodes that are picked; readers change it too.
        script: What is done in every view, in order: lists of a command and its arguments.
    """

    graph = traitlets.Bytes(b"").tag(sync=True)
    row = traitlets.Int(0).tag(sync=True)
    selection = traitlets.List(trait=traitlets.Unicode()).tag(sync=True)
    script = traitlets.List().tag(sync=True)

    def __init__(self, tables: Tables, row: int) -> None:
        with _collection_put_off():
            super().__init__(tables, graph=answer(tables, f"explore:{row}"), row=row)

    def take(self, tables: Tables) -> None:
        """Answers from these tables from now on, whose first graphs are the same."""
        self._tables = tables

    def __repr__(self) -> str:
        graph: Graph = rows_of(self._tables, "graphs")[self.row]
        return f"<GraphWidget: {graph.compile_id} {graph.stage}, {count(len(graph.nodes), 'node')}>"

    @traitlets.validate("row")
    def _existing(self, proposal: Any) -> int:
        """A front end's row that names no graph is refused."""
        row = int(proposal["value"])
        rows = len(rows_of(self._tables, "graphs"))
        if not 0 <= row < rows:
            msg = f"row {row} of {count(rows, 'graph')}"
            raise traitlets.TraitError(msg)
        return row
