"""Values as short text: units, plurals, and text made safe."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compile_inspector.views.words import count, duration, one_line, short_place, visible


@pytest.mark.parametrize(
    ("elapsed_ns", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1.00 µs"),
        (512_400, "512 µs"),
        (999_700, "1.00 ms"),
        (83_000_000, "83.0 ms"),
        (999_600_000, "1.00 s"),
        (1_240_000_000, "1.24 s"),
        (12_345_000_000, "12.3 s"),
        (99_940_000_000, "99.9 s"),
        (99_960_000_000, "1 min 40 s"),
        (3_599_600_000_000, "60 min 00 s"),
    ],
)
def test_durations_have_three_digits_and_a_unit(elapsed_ns: int, text: str) -> None:
    """A duration is rounded to three digits, and to a larger unit where rounding reaches it."""
    assert text == duration(elapsed_ns)


@pytest.mark.parametrize(
    ("number", "nouns", "text"),
    [
        (0, ("compile",), "no compiles"),
        (1, ("compile",), "1 compile"),
        (1024, ("compile",), "1,024 compiles"),
        (2, ("loss", "losses"), "2 losses"),
    ],
)
def test_counts_agree_with_their_nouns(number: int, nouns: tuple[str, ...], text: str) -> None:
    """A count has its noun in the right number."""
    assert text == count(number, *nouns)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢", "plain é 漢"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\rb\x00\x9b", "a\\x0db\\x00\\x9b"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("half \ud800", "half \\ud800"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("hard\u00a0space", "hard\u00a0space"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    """What a terminal or browser would act on is shown as an escape; newlines, tabs and letters stay."""
    assert shown == visible(text)


@given(st.text(st.characters()))
def test_visible_text_has_no_control_characters_and_can_be_encoded(text: str) -> None:
    """Whatever a name holds, its visible form is encodable and holds no control character but newline and tab."""
    shown = visible(text)
    shown.encode("utf-8")
    assert all(unicodedata.category(char) != "Cc" or char in "\n\t" for char in shown)
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f") & set(shown)
    assert shown == visible(shown)


@given(st.text(), st.integers(1, 40))
def test_one_line_is_one_line_within_its_limit(text: str, limit: int) -> None:
    """A text on one line has no line break and at most as many characters as allowed."""
    line = one_line(text, limit)
    assert len(line.splitlines()) <= 1
    assert len(line) <= limit


def test_one_line_marks_what_it_cut() -> None:
    """A cut text ends in an ellipsis; one that fits is left as it is."""
    assert one_line("abcdefgh", 5) == "abcd…"
    assert one_line("abcde", 5) == "abcde"
    assert one_line("  first\n   second\n") == "first second"


@pytest.mark.parametrize(
    ("place", "short"),
    [("/a/b/net.py:3", "net.py:3"), ("C:\\a\\net.py:3", "net.py:3"), ("In [4]:1", "In [4]:1")],
)
def test_short_places_have_no_folders(place: str, short: str) -> None:
    """A place loses its folders, whichever slash they are written with."""
    assert short == short_place(place)
