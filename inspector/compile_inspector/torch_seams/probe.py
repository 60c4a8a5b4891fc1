"""What every seam needs: asking whether torch has a feature, patching it reversibly, counting faults.

A seam is one file. It names the private parts of torch that it uses in `USES`, says with `probe()` whether this torch has them, and with
`install(emit, faults)` begins to observe; what `install` returns ends it. Seams import one another not at all.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

import msgspec


class Capability(msgspec.Struct, frozen=True):
    """Whether this torch lets a seam observe, and why not."""

    available: bool
    reason: str | None = None


class Emit(Protocol):
    """Writes one fact into torch's structured trace, as the artifact ``compile_inspector.<name>`` with a JSON payload."""

    def __call__(self, name: str, payload: object, *, compile_id: object | None = None) -> None:
        """Writes it; ``compile_id`` is torch's CompileId, the current one when None."""


class Faults:
    """Counts faults inside the inspector; they never reach the user's program."""

    DISTINCT = 1000
    """Kinds of fault that are told apart; what comes after is counted together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}

    def count(self, seam: str, error: BaseException) -> None:
        """Counts one fault of a seam."""
        key = (seam, f"{type(error).__name__}: {error}"[:500])
        with self._lock:
            if key not in self._counts and len(self._counts) >= self.DISTINCT:
                key = (seam, "other faults")
            self._counts[key] = self._counts.get(key, 0) + 1

    def counts(self) -> dict[tuple[str, str], int]:
        """How often each fault has happened since the process began: by seam and message."""
        with self._lock:
            return dict(self._counts)


Undo = Callable[[], None]


def lookup(path: str) -> Any:
    """The object at ``module:attribute.path``.

    Raises:
        AttributeError, ImportError: This torch does not have it.
    """
    module, _, attributes = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in attributes.split(".") if attributes else ():
        found = getattr(found, name)
    return found


def probe_names(paths: tuple[str, ...]) -> Capability:
    """Available where each ``module:attribute`` exists."""
    for path in paths:
        try:
            lookup(path)
        except (ImportError, AttributeError) as error:
            return Capability(available=False, reason=f"{path.replace(':', '.')} is not there ({error})")
    return Capability(available=True)


def probe_unloaded(module: str, paths: tuple[str, ...]) -> Capability:
    """The same for a module that is not loaded to find out: until it is, it counts as whole where it is there."""
    if module in sys.modules:
        return probe_names(paths)
    if importlib.util.find_spec(module) is None:
        return Capability(available=False, reason=f"{module} is not there")
    return Capability(available=True)


def patch(owner: Any, name: str, make: Callable[[Any], Any]) -> Undo:
    """Replaces ``owner.name`` by ``make(original)``; the undo puts back exactly what was there.

    Where someone else has wrapped it since, theirs is left alone; ``make``'s wrapper must check for itself that it is still wanted.
    """
    missing = object()
    before = vars(owner).get(name, missing)
    original = getattr(owner, name)
    replacement = make(original)
    setattr(owner, name, replacement)

    def undo() -> None:
        if vars(owner).get(name) is not replacement:
            return
        if before is missing:
            delattr(owner, name)
        else:
            setattr(owner, name, before)

    return undo


def once_loaded(name: str, then: Callable[[Any], None]) -> Undo:
    """Calls back with a module: at once where it is loaded, else when it has been; the undo calls that off."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        then(loaded)
        return lambda: None
    finder = _Finder(name, then)
    sys.meta_path.insert(0, finder)

    def undo() -> None:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)

    return undo


class _Finder:
    """Finds one module as the others would, and lets its loader call back afterwards."""

    def __init__(self, name: str, then: Callable[[Any], None]) -> None:
        self._name, self._then = name, then
        self._searching = False

    def find_spec(self, name: str, *_: Any) -> Any:
        if name != self._name or self._searching:
            return None
        self._searching = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._searching = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._then)  # type: ignore[assignment]
        return spec


class _Loader:
    """Loads a module with the loader that it has, leaves it that loader, and calls back."""

    def __init__(self, loader: Any, then: Callable[[Any], None]) -> None:
        self._loader, self._then = loader, then

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._then(module)
