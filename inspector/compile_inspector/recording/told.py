"""What the compile decorator told, read: of each fact what it said last, with the compile that it said it first of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Generic, Literal, TypeVar

import msgspec

from compile_inspector.recording.fold import FACT, Trace

_NUMBER = re.compile(r"\d{1,18}")

Fact = TypeVar("Fact")
Place = tuple[str, int, str | None, str | None]
"""File, line, function and code."""


class Told(msgspec.Struct, Generic[Fact], frozen=True):
    """One fact.

    Attributes:
        key: What the fact is about; unique among those of its name.
        compile_id: Unique id of the compile; None for a fact of none.
        said: The fact itself.
    """

    key: str
    compile_id: str | None
    said: Fact


class _Keyed(msgspec.Struct, frozen=True):
    key: str


class PlaceFact(msgspec.Struct, frozen=True):
    """A line, as a fact has it."""

    file: str
    line: int
    function: str | None = None
    code: str | None = None

    def frame(self) -> list[str | int | None]:
        """As `Places.location` takes it."""
        return [self.file, self.line, self.function, self.code]


class AppliedFact(msgspec.Struct, frozen=True):
    """The fact ``applied``."""

    module: str | None
    class_name: str = msgspec.field(name="class")
    how: str
    compiles: bool
    mode: str
    backend: str
    dynamic_shapes: str
    evaluate_guards: bool
    dynamic_arg_dims: dict[str, int | list[int] | dict[str, str | None]]
    mark_unbacked_dims: dict[str, int | list[int] | dict[str, str | None]]
    is_encoder: bool
    dropped_guards: str
    splitting_ops: tuple[str, ...]
    file: str
    line: int
    compile_ids: tuple[str, ...]


class MarkFact(msgspec.Struct, frozen=True):
    """One entry of the fact ``marked``."""

    source: str
    dim: int
    kind: str
    size: int | None = None
    shape_id: str | None = None


class UnmarkedFact(msgspec.Struct, frozen=True):
    """One entry of what was not marked."""

    source: str
    dim: int
    like: str
    size: int | None = None


class MarkedFact(msgspec.Struct, frozen=True):
    """The fact ``marked``."""

    marked: tuple[MarkFact, ...]
    unmarked: tuple[UnmarkedFact, ...]


class DroppedGuard(msgspec.Struct, frozen=True):
    """One guard of the fact ``dropped_guards``."""

    source: str
    kind: str
    expr: str
    category: str
    location: PlaceFact | None = None


class DroppedFact(msgspec.Struct, frozen=True):
    """The fact ``dropped_guards``: all guards of one compile, and which of them the decorator checks."""

    compile_id: str
    policy: str
    checked: str
    guards: tuple[DroppedGuard, ...]

    def checks(self, guard: DroppedGuard) -> bool:
        """Whether the decorator checks a guard before each call."""
        return self.checked == "all" or (self.checked == "size" and guard.kind == "SHAPE_ENV")


class ViolationFact(msgspec.Struct, frozen=True):
    """The fact ``violations``."""

    module: str | None
    class_name: str = msgspec.field(name="class")
    source: str
    expr: str
    expected: str | None
    actual: str | None
    category: str
    location: PlaceFact | None
    action: str
    count: int


class PieceFact(msgspec.Struct, frozen=True):
    """One piece of the facts ``splits`` and ``partitions``."""

    index: int
    name: str
    kind: str
    nodes: tuple[str, ...]
    split_op: str | None
    reason: str | None
    capturable: bool
    kernels: tuple[str, ...] = ()


class SplitFact(msgspec.Struct, frozen=True):
    """The fact ``splits``."""

    module: str | None
    by: str
    unmatched: tuple[tuple[str, tuple[str, ...]], ...]
    problem: str | None
    pieces: tuple[PieceFact, ...]


class RangeFact(msgspec.Struct, frozen=True):
    """One entry of the fact ``ranges``."""

    partition: int
    start: int
    end: int | None
    exact: bool
    backend: str
    outcome: str
    reused_from: int | None
    elapsed_ns: int
    call_count: int


class RangesFact(msgspec.Struct, frozen=True):
    """The fact ``ranges``."""

    module: str | None
    symbol: str | None
    problems: tuple[str, ...]
    ranges: tuple[RangeFact, ...]


class ArtifactDifference(msgspec.Struct, frozen=True):
    """One entry of what an artifact differs in."""

    component: str
    was: str | None
    now: str | None
    file: str | None = None
    line: int | None = None


class ArtifactFact(msgspec.Struct, frozen=True):
    """The fact ``artifacts``."""

    module: str | None
    class_name: str = msgspec.field(name="class")
    outcome: Literal["hit", "miss", "bypass"]
    cache_key: str | None
    components: tuple[tuple[str, str], ...]
    differs: tuple[ArtifactDifference, ...]
    reason: str | None
    path: str | None


def told(trace: Trace, name: str, kind: type[Fact]) -> tuple[Told[Fact], ...]:
    """Every fact of a name, in the order in which what it is about was made; what cannot be read is counted as a loss."""
    return trace.once(f"told {name}", lambda: tuple(_told(trace, name, kind)))


def _told(trace: Trace, name: str, kind: type[Fact]) -> Iterator[Told[Fact]]:
    last: dict[str, Told[Fact]] = {}
    for record, compile_id in trace.told:
        if record.artifact != FACT + name or (found := trace.fact(record)) is None:
            continue
        try:
            key = msgspec.convert(found, _Keyed).key
            said = msgspec.convert(found, kind)
        except msgspec.ValidationError as error:
            trace.losses.add(trace.where(record), f"compile_inspector.{name} cannot be read: {error}")
            continue
        earlier = last.get(key)
        last[key] = Told(key, compile_id if earlier is None else earlier.compile_id, said)
    yield from sorted(last.values(), key=lambda one: _number(one.key))


def _number(key: str) -> int:
    """The number in a key (``module-12:0/0``): they are given in the order in which things were made."""
    found = _NUMBER.search(key)
    return 0 if found is None else int(found[0])
