"""Tensors that compiled code reads beside a call's arguments: parameters, buffers, attributes, globals.

A graph reads them where they lay at its capture. Each is found again, before every replay, by the way that torch's own guard goes to it, and
must be the same tensor at the same address.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from compile_inspector.torch_seams import cuda_graphs, direct


@dataclass(frozen=True)
class Watched:
    """The tensors that one entry reads, and how to find them.

    Attributes:
        names: As Dynamo names them.
        tensors: They themselves.
        fetch: From the locals (the instance alone) and the globals to what stands at these places now.
        scope: The globals.
        self_name: What the function calls its instance.
    """

    names: tuple[str, ...]
    tensors: tuple[torch.Tensor, ...]
    fetch: Callable[[dict[str, Any], dict[str, Any]], tuple[Any, ...]]
    scope: dict[str, Any]
    self_name: str

    def checker(self) -> Callable[[Any], bool]:
        """Answers for an instance whether every tensor is still the same at the same address."""
        fetch, scope, name, kept = self.fetch, self.scope, self.self_name, self.tensors
        held = list(kept)
        addresses, every = [one.data_ptr() for one in kept], list(range(len(kept)))
        same, equal = operator.is_, cuda_graphs.address_check()

        def check(instance: Any) -> bool:
            try:
                found = fetch({name: instance}, scope)
            except Exception:  # noqa: BLE001 - what is no longer there has changed
                return False
            return all(map(same, found, kept)) and equal(held, addresses, every)

        return check if kept else lambda _: True

    def changed(self, instance: Any, addresses: Sequence[int]) -> str | None:
        """Names the first that is not what it was; None where all are."""
        try:
            found = self.fetch({self.self_name: instance}, self.scope)
        except Exception as error:  # noqa: BLE001 - as above
            return f"a tensor that the graph reads is gone ({type(error).__name__}: {error})"
        for name, kept, now, address in zip(self.names, self.tensors, found, addresses, strict=True):
            if kept is not now:
                return f"{name} is another tensor than at the capture"
            if kept.data_ptr() != address:
                return f"{name} lies elsewhere than at the capture"
        return None


def watch(
    entry: direct.Entry, instance: Any, self_name: str, read: Iterable[torch.Tensor]
) -> tuple[Watched | None, str | None]:
    """How to watch the tensors that an entry was seen to read; None and why where one of them cannot be found again.

    Args:
        entry: Compiled code.
        instance: The module.
        self_name: What the function calls it.
        read: The tensors that its graph was given beside the call's arguments.
    """
    scope = entry.bare.__globals__
    wanted = {id(one): one for one in read}
    names: dict[int, str] = {}
    for source in _sources(entry, self_name):
        found = _value(source, {self_name: instance}, scope)
        if id(found) in wanted:
            names.setdefault(id(found), source)
    missing = [one for key, one in wanted.items() if key not in names]
    if missing:
        shape = tuple(missing[0].shape)
        reason = f"the compiled code reads a tensor of shape {shape} that no guard leads to, so that a change of it would go unnoticed"
        return None, reason
    ordered = tuple(names.values())
    text = "".join(f"{source}, " for source in ordered)
    fetch = eval(f"lambda L, G: ({text})", {"__builtins__": {}})
    return Watched(ordered, tuple(wanted[key] for key in names), fetch, scope, self_name), None


def _sources(entry: direct.Entry, self_name: str) -> list[str]:
    """The places of tensors that torch's guards go to, without the call's arguments."""
    own = (f"L[{self_name!r}]", "G[")
    sources = (source for source, kind, _ in direct.guard_parts(entry.guards) if kind == "TENSOR_MATCH")
    return [source for source in dict.fromkeys(sources) if source.startswith(own)]


def _value(source: str, f_locals: dict[str, Any], scope: dict[str, Any]) -> Any:
    """What stands at a place that torch's guard names; None where it is no plain path."""
    try:
        return eval(source, {"__builtins__": {}}, {"L": f_locals, "G": scope})
    except Exception:  # noqa: BLE001 - torch names some places by functions of its own
        return None
