"""The recorder's state machine, and the one count of recorders that the seams are installed for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from compile_inspector.errors import NotRecording, RecordingError, StillRecording
from compile_inspector.model.records import Record
from compile_inspector.model.tables import Tables
from compile_inspector.recording.assemble import assemble
from compile_inspector.recording.fold import TOLD
from compile_inspector.recording.live import Catcher, Raw, records
from compile_inspector.recording.progress import Listener, ProgressReader

FACT = "compile_inspector."

_MARK = FACT.encode()

Tell = Callable[[], "Iterable[tuple[str, Mapping[str, Any], Any]]"]
"""Gives what has accumulated elsewhere: name of the fact, payload, what names the compile it is about (None for none)."""


class Recording:
    """What one recorder caught, readable as records and as tables; both are made on first use."""

    def __init__(self, raw: list[Raw]) -> None:
        self._raw = raw
        self._lock = threading.Lock()

    @cached_property
    def _records(self) -> tuple[Record, ...]:
        return records(self._raw)

    @cached_property
    def _tables(self) -> Tables:
        return assemble(self._records)

    def records(self) -> Sequence[Record]:
        """The records in the order torch wrote them."""
        with self._lock:
            return self._records

    def tables(self) -> Tables:
        """The tables."""
        with self._lock:
            return self._tables


class Recorder:
    """Records every compile of the process, of any thread, from ``with`` to its end. It serves once.

    Args:
        provenance: Also record which nodes each kernel was made of; this changes the key of Inductor's cache.
        name_cells: Gives the notebook cells known so far: temporary file name to the number in ``In [n]``.
        tell: Gives what the compile decorator has accumulated; asked at the beginning and at the end.
    """

    def __init__(
        self,
        *,
        provenance: bool = False,
        name_cells: Callable[[], Mapping[str, int]] | None = None,
        tell: Tell | None = None,
    ) -> None:
        self._state: Literal["new", "recording", "finished"] = "new"
        self._provenance = provenance
        self._name_cells = name_cells
        self._tell = tell
        self._recording: Recording | None = None

    def __enter__(self) -> Self:
        if self._state != "new":
            msg = f"this recorder is {self._state}; each one records once: make another with record()"
            raise RecordingError(msg)
        from compile_inspector.torch_seams import observe

        self._observe = observe
        self._faults_before = observe.FAULTS.counts()
        self._catcher = Catcher(self._lose)
        self._stop = observe.begin(self._catcher, provenance=self._provenance)
        self._state = "recording"
        try:
            self._say_what_was_there(self._catcher)
        except BaseException:
            self._finish()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._say_what_is_known_now(self._catcher)
        finally:
            self._finish()

    def _finish(self) -> None:
        self._state = "finished"
        self._catcher.listeners = ()
        self._stop()
        self._recording = Recording(self._catcher.raw)

    @property
    def recording(self) -> Recording:
        """What was recorded, once it has ended.

        Raises:
            NotRecording: It has not begun.
            StillRecording: It goes on; `snapshot` gives what there is so far.
        """
        if self._state == "new":
            msg = "nothing is recorded yet: enter the recorder with `with`"
            raise NotRecording(msg)
        if self._recording is None:
            msg = "recording goes on; snapshot() gives what there is so far"
            raise StillRecording(msg)
        return self._recording

    def so_far(self) -> Recording:
        """What has been recorded up to now.

        Raises:
            NotRecording: It has not begun.
        """
        if self._state != "recording":
            return self.recording
        seen = Catcher(self._lose)
        seen.raw = list(self._catcher.raw)
        self._say_what_is_known_now(seen)
        return Recording(seen.raw)

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Calls ``listener`` with a `Progress` at each change of phase, on the compiling thread, until the returned function is called.

        Raises:
            NotRecording: It has not begun, or is over.
        """
        if self._state != "recording":
            msg = "there is nothing to watch: the recorder is not recording"
            raise NotRecording(msg)
        catcher, reader = self._catcher, ProgressReader(listener)
        catcher.listeners = (*catcher.listeners, reader)

        def stop() -> None:
            catcher.listeners = tuple(one for one in catcher.listeners if one is not reader)

        return stop

    def _lose(self, error: BaseException) -> None:
        self._observe.FAULTS.count("trace", error)

    def _say_what_was_there(self, catcher: Catcher) -> None:
        for name, number in self._observe.interned_files():
            catcher.add("str", [name, number])
        catcher.add("artifact", _artifact("environment"), self._observe.environment())
        for envelope, compiled in self._observe.existing():
            catcher.add("artifact", _artifact("existing"), compiled, envelope)
        self._say_what_is_told(catcher)

    def _say_what_is_told(self, catcher: Catcher) -> None:
        """Writes what the decorator tells now, as far as it differs from what was written already."""
        if self._tell is None:
            return
        try:
            told = list(self._tell())
            written = _written(catcher.raw) if told else {}
            for name, payload, compile_id in told:
                plain = msgspec.to_builtins(payload, enc_hook=str)
                if written.get((FACT + name, plain.get("key"))) != plain:
                    envelope = self._observe.envelope(str(compile_id)) if compile_id is not None else None
                    catcher.add("artifact", _artifact(name), plain, envelope)
        except Exception as error:  # noqa: BLE001 - the recorder's edge
            self._lose(error)

    def _say_what_is_known_now(self, catcher: Catcher) -> None:
        self._say_what_is_told(catcher)
        cells = self._cells()
        if cells:
            catcher.add("artifact", _artifact("cells"), cells)
        before = self._faults_before
        faults = [
            [seam, what, count - before.get((seam, what), 0)]
            for (seam, what), count in self._observe.FAULTS.counts().items()
            if count > before.get((seam, what), 0)
        ]
        if faults:
            catcher.add("artifact", _artifact("faults"), faults)

    def _cells(self) -> Mapping[str, int]:
        try:
            return self._name_cells() if self._name_cells is not None else {}
        except Exception as error:  # noqa: BLE001 - the recorder's edge
            self._lose(error)
            return {}


def _artifact(name: str) -> dict[str, str]:
    return {"name": FACT + name, "encoding": "json"}


def _written(raw: Iterable[Raw]) -> dict[tuple[str, Any], Any]:
    """What was written of each fact that is told again when it changes, by its name and key: the last of each."""
    found: dict[tuple[str, Any], Any] = {}
    for one in raw:
        if _MARK not in one.envelope or one.payload is None:
            continue
        name: Any = msgspec.json.decode(one.envelope).get("artifact", {}).get("name")
        if name in TOLD:
            payload: Any = msgspec.json.decode(one.payload)
            found[name, payload.get("key")] = payload
    return found
