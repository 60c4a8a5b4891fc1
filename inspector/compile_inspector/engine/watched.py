"""Tensors that compiled code reads beside a call's arguments: parameters, buffers, attributes, globals.

A graph reads them where they lay at its capture. Each is found again, before every replay, by the way that torch's own guard goes to it, and
must be the same tensor at the same address, of the same shape and strides.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from compile_inspector.engine.bound import Lying, Place, place_of
from compile_inspector.torch_seams import direct

_PLAIN = re.compile(r"\A\w+|\.\w+|\['[^'\\]*'\]|\[-?\d+\]")
_PLAIN_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\['[^'\\]*'\]|\[-?\d+\])*")


@dataclass(frozen=True)
class Watched:
    """The tensors that one entry reads, and how to find them.

    Attributes:
        names: As Dynamo names them.
        tensors: They themselves.
        fetch: From the locals (the instance alone) and the globals to what stands at these places now.
        scope: The globals.
        self_at: The instance within the function: ``self``, or ``args[0]`` where it is among the arguments.
    """

    names: tuple[str, ...]
    tensors: tuple[torch.Tensor, ...]
    fetch: Callable[[dict[str, Any], dict[str, Any]], tuple[Any, ...]]
    scope: dict[str, Any]
    self_at: str

    def checker(self) -> Callable[[Any], bool]:
        """Answers for an instance whether every tensor is still the same at the same address."""
        if not self.tensors:
            return lambda _: True
        held, lie = list(self.tensors), Lying(self.places())
        builtins = {"Exception": Exception, "list": list, "dict": dict}
        scope: dict[str, Any] = {"__builtins__": {}, "G": self.scope, **builtins}
        scope |= {f"k{index}": one for index, one in enumerate(held)}
        scope["_lie"] = lambda: lie(held)
        exec(_check_source(self.names, self.self_at), scope)
        return scope["check"]

    def places(self) -> list[Place]:
        """Where and how each tensor lies now."""
        return [place_of(index, one) for index, one in enumerate(self.tensors)]

    def changed(self, instance: Any, places: Sequence[Place]) -> str | None:
        """Names the first that is not what it was; None where all are."""
        try:
            found = self.fetch(_locals(self.self_at, instance), self.scope)
        except Exception as error:  # noqa: BLE001 - as above
            return f"a tensor that the graph reads is gone ({type(error).__name__}: {error})"
        for name, kept, now, place in zip(self.names, self.tensors, found, places, strict=True):
            if kept is not now:
                return f"{name} is another tensor than at the capture"
            if kept.data_ptr() != place[1]:
                return f"{name} lies elsewhere than at the capture"
            if place_of(place[0], kept) != place:
                return f"{name} has another shape, other strides or another dtype than at the capture"
        return None


def watch(
    entry: direct.Entry, instance: Any, self_at: str, read: Iterable[torch.Tensor]
) -> tuple[Watched | None, str | None]:
    """How to watch the tensors that an entry was seen to read; None and why where one of them cannot be found again.

    Args:
        entry: Compiled code.
        instance: The module.
        self_at: As of `Watched`.
        read: The tensors that its graph was given beside the call's arguments.
    """
    scope = entry.bare.__globals__
    wanted = {id(one): one for one in read}
    names: dict[int, str] = {}
    for source in _sources(entry, self_at):
        found = _value(source, _locals(self_at, instance), scope)
        if id(found) in wanted:
            names.setdefault(id(found), source)
    missing = [one for key, one in wanted.items() if key not in names]
    if missing:
        shape = tuple(missing[0].shape)
        reason = f"the compiled code reads a tensor of shape {shape} that no guard leads to, so that a change of it would go unnoticed"
        return None, reason
    ordered = tuple(names.values())
    text = "".join(f"{source}, " for source in ordered)
    fetch = eval(f"lambda L, G: ({text})", {"__builtins__": {}, "list": list, "dict": dict})
    return Watched(ordered, tuple(wanted[key] for key in names), fetch, scope, self_at), None


def tensors_of(entry: direct.Entry, instance: Any, self_at: str) -> dict[str, torch.Tensor]:
    """The tensors that torch's guards go to, by place, without the call's arguments."""
    f_locals, scope = _locals(self_at, instance), entry.bare.__globals__
    found = {source: _value(source, f_locals, scope) for source in _sources(entry, self_at)}
    return {source: one for source, one in found.items() if isinstance(one, torch.Tensor)}


def reached(entry: direct.Entry, instance: Any, self_at: str) -> dict[str, Any]:
    """What stands at each place that torch's guards go to, without the call's arguments; a place that is no expression is left out."""
    own = (_root(self_at), "G[")
    places = dict.fromkeys(
        source for source, _, _ in direct.guard_parts(entry.guards) if source.startswith(own)
    )
    f_locals, scope = _locals(self_at, instance), entry.bare.__globals__
    found = {place: _value(place, f_locals, scope) for place in places}
    return {place: one for place, one in found.items() if one is not None}


def _locals(self_at: str, instance: Any) -> dict[str, Any]:
    """The function's locals as far as the instance is among them."""
    name, among, _ = self_at.partition("[")
    return {name: (instance,) if among else instance}


def _sources(entry: direct.Entry, self_at: str) -> list[str]:
    """The places of tensors that torch's guards go to, without the call's arguments."""
    own = (_root(self_at), "G[")
    sources = (source for source, kind, _ in direct.guard_parts(entry.guards) if kind == "TENSOR_MATCH")
    return [source for source in dict.fromkeys(sources) if source.startswith(own)]


def _value(source: str, f_locals: dict[str, Any], scope: dict[str, Any]) -> Any:
    """What stands at a place that torch's guard names; None where it is no plain path."""
    try:
        return eval(source, {"__builtins__": {}, "list": list, "dict": dict}, {"L": f_locals, "G": scope})
    except Exception:  # noqa: BLE001 - torch names some places by functions of its own
        return None


def _root(self_at: str) -> str:
    """The instance, as torch's guards name it."""
    name, among, rest = self_at.partition("[")
    return f"L[{name!r}]{among}{rest}"


def _check_source(names: Iterable[str], self_at: str) -> str:
    """The text of a function that looks at every place; what several places have in common is gone through once."""
    lines: list[str] = []
    name, among, _ = self_at.partition("[")
    held = "(instance,)" if among else "instance"
    reached = {_root(self_at): "instance", f"L[{name!r}]": held, "L": f"{{{name!r}: {held}}}", "G": "G"}
    same = " and ".join(f"{_reach(name, reached, lines)} is k{index}" for index, name in enumerate(names))
    body = "".join(f"        {line}\n" for line in (*lines, f"same = {same}"))
    return f"""def check(instance):
    try:
{body}    except Exception:
        return False
    return same and _lie()
"""


def _reach(name: str, reached: dict[str, str], lines: list[str]) -> str:
    """An expression for a place; each step of the way to it is a variable, for whoever goes the same way."""
    root, *steps = _PLAIN.findall(name) if _PLAIN_PATH.fullmatch(name) else _taken_apart(name)
    if root not in ("L", "G"):
        return f"(lambda L: {name})({reached['L']})"
    text, found = root, reached[root]
    for step in steps[:-1]:
        text += step
        if text not in reached:
            reached[text] = f"v{len(lines)}"
            lines.append(f"{reached[text]} = {found}{step}")
        found = reached[text]
    return f"{found}{steps[-1]}" if steps else found


def _taken_apart(name: str) -> list[str]:
    """The root of a place and the steps from there; "" as the root of a way that has its own turns."""
    steps: list[str] = []
    node = ast.parse(name, mode="eval").body
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Constant | ast.UnaryOp):
            return [""]
        steps.append(f".{node.attr}" if isinstance(node, ast.Attribute) else f"[{ast.unparse(node.slice)}]")
        node = node.value
    return [node.id if isinstance(node, ast.Name) else "", *reversed(steps)]
