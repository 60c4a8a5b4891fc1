"""What the engine tells: one function a fact, written into torch's structured trace, and what each live module has accumulated.

Facts of single events are emitted where they happen, in the compile that they belong to. Counts are kept as plain values, in `live`: a
recorder reads them when it begins and when it ends, and nothing depends on one having been there.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from typing import Any, Protocol

from compile_inspector.torch_seams.trace import emit


class Told(Protocol):
    """What has accumulated facts to tell."""

    def facts(self) -> list[tuple[str, dict[str, Any], Any]]:
        """Each fact as it stands now: name, payload, torch's CompileId or None."""
        ...


_lock = threading.Lock()
_live: weakref.WeakSet[Any] = weakref.WeakSet()


def register(one: Told) -> None:
    """Lets `live` give this as long as it is alive."""
    with _lock:
        _live.add(one)


def forget(one: Told) -> None:
    """Takes it out of `live`."""
    with _lock:
        _live.discard(one)


def live() -> list[tuple[str, dict[str, Any], Any]]:
    """Every accumulated fact of every live module, as it stands now: name, payload (what JSON can hold), torch's CompileId or None.

    A fact may be told again with higher counts; its ``key`` says which earlier one it replaces.
    """
    with _lock:
        tellers = list(_live)
    return [fact for one in tellers for fact in one.facts()]


def applied(payload: dict[str, Any]) -> None:
    """A module was decorated or applied, with its settings."""
    emit("applied", payload)


def marked(payload: dict[str, Any], compile_id: Any) -> None:
    """Dimensions were marked for a compile, and others of the same size were not."""
    emit("marked", payload, compile_id=compile_id)


def dropped_guards(payload: dict[str, Any], compile_id: Any) -> None:
    """The guards of a compile, by class, and which of them the policy checks."""
    emit("dropped_guards", payload, compile_id=compile_id)


def violation(payload: dict[str, Any], compile_id: Any) -> None:
    """A guard did not hold for the first time; how often is told by `live`."""
    emit("violations", payload, compile_id=compile_id)


def lookup(payload: dict[str, Any], compile_id: Any = None) -> None:
    """An artifact was looked up, or a program was not kept."""
    emit("artifacts", payload, compile_id=compile_id)


def tell(facts: Iterable[tuple[str, dict[str, Any], Any]]) -> None:
    """Emits facts as `live` gives them."""
    for name, payload, compile_id in facts:
        emit(name, payload, compile_id=compile_id)


def splits(payload: dict[str, Any], compile_id: Any) -> None:
    """A graph was split, or left whole: its pieces, the operator and reason each was cut at, names that matched nothing."""
    emit("splits", payload, compile_id=compile_id)


def ranges(payload: dict[str, Any], compile_id: Any) -> None:
    """What was compiled for which sizes, and what was reused; how often each was called is told by `live`."""
    emit("ranges", payload, compile_id=compile_id)


def capture(payload: dict[str, Any], compile_id: Any = None) -> None:
    """A static graph was captured, or will not be; how often it was replayed is told by `live`."""
    emit("captures", payload, compile_id=compile_id)
