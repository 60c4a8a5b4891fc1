"""The columns of compiles and of what is told of each: its phases, graphs, nodes, kernels, code, caches, files, losses."""

from __future__ import annotations

from compile_inspector.model.caches import CacheLookup, KeyDifference
from compile_inspector.model.compiles import Compile, CompileFailure, Phase
from compile_inspector.model.files import TracedFile
from compile_inspector.model.graph import Graph
from compile_inspector.model.kernels import Kernel, OutputCode
from compile_inspector.model.nodes import GraphNode
from compile_inspector.model.records import Loss
from compile_inspector.views.column import Column, code_of, place


def _names(names: tuple[str, ...] | None) -> list[str] | None:
    return None if names is None else list(names)


def _difference(part: KeyDifference) -> str:
    where = "" if part.location is None else f" ({place(part.location)})"
    if part.was is None or part.now is None:
        held = part.now if part.was is None else part.was
        value = f" {held}" if part.location is not None and held is not None else ""
        return f"{part.component}: {'new' if part.was is None else 'gone'}{value}{where}"
    return f"{part.component}: {part.was} -> {part.now}{where}"


def _sizes(sizes: tuple[int | str, ...] | None) -> str | None:
    return None if sizes is None else f"[{', '.join(str(size) for size in sizes)}]"


def failure_text(error: CompileFailure | None) -> str | None:
    """A failure in one text: its type, then its message."""
    return None if error is None else f"{error.type}: {error.message}"


COMPILES: tuple[Column[Compile], ...] = (
    Column("id", "Compile", "id", lambda row: row.id),
    Column("function", "Function", "code", lambda row: row.function),
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
    Column("trigger_code", "Calling line", "code", lambda row: code_of(row.trigger), detail=True),
    Column(
        "recovered",
        "Recorded",
        "badge",
        lambda row: "rebuilt afterwards" if row.recovered else "live",
        detail=True,
    ),
    Column("missing", "Not recovered", "text", lambda row: row.missing, detail=True),
)

PHASES: tuple[Column[Phase], ...] = (
    Column("name", "Phase", "code", lambda row: row.name),
    Column("start_ns", "After", "duration", lambda row: row.start_ns),
    Column("elapsed_ns", "Time", "duration", lambda row: row.elapsed_ns),
    Column("depth", "Depth", "number", lambda row: row.depth),
)

GRAPHS: tuple[Column[Graph], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("stage", "Stage", "badge", lambda row: row.stage),
    Column("direction", "Direction", "badge", lambda row: row.direction),
    Column("name", "Record", "code", lambda row: row.name),
)

NODES: tuple[Column[GraphNode], ...] = (
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
    Column("code", "Code", "code", lambda row: code_of(row.location), detail=True),
)

KERNELS: tuple[Column[Kernel], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("name", "Kernel", "code", lambda row: row.name),
    Column("language", "Language", "badge", lambda row: row.language),
    Column("direction", "Direction", "badge", lambda row: row.direction),
    Column("call_count", "Calls", "number", lambda row: row.call_count),
    Column("node_names", "Nodes", "list", lambda row: _names(row.node_names)),
    Column("origin_names", "Dynamo nodes", "list", lambda row: _names(row.origin_names), detail=True),
)

OUTPUT_CODE: tuple[Column[OutputCode], ...] = (
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("direction", "Direction", "badge", lambda row: row.direction),
    Column("path", "File", "location", lambda row: row.path),
)

CACHES: tuple[Column[CacheLookup], ...] = (
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
    Column("module", "Of", "code", lambda row: row.module),
    Column("key", "Key", "code", lambda row: row.key),
    Column(
        "components",
        "Key made of",
        "list",
        lambda row: [f"[{c.hash}] {c.name}" for c in row.components],
        detail=True,
    ),
)

TRACED_FILES: tuple[Column[TracedFile], ...] = (
    Column("file", "File", "location", lambda row: row.file),
    Column("functions", "Functions", "list", lambda row: list(row.functions)),
    Column("inline_count", "Inlined calls", "number", lambda row: row.inline_count),
    Column("compile_ids", "Compiles", "list", lambda row: list(row.compile_ids)),
    Column("content_hash", "SHA-256", "code", lambda row: row.content_hash, detail=True),
)

LOSSES: tuple[Column[Loss], ...] = (
    Column("where", "Where", "code", lambda row: row.where),
    Column("what", "What was lost", "text", lambda row: row.what),
    Column("count", "Times", "number", lambda row: row.count),
)
