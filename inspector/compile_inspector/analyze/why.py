"""Answers why something is as it is: chains from an input through the operations to the guard or constant that decided."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

from compile_inspector.analyze.findings.merging import change_words
from compile_inspector.analyze.findings.names import at, cut, listed, python_name
from compile_inspector.analyze.findings.observed import Observed, size_of, size_source
from compile_inspector.errors import InspectorError
from compile_inspector.model.chains import Chain, Step
from compile_inspector.model.findings import Finding
from compile_inspector.model.graph import Graph
from compile_inspector.model.guards import Guard
from compile_inspector.model.locations import Location
from compile_inspector.model.nodes import GraphNode
from compile_inspector.model.recompiles import FailingGuard, Recompile
from compile_inspector.model.symbols import Dim, Specialization, Symbol
from compile_inspector.model.tables import Tables

Subject = str | Guard | FailingGuard | Recompile | Dim | Symbol | Specialization | Finding
_OPERATIONS = 12
_GUARDS = 12
_RECOMPILES = 8
_SHAPE = re.compile(r"\.shape\[(\d+)\]$|\.size\((\d+)\)$")
_SOURCE_NAME = re.compile(r"[^A-Za-z0-9]+")


def why(
    tables: Tables, subject: Subject, *, compile_id: str | None = None, findings: Iterable[Finding] = ()
) -> Chain:
    """The chain of one subject.

    Args:
        tables: The recording.
        subject: A row of a table, or a name: a source (``L['x'].size()[0]``, ``x.shape[0]``, ``x``, ``grad_mode``), a symbol, a compile's id.
        compile_id: The compile to tell it for; the newest that knows the subject when None.
        findings: Of the recording; those about the subject end its chain.

    Raises:
        InspectorError: Nothing in the recording has this name; the message has near ones.
    """
    asked = _Asked(Observed(tables), tuple(findings))
    if isinstance(subject, Recompile):
        return asked.recompile(subject)
    if isinstance(subject, Finding):
        return asked.finding(subject)
    if isinstance(subject, Symbol):
        return asked.symbol(subject)
    if isinstance(subject, Dim):
        return asked.source(size_source(subject.source, subject.dim), subject.compile_id)
    if isinstance(subject, Specialization):
        return asked.source(subject.sources[0] if subject.sources else subject.symbol, subject.compile_id)
    if isinstance(subject, Guard):
        return asked.guard(subject)
    if isinstance(subject, FailingGuard):
        return asked.source(subject.source, compile_id)
    return asked.named(subject, compile_id)


class _Asked:
    def __init__(self, observed: Observed, findings: tuple[Finding, ...]) -> None:
        self._observed = observed
        self._findings = findings

    def named(self, name: str, compile_id: str | None) -> Chain:
        """The chain of what goes by a name, as Dynamo or as the program has it."""
        recompiles = {row.compile_id: row for row in self._observed.rows("recompiles")}
        if name in recompiles:
            return self.recompile(recompiles[name])
        symbols: list[Symbol] = [
            row
            for row in self._observed.rows("symbols")
            if row.name == name and compile_id in (None, row.compile_id)
        ]
        if symbols:
            return self.symbol(symbols[-1])
        known = self._known()
        wanted = _spelled(name)
        found = name if name in known else next((one for one in known if _spelled(one) == wanted), None)
        if found is None:
            near = difflib.get_close_matches(
                wanted, {_spelled(one): one for one in list(known)[:5000]}, n=5, cutoff=0.5
            )
            hint = f"; near it: {', '.join(near)}" if near else ""
            msg = f"nothing in this recording is named {name!r}{hint}"
            raise InspectorError(msg)
        return self.source(found, compile_id)

    def _known(self) -> dict[str, None]:
        """Every source that the tables name, the sizes first."""
        found: dict[str, None] = {}
        for dim in self._observed.rows("dims"):
            found[size_source(dim.source, dim.dim)] = None
            found[dim.source] = None
        for row in self._observed.rows("symbols"):
            found.update(dict.fromkeys(row.sources))
        for guard in self._observed.rows("guards"):
            if guard.source is not None:
                found[guard.source] = None
        for row in self._observed.rows("recompiles"):
            for entry in row.entries:
                for guard in entry.failing:
                    found.update(dict.fromkeys(guard.subjects))
        return found

    def symbol(self, symbol: Symbol) -> Chain:
        """The chain of the first thing that a symbol stands for; its own where it stands for none."""
        if symbol.sources:
            return self.source(symbol.sources[0], symbol.compile_id)
        steps = [self._symbol_step(symbol), *self._operations(symbol.compile_id, symbol.name, None)]
        return Chain(
            symbol.name, symbol.compile_id, "it comes from data: no input has this size", tuple(steps)
        )

    def guard(self, guard: Guard) -> Chain:
        """The chain of what a guard checks, up to this guard."""
        if guard.source is None:
            step = Step("guard", f"{guard.kind}: {cut(guard.expr, 200)}", guard.location)
            return Chain(guard.kind, guard.compile_id, "it guards the state of the process", (step,))
        chain = self.source(guard.source, guard.compile_id)
        own = Step(
            "guard",
            f"{guard.kind}: {cut(guard.expr, 200)}{' (dropped)' if guard.dropped else ''}",
            guard.location,
        )
        steps = tuple(step for step in chain.steps if step != own)
        verdict = f"guarded by {guard.kind}{at(guard.location)}: {cut(guard.expr)}"
        return Chain(guard.source, guard.compile_id, verdict, (*steps, own))

    def finding(self, finding: Finding) -> Chain:
        """The chain of a finding's first subject; what was observed where no table names it."""
        if finding.subjects:
            compiles = finding.compile_ids
            known = self._known()
            if finding.subjects[0] in known:
                entry = next(
                    (row for row in self._observed.rows("recompiles") if row.compile_id in compiles), None
                )
                nearest = None if entry is None else entry.nearest
                return self.source(finding.subjects[0], nearest.entry_id if nearest else None)
        steps = [Step("finding", text) for text in finding.evidence]
        return Chain(
            ", ".join(finding.subjects) or finding.kind,
            None,
            finding.title,
            (*steps, Step("decision", str(finding.fix), finding.cause)),
        )

    def recompile(self, row: Recompile) -> Chain:
        """Why code was compiled again: the nearest entry, each guard that failed, and the findings."""
        observed, nearest = self._observed, row.nearest
        steps = [Step("input", f"{observed.function(row.compile_id)} was called", row.trigger)]
        if nearest is None:
            return Chain(row.compile_id, row.compile_id, "which guards failed is not recorded", tuple(steps))
        steps += [
            Step("guard", f"{change_words(guard)} ({guard.kind} of {nearest.entry_id})", guard.location)
            for guard in nearest.failing
        ]
        if not nearest.failing and nearest.torch_reason:
            steps.append(Step("guard", nearest.torch_reason))
        for guard in nearest.failing:
            steps += self._decisions(nearest.entry_id, guard.source)
        others = [entry for entry in row.entries if entry is not nearest]
        if others:
            steps.append(
                Step(
                    "recompile",
                    f"{len(others):,} other earlier entries fit less: {listed(entry.entry_id for entry in others)}",
                )
            )
        steps += [
            Step("finding", f"{one.kind}: {one.title}", one.cause)
            for one in self._findings
            if row.compile_id in one.compile_ids
        ]
        told = "; ".join(change_words(guard) for guard in nearest.failing[:3]) or nearest.torch_reason
        return Chain(
            row.compile_id,
            row.compile_id,
            f"it does not fit {nearest.entry_id}: {told or 'the guard is not recorded'}",
            _distinct(steps),
        )

    def source(self, source: str, compile_id: str | None) -> Chain:
        """The chain of a source in one compile, the newest that knows it when none is given."""
        where = compile_id or self._newest(source)
        steps: list[Step] = []
        if where is not None:
            steps += self._input(where, source)
            symbol = self._symbol_of(where, source)
            decided = self._decisions(where, source)
            if symbol is not None:
                steps.append(self._symbol_step(symbol))
            last = decided[-1].location if decided else None
            steps += self._operations(where, symbol.name if symbol else None, source, until=last)
            steps += decided
            steps += self._guards(where, source)
        steps += self._recompiles(source)
        steps += [
            Step("finding", f"{one.kind}: {one.title}", one.cause)
            for one in self._findings
            if source in one.subjects
        ]
        return Chain(source, where, self._verdict(where, source), _distinct(steps))

    def _newest(self, source: str) -> str | None:
        found = size_of(source)
        tensor = found[0] if found else source
        for name in ("dims", "guards", "symbols"):
            for row in reversed(self._observed.rows(name)):
                named = row.sources if name == "symbols" else (row.source,)
                if source in named or (name == "dims" and tensor in named):
                    return row.compile_id
        return None

    def _input(self, compile_id: str, source: str) -> Iterator[Step]:
        observed = self._observed
        call = observed.called(compile_id)
        dim = observed.dim(compile_id, source)
        function = observed.function(compile_id)
        if dim is not None:
            yield Step(
                "input",
                f"{dim.source}, dimension {dim.dim}, was {dim.size} when {function} was compiled ({compile_id})",
                call,
            )
            return
        for row in self._dims_of(compile_id, source):
            yield Step("input", f"dimension {row.dim} was {row.size}: {row.verdict}, {row.why}", row.location)
        if call is not None:
            yield Step("input", f"{function} was compiled ({compile_id}) at this call", call)

    def _dims_of(self, compile_id: str, source: str) -> list[Dim]:
        return [
            row
            for row in self._observed.rows("dims")
            if row.compile_id == compile_id and row.source == source
        ]

    def _symbol_of(self, compile_id: str, source: str) -> Symbol | None:
        rows = self._observed.rows("symbols")
        return next((row for row in rows if row.compile_id == compile_id and source in row.sources), None)

    def _symbol_step(self, symbol: Symbol) -> Step:
        shared = f", which also stands for {listed(symbol.sources[1:])}" if len(symbol.sources) > 1 else ""
        hint = "" if symbol.hint is None else f", {symbol.hint} at that time"
        span = "" if symbol.range is None else f", in {symbol.range}"
        return Step("symbol", f"it became {symbol.name} ({symbol.kind}{hint}{span}){shared}", symbol.created)

    def _decisions(self, compile_id: str, source: str) -> list[Step]:
        """What made it what it is: the pin, or the verdict's own reason."""
        pin = self._observed.pins.get((compile_id, source))
        if pin is not None:
            return [
                Step("decision", f"{pin.symbol} was pinned to {pin.value}: {cut(pin.reason)}", pin.location)
            ]
        dim = self._observed.dim(compile_id, source)
        return [] if dim is None else [Step("decision", f"{dim.verdict}: {dim.why}", dim.location)]

    def _operations(
        self, compile_id: str, symbol: str | None, source: str | None, until: Location | None = None
    ) -> list[Step]:
        """The operations that a size goes through: those whose shape has its symbol, or else those that use the input."""
        graph: Graph | None = next(
            (
                row
                for row in self._observed.rows("graphs")
                if row.compile_id == compile_id and row.stage == "dynamo"
            ),
            None,
        )
        if graph is None:
            return []
        nodes = tuple(_through(graph.nodes, symbol, source))
        found: list[Step] = []
        lines: set[tuple[str, int]] = set()
        for node in nodes:
            place = node.location
            if place is None or (place.file, place.line) in lines:
                continue
            lines.add((place.file, place.line))
            shape = "" if node.shape is None else f" gives [{', '.join(map(str, node.shape))}]"
            found.append(Step("operation", f"{node.target}{shape}", place))
            if until is not None and (place.file, place.line) == (until.file, until.line):
                break
        if len(found) > _OPERATIONS:
            rest = len(found) - _OPERATIONS
            return [*found[: _OPERATIONS - 1], Step("operation", f"{rest:,} more operations"), found[-1]]
        return found

    def _guards(self, compile_id: str, source: str) -> list[Step]:
        size = size_of(source)
        names = {source} if size is None else {source, size[0]}
        rows: list[Guard] = [
            row
            for row in self._observed.rows("guards")
            if row.compile_id == compile_id
            and (
                row.source == source
                or source in row.expr
                or (size and row.source in names and row.kind == "TENSOR_MATCH")
            )
        ]
        told = [
            Step(
                "guard",
                f"{row.kind}: {cut(row.expr, 200)}{' (dropped)' if row.dropped else ''}",
                row.location,
            )
            for row in rows[:_GUARDS]
        ]
        rest = len(rows) - len(told)
        return [*told, Step("guard", f"{rest:,} more guards")] if rest > 0 else told

    def _recompiles(self, source: str) -> list[Step]:
        found: list[Step] = []
        for row in self._observed.rows("recompiles"):
            nearest = row.nearest
            for guard in () if nearest is None else nearest.failing:
                if source in guard.subjects or guard.source.startswith(f"{source}."):
                    found.append(
                        Step(
                            "recompile",
                            f"{row.compile_id} was compiled because {change_words(guard)}",
                            row.trigger,
                        )
                    )
                    break
        rest = len(found) - _RECOMPILES
        return [*found[:_RECOMPILES], Step("recompile", f"{rest:,} more recompiles")] if rest > 0 else found

    def _verdict(self, compile_id: str | None, source: str) -> str:
        if compile_id is None:
            return "no compile of the recording holds it; it is known from recompiles only"
        dim = self._observed.dim(compile_id, source)
        if dim is not None:
            return f"{dim.verdict}: {dim.why}"
        rows = self._dims_of(compile_id, source)
        if rows:
            return "; ".join(f"dimension {row.dim} {row.verdict}" for row in rows)
        pin = self._observed.pins.get((compile_id, source))
        if pin is not None:
            return f"pinned to {pin.value}{at(pin.location)}"
        guard: Guard | None = next(
            (
                row
                for row in self._observed.rows("guards")
                if row.compile_id == compile_id and row.source == source
            ),
            None,
        )
        return (
            "nothing guards it"
            if guard is None
            else f"guarded by {guard.kind}{at(guard.location)}: {cut(guard.expr)}"
        )


def _through(nodes: tuple[GraphNode, ...], symbol: str | None, source: str | None) -> Iterator[GraphNode]:
    """The nodes whose shape has the symbol, in order; where none has, those that the input reaches."""
    if symbol is not None:
        word = re.compile(rf"\b{re.escape(symbol)}\b")
        found = [
            node
            for node in nodes
            if any(isinstance(size, str) and word.search(size) for size in node.shape or ())
        ]
        if any(node.location is not None for node in found):
            yield from found
            return
    size = None if source is None else size_of(source)
    flat = _SOURCE_NAME.sub("_", size[0] if size else source or "").strip("_")
    reached: set[str] = set()
    for node in nodes:
        placeholder = node.op == "placeholder" and _SOURCE_NAME.sub("_", node.target).strip("_") == flat
        if placeholder or any(name in reached for name in node.inputs):
            reached.add(node.name)
            if node.op != "output":
                yield node


def _distinct(steps: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(dict.fromkeys(steps))


def _spelled(name: str) -> str:
    """A name as the program spells it: ``x.size()[0]`` for ``L['x'].size()[0]`` and for ``x.shape[0]``."""
    found = size_of(name)
    if found is not None:
        return f"{python_name(found[0]) or found[0]}.size()[{found[1]}]"
    shape = _SHAPE.search(name)
    if shape is not None:
        return f"{_spelled(name[: shape.start()])}.size()[{shape[1] or shape[2]}]"
    return python_name(name) or name
