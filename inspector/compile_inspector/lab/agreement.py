"""Whether two results are equal, tensors within what their dtype can tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

_TOLERANCES = {
    "float64": (1e-7, 1e-7),
    "float32": (1e-4, 1e-5),
    "float16": (1e-2, 1e-3),
    "bfloat16": (2e-2, 1e-2),
    "complex128": (1e-7, 1e-7),
    "complex64": (1e-4, 1e-5),
}
"""Relative and absolute, by dtype: generated code sums in another order than eager does. Whole numbers must be equal."""


def difference(expected: Any, actual: Any, where: str = "the result") -> str | None:
    """What differs first, in words; None where nothing does."""
    import torch

    if isinstance(expected, torch.Tensor) and isinstance(actual, torch.Tensor):
        return _tensors(expected, actual, where)
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        if list(expected) != list(actual):
            return f"{where} has the keys {list(actual)}, in eager {list(expected)}"
        pairs = [(f"{where}[{key!r}]", expected[key], actual[key]) for key in expected]
    elif isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        if len(expected) != len(actual):
            return f"{where} has {len(actual)} parts, in eager {len(expected)}"
        pairs = [
            (f"{where}[{index}]", *pair) for index, pair in enumerate(zip(expected, actual, strict=True))
        ]
    elif dataclasses.is_dataclass(expected) and type(expected) is type(actual):
        names = [field.name for field in dataclasses.fields(expected)]
        pairs = [(f"{where}.{name}", getattr(expected, name), getattr(actual, name)) for name in names]
    else:
        return _values(expected, actual, where)
    return next((found for name, one, other in pairs if (found := difference(one, other, name))), None)


def _tensors(expected: Any, actual: Any, where: str) -> str | None:
    import torch

    for name in ("shape", "dtype", "device"):
        was, now = getattr(expected, name), getattr(actual, name)
        if was != now:
            return f"{where} has {name} {_shown(now)}, in eager {_shown(was)}"
    expected, actual = expected.detach(), actual.detach()
    relative, absolute = _TOLERANCES.get(str(expected.dtype).removeprefix("torch."), (0.0, 0.0))
    try:
        torch.testing.assert_close(actual, expected, rtol=relative, atol=absolute, equal_nan=True)
    except AssertionError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"{where} differs from eager's: {'; '.join(lines[1:3]) or lines[0]}"
    return None


def _values(expected: Any, actual: Any, where: str) -> str | None:
    if type(expected) in (int, float, bool, str, bytes, type(None)):
        same = type(actual) is type(expected) and (
            actual == expected or (actual != actual and expected != expected)
        )
        return None if same else f"{where} is {actual!r:.80}, in eager {expected!r:.80}"
    return (
        None
        if type(expected) is type(actual)
        else f"{where} is a {type(actual).__name__}, in eager a {type(expected).__name__}"
    )


def _shown(value: object) -> str:
    return str(tuple(value)) if isinstance(value, tuple) else str(value)
