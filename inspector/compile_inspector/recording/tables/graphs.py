"""The graphs table: every FX graph that torch printed for a compile."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from compile_inspector.model.graph import Ancestor, Direction, Graph, Stage
from compile_inspector.model.nodes import NodeOrigin
from compile_inspector.model.partitions import Partition
from compile_inspector.model.records import Record
from compile_inspector.recording.fold import CompileTrace, Losses, Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.kernels import generated, kernels_in, read
from compile_inspector.recording.tables.lineage import lineage
from compile_inspector.recording.tables.partitions import partitions

KernelsOf = tuple[tuple[str, tuple[str, ...]], ...]
PartitionOf = tuple[tuple[str, int], ...]

_STAGES: dict[str, tuple[Stage, Direction | None]] = {
    "dynamo_output_graph": ("dynamo", None),
    "compiled_autograd_graph": ("dynamo", "backward"),
    "inductor_pre_grad_graph": ("pre_grad", None),
    "before_pre_grad_graph": ("pre_grad", None),
    "after_pre_grad_graph": ("pre_grad", None),
    "aot_joint_graph": ("joint", None),
    "before_joint_graph": ("joint", None),
    "after_joint_graph": ("joint", None),
    "aot_forward_graph": ("forward", "forward"),
    "aot_backward_graph": ("backward", "backward"),
    "aot_inference_graph": ("inference", "inference"),
    "before_post_grad_graph": ("post_grad", None),
    "after_post_grad_graph": ("post_grad", None),
    "inductor_post_grad_graph": ("post_grad", None),
}
_TANGENTS = re.compile(r"\btangents_\d+\b")


def graphs(trace: Trace, places: Places) -> tuple[Graph, ...]:
    """The graphs of every compile, in the order torch printed them."""
    cells = tuple(sorted(trace.cells.items()))
    pieces: dict[str, list[Partition]] = {}
    for piece in trace.once("partitions", lambda: partitions(trace, places)) or ():
        pieces.setdefault(piece.compile_id, []).append(piece)
    return tuple(
        graph
        for compile_ in trace.compiles.values()
        for graph in _of(trace, places, compile_, cells, pieces.get(compile_.id, ()))
    )


def _of(
    trace: Trace,
    places: Places,
    compile_: CompileTrace,
    cells: tuple[tuple[str, int], ...],
    pieces: Sequence[Partition],
) -> Iterable[Graph]:
    found = [
        (record, name) for record in compile_.shipped if (name := record.artifact or record.event) in _STAGES
    ]
    if not found:
        return
    names = {name for _, name in found}
    by_direction, by_origin = _kernels(trace, compile_)
    ancestor: Ancestor | None = None
    noted = lineage(trace, compile_)
    for record, name in found:
        if record.payload is None:
            trace.losses.add(trace.where(record), f"{name} has no text")
            continue
        stage, direction = _STAGES[name]
        if stage == "post_grad":
            direction = _direction(trace, record, names)
        graph = Graph(
            compile_.id,
            stage,
            name,
            record.payload,
            _origins(trace, places, compile_) if stage == "dynamo" else (),
            _kernels_at(stage, by_direction.get(direction, ()), by_origin),
            direction,
            cells,
            ancestor,
            _pieces_of(stage, pieces),
            None if stage == "dynamo" else noted,
        )
        if stage == "dynamo":
            ancestor = Ancestor(graph)
        yield graph


def _kernels_at(stage: Stage, lowered: KernelsOf, before: KernelsOf) -> KernelsOf:
    """Kernels by node at a stage; passes keep the names that the graph of their level came with, but for the joint graph's."""
    if stage in ("dynamo", "pre_grad"):
        return before
    return () if stage == "joint" else lowered


def _pieces_of(stage: Stage, pieces: Sequence[Partition]) -> PartitionOf:
    """Pieces by node: of the Dynamo graph those of the piecewise backend, of the post-grad graph Inductor's.

    None where a graph is whole, or where the compile has several of that sort and the pieces could be any one's.
    """
    by = {"dynamo": "fx", "post_grad": "inductor"}.get(stage)
    own = [piece for piece in pieces if piece.by == by]
    split_before = stage == "post_grad" and sum(piece.by == "fx" for piece in pieces) > 1
    if len(own) < 2 or split_before or any(piece.graph for piece in own):
        return ()
    return tuple((name, piece.index) for piece in own for name in piece.nodes)


def _direction(trace: Trace, record: Record, names: set[str]) -> Direction | None:
    """Which pass a post-grad graph computes; torch does not say, but only a backward graph takes tangents."""
    if "aot_inference_graph" in names:
        return "inference"
    if not names & {"aot_forward_graph", "aot_backward_graph"}:
        return None
    signature = (
        read(record, trace.where(record), trace.losses).partition("def forward(")[2].partition("):\n")[0]
    )
    return "backward" if _TANGENTS.search(signature) else "forward"


def _kernels(trace: Trace, compile_: CompileTrace) -> tuple[dict[Direction | None, KernelsOf], KernelsOf]:
    """Kernels by node: of the post-grad graph of each direction, and of the Dynamo graph."""
    post: dict[Direction | None, dict[str, dict[str, None]]] = {}
    before: dict[str, dict[str, None]] = {}
    for part in generated(trace, compile_, Losses()):
        into = post.setdefault(part.direction, {})
        for kernel in kernels_in(compile_.id, part, Losses()):
            for node in kernel.node_names or ():
                into.setdefault(node, {})[kernel.name] = None
            for node in kernel.origin_names or ():
                before.setdefault(node, {})[kernel.name] = None
    return {direction: _frozen(found) for direction, found in post.items()}, _frozen(before)


def _frozen(found: dict[str, dict[str, None]]) -> KernelsOf:
    return tuple((node, tuple(names)) for node, names in found.items())


def _origins(trace: Trace, places: Places, compile_: CompileTrace) -> tuple[tuple[str, NodeOrigin], ...]:
    """Exact module paths and lines of the Dynamo graph's nodes, where the recording has the fact ``modules``."""
    fact: Any = trace.fact_of(compile_, "modules")
    if not isinstance(fact, dict):
        return ()
    paths: list[Any] = _list(fact.get("paths"))  # type: ignore[misc]
    lines = [places.location(line) for line in _list(fact.get("lines"))]  # type: ignore[misc]
    nodes: Any = fact.get("nodes")  # type: ignore[misc]
    known: dict[tuple[Any, Any], NodeOrigin] = {}
    origins: list[tuple[str, NodeOrigin]] = []
    for name, row in nodes.items() if isinstance(nodes, dict) else ():  # type: ignore[misc]
        try:
            origin = known.get(tuple(row))  # type: ignore[misc]
        except TypeError:
            continue
        if origin is None:
            path, line = (*_list(row), None, None)[:2]
            if not (_is_index(path) and _is_index(line)):
                continue
            origin = NodeOrigin(*_owner(paths, path), None if line is None else _at(lines, line))
            known[path, line] = origin
        origins.append((name, origin))  # type: ignore[misc]
    return tuple(origins)


def _owner(paths: list[Any], index: int | None) -> tuple[str | None, str | None]:
    found = None if index is None else _at(paths, index)
    path, class_name = (*_list(found), None, None)[:2]
    return (path if isinstance(path, str) else None, class_name if isinstance(class_name, str) else None)


def _at(values: list[Any], index: int) -> Any:
    return values[index] if 0 <= index < len(values) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []  # type: ignore[return-value]


def _is_index(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))
