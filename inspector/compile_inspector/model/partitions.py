"""Pieces of graphs: where a graph was split, and why."""

from __future__ import annotations

from typing import Literal

import msgspec


class Partition(msgspec.Struct, frozen=True):
    """One piece of a partitioned graph.

    Attributes:
        compile_id: The compile that the graph belongs to.
        by: Who split it: ``fx`` (the piecewise backend, before the pieces are compiled) or ``inductor`` (which splits generated code).
        graph: Which of the compile's graphs split by that one it is a piece of, from 0.
        index: Its place in that graph, from 0.
        name: ``submod_0``, ``partition_0``.
        kind: ``splitting`` for a piece that an operator was split off into; ``compiled`` for any other.
        nodes: Names of its nodes: of the Dynamo graph where ``fx`` split it, of the post-grad graph where Inductor did.
        split_op: The operator, None for a piece without one.
        reason: Why the graph was split here, or why no CUDA graph can hold this piece; None where neither is so.
        capturable: Whether a CUDA graph can hold it.
        kernels: Inductor's scheduled operations in it; empty for ``fx``.
        module: The module's path, where it was given one.
        remarks: What was noticed of the whole graph: names of splitting operators that match nothing, why it was left whole.
    """

    compile_id: str
    by: Literal["fx", "inductor"]
    graph: int
    index: int
    name: str
    kind: Literal["compiled", "splitting"]
    nodes: tuple[str, ...]
    split_op: str | None
    reason: str | None
    capturable: bool
    kernels: tuple[str, ...] = ()
    module: str | None = None
    remarks: tuple[str, ...] = ()
