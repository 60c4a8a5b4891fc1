"""Reads torch's readable printout of an FX graph.

The printout is one statement a line, with the user's line in a comment above and the value's type in a quoted annotation. It is read line
by line, never evaluated and never parsed as Python: it stays readable where a representation in it is no Python (``<function f at 0x…>``,
``class <lambda>``) or the text is damaged, and reading takes time in proportion to the text, however deeply its expressions nest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from compile_inspector.model.graph_reader import GraphReader
from compile_inspector.model.graph_types import Annotation, RawNode
from compile_inspector.model.locations import Location
from compile_inspector.model.module_paths import Owner, guessed_owners, inherited_owners, owner_of_stored
from compile_inspector.model.nodes import GraphNode, NodeOrigin


class Parsed(NamedTuple):
    """A graph that was read.

    Attributes:
        nodes: In order.
        problem: A sentence that says which lines are missing, None where none are.
        printed: The user's line that the printout itself gives for each node.
        lines: Where each node begins in the printout, its first line being 0.
        types: Each node's type; nodes whose types are printed the same share one.
        sources: For each node: where in ``nodes`` those are that it reads, as in its ``inputs``.
    """

    nodes: tuple[GraphNode, ...]
    problem: str | None
    printed: tuple[Location | None, ...]
    lines: tuple[int, ...]
    types: tuple[Annotation, ...]
    sources: tuple[list[int], ...]


def parse_graph(
    text: str,
    origins: Mapping[str, NodeOrigin],
    kernels_of: Mapping[str, tuple[str, ...]],
    *,
    cells: Mapping[str, int] | None = None,
    source: Parsed | None = None,
    backward: bool = False,
    partition_of: Mapping[str, int] | None = None,
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
    """
    reader = GraphReader(text, cells or {})
    reader.read()
    raw = reader.nodes
    at = {node.name: index for index, node in enumerate(raw)}
    sources = [list(map(at.__getitem__, node.inputs)) for node in raw]
    users: list[list[str]] = [[] for _ in raw]
    for node, reads in zip(raw, sources, strict=True):
        for place in reads:
            users[place].append(node.name)
    owners = _owners(raw, origins, source, backward=backward)
    partitions = partition_of or {}
    nodes: list[GraphNode] = []
    for node, readers in zip(raw, users, strict=True):
        name = node.name
        path, module_class, line = owners.get(name, _UNKNOWN)
        dtype, shape, stride, device, value = node.annotation
        nodes.append(
            GraphNode(
                name,
                node.op,
                node.target,
                node.inputs,
                tuple(readers),
                dtype,
                shape,
                stride,
                device,
                value,
                line or node.location,
                path,
                module_class,
                partitions.get(name),
                kernels_of.get(name, ()),
                node.args,
            )
        )
    return Parsed(
        tuple(nodes),
        reader.problem(),
        tuple([node.location for node in raw]),
        tuple([node.line for node in raw]),
        tuple([node.annotation for node in raw]),
        tuple(sources),
    )


_UNKNOWN: Owner = (None, None, None)


def _owners(
    raw: Sequence[RawNode], origins: Mapping[str, NodeOrigin], source: Parsed | None, *, backward: bool
) -> dict[str, Owner]:
    if not origins:
        if source is None:
            return guessed_owners(raw)
        return inherited_owners(raw, source.nodes, source.printed, last=backward)
    owners: dict[str, Owner] = {
        name: (of.module_path, of.module_class, of.location) for name, of in origins.items()
    }
    for node in raw:
        if node.op == "placeholder":
            owners[node.name] = owner_of_stored(node) or _UNKNOWN
    return owners
