"""Whether tensors are like others, asked of torch's own check in C++: a few microseconds for a dozen, where Python needs twice that and more.

Source: `torch._C._dynamo.guards.TensorGuards`, from which Dynamo's guard `TENSOR_MATCH` is made: type, dtype, device, dispatch keys of the
tensors and of the thread, `requires_grad`, sizes and strides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from compile_inspector.torch_seams.probe import Capability, lookup, probe_names

NAME = "tensor_match"
USES = ("torch._C._dynamo.guards:TensorGuards",)


def probe() -> Capability:
    """Whether this torch has the check."""
    return probe_names(USES)


def matcher(tensors: Sequence[Any]) -> Callable[..., bool]:
    """Answers for as many tensors, each an argument, whether each is like the one in its place; it does not keep them alive.

    It denies what it is not sure of: tensors that occur twice, a thread in another mode (`autocast`, `inference_mode`), and everything
    where this torch has no such check.
    """
    try:
        guards: Any = lookup(USES[0])
        return guards(*tensors, dynamic_dims_sizes=None, dynamic_dims_strides=None).check
    except Exception:
        return _unsure


def _unsure(*_: Any) -> bool:
    return False
