"""Aligning sequences: what is found, and that it takes about as long as the sequences are."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from compile_inspector.analyze.graph_align import align, paired_by


def aligned(left: str, right: str) -> list[tuple[int, int]]:
    return align(range(len(left)), range(len(right)), [(left, right)])


@given(st.text("abc", max_size=60), st.text("abc", max_size=60))
def test_pairs_are_equal_and_rise(left: str, right: str) -> None:
    """Whatever is aligned is equal on both sides and in the same order, each place once."""
    pairs = aligned(left, right)
    assert all(left[one] == right[other] for one, other in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))


@given(st.text("abcdef", max_size=40), st.integers(0, 40), st.text("xyz", max_size=5))
def test_what_was_put_in_is_all_that_is_left_over(left: str, place: int, inserted: str) -> None:
    """Text put in anywhere leaves every old place aligned."""
    at = min(place, len(left))
    assert len(aligned(left, left[:at] + inserted + left[at:])) == len(left)


def test_a_stricter_level_goes_first() -> None:
    """Places that agree by the strict keys are paired before those that agree by the loose ones."""
    strict = (["a1", "a2"], ["a2", "a3"])
    loose = ("aa", "aa")
    assert align(range(2), range(2), [strict, loose]) == [(1, 0)]
    assert align(range(2), range(2), [loose]) == [(0, 0), (1, 1)]


def test_long_sequences_without_anchors_are_aligned() -> None:
    """Twenty thousand equal places, a hundred taken out of the middle, are aligned without filling a table of their product."""
    left, right = "ab" * 10_000, "ab" * 4_000 + "ab" * 5_950
    assert len(aligned(left, right)) == len(right)


def test_long_sequences_that_differ_everywhere_are_aligned_by_what_stands_once() -> None:
    """Between places that stand once on both sides, the rest is aligned in short stretches."""
    left = [f"{n}" if n % 10 else f"only {n}" for n in range(20_000)]
    right = [f"{n}" if n % 10 != 5 else f"other {n}" for n in range(20_000)]
    assert len(align(range(20_000), range(20_000), [(left, right)])) == 16_000


def test_pairing_by_key_takes_them_in_turn() -> None:
    """The first of a key goes with the first of it, whatever lies between."""
    assert paired_by([0, 1, 2], [0, 1, 2], "aba".__getitem__, "baa".__getitem__) == [(0, 1), (1, 0), (2, 2)]
