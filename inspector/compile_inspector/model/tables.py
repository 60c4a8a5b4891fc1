"""The tables of one recording: what every analysis and every view reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar, overload

import msgspec

from compile_inspector.errors import TableAbsent
from compile_inspector.model.applied import Applied
from compile_inspector.model.artifacts import Artifact
from compile_inspector.model.breaks import GraphBreak
from compile_inspector.model.caches import CacheLookup
from compile_inspector.model.captures import Capture
from compile_inspector.model.compiles import Compile
from compile_inspector.model.environment import Environment
from compile_inspector.model.files import TracedFile
from compile_inspector.model.findings import Finding, Unjudged
from compile_inspector.model.graph import Graph
from compile_inspector.model.guard_costs import GuardCost, GuardFilter
from compile_inspector.model.guards import Guard
from compile_inspector.model.kernels import Kernel, OutputCode
from compile_inspector.model.partitions import Partition
from compile_inspector.model.ranges import CompileRange
from compile_inspector.model.recompiles import Recompile
from compile_inspector.model.records import Loss
from compile_inspector.model.symbols import Dim, Specialization, Symbol
from compile_inspector.model.violations import Violation

Row = TypeVar("Row")
Builder = Callable[[], "tuple[Any, ...] | None"]


class Table(Generic[Row]):
    """A named table of `Tables`: built by its builder on first read, then kept.

    Reading gives a tuple of rows, or None where the recording cannot have the table (`Tables.absent` says why).
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, tables: None, owner: type) -> Table[Row]: ...
    @overload
    def __get__(self, tables: Tables, owner: type) -> tuple[Row, ...]: ...
    def __get__(self, tables: Tables | None, owner: type) -> Table[Row] | tuple[Row, ...]:
        return self if tables is None else tables.read(self.name)  # type: ignore[return-value]


class Tables:
    """Every table of one recording, frozen.

    A table is built when it is first read; building is guarded by a lock, so that threads may read at once. Two are equal when all
    their tables are.

    Args:
        builders: What builds each table, by name.
        environment: Where the recording was made.
        absent: Why a table is None, by name.
    """

    compiles = Table[Compile]()
    graphs = Table[Graph]()
    guards = Table[Guard]()
    guard_costs = Table[GuardCost]()
    guard_filters = Table[GuardFilter]()
    symbols = Table[Symbol]()
    specializations = Table[Specialization]()
    dims = Table[Dim]()
    graph_breaks = Table[GraphBreak]()
    recompiles = Table[Recompile]()
    traced_files = Table[TracedFile]()
    applied = Table[Applied]()
    ranges = Table[CompileRange]()
    violations = Table[Violation]()
    partitions = Table[Partition]()
    captures = Table[Capture]()
    kernels = Table[Kernel]()
    output_code = Table[OutputCode]()
    caches = Table[CacheLookup]()
    artifacts = Table[Artifact]()
    findings = Table[Finding]()
    losses = Table[Loss]()

    def __init__(
        self,
        builders: Mapping[str, Builder],
        *,
        environment: Environment = Environment(),  # noqa: B008 - frozen
        absent: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = environment
        self._builders = dict(builders)
        self._absent = dict(absent or {})
        self._built: dict[str, tuple[Any, ...] | None] = {}
        self._lock = threading.RLock()

    @property
    def environment(self) -> Environment:
        """Where the recording was made."""
        return self._environment

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The tables' names, in the order of this class."""
        return tuple(name for name, value in vars(Tables).items() if isinstance(value, Table))

    def read(self, name: str) -> tuple[Any, ...] | None:
        """One table, built if need be; None where the recording cannot have it.

        Raises:
            KeyError: No table has this name.
        """
        if name not in self.names():
            msg = f"no table is named {name!r}; there are {', '.join(self.names())}"
            raise KeyError(msg)
        with self._lock:
            if name not in self._built:
                builder = self._builders.get(name)
                self._built[name] = None if builder is None else builder()
            return self._built[name]

    @property
    def unjudged(self) -> tuple[Unjudged, ...]:
        """The kinds of finding that the recording cannot tell, and why; none where nothing was judged."""
        return ()

    def why_absent(self, name: str) -> str | None:
        """Why a table is None; None for one that is there."""
        if self.read(name) is not None:
            return None
        return self._absent.get(name, "this version does not record it")

    def rows(self, name: str) -> tuple[Any, ...]:
        """One table's rows.

        Raises:
            TableAbsent: The recording cannot have it; the message says why.
        """
        rows = self.read(name)
        if rows is None:
            msg = f"there is no table of {name}: {self.why_absent(name)}"
            raise TableAbsent(msg)
        return rows

    def to_dicts(self, name: str) -> list[dict[str, Any]]:
        """One table as plain rows: dicts, tuples, strings, numbers and None only; None also stands for long texts, and nodes are left out.

        Raises:
            TableAbsent: The recording cannot have it.
        """
        return [msgspec.to_builtins(row, enc_hook=_left_out) for row in self.rows(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tables):
            return NotImplemented
        return self.environment == other.environment and all(
            self.read(n) == other.read(n) for n in self.names()
        )

    __hash__ = None  # type: ignore[assignment]


def _left_out(_: object) -> None:
    return None
