"""The columns of what the compile decorator narrates: applied modules, violations, partitions, ranges."""

from __future__ import annotations

from compile_inspector.model.applied import Applied, MarkedDim, UnmarkedDim
from compile_inspector.model.partitions import Partition
from compile_inspector.model.ranges import CompileRange
from compile_inspector.model.violations import Violation
from compile_inspector.views.column import Column, code_of, place


def unmarked_text(dim: UnmarkedDim) -> str:
    """An input of a marked size that was not marked: ``L['cos'] dim 1 = 7, like L['x'].size()[1]``."""
    size = "" if dim.size is None else f" = {dim.size}"
    return f"{dim.source} dim {dim.dim}{size}, like {dim.like}"


def _mark(dim: MarkedDim) -> str:
    size = "" if dim.size is None else f" = {dim.size}"
    shared = "" if dim.shape_id is None else f" as {dim.shape_id}"
    return f"{dim.source} dim {dim.dim}{size}: {dim.kind}{shared}"


APPLIED: tuple[Column[Applied], ...] = (
    Column("module", "Module", "code", lambda row: row.module),
    Column("class", "Class", "code", lambda row: row.class_name.rpartition(".")[2]),
    Column("how", "How", "badge", lambda row: row.how if row.compiles else f"{row.how}, not compiled"),
    Column("mode", "Mode", "code", lambda row: row.mode),
    Column("backend", "Backend", "code", lambda row: row.backend),
    Column("dynamic_dims", "Dynamic dims", "list", lambda row: list(row.dynamic_dims)),
    Column("dynamic_shapes", "Sizes are", "code", lambda row: row.dynamic_shapes),
    Column("dropped_guards", "Dropped guards", "badge", lambda row: row.dropped_guards),
    Column("splitting_ops", "Split at", "list", lambda row: list(row.splitting_ops)),
    Column("compile_ids", "Compiles", "list", lambda row: list(row.compile_ids)),
    Column(
        "unmarked", "Same size, not marked", "list", lambda row: [unmarked_text(one) for one in row.unmarked]
    ),
    Column("class_name", "Class in full", "code", lambda row: row.class_name, detail=True),
    Column("location", "Forward", "location", lambda row: place(row.location), detail=True),
    Column("marked", "Marked", "list", lambda row: [_mark(one) for one in row.marked], detail=True),
    Column("unbacked_dims", "Unbacked dims", "list", lambda row: list(row.unbacked_dims), detail=True),
    Column(
        "evaluate_guards",
        "Guards on sizes",
        "text",
        lambda row: "kept, and raise" if row.evaluate_guards else None,
        detail=True,
    ),
    Column("is_encoder", "Encoder", "text", lambda row: "yes" if row.is_encoder else None, detail=True),
)

VIOLATIONS: tuple[Column[Violation], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("source", "Source", "code", lambda row: row.source or "the process's state"),
    Column("expr", "Check", "code", lambda row: row.expr),
    Column("actual", "Actual", "code", lambda row: row.actual),
    Column("category", "Category", "badge", lambda row: row.category),
    Column("action", "Action", "badge", lambda row: row.action),
    Column("count", "Times", "number", lambda row: row.count),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("code", "Code", "code", lambda row: code_of(row.location)),
    Column("module", "Module", "code", lambda row: row.module),
    Column("class_name", "Class", "code", lambda row: row.class_name, detail=True),
    Column("expected", "Expected", "code", lambda row: row.expected, detail=True),
)

PARTITIONS: tuple[Column[Partition], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("by", "Split by", "badge", lambda row: row.by),
    Column("graph", "Graph", "number", lambda row: row.graph),
    Column("index", "Piece", "number", lambda row: row.index),
    Column("name", "Name", "code", lambda row: row.name),
    Column("kind", "Kind", "badge", lambda row: row.kind),
    Column("split_op", "Split at", "code", lambda row: row.split_op),
    Column("reason", "Reason", "text", lambda row: row.reason),
    Column(
        "capturable", "CUDA graph", "badge", lambda row: "can hold it" if row.capturable else "cannot hold it"
    ),
    Column("nodes", "Nodes", "list", lambda row: list(row.nodes)),
    Column("module", "Module", "code", lambda row: row.module),
    Column("kernels", "Scheduled operations", "list", lambda row: list(row.kernels), detail=True),
    Column("remarks", "Remarks", "list", lambda row: list(row.remarks), detail=True),
)

RANGES: tuple[Column[CompileRange], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("partition", "Piece", "number", lambda row: row.partition),
    Column("sizes", "Sizes", "code", lambda row: row.sizes),
    Column("exact", "Kind", "badge", lambda row: "exact" if row.exact else "range"),
    Column("backend", "Backend", "code", lambda row: row.backend),
    Column("outcome", "Outcome", "badge", lambda row: row.outcome),
    Column("reused_from", "Equal to piece", "number", lambda row: row.reused_from),
    Column("elapsed_ns", "Time", "duration", lambda row: row.elapsed_ns),
    Column("call_count", "Calls", "number", lambda row: row.call_count),
    Column("symbol", "Symbol", "code", lambda row: row.symbol),
    Column("module", "Module", "code", lambda row: row.module),
    Column("problems", "Problems", "list", lambda row: list(row.problems), detail=True),
)
