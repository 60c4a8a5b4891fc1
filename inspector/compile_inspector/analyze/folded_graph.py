"""A graph folded for drawing: boxes, the edges between them, and frames around them."""

from __future__ import annotations

from typing import Literal

import msgspec

from compile_inspector.model.locations import Location

Kind = Literal["node", "input", "output", "module", "run", "body"]
Size = tuple[int | str, ...]


class Box(msgspec.Struct, frozen=True, gc=False):
    """What is drawn as one: a node, or several.

    Attributes:
        id: Its index in `FoldedGraph.boxes`.
        kind: ``module``: a closed module; ``run``: nodes of one function that follow each other; ``body``: a closed graph that a
            higher-order operator calls.
        label: The call's target, the input's name, or the module's path below its group's.
        names: The nodes in it, in order; of repeated modules, the first's.
        count: How many nodes it stands for, in all repeats.
        repeats: How many modules alike it stands for.
        module_path: Of the module it lies in or is; of repeated ones, the first's.
        module_class: Its class, where known.
        dtype: Of its last node's value; None for what is no tensor.
        shape: Likewise.
        value: Its last node's value where that is no tensor (``Sym(s77)``).
        location: The user's line of its first node.
        within: Of a node that is all there is of its module: the module's path below the group's; empty otherwise.
        group: Index of the innermost open group around it, None outside all.
        reads: Names of long-lived values it reads from afar, for which no edge is drawn.
        constants: How many parameters and other constants it reads.
    """

    id: int
    kind: Kind
    label: str
    names: tuple[str, ...]
    count: int
    repeats: int
    module_path: str | None
    module_class: str | None
    dtype: str | None
    shape: Size | None
    value: str | None
    location: Location | None
    within: str
    group: int | None
    reads: tuple[str, ...]
    constants: int


class Edge(msgspec.Struct, frozen=True, gc=False):
    """Values that flow from one box to another.

    Attributes:
        source: Index of a box.
        target: Index of a box.
        values: Names of the values, each once.
        carried: From one repeat to the next, or back to an earlier box: against the order of the drawing.
    """

    source: int
    target: int
    values: tuple[str, ...]
    carried: bool = False


class Group(msgspec.Struct, frozen=True, gc=False):
    """An open module, drawn as a frame around its boxes.

    Attributes:
        id: Its index in `FoldedGraph.groups`.
        label: Its path below its parent group's; ``layers.0 … 31`` for repeats.
        repeats: How many modules alike it stands for.
        parent: Index of the group around it, None outside all.
        module_class: Its class, where known.
    """

    id: int
    label: str
    repeats: int
    parent: int | None
    module_class: str | None


class FoldedGraph(msgspec.Struct, frozen=True):
    """A graph folded for drawing.

    Attributes:
        boxes: In the order of their first nodes.
        edges: Between them, each pair once.
        groups: Open modules; parents first.
        total: Nodes of the graph, constants included.
        constants: Parameters, buffers and symbols that are not drawn.
        differing: Modules in a list that were not shown as a repeat because they compute something else than their neighbours.
    """

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    groups: tuple[Group, ...]
    total: int
    constants: int
    differing: tuple[str, ...] = ()
