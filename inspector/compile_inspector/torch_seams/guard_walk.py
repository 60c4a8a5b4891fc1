"""Following a guard tree's accessors from a call's locals and globals to the values it checks, running nobody's code on the way."""

from __future__ import annotations

import ast
import types
import weakref
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from compile_inspector.torch_seams.object_names import type_name
from compile_inspector.torch_seams.probe import lookup
from compile_inspector.torch_seams.static_lookup import (
    Missing,
    Unreadable,
    attribute,
    has_plain_keys,
    instance_dict,
    is_plain,
    static,
)
from compile_inspector.torch_seams.tensor_facts import facts_of, is_tensor, runs_user_code

USES = (
    "torch.nn:Module.__getattr__",
    "torch._C:DisableTorchFunction",
    "torch._dynamo.utils:tuple_iterator_getitem",
)


class Reader:
    """Reads what an accessor of a guard tree reads.

    Args:
        f_locals: The call's locals.
        f_globals: The globals that ``G`` stands for.
    """

    def __init__(self, f_locals: dict[str, Any], f_globals: dict[str, Any]) -> None:
        self._locals = f_locals
        self._globals = f_globals
        self._plain_keys: dict[int, bool] = {id(f_globals): True} if has_plain_keys(f_globals) else {}
        self._module_getattr = vars(lookup("torch.nn:Module"))["__getattr__"]
        self._tensor = lookup("torch:Tensor")
        self._by_type: dict[type, Callable[[Any, str, Any], Any]] = {}
        self._by_accessor: dict[str, Callable[[Any, str, Any], Any]] = {
            "FrameLocalsGuardAccessor": self._local,
            "GlobalsGuardAccessor": lambda *_: f_globals,
            "DictGetItemGuardAccessor": self._dict_item,
            "GetAttrGuardAccessor": self._attribute,
            "GenericGetAttrGuardAccessor": self._attribute,
            "GetGenericDictGuardAccessor": self._dict,
            "ListGetItemGuardAccessor": self._sequence_item,
            "TupleGetItemGuardAccessor": self._sequence_item,
            "GetItemGuardAccessor": self._item,
            "TypeGuardAccessor": lambda value, *_: type(value),
            "TypeDictGuardAccessor": lambda value, *_: instance_dict(_must_be(value, type)),
            "TypeMROGuardAccessor": lambda value, *_: vars(type)["__mro__"].__get__(_must_be(value, type)),
            "CodeGuardAccessor": lambda value, *_: _function(value).__code__,
            "ClosureGuardAccessor": lambda value, *_: _function(value).__closure__,
            "FuncDefaultsGuardAccessor": lambda value, *_: _function(value).__defaults__,
            "FuncKwDefaultsGuardAccessor": lambda value, *_: _function(value).__kwdefaults__,
            "GlobalWeakRefGuardAccessor": self._global_weakref,
            "WeakRefCallGuardAccessor": lambda value, *_: _referent(value),
            "GradGuardAccessor": self._grad,
            "SetGetItemGuardAccessor": self._set_item,
            "TupleIteratorGetItemAccessor": self._iterator_item,
            "GuardAccessor": self._function_of,
        }

    def child(self, accessor: Any, value: Any, parent: str, source: str) -> Any:
        """The value that an accessor reads of its parent's value.

        Args:
            accessor: torch's.
            value: The parent's value.
            parent: The parent's source.
            source: The child's source; keys and indices are read from its end.

        Raises:
            Missing: It is not there: the guards below it fail.
            Unreadable: It cannot be read without running code.
        """
        read = self._by_type.get(type(accessor)) or self._reading(type(accessor))
        return read(value, step_of(parent, source), accessor)

    def _reading(self, kind: type) -> Callable[[Any, str, Any], Any]:
        found = self._by_type[kind] = self._by_accessor.get(kind.__name__, _unknown)
        return found

    def resolve(self, source: str) -> Any:
        """The value of a source that has no place of its own in the tree.

        Raises:
            Missing: It is not there.
            Unreadable: It cannot be read without running code.
        """
        try:
            return self._resolve(ast.parse(source, mode="eval").body)
        except (SyntaxError, ValueError, RecursionError) as error:
            raise Unreadable("its source is no expression") from error

    def _resolve(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name) and node.id in {"L", "G"}:
            return self._locals if node.id == "L" else self._globals
        if isinstance(node, ast.Attribute):
            return self.attribute(self._resolve(node.value), node.attr)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            return self._item(self._resolve(node.value), f"[{node.slice.value!r}]", None)
        raise Unreadable("a function computes it")

    def pairs(self, table: Any) -> list[tuple[Any, Any]]:
        """A dict's keys and values, in the order in which guards count them."""
        return list(dict.items(_must_be(table, dict)))

    def _local(self, _value: Any, step: str, _accessor: Any) -> Any:
        name = _key(step)
        if name not in self._locals:
            raise Missing(str(name))
        return self._locals[name]

    def _dict_item(self, table: Any, step: str, _accessor: Any) -> Any:
        key = step[1:] if step[0] == "." else _key(step)
        if type(table) is not dict and not issubclass(type(table), dict):
            if type(table) is not types.MappingProxyType:
                raise Missing(step)
            table = plain_mapping(table)
        plain = self._plain_keys.get(id(table))
        if plain is None:
            plain = self._plain_keys[id(table)] = has_plain_keys(table)
        if not plain:
            raise Unreadable("its keys compare with code of their own")
        try:
            return dict.__getitem__(table, key)
        except KeyError as error:
            raise Missing(step) from error

    def _attribute(self, value: Any, step: str, accessor: Any) -> Any:
        name = accessor.get_attr_name() if hasattr(accessor, "get_attr_name") else step.removeprefix(".")
        return self.attribute(value, name)

    def attribute(self, value: Any, name: str) -> Any:
        """`getattr`, with no code of the object's run.

        Raises:
            Missing: There is none.
            Unreadable: It would run code.
        """
        if not issubclass(type(value), self._tensor):
            return attribute(value, name, module_getattr=self._module_getattr)
        with lookup("torch._C:DisableTorchFunction")():
            return attribute(value, name)

    def _dict(self, value: Any, _step: str, _accessor: Any) -> Any:
        found = instance_dict(value)
        if found is None:
            raise Missing("__dict__")
        return found

    def _sequence_item(self, value: Any, step: str, _accessor: Any) -> Any:
        base = list if issubclass(type(value), list) else tuple
        try:
            return base.__getitem__(_must_be(value, base), _key(step))
        except (IndexError, TypeError) as error:
            raise Missing(step) from error

    def _item(self, value: Any, step: str, _accessor: Any) -> Any:
        if type(value) is dict:
            return self._dict_item(value, step, None)
        if type(value) is types.MappingProxyType:
            raise Unreadable("it lies behind a mapping proxy")
        if type(value) in (list, tuple, range, str, deque) or (
            issubclass(type(value), tuple) and not _overrides(value, "__getitem__")
        ):
            try:
                return value[_key(step)]
            except (IndexError, TypeError) as error:
                raise Missing(step) from error
        raise Unreadable("its class has a __getitem__")

    def _global_weakref(self, _value: Any, step: str, _accessor: Any) -> Any:
        name = _key(step.removesuffix("()"))
        held = self._globals.get(name)
        return None if held is None else _referent(held)

    def _grad(self, value: Any, _step: str, _accessor: Any) -> Any:
        if not is_tensor(value):
            raise Missing("grad")
        return self.attribute(value, "grad")

    def _set_item(self, value: Any, step: str, _accessor: Any) -> Any:
        if type(value) not in (set, frozenset):
            raise Missing(step)
        found = list(islice(value, _key(step), _key(step) + 1))
        if not found:
            raise Missing(step)
        return found[0]

    def _iterator_item(self, value: Any, step: str, _accessor: Any) -> Any:
        if type(value) is not type(iter(())):
            raise Missing(step)
        try:
            return lookup("torch._dynamo.utils:tuple_iterator_getitem")(
                value, int(step.strip("(), ").rpartition(",")[2])
            )
        except IndexError as error:
            raise Missing(step) from error

    def _function_of(self, value: Any, step: str, _accessor: Any) -> Any:
        kind = type(value)
        if step.startswith("___from_numpy(") and type_name(kind) == "numpy.ndarray":
            import torch

            with lookup("torch._C:DisableTorchFunction")():
                return torch.as_tensor(value)
        raise Unreadable("a function computes it")


def step_of(parent: str, source: str) -> str:
    """What a child's source has beyond its parent's: ``.scale``, ``['k']``, ``[0]``."""
    if source.startswith(parent):
        return source[len(parent) :]
    if parent.endswith(".__dict__") and source.startswith(parent[:-9]):
        return source[len(parent) - 9 :]
    position = source.find(parent + ")[")  # a mapping proxy made a dict: dict(type(x).__dict__)['k']
    return source if position < 0 else source[position + len(parent) :]


def _key(step: str) -> Any:
    """The literal in ``['k']``.

    Raises:
        Unreadable: It is none.
    """
    if (
        step.startswith("['")
        and step.endswith("']")
        and "\\" not in step
        and step.find("'", 2) == len(step) - 2
    ):
        return step[2:-2]
    text = step[step.find("[") + 1 : step.rfind("]")]
    try:
        return int(text) if text.isdecimal() else ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise Unreadable("its key is no plain literal") from error


def _must_be(value: Any, kind: type) -> Any:
    if not issubclass(type(value), kind):
        raise Missing(kind.__name__)
    return value


def _function(value: Any) -> types.FunctionType:
    if type(value) is types.MethodType:
        value = value.__func__
    return _must_be(value, types.FunctionType)


def _referent(value: Any) -> Any:
    if type(value) is not weakref.ReferenceType:
        raise Unreadable("it is called, and no plain weak reference")
    return value()


def _overrides(value: Any, name: str) -> bool:
    return type(static(type(value), name)) is types.FunctionType


def _unknown(value: Any, step: str, accessor: Any) -> Any:
    if is_tensor(value) and type(accessor).__name__.startswith("TensorProperty"):
        return _tensor_property(value, step)
    raise Unreadable("this way of reading it is not known")


def _tensor_property(value: Any, step: str) -> int:
    if runs_user_code(value):
        raise Unreadable("reading its sizes would run its class's __torch_dispatch__")
    facts = facts_of(value)
    sizes = {"size": facts.size, "shape": facts.size, "stride": facts.stride}.get(
        step.strip(".").partition("(")[0].partition("[")[0]
    )
    index = _key(step) if "[" in step else None
    if sizes is None or type(index) is not int:
        raise Unreadable("this way of reading it is not known")
    if index >= len(sizes):
        raise Missing(step)
    return sizes[index]


def plain_mapping(proxy: Any) -> dict[Any, Any]:
    """The dict behind a mapping proxy.

    Raises:
        Unreadable: It is no dict of Python's own, or its keys have code of their own.
    """
    import gc

    held = gc.get_referents(proxy)
    if len(held) != 1 or type(held[0]) is not dict or not all(is_plain(key) for key in held[0]):
        raise Unreadable("it lies behind a mapping proxy")
    return held[0]
