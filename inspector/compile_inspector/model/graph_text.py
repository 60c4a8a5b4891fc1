"""Reads torch's readable printout of an FX graph.

The printout is one statement a line, with the user's line in a comment above and the value's type in a quoted annotation. It is read line
by line, never evaluated and never parsed as Python: it stays readable where a representation in it is no Python (``<function f at 0x…>``,
``class <lambda>``) or the text is damaged, and reading takes time in proportion to the text, however deeply its expressions nest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from compile_inspector.model.graph_reader import GraphReader
from compile_inspector.model.graph_types import RawNode
from compile_inspector.model.module_paths import (
    Owner,
    guessed_owners,
    inherited_owners,
    owner_of_stored,
    surrounded_owners,
)
from compile_inspector.model.nodes import GraphNode, NodeOrigin


class Parsed:
    """A graph that was read.

    Attributes:
        raw: Its nodes as they were read, in order.
        problem: A sentence that says which lines are missing, None where none are.
        at: Where in ``raw`` a node is, by name.
        sources: For each node: where in ``raw`` those are that it reads, as in its ``inputs``.
        readers: For each node: where those are that read it.

    Args:
        raw: In order.
        problem: As above.
        kernels_of: Names of kernels, by node name.
        partition_of: Index of the partition, by node name.
    """

    def __init__(
        self,
        raw: Sequence[RawNode],
        problem: str | None,
        kernels_of: Mapping[str, tuple[str, ...]],
        partition_of: Mapping[str, int],
    ) -> None:
        self.raw = raw
        self.problem = problem
        self.kernels_of = kernels_of
        self.partition_of = partition_of
        self.at = {node.name: index for index, node in enumerate(raw)}
        self.sources = [list(map(self.at.__getitem__, node.inputs)) for node in raw]
        readers: list[list[int]] = [[] for _ in raw]
        for index, reads in enumerate(self.sources):
            for place in reads:
                readers[place].append(index)
        self.readers = readers

    @cached_property
    def nodes(self) -> tuple[GraphNode, ...]:
        """In order, each with all that is known of it. Made on first use: a drawing of ten thousand does without."""
        names = [node.name for node in self.raw]
        kernels_of, partition_of = self.kernels_of, self.partition_of
        return tuple(
            [
                GraphNode(
                    node.name,
                    node.op,
                    node.target,
                    node.inputs,
                    tuple(map(names.__getitem__, users)),
                    *node.annotation,
                    node.location,
                    node.module_path,
                    node.module_class,
                    partition_of.get(node.name),
                    kernels_of.get(node.name, ()),
                    node.args,
                )
                for node, users in zip(self.raw, self.readers, strict=True)
            ]
        )


def parse_graph(
    text: str,
    origins: Mapping[str, NodeOrigin],
    kernels_of: Mapping[str, tuple[str, ...]],
    *,
    cells: Mapping[str, int] | None = None,
    source: Parsed | None = None,
    backward: bool = False,
    partition_of: Mapping[str, int] | None = None,
    made_of: Mapping[str, Sequence[str]] | None = None,
) -> Parsed:
    """The nodes of a graph, and what could not be read of it.

    Nodes of the graphs that higher-order operators call are named with a path: ``cond_true_0.sin``.

    Args:
        text: torch's printout.
        origins: Exact module paths and lines, by node name; where there are none, paths are guessed (`module_paths`).
        kernels_of: Names of kernels, by node name.
        cells: Notebook cells: temporary file name to the number in ``In [n]``.
        source: The Dynamo graph, for a later stage.
        backward: Whether this is a backward graph.
        partition_of: Index of the partition, by node name.
        made_of: By node name: nodes of ``source``, where torch noted them; the owner is theirs.
    """
    reader = GraphReader(text, cells or {})
    reader.read()
    raw = reader.nodes
    parsed = Parsed(raw, reader.problem(), kernels_of, partition_of or {})
    if origins:
        _own(raw, origins)
    elif source is None:
        _give(raw, guessed_owners(raw))
    else:
        found = _inherited(raw, source, backward=backward)
        if made_of:
            found |= _noted(source, made_of)
        _give(raw, found | surrounded_owners(raw, found, parsed.sources, parsed.readers))
    return parsed


def _own(raw: Sequence[RawNode], origins: Mapping[str, NodeOrigin]) -> None:
    """Gives nodes the modules and lines that a recording saw; a parameter is its module's, whatever read it."""
    get = origins.get
    for node in raw:
        if node.op == "placeholder":
            owner = owner_of_stored(node)
            node.module_path = None if owner is None else owner[0]
            continue
        of = get(node.name)
        if of is None:
            node.location = node.printed
        else:
            node.module_path = of.module_path
            node.module_class = of.module_class
            node.location = of.location or node.printed


def _inherited(raw: Sequence[RawNode], source: Parsed, *, backward: bool) -> dict[str, Owner]:
    return inherited_owners(raw, source.raw, source.readers, last=backward)


def _noted(source: Parsed, made_of: Mapping[str, Sequence[str]]) -> dict[str, Owner]:
    """Owners by node name, where torch noted what nodes were made of: that of the first."""
    first = {name: source.raw[source.at[names[0]]] for name, names in made_of.items()}
    return {name: (of.module_path, of.module_class, of.location) for name, of in first.items()}


def _give(raw: Sequence[RawNode], owners: Mapping[str, Owner]) -> None:
    for node in raw:
        path, module_class, line = owners.get(node.name, _UNKNOWN)
        node.module_path = path
        node.module_class = module_class
        node.location = line or node.printed


_UNKNOWN: Owner = (None, None, None)
