"""One program's artifacts: looked up before it compiles, loaded where everything about it is as it was, kept after it compiled.

Whatever goes wrong here, the call compiles; what happened is a `Lookup`.
"""

from __future__ import annotations

import itertools
import logging
import pickle
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from compile_inspector.engine import narration
from compile_inspector.engine.artifacts import (
    envelope,
    key,
    loading,
    manifest,
    misses,
    places,
    saving,
    secret,
    store,
)
from compile_inspector.engine.artifacts.header import Component, Difference, Header, differences, key_of
from compile_inspector.engine.config import CompilationMode, artifact_folder
from compile_inspector.engine.counters import compilation_counter
from compile_inspector.errors import NotKept, NotLoaded
from compile_inspector.torch_seams import direct, kept_code, kept_guards, kept_libraries

_log = logging.getLogger(__name__)
_ids = itertools.count(1)
_OF_A_CALL = ("arguments", "state", "devices")
"""Components that only a call has."""
_COMPARED = 64
"""A miss is compared with this many artifacts of its program, the latest."""


class Lookup(msgspec.Struct, frozen=True):
    """One lookup, or one attempt to keep a program.

    Attributes:
        outcome: hit, miss, or bypass: nothing could be looked up or kept.
        key: The lookup key; None where none was made.
        components: What it was made of.
        differs: For a miss: what differs from the nearest that is stored.
        reason: For people.
        path: The artifact.
    """

    outcome: str
    key: str | None
    components: tuple[Component, ...]
    differs: tuple[Difference, ...] = ()
    reason: str | None = None
    path: str | None = None


class AotCompiled:
    """A compiled program that is kept, or was loaded; called as the forward is, the instance first.

    Attributes:
        header: What it says about itself.
        path: Its artifact; None where none was written yet.
    """

    def __init__(
        self, run: Callable[..., Any], header: Header, payload: bytes | None, path: Path | None
    ) -> None:
        self._run, self.header, self.path = run, header, path
        self.payload = payload

    def __call__(self, instance: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs it, without a check of its guards; one that was found and not yet loaded is loaded, if it is for such a call."""
        return self._run(instance, *args, **kwargs)

    def source_info(self) -> tuple[Any, ...]:
        """Every function that was traced."""
        return self.header.functions


class Call(NamedTuple):
    """What a program is looked up or compiled for."""

    instance: Any
    arguments: Mapping[str, Any]
    f_locals: dict[str, Any]


class Keeping:
    """The artifacts of one program.

    Args:
        program: It.
        always: Whether what is compiled is written at once; otherwise when `save` is called.

    Attributes:
        lookups: What happened, in order.
        unkept: Why what was compiled last is not kept; None where it is.
    """

    def __init__(self, program: Any, *, always: bool = True) -> None:
        self._program, self._always = program, always
        self.lookups: list[tuple[str, Lookup, Any]] = []
        self.unkept: str | None = None
        self._components: tuple[Component, ...] = ()
        self._recipes: Callable[[Any], kept_guards.Recipe] | None = None
        self._traced: list[manifest.Traced] = []
        self._libraries = kept_libraries.Noted()
        self._preferred: Path | None = None

    def traced(self, module: str, code: Any) -> None:
        """A function was traced through."""
        self._traced.append(manifest.Traced(module, code))

    def load(self, call: Call) -> direct.Entry | None:
        """The entry that was kept for such a call; None where it is to be compiled.

        Raises:
            NotLoaded: There is none, and an error was asked for.
        """
        self._components = ()
        try:
            self._components = key.components(self._program, call.instance, call.arguments)
            if self._is_disabled():
                return None
            found = self._load(call)
        except (store.Refused, secret.NoSecret) as error:
            found = self._note("bypass", reason=str(error))
        except Exception as error:  # noqa: BLE001  a fault here never reaches the user's call
            found = self._note("bypass", reason=f"the lookup failed: {type(error).__name__}: {error}")
        if isinstance(found, direct.Entry):
            return found
        if getattr(self._program.config, "force_aot_load", False):
            msg = f"{self._program.name}: nothing could be loaded: {found.reason}"
            raise NotLoaded(msg)
        return None

    def _load(self, call: Call) -> direct.Entry | Lookup:
        folder = self._store()
        group = self._group(folder)
        nearest: tuple[Difference, ...] | None = None
        beside: Path | None = None
        refused: list[str] = []
        for path in self._candidates(folder, group):
            try:
                found = self._try(folder, path, call)
            except (store.Refused, envelope.Corrupted, kept_libraries.NotSealed) as error:
                _log.warning("Compiling model again due to a load failure from %s, reason: %s", path, error)
                refused.append(f"{path.name}: {error}")
                continue
            except FileNotFoundError:
                continue
            if isinstance(found, direct.Entry):
                return found
            if nearest is None or len(found) < len(nearest):
                nearest, beside = found, path
        if nearest and beside is not None and beside.parent == group:
            folder.missed(beside, misses.Miss(time.time(), nearest))
        return self._note("miss", differs=nearest or (), reason=_reason(nearest, refused), path=str(group))

    def _candidates(self, folder: store.Store, group: Path) -> list[Path]:
        """The one that was asked for by its path first, then artifacts of this very key."""
        front = key_of(self._components)[:32]
        found = folder.candidates(group)
        found.sort(key=lambda path: not path.name.startswith(front))
        asked = [] if self._preferred is None else [self._preferred]
        return [*asked, *(path for path in found if path != self._preferred)][:_COMPARED]

    def _try(self, folder: store.Store, path: Path, call: Call) -> direct.Entry | tuple[Difference, ...]:
        with folder.opened(path, named=path != self._preferred) as (opened, file):
            header = opened.header
            differs = differences(header.components, self._components)
            differs = places.placed(differs, header.components, self._program)
            differs = differs or tuple(loading.changed_before(header, self._program, call.instance))
            if differs:
                return differs
            payload = folder.payload(file, opened)
        try:
            loaded = loading.entry(header, payload, self._program, call.instance, call.f_locals)
        except loading.Changed as error:
            return error.differs
        self._loaded(folder, path, header, loaded)
        return loaded

    def _loaded(self, folder: store.Store, path: Path, header: Header, entry: direct.Entry) -> None:
        folder.used(path)
        compilation_counter.add("num_aot_artifacts_loaded")
        self._program.aot_compiled_fn = AotCompiled(entry.run, header, None, path)
        self._program.was_aot_compile_fn_loaded_from_disk = True
        self._note("hit", path=str(path))
        _log.info("%s was loaded from %s.", self._program.name, path)

    def prefer(self, path: Path, instance: Any) -> AotCompiled:
        """The artifact at a path, compared as far as it can be before a call; the next lookup tries it first.

        Raises:
            NotLoaded: It is not there, not to be trusted, or was made for something else.
        """
        try:
            folder = self._store()
            store.check_folder(path.parent)
            with folder.opened(path, named=False) as (opened, file):
                folder.payload(file, opened)
                header = opened.header
            now = [one for one in key.components(self._program, instance, {}) if one.name not in _OF_A_CALL]
            was = [one for one in header.components if one.name not in _OF_A_CALL]
            differs = differences(was, now) or tuple(loading.changed_before(header, self._program, instance))
        except (store.Refused, secret.NoSecret, envelope.Corrupted, OSError) as error:
            msg = f"{self._program.name}: {error}"
            raise NotLoaded(msg) from error
        if differs:
            listed = "; ".join(f"{one.component} was {one.was}, is {one.now}" for one in differs[:4])
            msg = f"{self._program.name}: {path} was made for something else: {listed}"
            raise NotLoaded(msg)
        self._preferred = path
        return AotCompiled(self._run_found, header, None, path)

    def _run_found(self, instance: Any, *args: Any, **kwargs: Any) -> Any:
        return self._program.call(instance, args, kwargs)

    @contextmanager
    def compiling(self) -> Generator[None]:
        """What is compiled in this block can be kept; `keep` does so."""
        self._traced.clear()
        backend = getattr(self._program.config, "backend", "") or "inductor"
        with (
            kept_code.keepable(backend),
            kept_guards.capturing() as self._recipes,
            kept_libraries.noting() as self._libraries,
        ):
            try:
                yield
            finally:
                self._recipes = None

    def keep(self, entry: direct.Entry, instance: Any, seconds: float) -> None:
        """Keeps what was just compiled, within the block of `compiling`."""
        compilation_counter.add("num_aot_compiles")
        self.unkept = None
        try:
            if not self._components or self._recipes is None:
                msg = "it has no key"
                raise kept_guards.Unkeepable(msg)
            recipe = self._recipes(entry.guards)
            libraries = self._libraries.read()
            made = saving.made(entry, recipe, self._traced, libraries, self._program, instance)
            header = saving.header(made, self._program, self._components, int(seconds * 1e9), time.time())
            found = AotCompiled(entry.run, header, made.payload, None)
            self._program.aot_compiled_fn = found
            if self._always:
                self._write(found)
        except (kept_guards.Unkeepable, store.Refused, secret.NoSecret) as error:
            self._unkept(str(error), entry.compile_id)
        except (pickle.PicklingError, TypeError, AttributeError, ValueError) as error:
            self._unkept(f"it cannot be pickled: {error}", entry.compile_id)
        except Exception as error:  # noqa: BLE001  a fault here never reaches the user's call
            self._unkept(f"{type(error).__name__}: {error}", entry.compile_id)

    def _unkept(self, why: str, compile_id: Any) -> None:
        self.unkept = f"{self._program.name} is not kept: {why}"
        _log.warning("%s", self.unkept)
        self._note("bypass", reason=f"not kept: {why}", compile_id=compile_id)

    def save(self, to: Path | None = None) -> Path:
        """Writes what was compiled and not yet written.

        Args:
            to: Another file to write it to as well.

        Raises:
            NotKept: It could not be written.
        """
        found = self._program.aot_compiled_fn
        try:
            path = found.path or self._write(found)
            if to is not None:
                self._store().copy(path, to)
            return to or path
        except (store.Refused, secret.NoSecret, envelope.Corrupted, OSError) as error:
            msg = f"{self._program.name} could not be written: {error}"
            raise NotKept(msg) from error

    def _is_disabled(self) -> bool:
        return bool(getattr(self._program.config, "disable_compile_cache", False))

    def _write(self, found: AotCompiled) -> Path:
        if self._is_disabled():
            msg = "disable_compile_cache is set"
            raise store.Refused(msg)
        folder = self._store()
        assert found.payload is not None
        path = folder.write(self._group(folder), found.header, found.payload)
        found.path, found.payload = path, None
        compilation_counter.add("num_aot_artifacts_saved")
        compilation_counter.add("num_compiled_artifacts_saved", found.header.graphs)
        _log.info("%s was kept in %s.", self._program.name, path)
        return path

    def _store(self) -> store.Store:
        config = self._program.config
        limit = getattr(config, "cache_limit_bytes", None) or store.LIMIT_BYTES
        return store.Store(artifact_folder(config), limit)

    def _group(self, folder: store.Store) -> Path:
        found = folder.group(self._program.class_name, self._program.prefix, key.rank())
        if hasattr(self._program.config, "local_cache_dir"):
            self._program.config.local_cache_dir = str(found)
        return found

    def _note(
        self,
        outcome: str,
        *,
        differs: tuple[Difference, ...] = (),
        reason: str | None = None,
        path: str | None = None,
        compile_id: Any = None,
    ) -> Lookup:
        found = key_of(self._components) if self._components else None
        lookup = Lookup(outcome, found, self._components, differs, reason, path)
        told = f"lookup-{next(_ids)}"
        self.lookups.append((told, lookup, compile_id))
        narration.lookup(self._fact(told, lookup), compile_id)
        return lookup

    def outgrown(self, why: str) -> None:
        """A loaded program was asked for what was not kept."""
        self._note("miss", reason=why)

    def facts(self) -> list[tuple[str, dict[str, Any], Any]]:
        """Every fact as it stands now."""
        stored = [("stored", {"key": row["name"], **row}, None) for row in self._stored()]
        return stored + [
            ("artifacts", self._fact(told, lookup), compile_id) for told, lookup, compile_id in self.lookups
        ]

    def _stored(self) -> list[dict[str, Any]]:
        """What is kept of this program; nothing where that cannot be told."""
        try:
            folder = self._store()
            return [one.row() for one in folder.stored(self._group(folder))[:_COMPARED]]
        except (store.Refused, secret.NoSecret, OSError):
            return []

    def _fact(self, told: str, lookup: Lookup) -> dict[str, Any]:
        return {
            "key": told,
            "module": self._program.prefix or None,
            "class": self._program.class_name,
            "outcome": lookup.outcome,
            "cache_key": lookup.key,
            "components": [[one.name, one.hash] for one in lookup.components],
            "differs": [msgspec.to_builtins(one) for one in lookup.differs],
            "reason": lookup.reason,
            "path": None if lookup.path is None else Path(lookup.path).name,
        }


def _reason(nearest: tuple[Difference, ...] | None, refused: list[str]) -> str:
    if refused:
        return "; ".join(refused)
    if nearest is None:
        return "nothing of this program is stored"
    return f"{', '.join(one.component for one in nearest[:4])} changed"


def asked_for(config: Any) -> bool:
    """Whether a configuration asks for artifacts, and compiles something that could be kept."""
    if not getattr(config, "use_aot_compile", False) or getattr(config, "disable_compile_cache", False):
        return False
    return possible(config)


def prepare(config: Any) -> None:
    """Imports what a load needs, while a module is built, so that its first call does not wait for it."""
    if asked_for(config):
        kept_code.prepare(getattr(config, "backend", "") or "inductor")


def possible(config: Any) -> bool:
    """Whether what a configuration compiles could be kept."""
    mode = CompilationMode(config.mode)
    backend = getattr(config, "backend", "") or "inductor"
    return backend != "eager" and mode in (
        CompilationMode.DYNAMO_TRACE_ONCE,
        CompilationMode.PIECEWISE_COMPILE,
    )
