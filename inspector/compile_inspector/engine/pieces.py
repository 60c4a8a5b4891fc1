"""Parts of a compiled graph that stand by themselves: a piece's code, what captures it, where a call says its size, and the whole as it can be kept."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import fx

from compile_inspector.engine import ranges
from compile_inspector.engine.config import CUDAGraphMode
from compile_inspector.engine.cudagraph import CUDAGraphOptions, CUDAGraphWrapper, PieceOf
from compile_inspector.engine.stitching import Stitches

GRAPH = "__compile_inspector_graph__"
"""The attribute by which what runs a graph names the graph."""
graph_numbers = itertools.count(1)
"""A number for each graph of the process, in the order in which they were made."""


class Compiled(NamedTuple):
    """One piece as it was compiled.

    Attributes:
        run: Takes the piece's inputs, gives a tuple.
        guards: Conditions on the size that the backend assumed.
        symbol: The size in these conditions.
    """

    run: Callable[..., Any]
    guards: tuple[Any, ...] = ()
    symbol: Any = None


class ReadAt(NamedTuple):
    """Where a call's inputs say what the size is: an input that is it, or a dimension of one."""

    input: int
    dim: int | None


def reader(at: ReadAt) -> Callable[[Sequence[Any]], int]:
    """What reads the size from a call's inputs."""
    index, dim = at
    return operator.itemgetter(index) if dim is None else lambda inputs: inputs[index].shape[dim]


def captured(
    run: Callable[..., Any],
    vllm_config: Any,
    piece: PieceOf,
    elsewhere: frozenset[int],
    *,
    first: bool,
    last: bool,
) -> Callable[..., Any]:
    """What captures a piece into CUDA graphs; the piece as it is where the configuration asks for none.

    Args:
        run: The piece.
        vllm_config: Any object with a ``compilation_config``.
        piece: Which it is.
        elsewhere: Inputs that lie elsewhere at each call.
        first: Whether it is the first that can be captured.
        last: Whether it is the last.
    """
    config = vllm_config.compilation_config
    mode = getattr(config, "cudagraph_mode", None) or CUDAGraphMode.NONE
    if not mode.has_piecewise_cudagraphs():
        return run
    copies = bool(getattr(config, "cudagraph_copy_inputs", False))
    return CUDAGraphWrapper(
        run,
        vllm_config,
        CUDAGraphMode.PIECEWISE,
        CUDAGraphOptions(debug_log_enable=first, gc_disable=not first, weak_ref_output=last),
        copied=elsewhere if copies else (),
        piece=piece,
    )


class KeptPiece(NamedTuple):
    """One piece of a graph: its name, place and kind, which inputs lie elsewhere at each call, and its FX graph."""

    name: str
    place: int
    kind: str
    elsewhere: frozenset[int]
    module: fx.GraphModule


class KeptEntry(NamedTuple):
    """What was compiled for one range: each compiled piece by its name, and the facts of them."""

    range: ranges.Range
    pieces: dict[str, Compiled]
    rows: tuple[dict[str, Any], ...]


class Kept(NamedTuple):
    """A graph as it was compiled, apart from the process.

    Attributes:
        stitches: What calls the pieces; None where the graph is one piece.
        pieces: In order.
        entries: What was compiled, by range.
        read_at: Where a call says its size.
        ranges: All of them.
        symbol: The size's name.
        split: The fact ``splits``.
        inductor_splits: Whether Inductor split it.
    """

    stitches: Stitches | None
    pieces: tuple[KeptPiece, ...]
    entries: tuple[KeptEntry, ...]
    read_at: ReadAt | None
    ranges: ranges.Ranges
    symbol: str | None
    split: dict[str, Any]
    inductor_splits: bool
