"""The explorer of a session's graphs as Python holds it: what `Session.graph` gives."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from compile_inspector.analyze.graph_search import search_graph
from compile_inspector.analyze.graph_tree import GraphTree, graph_tree
from compile_inspector.errors import DrawingError, InspectorError
from compile_inspector.model.graph import Graph
from compile_inspector.model.nodes import GraphNode
from compile_inspector.model.tables import Tables
from compile_inspector.views.story import NOTHING, NOTHING_HINT, recorded_compiles
from compile_inspector.views.summary import rows_of
from compile_inspector.views.words import count

if TYPE_CHECKING:
    from compile_inspector.views.graph_widget import GraphWidget

Overlay = Literal[
    "family", "dtype", "device", "partition", "kernels", "symbol", "guards", "dims", "memory", "changed"
]
OVERLAYS: tuple[Overlay, ...] = (
    "family", "dtype", "device", "partition", "kernels", "symbol", "guards", "dims", "memory", "changed",
)  # fmt: skip
_LISTED = 12


class GraphView:
    """The explorer, opened on one graph of a session.

    Show it by ending a cell with it. What a reader picks is in `selection`, and what is called here is shown in every place where it is
    displayed, also in those that are displayed later.

    Args:
        tables: The session.
        row: Of its table of graphs, from 0.
    """

    def __init__(self, tables: Tables, row: int) -> None:
        self._tables = tables
        self._row = row
        self._selected: tuple[str, ...] = ()
        self._script: list[list[str | int]] = []
        self._widget: GraphWidget | None = None

    @property
    def graph(self) -> Graph:
        """The graph that is shown."""
        row = self._row if self._widget is None else self._widget.row
        return self._graphs[row]

    @property
    def selection(self) -> tuple[GraphNode, ...]:
        """The nodes that are picked, in the order they were."""
        names = self._selected if self._widget is None else tuple(self._widget.selection)
        known = {node.name: node for node in self.graph.nodes}
        return tuple(known[name] for name in names if name in known)

    def select(self, query: str | GraphNode | Iterable[str | GraphNode]) -> tuple[GraphNode, ...]:
        """Picks nodes, opens what holds the first, and gives them.

        Args:
            query: What the search field takes (``op:mm shape:4096``, ``module:self_attn``, ``symbol:s77``, ``line:model.py:12``); or nodes,
                or their names.

        Raises:
            InspectorError: A node that is named is not in the graph.
        """
        found = search_graph(self.graph, query) if isinstance(query, str) else self._named(query)
        self._selected = tuple(node.name for node in found)
        if self._widget is not None:
            self._widget.selection = list(self._selected)
        return found

    def expand(self, path: str) -> GraphView:
        """Opens a module (``model.layers.3``), a run of alike ones (``model.layers.0…31``), or a called graph, by its path.

        Raises:
            InspectorError: There is no such group; the message has near ones.
        """
        return self._tell("expand", self._path(path))

    def collapse(self, path: str) -> GraphView:
        """Closes what `expand` opens.

        Raises:
            InspectorError: There is no such group; the message has near ones.
        """
        return self._tell("collapse", self._path(path))

    def expand_all(self) -> GraphView:
        """Opens every group, every copy of repeated ones too."""
        return self._tell("expand_all")

    def collapse_all(self) -> GraphView:
        """Folds the graph as it opened."""
        return self._tell("collapse_all")

    def show(self, compile_id: str | None = None, stage: str | None = None) -> GraphView:
        """Shows another graph of the session; what is picked stays picked where that graph has it.

        Args:
            compile_id: ``"0/1"``; the one that is shown when None.
            stage: ``dynamo``, ``forward``, ``post_grad``, …; the stage that is shown, else the compile's first, when None.

        Raises:
            InspectorError: There is no such graph; the message lists those that there are.
        """
        shown = self.graph
        wanted = compile_id or shown.compile_id
        if stage is None and any(g.compile_id == wanted and g.stage == shown.stage for g in self._graphs):
            stage = shown.stage
        row = find_graph(self._tables, wanted, stage)
        self._row = row
        if self._widget is not None:
            self._widget.row = row
        return self

    def overlay(self, kind: Overlay, argument: str | None = None) -> GraphView:
        """Colours the graph, and says by a legend what the colours mean.

        Args:
            kind: One of `OVERLAYS`.
            argument: The symbol of ``symbol`` (``"s77"``) or the kernel of ``kernels``; all of them when None.

        Raises:
            InspectorError: There is no such overlay.
        """
        if kind not in OVERLAYS:
            msg = f"no overlay {kind!r}; there are: {', '.join(OVERLAYS)}"
            raise InspectorError(msg)
        return self._tell("overlay", kind, argument or "")

    def compare(
        self,
        other: str | Tables | None = None,
        stage: str | None = None,
        *,
        compile_id: str | None = None,
        mode: Literal["over", "side"] = "over",
    ) -> GraphView:
        """Holds the graph against another, earlier one, and marks what was added, removed and changed; None ends it.

        Args:
            other: A compile's id, or another session.
            stage: Of the other graph; the one that is shown when None.
            compile_id: The compile of another session; the same as here, else its first, when None.
            mode: ``over``: one picture, ``side``: two, side by side.

        Raises:
            InspectorError: There is no such graph; the message lists those that there are.
        """
        if other is None:
            return self._tell("stop_comparing")
        shown = self.graph
        if isinstance(other, str):
            return self._tell("compare", find_graph(self._tables, other, stage or shown.stage), mode)
        there = rows_of(other, "graphs")
        if compile_id is None and any(graph.compile_id == shown.compile_id for graph in there):
            compile_id = shown.compile_id
        row = find_graph(other, compile_id, stage or shown.stage)
        first = self._join(other)
        return self._tell("compare", first + row, mode)

    def to_svg(self, path: str | PathLike[str] | None = None, *, max_boxes: int | None = None) -> str:
        """The graph, folded, as one SVG that needs nothing else; also written to ``path`` if given.

        What a browser shows, as it is shown there, is saved from the explorer's own menu.

        Args:
            path: Where to write it.
            max_boxes: The most boxes to draw; 150 when None.
        """
        from compile_inspector.views.graph_drawing import MAX_BOXES, draw

        svg = draw(self.graph, max_nodes=max_boxes or MAX_BOXES).svg
        if path is not None:
            Path(path).write_text(svg, encoding="utf-8")
        return svg

    def to_png(self, path: str | PathLike[str] | None = None, *, max_boxes: int | None = None) -> bytes:
        """The graph, folded, as a picture; also written to ``path`` if given.

        Raises:
            DrawingError: No Graphviz that writes PNG is installed, or it failed.
        """
        from compile_inspector.analyze.graph_fold import MAX_BOXES, fold_graph
        from compile_inspector.views.graph_drawing import dot_binary, dot_source, picture

        found = dot_binary()
        if found is None:
            msg = "no dot was found to draw a PNG with: install Graphviz, or save it from the explorer in the browser"
            raise DrawingError(msg)
        data = picture(dot_source(fold_graph(self.graph, max_boxes=max_boxes or MAX_BOXES)), found[0])
        if path is not None:
            Path(path).write_bytes(data)
        return data

    def to_html(self, path: str | PathLike[str] | None = None) -> str:
        """The explorer as one HTML page that needs nothing else, no network either; also written to ``path`` if given.

        It holds the graphs of the session, the one that is shown first, up to 60,000 nodes.
        """
        from compile_inspector.views.page import graph_page

        page = graph_page(self._tables, self._shown_row, selection=self._names, script=self._script)
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page

    @property
    def widget(self) -> GraphWidget:
        """The ipywidget that shows it, to lay out with others; made on first use."""
        made = self.open()
        made.read()
        return made

    def open(self) -> GraphWidget:
        """The `widget`, which need not have read its graph yet."""
        if self._widget is None or (self._widget.comm is None and not self._widget.graph):
            from compile_inspector.views.graph_widget import GraphWidget

            made = GraphWidget(self._tables, self._row)
            made.selection = list(self._selected)
            made.script = list(self._script)
            self._widget = made
        return self._widget

    def __repr__(self) -> str:
        graph = self.graph
        return f"<GraphView: compile {graph.compile_id}, {graph.stage}, {count(len(graph.nodes), 'node')}>"

    def __str__(self) -> str:
        from compile_inspector.views.graph_summary import graph_text

        return graph_text(self.graph)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        from compile_inspector.views.graph_summary import graph_html

        return {"text/plain": str(self), "text/html": graph_html(self.graph)}

    def _ipython_display_(self) -> None:
        from compile_inspector.views.display import display_graph

        display_graph(self)

    @property
    def _graphs(self) -> tuple[Graph, ...]:
        return rows_of(self._tables, "graphs")

    @property
    def _shown_row(self) -> int:
        return self._row if self._widget is None else self._widget.row

    @property
    def _names(self) -> list[str]:
        return list(self._selected) if self._widget is None else list(self._widget.selection)

    def _tell(self, *command: str | int) -> GraphView:
        self._script = [*self._script, list(command)]
        if self._widget is not None:
            self._widget.script = self._script
        return self

    def _named(self, nodes: GraphNode | Iterable[str | GraphNode]) -> tuple[GraphNode, ...]:
        wanted = [nodes] if isinstance(nodes, GraphNode) else nodes
        known = {node.name: node for node in self.graph.nodes}
        found: list[GraphNode] = []
        for node in wanted:
            name = node if isinstance(node, str) else node.name
            if name not in known:
                msg = f"no node {name!r} in this graph{_near(name, known)}"
                raise InspectorError(msg)
            found.append(known[name])
        return tuple(found)

    def _path(self, path: str) -> str:
        paths = group_paths(graph_tree(self.graph))
        if path not in paths:
            msg = f"no group {path!r} in this graph{_near(path, paths)}"
            raise InspectorError(msg)
        return path

    def _join(self, other: Tables) -> int:
        """Takes in the graphs of another session, and says at which row they begin."""
        first = len(self._graphs)
        self._tables = joined(self._tables, other)
        if self._widget is not None:
            self._widget.take(self._tables)
        return first


def find_graph(tables: Tables, compile_id: str | None, stage: str | None) -> int:
    """The row of a graph; of several printouts of one stage the last is the one that was lowered.

    Raises:
        InspectorError: There is no such graph; the message lists those that there are.
    """
    graphs: tuple[Graph, ...] = rows_of(tables, "graphs")
    rows = [
        row
        for row, graph in enumerate(graphs)
        if compile_id in (None, graph.compile_id) and stage in (None, graph.stage)
    ]
    if rows:
        first = graphs[rows[0]]
        alike = [
            row
            for row in rows
            if graphs[row].compile_id == first.compile_id and graphs[row].stage == first.stage
        ]
        return alike[-1] if stage is not None else rows[0]
    if not graphs and not recorded_compiles(tables):
        msg = f"there is no graph: {NOTHING} {NOTHING_HINT}"
        raise InspectorError(msg)
    there = list(dict.fromkeys(f"{graph.compile_id} {graph.stage}" for graph in graphs))
    listed = ", ".join(there[:_LISTED]) + (
        f", and {len(there) - _LISTED} more" if len(there) > _LISTED else ""
    )
    why = tables.why_absent("graphs")
    msg = f"no graph of compile {compile_id or 'any'} at stage {stage or 'any'}; there are: {listed or 'none at all'}"
    raise InspectorError(f"{msg} ({why})" if why else msg)


def group_paths(tree: GraphTree) -> set[str]:
    """The paths of a graph's groups, and of its runs of alike groups."""
    groups = tree.groups
    runs: dict[int, list[int]] = {}
    for index, group in enumerate(groups[1:], 1):
        runs.setdefault(group.run, []).append(index)
    spread = {
        f"{groups[members[0]].path}…{groups[members[-1]].name}"
        for members in runs.values()
        if len(members) > 1
    }
    return {group.path for group in groups[1:]} | spread


def joined(tables: Tables, other: Tables) -> Tables:
    """Two sessions' graphs and what belongs to them; the other's compiles are named after it: ``other 0/0``."""
    name = getattr(other, "name", None) or "other"

    def rows(table: str) -> tuple[Any, ...]:
        renamed = (
            msgspec.structs.replace(row, compile_id=f"{name} {row.compile_id}")
            for row in rows_of(other, table)
        )
        return (*rows_of(tables, table), *renamed)

    names = ("graphs", "symbols", "guards", "kernels", "output_code")
    builders = {table: (lambda table=table: rows(table)) for table in names}
    return Tables(builders, environment=tables.environment)


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 3, 0.5)
    return f"; near: {', '.join(near)}" if near else ""
