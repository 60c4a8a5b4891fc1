"""Which nodes of a graph a query finds: words that must all be there, each anywhere or, with a key before a colon, in one place."""

from __future__ import annotations

import re
from collections.abc import Callable

from compile_inspector.analyze.graph_tree import graph_tree
from compile_inspector.model.graph import Graph
from compile_inspector.model.nodes import GraphNode

KEYS = ("op", "name", "module", "shape", "dtype", "symbol", "line", "kernel", "device", "partition", "args")

_TERM = re.compile(r'(?:[^\s"]+|"[^"]*")+')
_KEYED = re.compile(r"([a-z]+):(.+)", re.DOTALL)
_LINE = re.compile(r"(.*?):?([0-9]+)?", re.DOTALL)

_Holds = Callable[[int], bool]


def search_graph(graph: Graph, query: str) -> tuple[GraphNode, ...]:
    """The nodes that a query finds, in the order of the printout; none for an empty one.

    ``mm shape:4096`` finds nodes that hold both; ``module:self_attn``, ``symbol:s77`` (the whole name), ``line:model.py:12``,
    ``kernel:triton_poi``, ``partition:2`` look in one place (`KEYS`). Upper and lower case are the same; quotes keep words together.
    """
    terms = [term.replace('"', "").lower() for term in _TERM.findall(query)]
    found: list[int] | range = range(len(graph.nodes)) if any(terms) else []
    search = _Search(graph)
    for term in filter(None, terms):
        holds = search.test(term)
        found = [node for node in found if holds(node)]
    return tuple(graph.nodes[node] for node in found)


class _Search:
    def __init__(self, graph: Graph) -> None:
        self.nodes = graph.nodes
        self.tree = graph_tree(graph)

    def test(self, term: str) -> _Holds:
        """Whether a node holds the term."""
        keyed = _KEYED.fullmatch(term)
        if keyed is not None and keyed[1] in KEYS:
            return self._keyed(keyed[1], keyed[2])
        module = self._module(term)
        line = self._line(term) if any(map(str.isdecimal, term)) else None

        def holds(index: int) -> bool:
            node = self.nodes[index]
            place = node.location
            words = (node.name, node.target, _shape(node), node.dtype, node.value)
            said = (*words, *(() if place is None else (place.code, place.function)))
            return (
                any(term in word.lower() for word in said if word)
                or module(index)
                or (line is not None and line(index))
                or ("_" in term and term in node.op)
            )

        return holds

    def _keyed(self, key: str, term: str) -> _Holds:
        nodes = self.nodes
        if key == "module":
            return self._module(term)
        if key == "line":
            return self._line(term)
        if key == "symbol":
            name = re.compile(rf"(?<![\w.]){re.escape(term)}(?!\w)", re.IGNORECASE)
            return lambda index: name.search(_sizes(nodes[index])) is not None
        if key == "kernel":
            return lambda index: any(term in kernel.lower() for kernel in nodes[index].kernels)
        if key == "partition":
            return lambda index: str(nodes[index].partition) == term
        if key == "op":
            return lambda index: term in nodes[index].target.lower() or term in nodes[index].op
        if key == "shape":
            return lambda index: term in _shape(nodes[index]).lower()
        return lambda index: term in str(getattr(nodes[index], key) or "").lower()

    def _module(self, term: str) -> _Holds:
        """Nodes of the groups, and of those in them, whose path or class holds the term."""
        groups = self.tree.groups
        held = [False] * len(groups)
        for index, group in enumerate(groups[1:], 1):
            held[index] = (
                held[group.parent] or term in group.path.lower() or term in (group.module_class or "").lower()
            )
        group_of = self.tree.group_of
        return lambda index: held[group_of[index]]

    def _line(self, term: str) -> _Holds:
        found = _LINE.fullmatch(term)
        file, number = (found[1], found[2]) if found is not None else (term, None)
        wanted = None if number is None else int(number[:9])
        if not file and not term.startswith(":"):
            return lambda _: False

        def holds(index: int) -> bool:
            place = self.nodes[index].location
            return place is not None and file in place.file.lower() and wanted in (None, place.line)

        return holds


def _shape(node: GraphNode) -> str:
    return "" if node.shape is None else f"[{', '.join(map(str, node.shape))}]"


def _sizes(node: GraphNode) -> str:
    return " ".join(map(str, (*(node.shape or ()), *(node.stride or ()), node.value or "")))
