"""Installs every seam for the first recorder and removes them after the last."""

from __future__ import annotations

import importlib
import logging
import threading
from typing import Any

from compile_inspector.torch_seams import trace
from compile_inspector.torch_seams.probe import Faults, Undo

HOOKS = (
    "calls",
    "guards",
    "recompiles",
    "shapes",
    "modules",
    "lineage",
    "traced_files",
    "inductor_partitions",
    "kernel_nodes",
    "cudagraph_trees",
)
"""The seams that hook into torch, in the order they are installed."""

FAULTS = Faults()

_lock = threading.RLock()
_recorders = 0
_undos: list[tuple[str, Undo]] = []
_unavailable: list[tuple[str, str]] = []


def begin(handler: logging.Handler, *, provenance: bool = False) -> Undo:
    """Starts observing for one recorder; the returned function ends it, and may be called again without effect.

    Args:
        handler: Gets every record of torch's trace.
        provenance: Ask Inductor which nodes each kernel was made of, while this recorder lasts.
    """
    global _recorders
    with _lock:
        if _recorders == 0:
            _install()
        _recorders += 1
        stops = [trace.listen(handler)]
        if provenance:
            stops.append(_provenance())
    ended = False

    def end() -> None:
        nonlocal ended
        global _recorders
        with _lock:
            if ended:
                return
            ended = True
            try:
                for stop in reversed(stops):
                    stop()
            finally:
                _recorders -= 1
                if _recorders == 0:
                    _remove()

    return end


def _seam(name: str) -> Any:
    return importlib.import_module(f"compile_inspector.torch_seams.{name}")


def _install() -> None:
    _unavailable.clear()
    for name in HOOKS:
        try:
            seam = _seam(name)
            capability = seam.probe()
            if capability.available:
                _undos.append((name, seam.install(trace.emit, FAULTS)))
            else:
                _unavailable.append((name, capability.reason or "not there"))
        except Exception as error:
            FAULTS.count(name, error)


def _remove() -> None:
    while _undos:
        name, undo = _undos.pop()
        try:
            undo()
        except Exception as error:
            FAULTS.count(name, error)


def _provenance() -> Undo:
    try:
        return _seam("provenance").install(trace.emit, FAULTS)
    except Exception as error:
        FAULTS.count("provenance", error)
        return lambda: None


def interned_files() -> list[tuple[str, int]]:
    """Torch's table of file names so far."""
    try:
        return trace.interned_files()
    except Exception as error:
        FAULTS.count("trace", error)
        return []


def environment() -> dict[str, Any]:
    """Versions, settings, and the seams this torch has no place for."""
    try:
        found = dict(_seam("environment").describe())
    except Exception as error:
        FAULTS.count("environment", error)
        found = {}
    with _lock:
        found["seams"] = [list(pair) for pair in _unavailable]
    return found


def existing() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Compiles from before: each one's envelope (its ids) and what torch still holds of it."""
    try:
        compiled: list[dict[str, Any]] = _seam("existing").existing()
        return [(envelope(one["id"]), one) for one in compiled]
    except Exception as error:
        FAULTS.count("existing", error)
        return []


def envelope(compile_id: str) -> dict[str, Any]:
    """The envelope that torch gives to records of a compile, from the compile's id as text.

    Raises:
        ValueError: It is no such id.
    """
    frame, _, count = compile_id.rpartition("/")
    head, _, frame_id = frame.rpartition("/")
    found: dict[str, Any] = {"frame_id": int(frame_id), "frame_compile_id": int(count), "attempt": 0}
    if head.startswith("!"):
        found["compiled_autograd_id"] = int(head[1:])
    return found
