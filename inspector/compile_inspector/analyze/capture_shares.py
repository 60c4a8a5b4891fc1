"""How much ran from CUDA graphs. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from compile_inspector.model.captures import Capture
from compile_inspector.model.tables import Tables


class Share(msgspec.Struct, frozen=True):
    """Calls from graphs and without.

    Attributes:
        graphs: CUDA graphs that calls can run from: of a model in pieces, one a piece.
        replays: Calls that did.
        calls: All calls that were counted, of code that has graphs or was asked to have some.
        kernels: Kernels that the replays launched; None where those of some graph were not counted.
        unseen: Compiled graphs that torch captures none of, and no call of which was seen: there may have been some.
    """

    graphs: int
    replays: int
    calls: int
    kernels: int | None
    unseen: int = 0


def calls_of(rows: Iterable[Capture]) -> list[Capture]:
    """The rows that stand for calls of their own: a piece of the decorator's does not where it is called within a whole model's."""
    given = list(rows)
    whole = {_batch(row) for row in given if row.partition is None}
    return [
        row
        for row in given
        if row.partition is None or row.source == "cudagraph_trees" or _batch(row) not in whole
    ]


def _batch(row: Capture) -> tuple[str, str | None, str, str | None]:
    return row.source, row.compile_id, row.mode, row.key


def share(rows: Iterable[Capture]) -> Share:
    """What the rows of a recording tell together."""
    given = list(rows)
    own = calls_of(given)
    replays = sum(row.replay_count for row in own)
    unknown = any(row.replay_count and row.kernel_count is None for row in own)
    kernels = sum(row.replay_count * (row.kernel_count or 0) for row in own)
    split = {_batch(row) for row in given if row.partition is not None and row.source == "engine"}
    return Share(
        graphs=sum(
            row.has_graph and (row.partition is not None or _batch(row) not in split) for row in given
        ),
        replays=replays,
        calls=replays + sum(row.call_count for row in own),
        kernels=None if unknown else kernels,
        unseen=sum(
            row.source == "cudagraph_trees" and row.event == "skipped" and not row.call_count for row in own
        ),
    )


def why_none(tables: Tables) -> str:
    """Why a recording has no capture, for a reader who looks for some."""
    if tables.environment.gpu is None:
        return "there is no CUDA GPU where this was recorded"
    return 'nothing asked for CUDA graphs; applied.capture(sizes=[...]) and torch.compile(mode="reduce-overhead") do'
