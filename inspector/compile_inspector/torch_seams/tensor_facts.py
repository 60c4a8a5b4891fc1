"""What a tensor is, read without its class's ``__torch_function__`` or ``__torch_dispatch__`` and without any mode."""

from __future__ import annotations

from typing import Any

import msgspec

from compile_inspector.torch_seams.object_names import type_name
from compile_inspector.torch_seams.probe import lookup
from compile_inspector.torch_seams.static_lookup import ABSENT, static

USES = (
    "torch._C:DisableTorchFunction",
    "torch._C:_dispatch_keys",
    "torch._C:_dispatch_tls_local_include_set",
    "torch._C:_dispatch_tls_local_exclude_set",
)


class TensorFacts(msgspec.Struct, frozen=True):
    """What TENSOR_MATCH looks at.

    Attributes:
        kind: The class's qualified name without its module (``Parameter``), as torch's guard text has it.
        keys: Names of the dispatch keys, those switched on and off around the call applied.
        size: In elements.
        stride: In elements; empty where the layout (sparse, jagged) has none.
        is_switched: Whether it has lost keys by the call's ``torch.inference_mode()`` alone: it was made outside that mode.
    """

    kind: str
    dtype: str
    device: str
    device_index: int | None
    requires_grad: bool
    keys: frozenset[str]
    size: tuple[int, ...]
    stride: tuple[int, ...]
    is_switched: bool = False

    @property
    def is_contiguous(self) -> bool:
        """Whether the strides are those of a freshly made tensor of this size, as far as there are any."""
        if len(self.stride) != len(self.size):
            return True
        expected, step = [], 1
        for size in reversed(self.size):
            expected.append(step)
            step *= max(size, 1)
        return all(
            have == want or size <= 1
            for have, want, size in zip(self.stride, reversed(expected), self.size, strict=True)
        )


def is_tensor(value: object) -> bool:
    """Whether it is one, by its real class."""
    import torch

    return issubclass(type(value), torch.Tensor)


def runs_user_code(value: object) -> bool:
    """Whether reading a tensor's sizes may call a ``__torch_dispatch__`` that is not torch's own."""
    import torch

    kind = type(value)
    if kind is torch.Tensor or kind is torch.nn.Parameter:
        return False
    dispatch = static(kind, "__torch_dispatch__")
    return not (
        dispatch is ABSENT
        or dispatch is static(torch.Tensor, "__torch_dispatch__")
        or type_name(kind).partition(".")[0] == "torch"
    )


def facts_of(tensor: Any) -> TensorFacts:
    """Reads them; the caller has asked `runs_user_code` before."""
    import torch

    with lookup("torch._C:DisableTorchFunction")():
        device = tensor.device
        return TensorFacts(
            kind=vars(type)["__qualname__"].__get__(type(tensor)),
            dtype=str(tensor.dtype).removeprefix("torch."),
            device=str(device),
            device_index=device.index,
            requires_grad=tensor.requires_grad,
            keys=_keys(tensor),
            size=tuple(tensor.size()),
            stride=tuple(tensor.stride()) if tensor.layout is torch.strided else (),
            is_switched=torch.is_inference_mode_enabled() and not tensor.is_inference(),
        )


def _keys(tensor: Any) -> frozenset[str]:
    include, exclude = (
        lookup(f"torch._C:_dispatch_tls_local_{which}_set")() for which in ("include", "exclude")
    )
    text = str((lookup("torch._C:_dispatch_keys")(tensor) | include) - exclude)
    return key_names(text)


def key_names(text: str) -> frozenset[str]:
    """The names in ``DispatchKeySet(CPU, AutogradCPU)``."""
    return frozenset(
        name.strip() for name in text.partition("(")[2].rpartition(")")[0].split(",") if name.strip()
    )
