"""The columns of the table of captures."""

from __future__ import annotations

from compile_inspector.model.captures import Capture
from compile_inspector.views.column import Column, place

_SOURCES = {"engine": "decorator", "cudagraph_trees": "torch"}

CAPTURES: tuple[Column[Capture], ...] = (
    Column("number", "Graph", "number", lambda row: row.number),
    Column("compile_id", "Compile", "id", lambda row: row.compile_id),
    Column("partition", "Piece", "number", lambda row: row.partition),
    Column("key", "Size", "code", lambda row: row.key),
    Column("mode", "Mode", "badge", lambda row: row.mode),
    Column("event", "Event", "badge", lambda row: row.event),
    Column("reason", "Reason", "text", lambda row: row.reason),
    Column("location", "Line", "location", lambda row: place(row.location)),
    Column("capture_ns", "Capture", "duration", lambda row: row.capture_ns),
    Column("replay_ns", "Replay", "duration", lambda row: row.replay_ns),
    Column("compiled_ns", "Compiled", "duration", lambda row: row.compiled_ns),
    Column("eager_ns", "Eager", "duration", lambda row: row.eager_ns),
    Column("break_even", "Pays after", "number", lambda row: row.break_even),
    Column("replay_count", "Replays", "number", lambda row: row.replay_count if row.has_graph else None),
    Column("call_count", "Calls without", "number", lambda row: row.call_count or None),
    Column("kernel_count", "Kernels", "number", lambda row: row.kernel_count),
    Column("pool_bytes", "Memory added", "number", lambda row: row.pool_bytes),
    Column("module", "Module", "code", lambda row: row.module),
    Column("source", "Captured by", "badge", lambda row: _SOURCES[row.source]),
    Column("size", "Batch size", "number", lambda row: row.size, detail=True),
    Column("parent", "Follows graph", "number", lambda row: row.parent, detail=True),
    Column("warmups", "Warm-up calls", "number", lambda row: row.warmups, detail=True),
    Column("memcpy_count", "Copies", "number", lambda row: row.memcpy_count, detail=True),
    Column("pool_bytes_before", "Pool before", "number", lambda row: row.pool_bytes_before, detail=True),
    Column("pool_bytes_after", "Pool after", "number", lambda row: row.pool_bytes_after, detail=True),
    Column("launch_ns", "Time in replays", "duration", lambda row: row.launch_ns, detail=True),
    Column("at_ns", "At", "number", lambda row: row.at_ns, detail=True),
    Column(
        "code", "Code", "code", lambda row: None if row.location is None else row.location.code, detail=True
    ),
)
