"""The tables of symbols and of specializations."""

from __future__ import annotations

import re

from compile_inspector.model.symbols import Specialization, Symbol
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.sizes import Sizes, sizes_by_compile

_BOUND = re.compile(r"(?!.*(?:Eq|Ne)\()[^&|<>]*[<>]=?[^&|<>]*$", re.DOTALL)
"""A comparison of order alone, as torch writes it."""


def symbols(trace: Trace, places: Places) -> tuple[Symbol, ...]:
    """One row per symbol of each compile's shipped attempt, in the order torch made them."""
    return tuple(
        row
        for compile_id, sizes in sizes_by_compile(trace, places).items()
        for row in _symbols(compile_id, sizes)
    )


def specializations(trace: Trace, places: Places) -> tuple[Specialization, ...]:
    """One row per symbol that was pinned to a number, in the order it happened."""
    return tuple(
        row
        for compile_id, sizes in sizes_by_compile(trace, places).items()
        for row in _specializations(compile_id, sizes)
    )


def _symbols(compile_id: str, sizes: Sizes) -> list[Symbol]:
    return [
        Symbol(
            compile_id=compile_id,
            name=known.name,
            sources=known.sources,
            hint=known.hint,
            range=known.range,
            kind=known.kind,
            created=sizes.created.get(known.name),
            replaced_by=sizes.replacements.get(known.name, (None, None))[0],
        )
        for known in sizes.symbols
    ]


def _specializations(compile_id: str, sizes: Sizes) -> list[Specialization]:
    sources = {known.name: known.sources for known in sizes.symbols}
    return [
        Specialization(
            compile_id=compile_id,
            symbol=pin.symbol,
            sources=sources.get(pin.symbol) or pin.sources,
            value=pin.value,
            reason=pin.reason,
            location=pin.location,
            stack=pin.stack,
            bound=pin.because if pin.because and _BOUND.search(pin.because) else None,
        )
        for pin in sizes.pinned
    ]
