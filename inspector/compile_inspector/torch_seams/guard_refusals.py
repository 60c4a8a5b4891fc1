"""Which guards cannot be asked about a value, because asking would run code of the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compile_inspector.torch_seams.guard_walk import plain_mapping
from compile_inspector.torch_seams.object_names import type_name
from compile_inspector.torch_seams.static_lookup import (
    ABSENT,
    PLAIN_IDS,
    Unreadable,
    compares_in_c,
    has_plain_keys,
    is_c_slot,
    is_plain,
    static,
)
from compile_inspector.torch_seams.tensor_facts import is_tensor, runs_user_code

_BY_ADDRESS = frozenset(
    {"TYPE_MATCH", "ID_MATCH", "NONE_MATCH", "NOT_NONE", "TRUE_MATCH", "FALSE_MATCH", "DICT_LENGTH"}
)
"""Leaves that compare addresses or look at nothing but a dict's own length."""
ANY: Any = object()
"""Stands for every type."""
_NONE = frozenset({0})


def askable_types(kind: str) -> Any:
    """The ids of the types for whose values a kind of leaf runs nobody's code, whatever the value; never empty, `ANY` for all."""
    import torch

    if kind in _BY_ADDRESS:
        return ANY
    if kind in {"TENSOR_MATCH", "DIMENSION_DYNAMIC_MARKING_GUARD"}:
        return frozenset(map(id, (torch.Tensor, torch.nn.Parameter)))
    if kind == "LENGTH_CHECK":
        return frozenset(map(id, (list, tuple, dict, set, frozenset, str, bytes, range)))
    return PLAIN_IDS if kind == "EQUALS_MATCH" else _NONE


def refusal(kind: str, value: Any, leaf: Any) -> str | None:
    """Why a leaf cannot be asked about a value; None where it can."""
    ask = _REFUSALS.get(kind)
    return None if ask is None else ask(value, leaf)


def _equality(value: Any, _leaf: Any) -> str | None:
    return None if is_plain(value) or compares_in_c(value) else "comparing would run code of the program"


def _length(value: Any, _leaf: Any) -> str | None:
    return None if is_c_slot(type(value), "__len__") else "its length is counted by code of the program"


def _keys(value: Any, _leaf: Any) -> str | None:
    kind = type(value)
    if not issubclass(kind, dict | set | frozenset) or has_plain_keys(value):
        return None
    return "its keys compare with code of their own"


def _mapping(value: Any, _leaf: Any) -> str | None:
    try:
        plain_mapping(value)
    except Unreadable as error:
        return str(error)
    return None


def _tensor(value: Any, _leaf: Any) -> str | None:
    return (
        "reading its sizes would run its class's __torch_dispatch__"
        if is_tensor(value) and runs_user_code(value)
        else None
    )


def _marks(value: Any, _leaf: Any) -> str | None:
    if (
        is_tensor(value)
        and static(type(value), "__getattr__") is ABSENT
        and is_c_slot(type(value), "__getattribute__")
    ):
        return None
    return "asking for its attributes could run code of the program"


def _function(value: Any, _leaf: Any) -> str | None:
    if is_plain(value) or (is_tensor(value) and type_name(type(value)).partition(".")[0] == "torch"):
        return None
    return "its check is a function that could run code of the program"


_REFUSALS: dict[str, Callable[[Any, Any], str | None]] = {
    "EQUALS_MATCH": _equality,
    "LENGTH_CHECK": _length,
    "DICT_CONTAINS": _keys,
    "SET_CONTAINS": _keys,
    "MAPPING_KEYS_MATCH": _mapping,
    "TENSOR_MATCH": _tensor,
    "DIMENSION_DYNAMIC_MARKING_GUARD": _marks,
    "DYNAMIC_INDICES": _marks,
    "LAMBDA_GUARD": _function,
}
