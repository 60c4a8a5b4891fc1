"""Aligns two sequences by keys: what is the same in both, in the same order. Nearly linear in their lengths, and iterative."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping, Sequence

Pairs = list[tuple[int, int]]
Keys = Sequence[Hashable]
ByIndex = Sequence[Hashable] | Mapping[int, Hashable]

_CELLS = 4_000
"""The largest table that is filled to align a stretch exactly; longer ones are aligned by what stands once in both, then greedily."""


def align(left: Sequence[int], right: Sequence[int], levels: Sequence[tuple[ByIndex, ByIndex]]) -> Pairs:
    """Pairs in rising order: first all that agree by the first level's keys, then in the gaps by the next one's, and so on.

    Args:
        left: What to align, as indices into the keys.
        right: Likewise.
        levels: Keys by index, of both sides; the strictest first.
    """
    pairs: Pairs = []
    gaps = [(0, len(left), 0, len(right))]
    for mine, theirs in levels:
        ours = [mine[index] for index in left]
        others = [theirs[index] for index in right]
        found: Pairs = []
        for gap in gaps:
            found += _stretch(ours, others, gap)
        pairs = sorted({*pairs, *found})
        gaps = _gaps(pairs, len(left), len(right))
    return [(left[one], right[other]) for one, other in pairs]


def _gaps(pairs: Pairs, left: int, right: int) -> list[tuple[int, int, int, int]]:
    gaps: list[tuple[int, int, int, int]] = []
    one = other = 0
    for mine, theirs in (*pairs, (left, right)):
        if mine > one and theirs > other:
            gaps.append((one, mine, other, theirs))
        one, other = mine + 1, theirs + 1
    return gaps


def _stretch(left: Keys, right: Keys, gap: tuple[int, int, int, int]) -> Pairs:
    """Aligns one stretch: its equal ends, then between what stands once in both, then what is short exactly."""
    pairs: Pairs = []
    stack = [gap]
    while stack:
        begin, end, start, stop = stack.pop()
        while begin < end and start < stop and left[begin] == right[start]:
            pairs.append((begin, start))
            begin, start = begin + 1, start + 1
        while begin < end and start < stop and left[end - 1] == right[stop - 1]:
            end, stop = end - 1, stop - 1
            pairs.append((end, stop))
        if begin == end or start == stop:
            continue
        if (end - begin) * (stop - start) <= _CELLS:
            pairs += _exact(left, right, begin, end, start, stop)
            continue
        anchors = _anchors(left, right, begin, end, start, stop)
        if not anchors:
            pairs += _greedy(left, right, begin, end, start, stop)
            continue
        pairs += anchors
        for one, other in anchors:
            stack.append((begin, one, start, other))
            begin, start = one + 1, other + 1
        stack.append((begin, end, start, stop))
    return pairs


def _exact(left: Keys, right: Keys, begin: int, end: int, start: int, stop: int) -> Pairs:
    """The longest common subsequence."""
    width = stop - start
    lengths = [[0] * (width + 1)]
    for index in range(end - 1, begin - 1, -1):
        below, key = lengths[-1], left[index]
        row = [0] * (width + 1)
        for place in range(width - 1, -1, -1):
            if key == right[start + place]:
                row[place] = below[place + 1] + 1
            else:
                row[place] = max(row[place + 1], below[place])
        lengths.append(row)
    lengths.reverse()
    pairs: Pairs = []
    row, place = 0, 0
    while row < end - begin and place < width:
        if left[begin + row] == right[start + place]:
            pairs.append((begin + row, start + place))
            row, place = row + 1, place + 1
        elif lengths[row + 1][place] >= lengths[row][place + 1]:
            row += 1
        else:
            place += 1
    return pairs


def _anchors(left: Keys, right: Keys, begin: int, end: int, start: int, stop: int) -> Pairs:
    """What stands once in each of the stretches, as many as are in the same order."""
    once = _once(left, begin, end)
    other = _once(right, start, stop)
    common = sorted((once[key], other[key]) for key in once.keys() & other.keys())
    return _rising(common)


def _once(keys: Keys, begin: int, end: int) -> dict[Hashable, int]:
    places: dict[Hashable, int] = {}
    twice: set[Hashable] = set()
    for index in range(begin, end):
        if places.setdefault(keys[index], index) != index:
            twice.add(keys[index])
    return {key: index for key, index in places.items() if key not in twice}


def _rising(pairs: Pairs) -> Pairs:
    """The longest part of pairs, sorted by the left, whose right sides rise."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for index, (_, place) in enumerate(pairs):
        at = bisect_left(tails, place)
        before.append(ends[at - 1] if at else -1)
        if at == len(tails):
            tails.append(place)
            ends.append(index)
        else:
            tails[at], ends[at] = place, index
    found: Pairs = []
    index = ends[-1] if ends else -1
    while index >= 0:
        found.append(pairs[index])
        index = before[index]
    return found[::-1]


def _greedy(left: Keys, right: Keys, begin: int, end: int, start: int, stop: int) -> Pairs:
    """Each of the left with the next that equals it on the right, where that does not skip more than it gains."""
    places: dict[Hashable, list[int]] = {}
    for index in range(start, stop):
        places.setdefault(right[index], []).append(index)
    pairs: Pairs = []
    for index in range(begin, end):
        known = places.get(left[index])
        if known is None:
            continue
        at = bisect_left(known, start)
        if at < len(known) and known[at] - start <= max(64, end - index):
            pairs.append((index, known[at]))
            start = known[at] + 1
    return pairs


def paired_by(
    left: Sequence[int],
    right: Sequence[int],
    key: Callable[[int], Hashable],
    other: Callable[[int], Hashable],
) -> Pairs:
    """The first of each key with the first of it, the second with the second; in any order of the keys."""
    waiting: dict[Hashable, list[int]] = {}
    for index in reversed(right):
        waiting.setdefault(other(index), []).append(index)
    pairs: Pairs = []
    for index in left:
        known = waiting.get(key(index))
        if known:
            pairs.append((index, known.pop()))
    return pairs
