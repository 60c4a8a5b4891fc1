"""Finds inputs whose sizes are numbers and pin a symbol that a line puts beside them: a mask that was not marked with what it masks."""

from __future__ import annotations

import re

from compile_inspector.analyze.findings.fixes import mark_fix
from compile_inspector.analyze.findings.names import listed, statement
from compile_inspector.analyze.findings.observed import Observed, size_source
from compile_inspector.analyze.findings.sites import Site
from compile_inspector.model.findings import Fix
from compile_inspector.model.locations import Location

_MOST = 4


def partners(
    observed: Observed, compile_id: str, sizes: tuple[str, ...], cause: Location | None
) -> tuple[str, ...]:
    """The sizes of other inputs that are the same number in a compile, and may have pinned these.

    None where the line that pinned them names the number itself, and where there are so many that it says nothing.

    Args:
        observed: The recording.
        compile_id: The compile.
        sizes: What was pinned: size sources.
        cause: The line that pinned it.
    """
    values = {row.size for size in sizes if (row := observed.dim(compile_id, size)) is not None}
    value = values.pop() if len(values) == 1 else None
    if value is None or value < 2 or cause is None or re.search(rf"\b{value}\b", statement(cause.code)):
        return ()
    found = tuple(
        size_source(row.source, row.dim)
        for row in observed.of_compile("dims", compile_id)
        if row.size == value
        and row.verdict == "static"
        and not row.is_parameter
        and not row.why.startswith("marked")
        and size_source(row.source, row.dim) not in sizes
    )
    return found if len(found) <= _MOST else ()


def partner_fix(sizes: tuple[str, ...], others: tuple[str, ...], site: Site, otherwise: str) -> Fix:
    """Marks the sizes and those that pin them, together.

    Args:
        sizes: What is to be marked besides; nothing where it is marked already.
        others: As `partners` gives them.
        site: The call that the tensors are passed to.
        otherwise: What to do where the line fixes the size by itself.
    """
    have = "has that size" if len(others) == 1 else "have that size"
    return mark_fix(
        (*sizes, *others),
        site,
        what=f"{listed(others)} {have} as a number, which pins a symbol that meets it; with all of them dynamic symbols meet. {otherwise}",
    )
