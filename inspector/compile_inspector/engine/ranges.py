"""For which sizes a piece is compiled: ranges that follow one another without a gap, and exact sizes that go before them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

ENCODER_END = 2**31 - 1
"""Where an encoder's last range ends: its sizes are not those of the batch."""


@dataclass(frozen=True, order=True)
class Range:
    """Sizes that share one compile.

    Attributes:
        start: The first size, at least 1.
        end: The last size, included.
        exact: Whether it is one size that was asked for by itself; it goes before the range that it lies in.
    """

    start: int
    end: int
    exact: bool = False

    def __contains__(self, size: int) -> bool:
        return self.start <= size <= self.end

    def __str__(self) -> str:
        return f"{self.start}" if self.exact else f"{self.start}..{self.end}"


@dataclass(frozen=True)
class Ranges:
    """All the ranges of a graph.

    Attributes:
        spans: Ascending, without a gap, from 1 to the largest size.
        exact: Ascending.
        problems: What was asked for and cannot be, a sentence each.
    """

    spans: tuple[Range, ...]
    exact: tuple[Range, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[Range, ...]:
        """Every range that is compiled: the spans, then the exact sizes."""
        return self.spans + self.exact

    def find(self, size: int) -> Range | None:
        """The range that serves a size; None where none does."""
        for one in self.exact:
            if one.start == size:
                return one
        index = bisect_left([one.end for one in self.spans], size)
        return self.spans[index] if index < len(self.spans) and size in self.spans[index] else None


def plan(endpoints: Iterable[int], sizes: Iterable[int], *, largest: int, is_encoder: bool = False) -> Ranges:
    """The ranges of a configuration: (1, e0), (e0 + 1, e1), … up to the largest size, and the exact sizes.

    Args:
        endpoints: The last size of each range; those outside 1..largest are left out and reported.
        sizes: Exact sizes; those outside 1..largest likewise.
        largest: The largest size; the last range ends there.
        is_encoder: Let the last range end at 2**31 - 1 instead.
    """
    problems: list[str] = []
    ends = _within(endpoints, largest, "compile_ranges_endpoints", problems)
    exact = _within(sizes, largest, "compile_sizes", problems)
    last = ENCODER_END if is_encoder else largest
    if not ends or ends[-1] < last:
        ends.append(last)
    starts = [1, *(end + 1 for end in ends[:-1])]
    spans = tuple(Range(start, end) for start, end in zip(starts, ends, strict=True))
    return Ranges(spans, tuple(Range(size, size, exact=True) for size in exact), tuple(problems))


def _within(values: Iterable[int], largest: int, name: str, problems: list[str]) -> list[int]:
    found = sorted(set(values))
    problems.extend(
        f"{name}: {value} lies outside 1..{largest} and is left out"
        for value in found
        if not 1 <= value <= largest
    )
    return [value for value in found if 1 <= value <= largest]
