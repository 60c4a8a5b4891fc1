"""One compile for graphs that differ in nothing but sizes which one of them knows and the other takes as an input.

torch traces a size of 0 or 1 as a constant, and everything else as a symbol of at least 2, whether or not the program cares. Where the two
traces turn out to be the same operations, the graph of the symbol computes the other's answers too, and nothing is to be compiled. This
holds for a backend that runs graphs as they are; one that decomposes operations may have used that the symbol is at least 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import SymInt, Tensor, fx

Run = Callable[..., Any]


class Reusing:
    """A backend that asks another one only for graphs that it has not compiled yet.

    Args:
        backend: The other one, which runs graphs as they are.
    """

    def __init__(self, backend: Callable[[fx.GraphModule, Sequence[Any]], Run]) -> None:
        self.backend = backend
        self._known: list[tuple[fx.Graph, Run]] = []

    def __call__(self, module: fx.GraphModule, example_inputs: Sequence[Any]) -> Run:
        """What runs this graph."""
        for graph, run in self._known:
            inputs = same(graph, module.graph)
            if inputs is not None:
                return _adapted(run, inputs)
        graph = fx.Graph()
        graph.output(graph.graph_copy(module.graph, {}))
        run = self.backend(module, example_inputs)
        self._known.append((graph, run))
        return run


def _adapted(run: Run, inputs: list[tuple[bool, int]]) -> Run:
    if inputs == [(True, index) for index in range(len(inputs))]:
        return run
    return lambda *given: run(*[given[value] if passed else value for passed, value in inputs])


def same(known: fx.Graph, new: fx.Graph) -> list[tuple[bool, int]] | None:
    """How to call what was compiled for one graph with another's inputs: for each, the index of the other's, or a size; None where they differ.

    Args:
        known: Its sizes may be inputs.
        new: Has a number where ``known`` has such an input.
    """
    theirs, ours = list(new.nodes), list(known.nodes)
    tensors = [node for node in theirs if node.op == "placeholder"]
    indices = {node.name: index for index, node in enumerate(tensors)}
    sizes = _sizes(ours, {node.name: node for node in tensors})
    if sizes is None:
        return None
    inputs: list[tuple[bool, int]] = []
    seen: dict[fx.Node, Any] = {}
    for node in ours:
        if node.op != "placeholder":
            continue
        if node.name in indices:
            seen[node] = tensors[indices[node.name]]
            inputs.append((True, indices[node.name]))
        else:
            value = sizes.get(str(_example(node)))
            if value is None:
                return None
            seen[node] = value
            inputs.append((False, value))
    if sum(passed for passed, _ in inputs) != len(tensors):
        return None
    rest = ([node for node in nodes if node.op != "placeholder"] for nodes in (ours, theirs))
    mine, other = next(rest), next(rest)
    if len(mine) != len(other):
        return None
    for one, two in zip(mine, other, strict=True):
        if (one.op, one.target) != (two.op, two.target) or one.op == "get_attr" or one.op == "call_module":
            return None
        if not _equal((one.args, one.kwargs), (two.args, two.kwargs), seen):
            return None
        seen[one] = two
    return inputs


def _example(node: fx.Node) -> Any:
    return node.meta.get("example_value")


def _sizes(ours: list[fx.Node], theirs: dict[str, fx.Node]) -> dict[str, int] | None:
    """What each size that is a symbol in one graph's inputs is in the other's; None where the inputs themselves differ."""
    sizes: dict[str, int] = {}
    for node in ours:
        other = theirs.get(node.name)
        if node.op != "placeholder" or other is None:
            continue
        one, two = _example(node), _example(other)
        if not isinstance(one, Tensor):
            if isinstance(one, SymInt) != isinstance(two, SymInt) or type(one) is not type(two):
                return None
            continue
        if not isinstance(two, Tensor) or (one.dtype, one.device, one.ndim) != (
            two.dtype,
            two.device,
            two.ndim,
        ):
            return None
        for mine, their in zip(one.shape, two.shape, strict=True):
            if isinstance(mine, SymInt) and isinstance(their, SymInt):
                if str(mine) != str(their):
                    return None
            elif isinstance(mine, SymInt):
                if sizes.setdefault(str(mine), int(their)) != their:
                    return None
            elif isinstance(their, SymInt) or mine != their:
                return None
    return sizes


def _equal(one: Any, two: Any, seen: dict[fx.Node, Any]) -> bool:
    if isinstance(one, fx.Node):
        found = seen.get(one)
        return found is two if isinstance(two, fx.Node) else type(found) is type(two) and found == two
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(_equal(a, b, seen) for a, b in zip(one, two, strict=True))
    if isinstance(one, dict) and isinstance(two, dict):
        return list(one) == list(two) and all(_equal(one[key], two[key], seen) for key in one)
    if isinstance(one, slice) and isinstance(two, slice):
        return _equal((one.start, one.stop, one.step), (two.start, two.stop, two.step), seen)
    return type(one) is type(two) and bool(one == two)
