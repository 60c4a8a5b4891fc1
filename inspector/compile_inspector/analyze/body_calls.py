"""What flows into a graph that a higher-order operator calls, and out of it: torch prints the called graph beside its caller, without edges.

What a graph returns goes to the nodes that call it. Which of a caller's arguments becomes which input is known for operators whose
arguments are the called graphs and then, in order, what these are given; for others nothing is said.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from compile_inspector.analyze.graph_tree import GraphTree
from compile_inspector.model.graph_types import RawNode

Pair = tuple[int, int]

_NAMESPACE = "higher_order."
_BEFORE_OPERANDS = {
    "cond": 3,
    "invoke_subgraph": 2,
    "map_impl": 1,
    "scan": 1,
    "tag_activation_checkpoint": 1,
    "while_loop": 2,
    "wrap": 1,
    "wrap_activation_checkpoint": 1,
}
"""By operator: how many arguments stand before those that it gives to the called graphs."""
_LONGEST_TEXT = 200_000


def body_calls(tree: GraphTree) -> list[Pair]:
    """Pairs of nodes that a call joins: an argument and the input that it becomes; a called graph's output and the node that calls it."""
    found: dict[Pair, None] = {}
    for prefix, (inputs, output) in _bodies(tree).items():
        holder = tree.at.get(prefix)
        for caller in tree.readers[holder] if holder is not None else ():
            for argument, taken in zip(
                _arguments(tree, tree.nodes[caller], len(inputs)), inputs, strict=False
            ):
                if argument is not None and argument != taken:
                    found[argument, taken] = None
            if output is not None:
                found[output, caller] = None
    return list(found)


def _bodies(tree: GraphTree) -> dict[str, tuple[list[int], int | None]]:
    """By name of a called graph: its inputs in order, and its output."""
    found: dict[str, tuple[list[int], int | None]] = {}
    for index, node in enumerate(tree.nodes):
        if node.op not in ("placeholder", "output") or "." not in node.name:
            continue
        prefix = node.name.rpartition(".")[0]
        inputs, output = found.get(prefix, ([], None))
        if node.op == "placeholder":
            inputs.append(index)
        found[prefix] = inputs, index if node.op == "output" else output
    return found


def _arguments(tree: GraphTree, caller: RawNode, count: int) -> list[int | None]:
    """The nodes that a caller gives to the graphs it calls, one for each of ``count`` inputs; none where that cannot be told."""
    operands = _operands(caller)
    if len(operands) != count:
        operands = [name for name in operands if name is not None]
    if len(operands) != count:
        return []
    around = caller.name.rpartition(".")[0]
    names = [name and (f"{around}.{name}" if around else name) for name in operands]
    return [tree.at.get(name) if name else None for name in names]


def _operands(caller: RawNode) -> list[str | None]:
    """The names that a caller's operands are written with; None for a constant."""
    _, known, operator = caller.target.rpartition(_NAMESPACE)
    before = _BEFORE_OPERANDS.get(operator.partition(".")[0]) if known else None
    if before is None or len(caller.args) > _LONGEST_TEXT:
        return []
    try:
        call = ast.parse(f"f({caller.args})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    if not isinstance(call, ast.Call):
        return []
    return [node.id if isinstance(node, ast.Name) else None for node in _flat(call.args[before:])]


def _flat(nodes: Sequence[ast.expr]) -> Iterator[ast.expr]:
    """Elements of tuples and lists, at any depth, in order."""
    stack = list(reversed(nodes))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Tuple | ast.List):
            stack.extend(reversed(node.elts))
        else:
            yield node
