"""How much ran from CUDA graphs. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from compile_inspector.model.captures import Capture
from compile_inspector.model.tables import Tables


class Share(msgspec.Struct, frozen=True):
    """Calls from graphs and without.

    Attributes:
        graphs: Graphs that calls can run from.
        replays: Calls that did.
        calls: All calls, of code that has graphs or was asked to have some.
        kernels: Kernels that the replays launched; None where those of some graph were not counted.
    """

    graphs: int
    replays: int
    calls: int
    kernels: int | None


def is_call(row: Capture) -> bool:
    """Whether a row stands for calls of its own: a piece of the decorator's is called within a whole model's."""
    return row.partition is None or row.source == "cudagraph_trees"


def share(rows: Iterable[Capture]) -> Share:
    """What the rows of a recording tell together."""
    own = [row for row in rows if is_call(row)]
    replays = sum(row.replay_count for row in own)
    unknown = any(row.replay_count and row.kernel_count is None for row in own)
    kernels = sum(row.replay_count * (row.kernel_count or 0) for row in own)
    return Share(
        graphs=sum(row.has_graph for row in own),
        replays=replays,
        calls=replays + sum(row.call_count for row in own),
        kernels=None if unknown else kernels,
    )


def why_none(tables: Tables) -> str:
    """Why a recording has no capture, for a reader who looks for some."""
    if tables.environment.gpu is None:
        return "there is no CUDA GPU where this was recorded"
    return 'nothing asked for CUDA graphs; applied.capture(sizes=[...]) and torch.compile(mode="reduce-overhead") do'
