"""The why-chains of a session's rows as parts of the wire: asked for one by one, bounded in a page."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from compile_inspector.analyze.findings.observed import Observed, size_source
from compile_inspector.analyze.why import Chains
from compile_inspector.errors import InspectorError
from compile_inspector.model.chains import Chain, Step
from compile_inspector.model.tables import Tables
from compile_inspector.views.column import code_of, place
from compile_inspector.views.columns import title_of
from compile_inspector.views.summary import rows_of
from compile_inspector.views.wire import WireChain, WirePart, WireStep
from compile_inspector.views.words import visible

ASKED = ("findings", "recompiles", "specializations", "dims", "symbols", "guards")
"""Tables whose rows can be asked about, those that a reader asks about first in front."""
LEFT_OUT = "why"
"""The key under which a page says why it does not hold every chain."""


class Whys:
    """The answers of one session; what they are read from is indexed once.

    Args:
        tables: The session.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @cached_property
    def _chains(self) -> Chains:
        return Chains(self._tables, rows_of(self._tables, "findings"))

    def part(self, key: str) -> WirePart:
        """The chain of one row.

        Args:
            key: ``why:dims:3`` for the third row (from 0) of dims; each table of `ASKED` likewise.
        """
        table, _, number = key.removeprefix("why:").partition(":")
        if table not in ASKED or not (number.isascii() and number.isdecimal()):
            return WirePart(key, problem="There is no such part.")
        rows = rows_of(self._tables, table)
        if len(number) > 9 or int(number) >= len(rows):
            return WirePart(key, problem=f"There are only {len(rows):,} {title_of(table).lower()}.")
        try:
            return WirePart(key, chain=_wired(self._chains.of(rows[int(number)])))
        except InspectorError as error:
            return WirePart(key, problem=visible(str(error)))


def why_keys(tables: Tables) -> Iterator[str]:
    """The key of every chain, by how soon a reader asks: of what cost something first, of parameters and of plain guards last."""
    for table in ASKED:
        rows = rows_of(tables, table)
        order = range(len(rows))
        if table == "dims":
            order = sorted(order, key=lambda index: bool(rows[index].is_parameter))
        elif table == "guards":
            order = _failing_first(tables, rows)
        yield from (f"why:{table}:{index}" for index in order)


def _failing_first(tables: Tables, guards: tuple[Any, ...]) -> list[int]:
    """The guards on what failed in a recompile, those on sizes, then the others."""
    failed = {
        source
        for row in rows_of(tables, "recompiles")
        for entry in row.entries
        for failing in entry.failing
        for source in (failing.source, *failing.subjects)
    }
    observed = Observed(tables)
    sized = {source for one in rows_of(tables, "symbols") for source in one.sources} | {
        size_source(source, dim) for _, source, dim in observed.dims
    }
    return sorted(
        range(len(guards)), key=lambda at: (guards[at].source not in failed, guards[at].source not in sized)
    )


def _wired(chain: Chain) -> WireChain:
    return WireChain(
        subject=visible(chain.subject),
        compile_id=None if chain.compile_id is None else visible(chain.compile_id),
        verdict=visible(chain.verdict),
        steps=[_step(step) for step in chain.steps],
    )


def _step(step: Step) -> WireStep:
    where, code = place(step.location), code_of(step.location)
    return WireStep(
        kind=step.kind,
        text=visible(step.text),
        location=None if where is None else visible(where),
        code=None if code is None else visible(code),
    )
