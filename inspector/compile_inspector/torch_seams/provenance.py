"""Asks Inductor which graph nodes each kernel was made of, while a recording wants to know.

Source: `torch._inductor.config.trace.provenance_tracking_level` (0 off, 1 on). The setting is part of Inductor's cache key.
"""

from __future__ import annotations

from typing import Any

from compile_inspector.torch_seams.probe import Capability, Emit, Faults, Undo, lookup

NAME = "provenance"
USES = ("torch._inductor.config:trace.provenance_tracking_level",)
_SETTING = "trace.provenance_tracking_level"


def probe() -> Capability:
    """Whether this torch keeps provenance."""
    try:
        level: Any = lookup(USES[0])
    except (ImportError, AttributeError) as error:
        return Capability(available=False, reason=f"torch._inductor.config.{_SETTING} is not there ({error})")
    if not isinstance(level, int):
        return Capability(
            available=False, reason=f"torch._inductor.config.{_SETTING} is {level!r}, not a level"
        )
    return Capability(available=True)


def install(emit: Emit, faults: Faults) -> Undo:  # noqa: ARG001
    """Raises the level to 1 where it is lower; the undo puts back what was set, unless someone has set another since."""
    config: Any = lookup("torch._inductor.config")
    before: int = config.trace.provenance_tracking_level
    if before >= 1:
        return lambda: None
    config.trace.provenance_tracking_level = 1

    def undo() -> None:
        if config.trace.provenance_tracking_level == 1:
            config.trace.provenance_tracking_level = before

    return undo
