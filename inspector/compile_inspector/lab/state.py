"""What a call may change and a trial must not: modules' parameters, buffers, attributes and modes, gradients, random numbers."""

from __future__ import annotations

import inspect
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any


class State:
    """The state behind a function as it was when this was made; `restore` puts it back.

    Kept are the modules that the function is, is bound to, closes over or names as globals. Values that a program keeps elsewhere, or
    changes in place inside lists and objects of its own, are not.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._modules = [(module, _shallow(module)) for root in roots(function) for module in root.modules()]
        self._tensors: dict[int, tuple[Any, Any, int, Any]] = {}
        for module, _ in self._modules:
            for tensor in (*module._parameters.values(), *module._buffers.values()):
                if tensor is not None and id(tensor) not in self._tensors:
                    kept = tensor.detach().clone()
                    self._tensors[id(tensor)] = (tensor, kept, _version(tensor), tensor.grad)
        self._random = _Random()

    def restore(self) -> None:
        """Puts everything back that has changed."""
        import torch

        for module, held in self._modules:
            _put_back(module, held)
        with torch.no_grad():
            for key, (tensor, kept, version, grad) in self._tensors.items():
                if _version(tensor) != version:
                    tensor.detach().copy_(kept)
                    self._tensors[key] = (tensor, kept, _version(tensor), grad)
                if tensor.grad is not grad:
                    tensor.grad = grad
        self._random.restore()


def roots(function: Callable[..., Any]) -> Iterator[Any]:
    """The modules behind a function, each once."""
    import torch

    found: dict[int, Any] = {}
    owner = getattr(function, "__self__", None)
    for one in (function, owner, *_named(function)):
        if isinstance(one, torch.nn.Module):
            found.setdefault(id(one), one)
    yield from found.values()


def _named(function: Callable[..., Any]) -> list[Any]:
    try:
        variables = inspect.getclosurevars(function)
    except (TypeError, ValueError):
        return []
    return [*variables.nonlocals.values(), *variables.globals.values()]


def _shallow(module: Any) -> dict[str, Any]:
    """The module's attributes; of plain collections a copy, so that what is added to them can be taken out."""
    return {name: value.copy() if _is_collection(value) else value for name, value in vars(module).items()}


def _put_back(module: Any, held: dict[str, Any]) -> None:
    now = vars(module)
    for name in [name for name in now if name not in held]:
        del now[name]
    for name, value in held.items():
        current = now.get(name)
        if not _is_collection(value):
            if current is not value:
                now[name] = value
        elif type(current) is not type(value):
            now[name] = value.copy()
        elif _items(current) != _items(value):
            current.clear()
            (current.extend if type(value) is list else current.update)(value)


def _is_collection(value: Any) -> bool:
    return type(value) in (dict, list, set)


def _items(collection: Any) -> list[Any]:
    """What a collection holds, by identity: comparing values would run their code."""
    if type(collection) is dict:
        return [(id(key), id(value)) for key, value in collection.items()]
    return [id(item) for item in collection]


def _version(tensor: Any) -> int:
    try:
        return int(tensor._version)
    except RuntimeError:  # an inference tensor counts no versions: taken as changed
        return -1


class _Random:
    def __init__(self) -> None:
        import torch

        self._python = random.getstate()
        self._numpy = sys.modules["numpy"].random.get_state() if "numpy" in sys.modules else None
        self._cpu = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None

    def restore(self) -> None:
        import torch

        random.setstate(self._python)
        if self._numpy is not None:
            sys.modules["numpy"].random.set_state(self._numpy)
        torch.set_rng_state(self._cpu)
        if self._cuda is not None:
            torch.cuda.set_rng_state_all(self._cuda)
