"""Builds fixes that several kinds of finding offer: marking dimensions, settings, and where the lines belong."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping

from compile_inspector.analyze.findings.names import listed, python_name
from compile_inspector.analyze.findings.observed import size_of
from compile_inspector.analyze.findings.sites import Pasted, Site
from compile_inspector.model.findings import Action, Fix, MarkDim, Marking, SetConfig

DYNAMO = "torch._dynamo.config"
SHAPES = "torch.fx.experimental._config"
OBLIVIOUS = SetConfig(SHAPES, "backed_size_oblivious", "True")
"""Compiles 0 and 1 as any other size."""
ALL_DYNAMIC = SetConfig(DYNAMO, "assume_static_by_default", "False")
SOURCES = ("torch.compiler.config", "dynamic_sources")
"""The setting that names inputs whose sizes are symbols."""
_UNLISTED = re.compile(r"[,\s]|:\d+$")
"""What a list of sources cannot hold."""


def setting(config: SetConfig) -> str:
    """The line that sets it; several where it is a list of names."""
    if (config.module, config.name) == SOURCES and "," in config.value:
        names = "".join(f"\n    {name!r}," for name in ast.literal_eval(config.value).split(","))
        return f'{config.module}.{config.name} = ",".join(({names}\n))'
    return f"{config.module}.{config.name} = {config.value}"


def with_settings(configs: Iterable[SetConfig], note: str) -> Fix:
    """Settings to make before the first call."""
    chosen = tuple(configs)
    return Fix("\n".join(setting(config) for config in chosen), note, chosen)


def marks(sizes: Iterable[str], how: Marking = "mark_dynamic") -> tuple[MarkDim, ...] | None:
    """One mark for each size, None where one of them is of no value that the caller has a name for."""
    found: list[MarkDim] = []
    for size in sizes:
        named = size_of(size)
        if named is None or python_name(named[0]) is None:
            return None
        found.append(MarkDim(named[0], named[1], how))
    return tuple(found) or None


def marking(marked: Iterable[MarkDim], site: Site, settings: Iterable[SetConfig] = ()) -> Pasted:
    """The lines that mark, by the caller's own names.

    Args:
        marked: What to mark.
        site: The call that the tensors are passed to.
        settings: Set in addition.
    """
    chosen = tuple(marked)

    def lines(names: Mapping[str, str]) -> Iterable[str]:
        yield from (setting(config) for config in settings)
        yield from (f"torch._dynamo.{mark.how}({names[mark.source]}, {mark.dim})" for mark in chosen)

    return site.with_names((mark.source for mark in chosen), lines)


def mark_fix(
    sizes: tuple[str, ...],
    site: Site,
    *,
    what: str,
    settings: tuple[SetConfig, ...] = (),
) -> Fix:
    """Marks the dimensions; where no line of the user's can name them, names them to torch as Dynamo does, or makes every dimension dynamic.

    Args:
        sizes: Size sources.
        site: The call that the tensors are passed to.
        what: What that changes, a clause.
        settings: Set in addition.
    """
    marked = marks(sizes)
    if marked is None:
        where = f"{listed(sizes)} {'is' if len(sizes) == 1 else 'are'} made inside the program, where no call can mark {'it' if len(sizes) == 1 else 'them'}"
        return with_settings(
            (ALL_DYNAMIC, *settings), f"or torch.compile(..., dynamic=True): {where}; {what}"
        )
    sources = tuple(dict.fromkeys(mark.source for mark in marked))
    if not all(map(site.can_name, sources)) and not any(_UNLISTED.search(one) for one in sources):
        entries = [f"{mark.source}:{mark.dim}" for mark in marked] if site.lists_dims else sources
        named = SetConfig(*SOURCES, repr(",".join(entries)))
        made = (
            "no line of yours has a name for them"
            if site.library is None
            else f"a library makes the call, at {site.library.short}"
        )
        return with_settings((named, *settings), f"before the first call ({made}): {what}")
    actions: tuple[Action, ...] = (*settings, *marked)
    code, where = marking(marked, site, settings)
    return Fix(code, f"{where}: {what}", actions)
