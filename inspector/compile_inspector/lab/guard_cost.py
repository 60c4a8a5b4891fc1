"""`recorded`: calls a function once, and times the guards of everything compiled that runs in the call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from compile_inspector.errors import LabError
from compile_inspector.recording.recorder import Recorder


def recorded(
    recorder: Recorder, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """What the call returns; the recorder, which this enters and leaves, then has the tables ``guard_costs`` and ``guard_filters``.

    Raises:
        LabError: This torch's guards cannot be timed, or another profiler is at work.
        Exception: Whatever the call raises, unchanged.
    """
    from compile_inspector.torch_seams import guard_cost, observe, trace

    capability = guard_cost.probe()
    if not capability.available:
        msg = f"guards cannot be timed with this torch: {capability.reason}"
        raise LabError(msg)
    profiler = sys.getprofile()
    if profiler is not None and not callable(profiler):
        msg = f"guards cannot be timed while {type(profiler).__name__} profiles this thread: stop it first"
        raise LabError(msg)
    with recorder:
        undo = guard_cost.install(trace.emit, observe.FAULTS)
        try:
            return function(*args, **kwargs)
        finally:
            undo()
