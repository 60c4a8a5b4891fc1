"""An FX graph cut at the operators where it has to be: which node matches which name, and the pieces in order.

Nothing here compiles. A graph whose sizes cross a cut, whose operators are written as functions, methods or Python operators, or whose
splitting operators stand side by side is cut as its user means it.
"""

from __future__ import annotations

import difflib
import logging
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import fx
from torch.fx.node import map_arg
from torch.fx.passes.split_module import split_module

from compile_inspector.torch_seams.operators import operator_names, registered_names

_log = logging.getLogger(__name__)

_RESHAPING = frozenset(
    [
        "t_",
        "transpose_",
        "swapaxes_",
        "swapdims_",
        "squeeze_",
        "unsqueeze_",
        "resize_",
        "resize_as_",
        "set_",
        "as_strided_",
        "requires_grad_",
        "detach_",
    ]
)
"""Methods after which the values that Dynamo traced with no longer say what a tensor was before."""

Kind = Literal["compiled", "splitting"]


@dataclass(frozen=True)
class Piece:
    """One piece of a split graph.

    Attributes:
        index: Its place in the order of execution, from 0.
        name: The submodule that holds it in the split module.
        kind: "splitting" for one that consists of splitting operators, which runs as it is; "compiled" for one that is compiled.
        module: Its graph; every piece returns a tuple.
        nodes: Names of its nodes in the graph that was split.
        split_op: The operator it was cut out for, as the splitting_ops name it; None for one that is compiled.
        reason: Why it is a piece of its own, None for one that is compiled.
    """

    index: int
    name: str
    kind: Kind
    module: fx.GraphModule
    nodes: tuple[str, ...]
    split_op: str | None
    reason: str | None


@dataclass(frozen=True)
class Split:
    """A graph and what it was cut into.

    Attributes:
        module: Calls the pieces in order; of the same inputs and outputs as the graph.
        pieces: In the order of execution.
        unmatched: Names of the splitting_ops that match no node, each with names in reach that are spelled alike.
        problem: Why a graph was left whole although it holds splitting operators; None otherwise.
    """

    module: fx.GraphModule
    pieces: tuple[Piece, ...]
    unmatched: tuple[tuple[str, tuple[str, ...]], ...] = ()
    problem: str | None = None


def find_splitting(graph: fx.Graph, splitting_ops: Iterable[str]) -> dict[fx.Node, str]:
    """The nodes to cut at, each with the splitting op that it matches; in the graph's order."""
    wanted = tuple(splitting_ops)
    found: dict[fx.Node, str] = {}
    for node in graph.nodes:
        names = operator_names(node)
        match = next((name for name in wanted if name in names), None)
        if match is not None:
            found[node] = match
    return found


def near_names(name: str, graph: fx.Graph) -> tuple[str, ...]:
    """Up to three names spelled like this one: of the graph's operators, and of the operators registered in its namespace."""
    reachable = {one for node in graph.nodes for one in operator_names(node)}
    namespace = name.partition("::")[0]
    if namespace != "aten":
        reachable |= registered_names(namespace)
    close = difflib.get_close_matches(name, sorted(reachable), n=3, cutoff=0.6)
    last = name.rpartition("::")[2].partition(".")[0]
    same = [
        one for one in sorted(reachable) if last and last in (one.rpartition("::")[2], one.rpartition(".")[2])
    ]
    return tuple(dict.fromkeys([*same, *close]))[:3]


def inline_sizes(module: fx.GraphModule) -> None:
    """Replaces every ``tensor.size()`` of a graph by its numbers: a `torch.Size` cannot pass from piece to piece.

    A size that is a number is written as it is; one that is a symbol is the graph's own input of that symbol where there is one, else
    read from the tensor.
    """
    graph = module.graph
    symbols = {
        str(value.node.expr): node
        for node in graph.nodes
        if node.op == "placeholder" and isinstance(value := node.meta.get("example_value"), torch.SymInt)
    }
    for node in list(graph.nodes):
        value = node.meta.get("example_value")
        if node.op != "call_method" or node.target != "size" or not isinstance(value, torch.Size):
            continue
        _replace_size(graph, node, value, symbols)
    graph.lint()


def _replace_size(graph: fx.Graph, node: fx.Node, value: torch.Size, symbols: dict[str, fx.Node]) -> None:
    tensor = node.args[0] if node.args else node.kwargs["self"]
    entries: dict[int, Any] = {}

    def entry(dim: int) -> Any:
        size = value[dim]
        if not isinstance(size, torch.SymInt):
            return int(size)
        if str(size.node.expr) in symbols:
            return symbols[str(size.node.expr)]
        if dim not in entries:
            with graph.inserting_before(node):
                entries[dim] = graph.call_function(torch.ops.aten.sym_size.int, (tensor, dim))
                entries[dim].meta["example_value"] = size
        return entries[dim]

    for user in list(node.users):
        if user.op == "call_function" and user.target is operator.getitem and isinstance(user.args[1], int):
            replacement = entry(user.args[1] % len(value))
            if isinstance(replacement, fx.Node):
                user.replace_all_uses_with(replacement)
            else:
                for reader in list(user.users):
                    _substitute(reader, user, replacement)
            graph.erase_node(user)
        else:
            _substitute(user, node, [entry(dim) for dim in range(len(value))])
    graph.erase_node(node)


def _substitute(user: fx.Node, old: fx.Node, new: Any) -> None:
    """Puts a value in the place of a node in one user's arguments, positional and by keyword.

    As the only arguments of a method (``x.view(size)``) a list stays one argument.
    """

    def one(node: fx.Node) -> Any:
        return new if node is old else node

    user.args = map_arg(user.args, one)
    user.kwargs = map_arg(user.kwargs, one)


def split(module: fx.GraphModule, splitting_ops: Iterable[str]) -> Split:
    """Cuts a graph at its splitting operators, keeping the order; the graph given is changed and must not be used again.

    Operators that follow one another directly form one piece. What unpacks an operator's several results stays with it. A name that
    matches nothing is warned about, with names spelled alike.
    """
    wanted = tuple(splitting_ops)
    marked = find_splitting(module.graph, wanted)
    matched = {name for node in marked for name in operator_names(node)}
    unmatched = tuple((name, near_names(name, module.graph)) for name in wanted if name not in matched)
    for name, near in unmatched:
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        _log.warning("The splitting op %r matches no operator of the graph%s", name, hint)
    if not marked:
        return Split(module, (_whole(module),), unmatched)
    reshaping = next((node for node in module.graph.nodes if node.target in _RESHAPING), None)
    if reshaping is not None:
        problem = f"the graph changes a tensor's shape in place ({reshaping.target}), which a cut would not keep; it is compiled whole"
        _log.warning("%s", problem)
        return Split(module, (_whole(module),), unmatched, problem)
    inline_sizes(module)
    numbers = _assign(module.graph, marked)
    try:
        divided = split_module(module, None, numbers.__getitem__, keep_original_order=True)  # type: ignore[arg-type]
    except (KeyError, AssertionError, RuntimeError) as error:
        problem = f"torch could not split the graph ({type(error).__name__}: {error}); it is compiled whole"
        _log.warning("%s", problem)
        return Split(module, (_whole(module),), unmatched, problem)
    return Split(divided, _pieces(divided, numbers, marked), unmatched)


def _whole(module: fx.GraphModule) -> Piece:
    return Piece(0, "", "compiled", module, _computing(module.graph), None, None)


def _computing(graph: fx.Graph) -> tuple[str, ...]:
    return tuple(node.name for node in graph.nodes if node.op not in ("placeholder", "output", "get_attr"))


def _assign(graph: fx.Graph, marked: dict[fx.Node, str]) -> dict[fx.Node, int]:
    """The number of each node's piece."""
    numbers: dict[fx.Node, int] = {}
    number, splitting = -1, None
    for node in graph.nodes:
        if node.op in ("placeholder", "output", "get_attr"):
            continue
        producer = _unpacked(node)
        if producer is not None and producer in numbers:
            numbers[node] = numbers[producer]
            continue
        if splitting is not (node in marked):
            number, splitting = number + 1, node in marked
        numbers[node] = number
    return _without_trivial(numbers, {numbers[node] for node in marked})


def _unpacked(node: fx.Node) -> fx.Node | None:
    """What a node takes one result of; None where it indexes a tensor, which is a computation of its own."""
    if (
        node.op != "call_function"
        or node.target is not operator.getitem
        or not isinstance(node.args[0], fx.Node)
    ):
        return None
    producer = node.args[0]
    several = isinstance(producer.meta.get("example_value"), tuple | list)
    return producer if several else None


def _without_trivial(numbers: dict[fx.Node, int], splitting: set[int]) -> dict[fx.Node, int]:
    """Gives pieces that compute no tensor, only sizes, to the splitting piece before them: there is nothing to compile in them."""
    computing = {number for node, number in numbers.items() if not _is_scalar(node)}
    order = sorted(set(numbers.values()))
    into: dict[int, int] = {}
    kept = -1
    for number in order:
        if number not in computing and number not in splitting and kept >= 0:
            into[number] = into[order[order.index(number) - 1]]
        else:
            kept += 1
            into[number] = kept
    return {node: into[number] for node, number in numbers.items()}


def _is_scalar(node: fx.Node) -> bool:
    return isinstance(
        node.meta.get("example_value"), int | torch.SymInt | float | torch.SymFloat | torch.SymBool
    )


def _pieces(
    divided: fx.GraphModule, numbers: dict[fx.Node, int], marked: dict[fx.Node, str]
) -> tuple[Piece, ...]:
    nodes: dict[int, list[fx.Node]] = {}
    for node, number in numbers.items():
        nodes.setdefault(number, []).append(node)
    pieces: list[Piece] = []
    for index, number in enumerate(sorted(nodes)):
        name = f"submod_{number}"
        module = getattr(divided, name)
        _return_tuple(divided, name, module)
        ops = tuple(dict.fromkeys(marked[node] for node in nodes[number] if node in marked))
        pieces.append(
            Piece(
                index,
                name,
                "splitting" if ops else "compiled",
                module,
                tuple(node.name for node in nodes[number]),
                ", ".join(ops) or None,
                f"{', '.join(ops)} is a splitting op" if ops else None,
            )
        )
    divided.recompile()
    return tuple(pieces)


def _return_tuple(divided: fx.GraphModule, name: str, module: fx.GraphModule) -> None:
    """Lets a piece return a tuple, also of one value, and its caller take that value out: every compiler expects it so."""
    (output,) = (node for node in module.graph.nodes if node.op == "output")
    value = output.args[0]
    if isinstance(value, tuple | list):
        return
    output.args = ((value,),)
    module.recompile()
    (call,) = (node for node in divided.graph.nodes if node.op == "call_module" and node.target == name)
    with divided.graph.inserting_after(call):
        item = divided.graph.call_function(operator.getitem, (call, 0))
    call.replace_all_uses_with(item, delete_user_cb=lambda user: user is not item)
