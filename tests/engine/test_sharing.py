"""Which tensors share memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from compile_inspector.engine.sharing import Memory, copied_together, groups, overlap

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


def test_copies_of_a_group_share_memory_as_it_does() -> None:
    """Halves are in groups of their own; views that overlap are copied with no more than what they span, an empty one too."""
    base = torch.arange(100.0)
    assert groups([base[:50], base[50:], 3, None, base[60:70]]) == ((1, 4),)
    views = [base[10:20], base[15:25], base[12:20:2], base[10:20], base[5:5]]
    copies = copied_together(views)
    assert all(map(torch.equal, copies, views))
    assert copies[0].untyped_storage().nbytes() == 20 * 4
    copies[0].zero_()
    assert copies[1].count_nonzero() == 5
    assert copies[2].count_nonzero() == 0
    assert float(base.sum()) == 4950
    one, other = copied_together([base, base])
    assert one is other
    assert copied_together([base, base.view(torch.int32)])[1].dtype is torch.int32
