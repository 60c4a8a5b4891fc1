"""The columns of every table: what each view shows of a row, in which order and under which title.

One definition serves the text, the static HTML, the widget and the command line. Values are plain (str, int, float, None, list of str)
and safe to show (`words.visible`); how they are drawn is each view's own affair.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from compile_inspector.model.applied import Applied, MarkedDim, UnmarkedDim
from compile_inspector.model.breaks import GraphBreak
from compile_inspector.model.caches import CacheLookup, KeyDifference
from compile_inspector.model.chains import Change
from compile_inspector.model.compiles import Compile, CompileFailure, Phase
from compile_inspector.model.files import TracedFile
from compile_inspector.model.graph import Graph
from compile_inspector.model.guards import Guard
from compile_inspector.model.kernels import Kernel, OutputCode
from compile_inspector.model.locations import Location
from compile_inspector.model.nodes import GraphNode
from compile_inspector.model.partitions import Partition
from compile_inspector.model.ranges import CompileRange
from compile_inspector.model.recompiles import EntryCheck, FailingGuard, Recompile, Unevaluated
from compile_inspector.model.records import Loss
from compile_inspector.model.symbols import Dim, Specialization, Symbol
from compile_inspector.model.violations import Violation
from compile_inspector.views.column import Column, Kind, Value, place
from compile_inspector.views.finding_columns import FINDINGS
from compile_inspector.views.guard_columns import GUARD_COSTS, GUARD_FILTERS

__all__ = [
    "COLUMNS",
    "PARTS",
    "TITLES",
    "Column",
    "Kind",
    "Value",
    "change_text",
    "columns_of",
    "failure_text",
    "title_of",
]


def columns_of(table: str) -> tuple[Column[Any], ...]:
    """The columns of a table, or of a part (``nodes``, ``phases``, ``failing``, ``unevaluated``); none for one without rows to show."""
    return COLUMNS.get(table) or PARTS.get(table, ())


def title_of(table: str) -> str:
    """A table's heading."""
    return TITLES.get(table, table.replace("_", " ").capitalize())


def _code(location: Location | None) -> str | None:
    return None if location is None else location.code


def _stack(frames: Iterable[Location]) -> list[str]:
    return [
        f"{place(frame)}"
        + (f" in {frame.function}" if frame.function else "")
        + (f": {frame.code}" if frame.code else "")
        for frame in frames
    ]


def failure_text(error: CompileFailure | None) -> str | None:
    """A failure in one text: its type, then its message."""
    return None if error is None else f"{error.type}: {error.message}"


def change_text(guard: FailingGuard) -> str:
    """A failing guard in one text: ``L['x'].size()[0]: 4 -> 5``; the check itself where no value is known."""
    if guard.actual is None and guard.expected is None:
        return guard.expr
    if guard.expected is None:
        return f"{guard.source}: {guard.expr}, was {guard.actual}"
    return f"{guard.source}: {guard.expected} -> {'?' if guard.actual is None else guard.actual}"


def unmarked_text(dim: UnmarkedDim) -> str:
    """An input of a marked size that was not marked: ``L['cos'] dim 1 = 7, like L['x'].size()[1]``."""
    size = "" if dim.size is None else f" = {dim.size}"
    return f"{dim.source} dim {dim.dim}{size}, like {dim.like}"


def _mark(dim: MarkedDim) -> str:
    size = "" if dim.size is None else f" = {dim.size}"
    shared = "" if dim.shape_id is None else f" as {dim.shape_id}"
    return f"{dim.source} dim {dim.dim}{size}: {dim.kind}{shared}"


def _names(names: tuple[str, ...] | None) -> list[str] | None:
    return None if names is None else list(names)


def _difference(part: KeyDifference) -> str:
    if part.was is None or part.now is None:
        return f"{part.component}: {'new' if part.was is None else 'gone'}"
    return f"{part.component}: {part.was} -> {part.now}"


def _dropped(guard: Guard) -> str | None:
    if not guard.dropped:
        return None if guard.dropped is None else "checked"
    return "dropped" if guard.checked_by is None else f"checked by the {guard.checked_by}"


def _failing(entry: EntryCheck | None) -> list[str]:
    if entry is None:
        return []
    if not entry.failing and entry.torch_reason:
        return [entry.torch_reason]
    return [change_text(guard) for guard in entry.failing]


def _known(entry: EntryCheck | None) -> str | None:
    return None if entry is None else "all guards" if entry.complete else "torch's first reason"


_COMPILES: tuple[Column[Compile], ...] = (
    Column("id", "Compile", "id", lambda row: row.id),
    Column("function", "Function", "code", lambda row: row.frame.function if row.frame else None),
    Column(
        "location", "Defined at", "location", lambda row: place(row.frame.location) if row.frame else None
    ),
    Column("trigger", "Called from", "location", lambda row: place(row.trigger)),
    Column("status", "Status", "badge", lambda row: row.status),
    Column("elapsed_ns", "Time", "duration", lambda row: row.elapsed_ns),
    Column("node_count", "Nodes", "number", lambda row: row.node_count),
    Column("guard_count", "Guards", "number", lambda row: row.guard_count),
    Column("attempts", "Attempts", "number", lambda row: row.attempts),
    Column("caches", "Caches", "list", lambda row: list(row.caches)),
    Column("error", "Error", "text", lambda row: failure_text(row.error)),
    Column(
        "error_location",
        "Failed at",
        "location",
        lambda row: place(row.error.location) if row.error else None,
        detail=True,
    ),
    Column(
        "restarts",
        "Restarts",
        "list",
        lambda row: [f"attempt {r.attempt}: {r.reason}" for r in row.restarts],
        detail=True,
    ),
    Column("trigger_code", "Calling line", "code", lambda row: _code(row.trigger), detail=True),
    Column(
        "recovered",
        "Recorded",
        "badge",
        lambda row: "rebuilt afterwards" if row.recovered else "live",
        detail=True,
    ),
    Column("missing", "Not recovered", "text", lambda row: row.missing, detail=True),
)

_GRAPHS: tuple[Column[Graph], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("stage", "Stage", "badge", lambda row: row.stage),
    Column("direction", "Direction", "badge", lambda row: row.direction),
    Column("name", "Record", "code", lambda row: row.name),
)

_GUARDS: tuple[Column[Guard], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("kind", "Kind", "badge", lambda row: row.kind),
    Column("source", "Source", "code", lambda row: row.source),
    Column("expr", "Check", "code", lambda row: row.expr),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("module_path", "Module", "code", lambda row: row.module_path),
    Column("dropped", "State", "badge", _dropped),
    Column("category", "Category", "badge", lambda row: row.category),
    Column("code", "Code", "code", lambda row: _code(row.location), detail=True),
    Column("hint", "Remark", "text", lambda row: row.hint, detail=True),
    Column("parent", "Under", "code", lambda row: row.parent, detail=True),
    Column("stack", "Stack", "list", lambda row: _stack(row.stack), detail=True),
)

_SYMBOLS: tuple[Column[Symbol], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("name", "Symbol", "code", lambda row: row.name),
    Column("sources", "Stands for", "list", lambda row: list(row.sources)),
    Column("hint", "Value", "number", lambda row: row.hint),
    Column("range", "Range", "code", lambda row: row.range),
    Column("kind", "Kind", "badge", lambda row: row.kind),
    Column("replaced_by", "Found equal to", "code", lambda row: row.replaced_by),
    Column("created", "Made at", "location", lambda row: place(row.created)),
    Column("code", "Code", "code", lambda row: _code(row.created), detail=True),
)

_SPECIALIZATIONS: tuple[Column[Specialization], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("symbol", "Symbol", "code", lambda row: row.symbol),
    Column("sources", "Stands for", "list", lambda row: list(row.sources)),
    Column("value", "Pinned to", "code", lambda row: row.value),
    Column("reason", "Reason", "text", lambda row: row.reason),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("code", "Code", "code", lambda row: _code(row.location)),
    Column("stack", "Stack", "list", lambda row: _stack(row.stack), detail=True),
)

_DIMS: tuple[Column[Dim], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("source", "Input", "code", lambda row: row.source),
    Column("dim", "Dim", "number", lambda row: row.dim),
    Column("size", "Size", "number", lambda row: row.size),
    Column("symbol", "Symbol", "code", lambda row: row.symbol),
    Column("verdict", "Verdict", "badge", lambda row: row.verdict),
    Column("why", "Why", "text", lambda row: row.why),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("role", "Role", "badge", lambda row: "parameter" if row.is_parameter else "input"),
    Column("code", "Code", "code", lambda row: _code(row.location), detail=True),
)

_GRAPH_BREAKS: tuple[Column[GraphBreak], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("reason", "Reason", "text", lambda row: row.reason),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("code", "Code", "code", lambda row: _code(row.location)),
    Column("hints", "Hints", "list", lambda row: list(row.hints)),
    Column("registry_id", "Registry", "code", lambda row: row.registry_id),
    Column("count", "Compiles", "number", lambda row: row.count),
    Column("explanation", "Explanation", "text", lambda row: row.explanation, detail=True),
    Column("stack", "Stack", "list", lambda row: _stack(row.stack), detail=True),
)

_RECOMPILES: tuple[Column[Recompile], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("trigger", "Called from", "location", lambda row: place(row.trigger)),
    Column("code", "Calling line", "code", lambda row: _code(row.trigger)),
    Column("nearest", "Nearest entry", "id", lambda row: row.nearest.entry_id if row.nearest else None),
    Column("failing", "Failing", "number", lambda row: len(row.nearest.failing) if row.nearest else None),
    Column("changes", "What failed", "list", lambda row: _failing(row.nearest)),
    Column(
        "unevaluated",
        "Not evaluable",
        "number",
        lambda row: len(row.nearest.unevaluated) if row.nearest else None,
    ),
    Column("known", "Known", "badge", lambda row: _known(row.nearest)),
    Column(
        "entries",
        "Earlier entries",
        "list",
        lambda row: [entry.entry_id for entry in row.entries],
        detail=True,
    ),
)

_TRACED_FILES: tuple[Column[TracedFile], ...] = (
    Column("file", "File", "location", lambda row: row.file),
    Column("functions", "Functions", "list", lambda row: list(row.functions)),
    Column("inline_count", "Inlined calls", "number", lambda row: row.inline_count),
    Column("compile_ids", "Compiles", "list", lambda row: list(row.compile_ids)),
    Column("content_hash", "SHA-256", "code", lambda row: row.content_hash, detail=True),
)

_APPLIED: tuple[Column[Applied], ...] = (
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

_VIOLATIONS: tuple[Column[Violation], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("source", "Source", "code", lambda row: row.source or "the process's state"),
    Column("expr", "Check", "code", lambda row: row.expr),
    Column("actual", "Actual", "code", lambda row: row.actual),
    Column("category", "Category", "badge", lambda row: row.category),
    Column("action", "Action", "badge", lambda row: row.action),
    Column("count", "Times", "number", lambda row: row.count),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("code", "Code", "code", lambda row: _code(row.location)),
    Column("module", "Module", "code", lambda row: row.module),
    Column("class_name", "Class", "code", lambda row: row.class_name, detail=True),
    Column("expected", "Expected", "code", lambda row: row.expected, detail=True),
)

_PARTITIONS: tuple[Column[Partition], ...] = (
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

_RANGES: tuple[Column[CompileRange], ...] = (
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

_KERNELS: tuple[Column[Kernel], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("name", "Kernel", "code", lambda row: row.name),
    Column("language", "Language", "badge", lambda row: row.language),
    Column("direction", "Direction", "badge", lambda row: row.direction),
    Column("call_count", "Calls", "number", lambda row: row.call_count),
    Column("node_names", "Nodes", "list", lambda row: _names(row.node_names)),
    Column("origin_names", "Dynamo nodes", "list", lambda row: _names(row.origin_names), detail=True),
)

_OUTPUT_CODE: tuple[Column[OutputCode], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("direction", "Direction", "badge", lambda row: row.direction),
    Column("path", "File", "location", lambda row: row.path),
)

_CACHES: tuple[Column[CacheLookup], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("cache", "Cache", "code", lambda row: row.cache),
    Column("outcome", "Outcome", "badge", lambda row: row.outcome),
    Column(
        "differs",
        "Differs in",
        "list",
        lambda row: [_difference(part) for part in row.differs],
    ),
    Column("reason", "Reason", "text", lambda row: row.reason),
    Column("key", "Key", "code", lambda row: row.key),
    Column(
        "components",
        "Key made of",
        "list",
        lambda row: [f"[{c.hash}] {c.name}" for c in row.components],
        detail=True,
    ),
)

_LOSSES: tuple[Column[Loss], ...] = (
    Column("where", "Where", "code", lambda row: row.where),
    Column("what", "What was lost", "text", lambda row: row.what),
    Column("count", "Times", "number", lambda row: row.count),
)

_NODES: tuple[Column[GraphNode], ...] = (
    Column("name", "Node", "code", lambda row: row.name),
    Column("op", "Op", "badge", lambda row: row.op),
    Column("target", "Target", "code", lambda row: row.target),
    Column("shape", "Shape", "code", lambda row: _sizes(row.shape)),
    Column("dtype", "Dtype", "code", lambda row: row.dtype if row.dtype is not None else row.value),
    Column("module_path", "Module", "code", lambda row: row.module_path),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("device", "Device", "code", lambda row: row.device, detail=True),
    Column("stride", "Stride", "code", lambda row: _sizes(row.stride), detail=True),
    Column("args", "Arguments", "code", lambda row: row.args or None, detail=True),
    Column("inputs", "Inputs", "list", lambda row: list(row.inputs), detail=True),
    Column("users", "Users", "list", lambda row: list(row.users), detail=True),
    Column("module_class", "Module class", "code", lambda row: row.module_class, detail=True),
    Column("partition", "Partition", "number", lambda row: row.partition, detail=True),
    Column("kernels", "Kernels", "list", lambda row: list(row.kernels), detail=True),
    Column("code", "Code", "code", lambda row: _code(row.location), detail=True),
)

_PHASES: tuple[Column[Phase], ...] = (
    Column("name", "Phase", "code", lambda row: row.name),
    Column("start_ns", "After", "duration", lambda row: row.start_ns),
    Column("elapsed_ns", "Time", "duration", lambda row: row.elapsed_ns),
    Column("depth", "Depth", "number", lambda row: row.depth),
)

_FAILING: tuple[Column[FailingGuard], ...] = (
    Column("source", "Source", "code", lambda row: row.source),
    Column("expected", "Expected", "code", lambda row: row.expected),
    Column("actual", "Actual", "code", lambda row: row.actual),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("code", "Code", "code", lambda row: _code(row.location)),
    Column("kind", "Kind", "badge", lambda row: row.kind),
    Column("expr", "Check", "code", lambda row: row.expr),
)

_UNEVALUATED: tuple[Column[Unevaluated], ...] = (
    Column("source", "Source", "code", lambda row: row.source),
    Column("kind", "Kind", "badge", lambda row: row.kind),
    Column("expr", "Check", "code", lambda row: row.expr),
    Column("reason", "Why not", "text", lambda row: row.reason),
)


def _sizes(sizes: tuple[int | str, ...] | None) -> str | None:
    return None if sizes is None else f"[{', '.join(str(size) for size in sizes)}]"


COLUMNS: Mapping[str, tuple[Column[Any], ...]] = {
    "findings": FINDINGS,
    "compiles": _COMPILES,
    "recompiles": _RECOMPILES,
    "violations": _VIOLATIONS,
    "graph_breaks": _GRAPH_BREAKS,
    "applied": _APPLIED,
    "dims": _DIMS,
    "symbols": _SYMBOLS,
    "specializations": _SPECIALIZATIONS,
    "guards": _GUARDS,
    "guard_costs": GUARD_COSTS,
    "guard_filters": GUARD_FILTERS,
    "graphs": _GRAPHS,
    "partitions": _PARTITIONS,
    "ranges": _RANGES,
    "kernels": _KERNELS,
    "output_code": _OUTPUT_CODE,
    "caches": _CACHES,
    "traced_files": _TRACED_FILES,
    "losses": _LOSSES,
}
"""By table, in the order in which views show them."""

_CHANGES: tuple[Column[Change], ...] = (
    Column("table", "In", "badge", lambda row: title_of(row.table)),
    Column("what", "What", "code", lambda row: row.what),
    Column("was", "Was", "code", lambda row: row.was),
    Column("now", "Is", "code", lambda row: row.now),
    Column("location", "Line", "location", lambda row: place(row.location)),
)

PARTS: Mapping[str, tuple[Column[Any], ...]] = {
    "changes": _CHANGES,
    "nodes": _NODES,
    "phases": _PHASES,
    "failing": _FAILING,
    "unevaluated": _UNEVALUATED,
}
"""Rows within a row: a graph's nodes, a compile's phases, a recompile's failing and unevaluated guards."""

TITLES: Mapping[str, str] = {
    "findings": "Findings",
    "compiles": "Compiles",
    "recompiles": "Recompiles",
    "violations": "Violations",
    "graph_breaks": "Graph breaks",
    "applied": "Applied modules",
    "dims": "Input dimensions",
    "symbols": "Symbols",
    "specializations": "Specializations",
    "guards": "Guards",
    "guard_costs": "Guard costs",
    "guard_filters": "Guard filters",
    "graphs": "Graphs",
    "partitions": "Partitions",
    "ranges": "Compile ranges",
    "kernels": "Kernels",
    "output_code": "Generated code",
    "caches": "Caches",
    "traced_files": "Traced files",
    "losses": "Losses",
}
