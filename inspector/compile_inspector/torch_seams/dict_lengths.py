"""How long each dict was whose keys torch guards one by one, kept from when its guards were built.

torch's manager of such a dict compares the dict's length with one that it does not tell, and the keys that it guards need not be all of
them. Source: `torch._dynamo.guards.CheckFunctionManager`, `OutputGraph.guard_on_key_order`.
"""

from __future__ import annotations

import functools
import inspect
import re
import weakref
from collections.abc import Callable
from itertools import islice
from typing import Any

from compile_inspector.torch_seams.guard_walk import Reader
from compile_inspector.torch_seams.probe import Faults, Undo, lookup, patch
from compile_inspector.torch_seams.static_lookup import Missing, Unreadable

USES = ("torch._dynamo.guards:CheckFunctionManager.__init__",)
_MOST = 2000
"""Dicts read of one compile, at most."""
_TOLD = re.compile(r"len\((.+)\) != (\d{1,9})$")
_LOCAL = re.compile(r"L\['(\w+)'\]")

Lengths = weakref.WeakKeyDictionary[Any, dict[str, int]]
"""By guard manager: the length of each dict, by source."""


def watch(lengths: Lengths, faults: Faults, name: str) -> Undo:
    """Begins to keep lengths of the dicts of every compile.

    Args:
        lengths: Where they are kept, for as long as torch keeps the guards.
        faults: Counts what fails here.
        name: What faults are counted under.
    """
    active = [True]

    def wrap(original: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(original)

        @functools.wraps(original)
        def init(*args: Any, **kwargs: Any) -> None:
            original(*args, **kwargs)
            if not active[0]:
                return
            try:
                given = signature.bind(*args, **kwargs).arguments
                graph, wrapper = given.get("output_graph"), getattr(args[0], "guard_manager", None)
                if graph is not None and wrapper is not None and graph.guard_on_key_order:
                    lengths[wrapper] = _read(graph, wrapper)
            except Exception as error:
                faults.count(name, error)

        return init

    undo = patch(lookup("torch._dynamo.guards:CheckFunctionManager"), "__init__", wrap)

    def stop() -> None:
        active[0] = False
        undo()

    return stop


def told(reason: str | None) -> dict[str, int]:
    """The length that torch's own reason tells, by source as torch writes it there: a local by its name."""
    found = _TOLD.match((reason or "").partition("  # ")[0].strip())
    return {} if found is None else {found[1]: int(found[2])}


def as_told(source: str) -> str:
    """A source as torch writes it in a reason: ``d['k']`` of ``L['d']['k']``."""
    return _LOCAL.sub(r"\1", source, count=1) if source.startswith("L[") else source


def _read(graph: Any, wrapper: Any) -> dict[str, int]:
    scope = getattr(wrapper, "global_scope", None) or {}
    reader = Reader(graph.local_scope, scope.get("G", {}))
    found: dict[str, int] = {}
    for one in islice(graph.guard_on_key_order, _MOST):
        source = one.name if isinstance(one.name, str) else one.name()
        try:
            value = reader.resolve(source)
        except (Missing, Unreadable):
            continue
        if issubclass(type(value), dict):
            found[source] = dict.__len__(value)
    return found
