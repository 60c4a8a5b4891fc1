"""torch's structured trace: listening to it, and writing our own facts into it.

Source: `torch._logging.structured`, `torch._logging._internal.trace_structured`.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from compile_inspector.torch_seams.probe import Capability, Undo, lookup, probe_names

USES = (
    "torch._logging:trace_structured",
    "torch._logging.structured:INTERN_TABLE",
)
NAME = "trace"


def probe() -> Capability:
    """Whether this torch narrates its compiles."""
    return probe_names(USES)


def listen(handler: logging.Handler) -> Undo:
    """Puts a handler first on torch's trace logger; the undo takes it away.

    It goes in front because torch's own lazy handler removes itself while the list is walked: one behind it would miss that record.
    """
    logger = logging.getLogger("torch.__trace")
    logger.handlers.insert(0, handler)

    def undo() -> None:
        if handler in logger.handlers:
            logger.handlers.remove(handler)

    return undo


def interned_files() -> list[tuple[str, int]]:
    """Torch's table of file names so far, which a handler attached late was never told."""
    table: dict[str, int] = lookup("torch._logging.structured:INTERN_TABLE")
    return list(table.items())


def heard() -> bool:
    """Whether anybody listens now: what is costly to say need not be worked out for nobody."""
    return bool(logging.getLogger("torch.__trace").handlers)


def emit(name: str, payload: object, *, compile_id: Any = None) -> None:
    """Writes one fact into the trace, once for every listener.

    Args:
        name: Without the prefix ``compile_inspector.``.
        payload: What JSON can hold.
        compile_id: torch's CompileId; the current one when None.
    """
    trace_structured = lookup("torch._logging:trace_structured")
    keywords = {} if compile_id is None else {"compile_id": compile_id}
    trace_structured(
        "artifact",
        metadata_fn=lambda: {"name": f"compile_inspector.{name}", "encoding": "json"},
        payload_fn=lambda: json.dumps(payload, default=str),
        expect_trace_id=False,
        **keywords,
    )
