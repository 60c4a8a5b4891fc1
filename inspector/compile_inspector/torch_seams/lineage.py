"""What each node of a later graph was made of: the nodes of the graph before that torch noted in its metadata.

Read whenever a graph is printed for the trace. `from_node` leads from a node to those that it was traced from, graph by graph; an operation
of the backward pass has the autograd sequence number of the forward operation whose gradient it computes.

Source: `torch.fx.GraphModule.print_readable`, `torch.fx.Node.meta` (`from_node`, `seq_nr`, `partitioner_tag`, `is_gradient_acc`).
"""

from __future__ import annotations

import functools
import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any

from compile_inspector.torch_seams.probe import Capability, Emit, Faults, Undo, lookup, patch, probe_names

NAME = "lineage"
USES = (
    "torch.fx:GraphModule.print_readable",
    "torch._guards:CompileContext.current_trace_id",
)
_STEPS = 1_000
"""The most sources of one node that are followed."""
_TOLD = 64
"""How many graphs are remembered as told: one that nothing has changed is printed again under another name."""

Place = tuple[int, str]
"""A graph, by identity, and the name of a node in it."""


def probe() -> Capability:
    """Whether this torch lets us see the graphs that it prints."""
    return probe_names(USES)


def install(emit: Emit, faults: Faults) -> Undo:
    """Emits the fact ``lineage`` for each graph that is printed during a compile, right before the printout's own record."""
    current: Callable[[], Any] = lookup("torch._guards:CompileContext.current_trace_id")
    told: deque[tuple[str, str]] = deque(maxlen=_TOLD)
    wanted = True

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def print_readable(self: Any, *args: Any, **kwargs: Any) -> Any:
            text = original(self, *args, **kwargs)
            if wanted and kwargs.get("print_output") is False:
                try:
                    if (trace_id := current()) is not None:
                        key = (str(trace_id), digest(text))
                        if key not in told:
                            told.append(key)
                            emit("lineage", {"text": key[1], **lineage(self.graph)})
                except Exception as error:
                    faults.count(NAME, error)
            return text

        return print_readable

    restore = patch(lookup("torch.fx:GraphModule"), "print_readable", make)

    def undo() -> None:
        nonlocal wanted
        wanted = False
        restore()

    return undo


def digest(text: str) -> str:
    """Tells a printout from others."""
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def lineage(graph: Any) -> dict[str, Any]:
    """Of one graph: ``graph`` (its identity), ``sources`` (places), and by node name ``nodes`` (indices of sources).

    ``made`` tells the first node of the forward pass of each sequence number: the one that the number was given to. ``gradients`` tells the
    number of each node of the backward pass, but for those that add up gradients: these are no operation's own.
    """
    sources: dict[Place, int] = {}
    known: dict[int, list[int]] = {}
    nodes: dict[str, list[int]] = {}
    made: dict[int, str] = {}
    gradients: dict[str, int] = {}
    for node in graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        meta = node.meta
        found: list[int] = []
        for source in meta.get("from_node", ()):
            origins = known.get(id(source))
            if origins is None:
                origins = [sources.setdefault(place, len(sources)) for place in _origins(source)]
                known[id(source)] = origins
            found += origins
        if found:
            nodes[node.name] = list(dict.fromkeys(found))
        number = meta.get("seq_nr", -1)
        if number is None or number < 0:
            continue
        if meta.get("partitioner_tag") != "is_backward":
            made.setdefault(number, node.name)
        elif not meta.get("is_gradient_acc"):
            gradients[node.name] = number
    told: dict[str, Any] = {"graph": id(graph), "sources": list(sources), "nodes": nodes}
    if gradients:
        told |= {"made": made, "gradients": gradients}
    return told


def _origins(source: Any) -> list[Place]:
    """The places that a source leads back to: those that have no source themselves."""
    found: dict[Place, None] = {}
    waiting = [source]
    for _ in range(_STEPS):
        if not waiting:
            break
        one = waiting.pop()
        before = list(one.from_node)
        if before:
            waiting += reversed(before)
        elif one.node_info is not None:
            found[one.graph_id, one.name] = None
    return list(found)
