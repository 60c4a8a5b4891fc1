"""The table of cache lookups: Inductor's cache of compiled graphs, AOTAutograd's, and the compile decorator's artifacts."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

from compile_inspector.model.caches import CacheLookup, KeyComponent, KeyDifference
from compile_inspector.model.records import Record
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.told import ArtifactDifference, ArtifactFact, Told, told

Outcome = Literal["hit", "miss", "bypass"]

COMPARED = 64
"""A miss is compared with this many lookups before it."""

_NAMES = re.compile(r"(fx_graph|aotautograd|autograd)_cache_(hit|miss|bypass|hash)$")
_SHOWN = {"fx_graph": "fx_graph", "aotautograd": "aot_autograd", "autograd": "aot_autograd"}
_OUTCOMES: dict[str, Outcome] = {"hit": "hit", "miss": "miss", "bypass": "bypass"}
_COMPONENT = re.compile(r"\[([^\]\s]{1,200})\] ([^:\n]{1,500}):? ?")
_LONG = 200


class _Key(msgspec.Struct):
    """A lookup's payload: the parts of it that are read."""

    key: str | None = None
    cache_state: str | None = None
    components: list[str] | None = None
    cache_bypass_reason: str | None = None


_decode = msgspec.json.Decoder(_Key).decode


def outcome_of(record: Record) -> tuple[str, Outcome] | None:
    """The cache and the outcome that a record is about; None for every other record."""
    name = record.artifact
    match = None if name is None else _NAMES.match(name)
    if match is None:
        return None
    outcome = _OUTCOMES.get(match[2])
    if outcome is None:  # early torch wrote aotautograd_cache_hash, with the outcome inside
        payload = None if record.payload is None else _read(record)
        outcome = _OUTCOMES.get((isinstance(payload, _Key) and payload.cache_state) or "", "miss")
    return _SHOWN[match[1]], outcome


def caches(trace: Trace, places: Places) -> tuple[CacheLookup, ...]:
    """One row for each lookup: the decorator's, then torch's in order of the compiles."""
    keys = _Keys()
    lookups = [
        row
        for one in trace.compiles.values()
        for record in one.records
        if (row := _lookup(trace, keys, one.id, record)) is not None
    ]
    return (*(_artifact(one, places) for one in told(trace, "artifacts", ArtifactFact)), *lookups)


def _artifact(one: Told[ArtifactFact], places: Places) -> CacheLookup:
    said = one.said
    return CacheLookup(
        compile_id=one.compile_id,
        cache="artifact",
        outcome=said.outcome,
        key=said.cache_key,
        components=tuple(KeyComponent(name, found) for name, found in said.components),
        differs=tuple(_changed(part, places) for part in said.differs),
        reason=said.reason,
        module=said.module or said.class_name,
    )


def _changed(part: ArtifactDifference, places: Places) -> KeyDifference:
    location = None if part.file is None else places.location([part.file, part.line or 0, None, part.now])
    return KeyDifference(part.component, part.was, part.now, location)


def _read(record: Record) -> _Key | str:
    """A lookup's payload, or why it cannot be read."""
    if record.payload is None:
        return "it has no payload"
    try:
        return _decode(record.payload.read())
    except (msgspec.DecodeError, UnicodeError, RecursionError, OSError) as error:
        return str(error)


def _lookup(trace: Trace, keys: _Keys, compile_id: str, record: Record) -> CacheLookup | None:
    found = outcome_of(record)
    if found is None:
        return None
    cache, outcome = found
    payload = _read(record)
    if isinstance(payload, str):
        trace.losses.add(
            trace.where(record), f"the key of a lookup in the {cache} cache cannot be read: {payload}"
        )
        payload = _Key()
    parts = keys.parts(payload.components or ())
    differs = keys.differs(cache, parts) if outcome == "miss" and parts else ()
    if parts:
        keys.remember(cache, parts)
    return CacheLookup(
        compile_id=compile_id,
        cache=cache,
        outcome=outcome,
        key=payload.key,
        components=tuple(part.component for part in parts),
        differs=differs,
        reason=payload.cache_bypass_reason if outcome == "bypass" else None,
    )


class _Part(NamedTuple):
    """A component, and its value as the key has it; equal parts are one object."""

    component: KeyComponent
    value: str


_Delta = frozenset[int]


class _Keys:
    """Compares keys of hundreds of parts cheaply: each part is numbered, and a key is kept as what sets it apart from the first."""

    def __init__(self) -> None:
        self._by_text: dict[str, _Part] = {}
        self._by_hash: dict[KeyComponent, _Part] = {}
        self._numbers: dict[int, _Part] = {}
        self._base: dict[str, _Delta] = {}
        self._recent: dict[str, deque[_Delta]] = {}

    def parts(self, texts: Iterable[str]) -> tuple[_Part, ...]:
        """The parts of a key from torch's texts ``[hash] name: value``."""
        known = self._by_text
        return tuple(known.get(text) or self._part(text) for text in texts)

    def _part(self, text: str) -> _Part:
        match = _COMPONENT.match(text)
        component = KeyComponent(match[2], match[1]) if match else KeyComponent(text[:_LONG], "")
        part = self._by_hash.setdefault(component, _Part(component, text[match.end() :] if match else text))
        self._by_text[text] = part
        self._numbers[id(part)] = part
        return part

    def remember(self, cache: str, parts: tuple[_Part, ...]) -> None:
        """Keeps a key for later ones to be compared with."""
        self._recent.setdefault(cache, deque(maxlen=COMPARED)).append(self._delta(cache, parts))

    def _delta(self, cache: str, parts: tuple[_Part, ...]) -> _Delta:
        numbers = frozenset(map(id, parts))
        return numbers ^ self._base.setdefault(cache, numbers)

    def differs(self, cache: str, parts: tuple[_Part, ...]) -> tuple[KeyDifference, ...]:
        """What sets a key apart from the nearest of those before it: the one with the fewest differing parts, the latest of several."""
        earlier = self._recent.get(cache)
        if not earlier:
            return ()
        own = self._delta(cache, parts)
        nearest = min(reversed(earlier), key=lambda delta: len(own ^ delta))
        mine = {id(part) for part in parts}
        now: dict[str, _Part] = {}
        was: dict[str, _Part] = {}
        for number in own ^ nearest:
            part = self._numbers[number]
            (now if number in mine else was)[part.component.name] = part
        order = {part.component.name: place for place, part in enumerate(parts)}
        names = sorted(now.keys() | was.keys(), key=lambda name: (order.get(name, len(order)), name))
        return tuple(_difference(name, was.get(name), now.get(name)) for name in names)


def _difference(name: str, was: _Part | None, now: _Part | None) -> KeyDifference:
    if was is None or now is None:
        return KeyDifference(name, was and _cut(was.value), now and _cut(now.value))
    if was.value == now.value:
        return KeyDifference(name, f"hash {was.component.hash}", f"hash {now.component.hash}")
    if max(len(was.value), len(now.value)) <= _LONG:
        return KeyDifference(name, was.value, now.value)
    before, after = was.value.splitlines(), now.value.splitlines()
    place = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
        min(len(before), len(after)),
    )
    return KeyDifference(name, _line(before, place), _line(after, place))


def _line(lines: list[str], place: int) -> str:
    return _cut(lines[place].strip()) if place < len(lines) else "(ends)"


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"
