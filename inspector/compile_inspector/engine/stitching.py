"""Pieces put together again: what calls them in order, and which of their inputs lie elsewhere at each call."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import fx

from compile_inspector.engine.splitting import Piece, Split


def varying(divided: Split, piece: Piece) -> frozenset[int]:
    """Which of a piece's inputs lie elsewhere at each call: the model's arguments, and what splitting pieces, which no graph holds, return."""
    if piece.module is divided.module:
        nodes: list[Any] = [node for node in divided.module.graph.nodes if node.op == "placeholder"]
    else:
        (call,) = (
            node
            for node in divided.module.graph.nodes
            if node.op == "call_module" and node.target == piece.name
        )
        nodes = list(call.args)
    splitting = {one.name for one in divided.pieces if one.kind == "splitting"}
    return frozenset(index for index, node in enumerate(nodes) if _varies(node, splitting))


def _varies(node: Any, splitting: set[str]) -> bool:
    while isinstance(node, fx.Node) and node.op == "call_function" and node.target is operator.getitem:
        node = node.args[0]
    if not isinstance(node, fx.Node):
        return False
    if node.op == "call_module":
        return node.target in splitting
    owned = str(node.target).startswith(("L_self_", "G_"))
    return not owned and isinstance(node.meta.get("example_value"), torch.Tensor)


class Stitches(NamedTuple):
    """A function that calls pieces, as text.

    Attributes:
        source: Of the function ``call``.
        constants: What its source names, apart from the pieces.
        pieces: The pieces' names, by what the source calls them.
    """

    source: str
    constants: dict[str, Any]
    pieces: dict[str, str]

    def sewn(self, runs: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
        """The function, over what runs each piece, by its name."""
        scope = {**self.constants, **{name: runs[piece] for name, piece in self.pieces.items()}}
        exec(self.source, scope)
        return scope["call"]


def stitches(module: fx.GraphModule) -> Stitches:
    """A function that calls the pieces as the split module does, without the cost of modules; each value is let go after its last use.

    Args:
        module: Holds placeholders, attributes, calls of pieces, items of tuples and an output.
    """
    scope: dict[str, Any] = {}
    pieces: dict[str, str] = {}
    names: dict[fx.Node, str] = {}
    last = {read: node for node in module.graph.nodes for read in node.all_input_nodes}
    lines: list[str] = []
    arguments: list[str] = []
    for number, node in enumerate(module.graph.nodes):
        if node.op == "output":
            lines.append(f"return {_source(node.args[0], names)}")
            continue
        name = names[node] = f"v{number}"
        if node.op == "placeholder":
            arguments.append(name)
        elif node.op == "get_attr":
            scope[f"c{number}"] = operator.attrgetter(str(node.target))(module)
            lines.append(f"{name} = c{number}")
        elif node.op == "call_module":
            pieces[f"p{number}"] = str(node.target)
            passed = ", ".join(_source(one, names) for one in node.args)
            lines.append(f"{name} = p{number}({passed})")
        else:
            item, index = node.args
            lines.append(f"{name} = {_source(item, names)}[{index!r}]")
        spent = [names[one] for one in node.all_input_nodes if last[one] is node]
        if spent:
            lines.append(f"{' = '.join(spent)} = None")
    body = "\n    ".join(lines)
    return Stitches(f"def call({', '.join(arguments)}):\n    {body}", scope, pieces)


def stitch(module: fx.GraphModule, runs: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
    """What calls the pieces as the split module does: `stitches` over what runs each, by its name."""
    return stitches(module).sewn(runs)


def _source(value: Any, names: dict[fx.Node, str]) -> str:
    if isinstance(value, fx.Node):
        return names[value]
    if isinstance(value, tuple):
        return "(" + "".join(f"{_source(one, names)}, " for one in value) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(_source(one, names) for one in value) + "]"
    return repr(value)
