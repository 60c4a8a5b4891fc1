"""FX graphs: nodes with shapes, source lines and module paths, read from torch's own printout of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal

import msgspec

from compile_inspector.model.graph_text import Parsed, parse_graph
from compile_inspector.model.graph_types import RawNode
from compile_inspector.model.lineage import Lineage
from compile_inspector.model.nodes import GraphNode, NodeOrigin
from compile_inspector.model.text import Text

Stage = Literal["dynamo", "pre_grad", "joint", "forward", "backward", "inference", "post_grad"]
Direction = Literal["forward", "backward", "inference"]


class Ancestor:
    """The Dynamo graph that a later stage was lowered from; not a row of its own."""

    __slots__ = ("graph",)

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @property
    def parsed(self) -> Parsed:
        """The graph as it was read."""
        return self.graph._parsed  # pyright: ignore[reportPrivateUsage]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ancestor) and self.graph == other.graph

    def __hash__(self) -> int:
        return hash((self.graph.compile_id, self.graph.stage, self.graph.name))


class Graph(msgspec.Struct, frozen=True, dict=True):
    """One graph of one compile at one stage.

    Nodes are parsed from the text on first use.

    Attributes:
        compile_id: The compile it belongs to.
        stage: Where in the compiler it was printed.
        name: torch's name of the record (``before_pre_grad_graph``, …): tells apart graphs of one stage.
        text: torch's printout.
        origins: By node name: exact module paths, where the recording has them; empty for a foreign log.
        kernels_of: By node name: the kernels it became.
        direction: Which pass it computes; None for stages before the passes were told apart.
        cells: Notebook cells of the recording: temporary file name to the number in ``In [n]``.
        ancestor: The Dynamo graph it was lowered from, None for that graph itself and where it was not recorded.
        partition_of: By node name: the index of the partition it lies in; empty where the graph was not partitioned.
        lineage: What torch noted of where its nodes come from; None for Dynamo's graph and where that was not recorded.
    """

    compile_id: str
    stage: Stage
    name: str
    text: Text
    origins: tuple[tuple[str, NodeOrigin], ...] = ()
    kernels_of: tuple[tuple[str, tuple[str, ...]], ...] = ()
    direction: Direction | None = None
    cells: tuple[tuple[str, int], ...] = ()
    ancestor: Ancestor | None = None
    partition_of: tuple[tuple[str, int], ...] = ()
    lineage: Lineage | None = None

    @cached_property
    def _parsed(self) -> Parsed:
        return parse_graph(
            self.text.read(),
            dict(self.origins),
            dict(self.kernels_of),
            cells=dict(self.cells),
            source=None if self.ancestor is None else self.ancestor.parsed,
            backward=self.direction == "backward",
            partition_of=dict(self.partition_of),
            made_of=self.made_of,
        )

    @cached_property
    def made_of(self) -> Mapping[str, tuple[str, ...]]:
        """By node name: the nodes of the Dynamo graph that it was made of, as torch noted; a node that is not in it may be of any."""
        if self.lineage is None or self.ancestor is None:
            return {}
        known = self.ancestor.parsed.at
        made = self.lineage.of(self.text.read())
        return {
            name: found
            for name, names in made.items()
            if (found := tuple([one for one in names if one in known]))
        }

    @property
    def nodes(self) -> tuple[GraphNode, ...]:
        """In the order of the printout; what could be read of it where the text is damaged."""
        return self._parsed.nodes

    @property
    def raw(self) -> Sequence[RawNode]:
        """The same nodes as they were read, in half the time: without users, kernels and partition; not to be changed."""
        return self._parsed.raw

    @property
    def at(self) -> Mapping[str, int]:
        """By name: where in `nodes` a node is."""
        return self._parsed.at

    @property
    def sources(self) -> Sequence[list[int]]:
        """By node: where in `nodes` those are that it reads; not to be changed."""
        return self._parsed.sources

    @property
    def readers(self) -> Sequence[list[int]]:
        """By node: where in `nodes` those are that read it; not to be changed."""
        return self._parsed.readers

    @property
    def problem(self) -> str | None:
        """Why nodes are missing, None when all were read."""
        return self._parsed.problem
