"""How much ran from CUDA graphs, and what of it cannot be known."""

from __future__ import annotations

from typing import Any

from compile_inspector.analyze.capture_shares import share
from compile_inspector.model.captures import Capture
from compile_inspector.views.captures_text import share_text


def row(**values: Any) -> Capture:
    told: dict[str, Any] = {
        "source": "engine",
        "number": 1,
        "compile_id": "0/0",
        "module": None,
        "partition": None,
        "size": 4,
        "key": "4",
        "mode": "FULL",
        "event": "captured",
        "kernel_count": 3,
    }
    return Capture(**told | values)


def test_a_model_in_pieces_is_one_call_and_as_many_graphs_as_pieces() -> None:
    """Its own row counts the calls, those of its pieces the graphs; the kernels of both are the same kernels."""
    pieces = [row(mode="PIECEWISE", partition=index, kernel_count=2, replay_count=5) for index in (0, 2)]
    found = share([row(mode="PIECEWISE", kernel_count=4, replay_count=5), *pieces])
    assert (found.graphs, found.replays, found.calls, found.kernels) == (2, 5, 5, 20)


def test_pieces_that_are_called_by_themselves_count() -> None:
    """A forward context chooses their graphs, and no row of a whole model stands for it."""
    found = share([row(mode="PIECEWISE", partition=index, replay_count=5, call_count=1) for index in (0, 2)])
    assert (found.graphs, found.replays, found.calls) == (2, 10, 12)


def test_what_torch_left_out_counts_where_it_was_seen_called() -> None:
    """Otherwise it is told that nobody knows."""
    left_out = row(
        source="cudagraph_trees", compile_id="1/0", mode="INFERENCE", event="skipped", reason="cpu"
    )
    rows = [
        row(replay_count=6),
        row(source="cudagraph_trees", compile_id="2/0", event="skipped", call_count=2),
    ]
    assert share_text(rows) == (
        "1 CUDA graph; 6 of 8 calls of code that was asked to have some (75 %) ran from one, which launched 18 kernels"
    )
    assert share([*rows, left_out]).unseen == 1
    assert share_text([*rows, left_out]).endswith(
        "; no call was seen of 1 compiled graph that torch leaves out, which says nothing of whether there was one"
    )


def test_kernels_that_were_not_counted_are_said_so() -> None:
    """Not told as none."""
    text = share_text([row(replay_count=1, kernel_count=None)])
    assert text.endswith("ran from one; the kernels in some of the graphs were not counted")
