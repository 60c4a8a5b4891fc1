"""Compile ranges and exact sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compile_inspector.engine.ranges import Range, plan


def test_endpoints_make_ranges_without_a_gap() -> None:
    """Endpoints 8 and 32 of at most 100 give 1..8, 9..32, 33..100."""
    planned = plan([32, 8], [], largest=100)
    assert planned.spans == (Range(1, 8), Range(9, 32), Range(33, 100))
    assert planned.problems == ()


def test_no_endpoints_make_one_range() -> None:
    """Without endpoints there is one range, up to the largest size."""
    assert plan([], [], largest=8192).all == (Range(1, 8192),)


def test_an_endpoint_at_the_largest_size_adds_nothing() -> None:
    """An endpoint that is the largest size ends the last range; no empty one follows."""
    assert plan([100], [], largest=100).spans == (Range(1, 100),)


def test_an_encoder_has_no_largest_size() -> None:
    """An encoder's last range ends at 2**31 - 1."""
    assert plan([8], [], largest=100, is_encoder=True).spans[-1] == Range(9, 2**31 - 1)


def test_exact_sizes_go_before_the_range_they_lie_in() -> None:
    """A size that was asked for is found as itself, its neighbours in their range."""
    planned = plan([8], [4], largest=100)
    assert planned.find(4) == Range(4, 4, exact=True)
    assert planned.find(5) == Range(1, 8)


@pytest.mark.parametrize(("endpoints", "sizes"), [([0], []), ([101], []), ([-3], []), ([], [101])])
def test_what_lies_outside_is_left_out_and_reported(endpoints: list[int], sizes: list[int]) -> None:
    """Endpoints and sizes outside 1..largest leave the rest as it is, and are named in `problems`."""
    planned = plan([8, *endpoints], [4, *sizes], largest=100)
    assert planned.all == (Range(1, 8), Range(9, 100), Range(4, 4, exact=True))
    assert [str((endpoints + sizes)[0]) in problem for problem in planned.problems] == [True]


def test_a_size_beyond_the_last_range_is_found_nowhere() -> None:
    """Sizes outside every range have no entry."""
    planned = plan([8], [], largest=100)
    assert planned.find(101) is None
    assert planned.find(0) is None


@given(st.sets(st.integers(1, 200)), st.integers(1, 200), st.integers(1, 200))
def test_every_size_lies_in_exactly_one_range(endpoints: set[int], largest: int, size: int) -> None:
    """Whatever the endpoints, a size up to the largest lies in one range, which `find` gives."""
    planned = plan(endpoints, [], largest=largest)
    holding = [one for one in planned.spans if size in one]
    assert len(holding) == (1 if size <= largest else 0)
    assert planned.find(size) == (holding[0] if holding else None)
