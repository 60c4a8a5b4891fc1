"""The table of artifacts: what the compile decorator has kept of the programs that it looked up."""

from __future__ import annotations

from compile_inspector.model.artifacts import Artifact
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.told import told


def artifacts(trace: Trace, _places: Places) -> tuple[Artifact, ...]:
    """One row for each file, the last used first."""
    rows = (one.said for one in told(trace, "stored", Artifact))
    return tuple(sorted(rows, key=lambda row: -row.used_s))
