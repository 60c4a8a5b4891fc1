"""What the nodes of later graphs were made of, as torch itself noted it: nodes of the Dynamo graph, exactly."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec

Names = tuple[str, ...]
_STEPS = 32
"""How many graphs back a source is followed."""


class Noted(msgspec.Struct, frozen=True, gc=False):
    """What torch noted in the nodes of one printed graph.

    Attributes:
        text: The printout's MD5 digest.
        graph: The graph's identity while it lived.
        sources: Places that nodes lead back to: a graph's identity, and a node's name in it.
        nodes: By node name: indices of its sources.
        made: By autograd sequence number: the node of the forward pass that it was given to.
        gradients: By name of a node of the backward pass: the number of the operation whose gradient it computes.
    """

    text: str
    graph: int
    sources: tuple[tuple[int, str], ...] = ()
    nodes: dict[str, tuple[int, ...]] = {}
    made: dict[int, str] = {}
    gradients: dict[str, int] = {}


class Lineage:
    """The lineage of all graphs of one compile; not a row of its own.

    Args:
        noted: Of each graph, in the order of printing.
        program: Which of them is Dynamo's graph.
        joint: Which of them is the joint graph, None where there is none.
    """

    def __init__(self, noted: Sequence[Noted], *, program: Noted, joint: Noted | None) -> None:
        self._noted = {one.text: one for one in noted}
        self._latest: dict[int, list[Noted]] = {}
        for one in reversed(noted):
            self._latest.setdefault(one.graph, []).append(one)
        self._program = program.graph
        self._joint = joint

    def of(self, text: str) -> Mapping[str, Names]:
        """By node name of a printed graph: the names of the Dynamo nodes that it was made of; without those that torch noted nothing of.

        Args:
            text: The printout.
        """
        digest = hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
        noted = self._noted.get(digest)
        if noted is None or noted.graph == self._program:
            return {}
        return {
            name: names for name in {**noted.nodes, **noted.gradients} if (names := self._made(noted, name))
        }

    def _made(self, noted: Noted, name: str) -> Names:
        """Dynamo's nodes behind one node, each once."""
        found: dict[str, None] = {}
        waiting, seen = [(noted, name)], {(noted.graph, name)}
        for _ in range(_STEPS):
            if not waiting:
                break
            one, called = waiting.pop()
            for graph, source in self._places(one, called):
                if graph == self._program:
                    found[source] = None
                elif (graph, source) not in seen:
                    seen.add((graph, source))
                    waiting += self._elsewhere(graph, source)
        return tuple(found)

    def _places(self, noted: Noted, name: str) -> list[tuple[int, str]]:
        places = [
            noted.sources[index] for index in noted.nodes.get(name, ()) if 0 <= index < len(noted.sources)
        ]
        number = noted.gradients.get(name)
        if number is not None and (made := self._forward.get(number)) is not None:
            places += made
        return places

    def _elsewhere(self, graph: int, name: str) -> list[tuple[Noted, str]]:
        """A node of a graph before, as it was noted last."""
        return [
            (one, name) for one in self._latest.get(graph, ()) if name in one.nodes or name in one.gradients
        ][:1]

    @cached_property
    def _forward(self) -> dict[int, list[tuple[int, str]]]:
        """By sequence number: the places that its operation of the forward pass leads back to."""
        joint = self._joint
        if joint is None:
            return {}
        return {
            number: [
                joint.sources[index] for index in joint.nodes.get(name, ()) if 0 <= index < len(joint.sources)
            ]
            for number, name in joint.made.items()
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lineage) and self._noted == other._noted and self._program == other._program

    def __hash__(self) -> int:
        return hash((self._program, len(self._noted)))
