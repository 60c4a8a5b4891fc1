"""FX graphs: nodes with shapes, source lines and module paths, read from torch's own printout of the graph."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import msgspec

from compile_inspector.model.graph_text import parse_graph
from compile_inspector.model.nodes import GraphNode, NodeOrigin
from compile_inspector.model.text import Text

Stage = Literal["dynamo", "pre_grad", "joint", "forward", "backward", "inference", "post_grad"]


class Graph(msgspec.Struct, frozen=True, dict=True):
    """One graph of one compile at one stage.

    Nodes are parsed from the text on first use.

    Attributes:
        compile_id: The compile it belongs to.
        stage: Where in the compiler it was printed.
        name: torch's name of the record (``before_pre_grad_graph``, …): tells apart graphs of one stage.
        text: torch's printout: valid Python.
        origins: By node name: exact module paths, where the recording has them; empty for a foreign log.
        kernels_of: By node name: the kernels it became.
    """

    compile_id: str
    stage: Stage
    name: str
    text: Text
    origins: tuple[tuple[str, NodeOrigin], ...] = ()
    kernels_of: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @cached_property
    def _parsed(self) -> tuple[tuple[GraphNode, ...], str | None]:
        return parse_graph(self.text.read(), dict(self.origins), dict(self.kernels_of))

    @property
    def nodes(self) -> tuple[GraphNode, ...]:
        """In the order of the printout; what could be read of it where the text is damaged."""
        return self._parsed[0]

    @property
    def problem(self) -> str | None:
        """Why nodes are missing, None when all were read."""
        return self._parsed[1]
