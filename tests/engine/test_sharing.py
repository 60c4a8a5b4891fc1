"""Which tensors share memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from compile_inspector.engine.sharing import Memory, overlap

Two = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


@pytest.mark.parametrize(
    ("views", "shared"),
    [
        (lambda base: (base[:4], base[4:]), False),
        (lambda base: (base[:5], base[4:]), True),
        (lambda base: (base[:, 0], base[:, 1]), False),
        (lambda base: (base[:, :2], base[:, 1:]), True),
        (lambda base: (base[..., :4], base[..., 4:]), False),
        (lambda base: (base[::2], base[1::2]), False),
        (lambda base: (base[::2], base[::4]), True),
        (lambda base: (base.transpose(0, 2)[:2], base[..., 2:]), False),
        (lambda base: (base[0, 0, 0], base[0, 0, :1].view(torch.int16)), True),
        (lambda base: (base[:0], base), False),
        (lambda base: (base[:1].expand(8, 3, 8), base[0, 1]), True),
    ],
)
def test_views_of_one_tensor_share_memory_where_an_element_is_in_both(views: Two, shared: bool) -> None:
    """Halves, columns and every other row do not; it is the same for many tensors at once."""
    one, other = views(torch.zeros(8, 3, 8))
    assert overlap(one, other) is overlap(other, one) is shared
    assert Memory([torch.zeros(4), other, torch.zeros(2)]).meets(one) is shared
    assert not Memory(()).meets(one)
