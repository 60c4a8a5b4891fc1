"""Answers why something is as it is: chains from an input through the operations to the guard or constant that decided."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import cached_property

from compile_inspector.analyze.chain_steps import Steps
from compile_inspector.analyze.findings.merging import change_words
from compile_inspector.analyze.findings.names import at, cut, listed, python_name
from compile_inspector.analyze.findings.observed import Observed, size_of, size_source
from compile_inspector.errors import InspectorError
from compile_inspector.model.chains import Chain, Step
from compile_inspector.model.findings import Finding
from compile_inspector.model.guards import Guard
from compile_inspector.model.recompiles import FailingGuard, Recompile
from compile_inspector.model.symbols import Dim, Specialization, Symbol
from compile_inspector.model.tables import Tables

Subject = str | Guard | FailingGuard | Recompile | Dim | Symbol | Specialization | Finding
_SHAPE = re.compile(r"\.shape\[(\d+)\]$|\.size\((\d+)\)$")


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
    return Chains(tables, findings).of(subject, compile_id=compile_id)


class Chains:
    """The chains of one recording; for several of them, this reads its tables once.

    Args:
        tables: The recording.
        findings: Of the recording.
    """

    def __init__(self, tables: Tables, findings: Iterable[Finding] = ()) -> None:
        self._observed = Observed(tables)
        self._steps = Steps(self._observed)
        self._findings = tuple(findings)

    def of(self, subject: Subject, *, compile_id: str | None = None) -> Chain:
        """The chain of one subject, as `why` gives it."""
        if isinstance(subject, Recompile):
            return self.recompile(subject)
        if isinstance(subject, Finding):
            return self.finding(subject)
        if isinstance(subject, Symbol):
            return self.symbol(subject)
        if isinstance(subject, Dim):
            return self.source(size_source(subject.source, subject.dim), subject.compile_id)
        if isinstance(subject, Specialization):
            return self.source(subject.sources[0] if subject.sources else subject.symbol, subject.compile_id)
        if isinstance(subject, Guard):
            return self.guard(subject)
        if isinstance(subject, FailingGuard):
            return self.source(subject.source, compile_id)
        return self.named(subject, compile_id)

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
        known = self._known
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

    @cached_property
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
        steps = [
            self._steps.symbol_step(symbol),
            *self._steps.operations(symbol.compile_id, symbol.name, None),
        ]
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
            known = self._known
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
            steps += self._steps.decisions(nearest.entry_id, guard.source)
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
        where = compile_id or self._steps.newest(source)
        steps: list[Step] = []
        if where is not None:
            steps += self._steps.arrival(where, source)
            symbol = self._steps.symbol_of(where, source)
            decided = self._steps.decisions(where, source)
            if symbol is not None:
                steps.append(self._steps.symbol_step(symbol))
            last = decided[-1].location if decided else None
            steps += self._steps.operations(where, symbol.name if symbol else None, source, until=last)
            steps += decided
            steps += self._steps.guards(where, source)
        steps += self._steps.recompiles(source)
        steps += [
            Step("finding", f"{one.kind}: {one.title}", one.cause)
            for one in self._findings
            if source in one.subjects
        ]
        return Chain(source, where, self._steps.verdict(where, source), _distinct(steps))


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
