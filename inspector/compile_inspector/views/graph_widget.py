"""The explorer as a widget. Importing this imports anywidget."""

from __future__ import annotations

from typing import Any

import traitlets

from compile_inspector.model.graph import Graph
from compile_inspector.model.tables import Tables
from compile_inspector.views.answers import answer
from compile_inspector.views.collection import collection_put_off
from compile_inspector.views.summary import rows_of
from compile_inspector.views.widget import PartsWidget
from compile_inspector.views.words import count


class GraphWidget(PartsWidget):
    """The explorer of a session's graphs, opened on one of them. It can be shown before the graph is read: `read` sends it.

    Args:
        tables: The session.
        row: Of its table of graphs, from 0.

    Attributes:
        graph: The columns of the graph that it opens on; none before it was read.
        row: The graph that is shown; readers change it too.
        selection: Names of the nodes that are picked; readers change it too.
        script: What is done in every view, in order: lists of a command and its arguments.
    """

    graph = traitlets.Bytes(b"").tag(sync=True)
    row = traitlets.Int(0).tag(sync=True)
    selection = traitlets.List(trait=traitlets.Unicode()).tag(sync=True)
    script = traitlets.List().tag(sync=True)

    def __init__(self, tables: Tables, row: int) -> None:
        super().__init__(tables, row=row)
        self._opened_on = row

    def read(self) -> None:
        """Reads the graph that it opens on, and sends it to where it is shown. Where that fails it is shown no more."""
        if self.graph:
            return
        try:
            with collection_put_off():
                self.graph = answer(self._tables, f"explore:{self._opened_on}")
        except BaseException:
            self.close()
            raise

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
