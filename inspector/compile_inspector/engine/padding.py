"""Whether a batch may be padded: whether each row of the results depends on the same row of the arguments alone, found out by trying."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from compile_inspector.engine.arguments import CallShape
from compile_inspector.engine.dispatch import Rule, narrowed

_NORMAL = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
"""What torch fills with a normal distribution in place."""
_STEPS = 64
"""Up to multiples of what sizes are tried."""
_TOLERANCE = {torch.float64: 1e-7, torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 1e-2}


def randomise(
    shape: CallShape, leaves: Sequence[Any], generators: dict[torch.device, torch.Generator]
) -> None:
    """Fills the tensors of a call: floating-point ones with a normal distribution, others with 0 and 1, which index anything."""
    for index, leaf in shape.tensors:
        tensor = leaves[index]
        generator = generators.setdefault(leaf.device, torch.Generator(leaf.device).manual_seed(7))
        with torch.no_grad():
            if leaf.dtype in _NORMAL:
                tensor.normal_(generator=generator)
            elif leaf.dtype.is_floating_point or leaf.dtype.is_complex:
                tensor.copy_(torch.randn(tensor.shape, generator=generator, device=leaf.device))
            else:
                tensor.random_(0, 2, generator=generator)


def pad(shape: CallShape, buffers: Sequence[Any], leaves: Sequence[Any], size: int) -> None:
    """Copies a smaller call into the buffers of a larger one; the rest keeps what it holds."""
    with torch.no_grad():
        for index, leaf in shape.tensors:
            narrowed(buffers[index], leaf.batch, size).copy_(leaves[index])


def between(below: int, above: int) -> Iterator[int]:
    """Sizes between two to try, those first that are farthest away from one another; then multiples, for models that take no others."""
    tried: set[int] = set()
    for size in (below + 1, above - 1, *(below - below % step + step for step in range(2, _STEPS + 1))):
        if below < size < above and size not in tried:
            tried.add(size)
            yield size


def rules_of(
    small: Sequence[Any], size: int, large: Sequence[Any], captured: int
) -> tuple[tuple[Rule, ...] | None, str | None]:
    """How each output follows the batch, from the outputs for two sizes; None and why where it cannot be told."""
    rules: list[Rule] = []
    for index, (one, other) in enumerate(zip(small, large, strict=True)):
        rule, why = _rule(one, size, other, captured)
        if why is not None:
            return None, f"output {index} {why}"
        rules.append(rule)
    return tuple(rules), None


def _rule(one: Any, size: int, other: Any, captured: int) -> tuple[Rule, str | None]:
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        same = type(one) is type(other) and (one is other or one == other)
        return (
            None,
            None if same else f"is {one!r:.40} for a batch of {size} and {other!r:.40} for {captured}",
        )
    if one.dim() != other.dim():
        return None, "has another number of dimensions for another batch size"
    differ = [dim for dim in range(one.dim()) if one.shape[dim] != other.shape[dim]]
    if not differ:
        return None, None
    dim = differ[0]
    rows, rest = divmod(other.shape[dim], captured)
    if len(differ) > 1 or rest or one.shape[dim] != rows * size:
        return (
            None,
            f"has the shape {tuple(one.shape)} for a batch of {size} and {tuple(other.shape)} for {captured}",
        )
    return (dim, rows), None


def differs(expected: Sequence[Any], padded: Sequence[Any], rules: Sequence[Rule], size: int) -> str | None:
    """Says which output of a padded call is not that of the call itself; None where all agree within their precision."""
    for index, (right, found, rule) in enumerate(zip(expected, padded, rules, strict=True)):
        if not isinstance(right, torch.Tensor):
            continue
        cut = found if rule is None else found.narrow(rule[0], 0, rule[1] * size)
        if not close(right, cut):
            return f"output {index} of a batch of {size} changes where the batch is padded, so that its rows depend on one another"
    return None


def close(right: torch.Tensor, found: torch.Tensor) -> bool:
    """Whether two results agree within what their dtype and other kernels for another size allow."""
    if right.shape != found.shape or right.dtype != found.dtype:
        return False
    tolerance = _TOLERANCE.get(right.dtype)
    if tolerance is None or not right.numel():
        return torch.equal(right, found)
    largest = float(right.detach().abs().nan_to_num().max())
    return torch.allclose(right, found, rtol=tolerance, atol=tolerance * largest, equal_nan=True)
