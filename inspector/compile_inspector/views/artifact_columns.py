"""The columns of the table of artifacts."""

from __future__ import annotations

from datetime import UTC, datetime

from compile_inspector.model.artifacts import Artifact
from compile_inspector.views.column import Column


def _when(seconds: float | None) -> str | None:
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


ARTIFACTS: tuple[Column[Artifact], ...] = (
    Column("name", "Artifact", "code", lambda row: row.name),
    Column("program", "Program", "code", lambda row: row.program),
    Column("module", "Module", "code", lambda row: row.module),
    Column("size_bytes", "Bytes", "number", lambda row: row.size_bytes),
    Column("uses", "Loads", "number", lambda row: row.uses),
    Column("created_s", "Compiled", "text", lambda row: _when(row.created_s)),
    Column("used_s", "Last used", "text", lambda row: _when(row.used_s)),
    Column("compile_ns", "Compile took", "duration", lambda row: row.compile_ns),
    Column("graphs", "Graphs", "number", lambda row: row.graphs),
    Column("backend", "Backend", "badge", lambda row: row.backend),
    Column("problem", "Problem", "text", lambda row: row.problem),
)
