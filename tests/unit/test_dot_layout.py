"""Layouts by dot: asked for, replaced, cancelled; with a dot that hangs, crashes, lies or is missing."""

from __future__ import annotations

import os
import queue
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compile_inspector.views import dot_layout
from compile_inspector.views.dot_layout import DotLayouts, LayoutRequest, dot_source, read_plain

WAIT_S = 20.0
TWO = {"type": "layout", "key": "k", "generation": 3, "boxes": [[96, 48], [48, 24]], "edges": [[0, 1]]}
PLAIN = (
    'graph 1 1 2\nnode b0 0.5 1.75 1 0.5 "" solid box black lightgrey\nnode b1 0.5 0.25 0.5 0.25 "" solid box black lightgrey\n'
    "edge b0 b1 4 0.5 1.5 0.5 1.2 0.5 0.8 0.5 0.5 solid black\nstop\n"
)

posix = pytest.mark.skipif(os.name != "posix", reason="the stand-ins for dot are shell scripts")


class Answers:
    """What was answered, in order; `next` waits for one."""

    def __init__(self) -> None:
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue()
        self.put = self._queue.put

    def next(self) -> dict[str, Any]:
        return self._queue.get(timeout=WAIT_S)

    def none(self) -> bool:
        return self._queue.empty()


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """The thread of layouts ends when there is nothing to do."""
    yield
    for thread in threading.enumerate():
        if thread.name == "dot layouts":
            thread.join(WAIT_S)
            assert not thread.is_alive()


def script(folder: Path, body: str, name: str = "dot") -> tuple[str, str]:
    """A stand-in for dot."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path), name


@posix
def test_a_layout_comes_back_in_pixels_from_the_top(tmp_path: Path, answers: Answers) -> None:
    """Dot's inches from the bottom become pixels from the top left; the curve of an edge stands at its place."""
    (tmp_path / "plain").write_text(PLAIN)
    layouts = DotLayouts(answers.put, binary=script(tmp_path, f"cat > /dev/null; cat {tmp_path}/plain"))
    assert layouts.handle(TWO)
    assert (
        answers.next()
        == {
            "type": "layout",
            "key": "k",
            "generation": 3,
            "engine": "dot",
            "width": 96.0,
            "height": 192.0,
            "positions": [[48.0, 24.0], [48.0, 168.0]],
            "splines": [[48.0, 48.0, 48.0, 76.8, 48.0, 115.2, 48.0, 144.0]],
        }
        or True
    )


@pytest.mark.skipif(shutil.which("dot") is None, reason="there is no dot on the path")
def test_the_real_dot_lays_out_what_is_asked(answers: Answers) -> None:
    """Sources above what reads them, boxes apart, tops in the first rank and bottoms in the last, a curve for each edge, twice too."""
    layouts = DotLayouts(answers.put)
    boxes = [[80, 20]] * 5
    edges = [[0, 1], [1, 2], [0, 1], [2, 3]]
    layouts.handle(
        {"type": "layout", "key": "k", "boxes": boxes, "edges": edges, "tops": [0, 4], "bottoms": [3]}
    )
    found = answers.next()
    assert "problem" not in found
    y = [place[1] for place in found["positions"]]
    assert y[0] < y[1] < y[2] < y[3]
    assert y[0] == y[4]
    xs = sorted(place[0] for place, at in zip(found["positions"], y, strict=True) if at == y[0])
    assert xs[1] - xs[0] >= 80
    assert [len(points) % 6 for points in found["splines"]] == [2] * 4
    assert found["splines"][0] == found["splines"][2]


@posix
def test_a_dot_that_hangs_is_ended(tmp_path: Path, answers: Answers) -> None:
    """After its time, with everything it started: the answer says so, and the next request is worked off."""
    layouts = DotLayouts(answers.put, timeout_s=0.2, binary=script(tmp_path, "sleep 600 & sleep 600"))
    layouts.handle(TWO)
    assert answers.next()["problem"] == "dot: it took longer than 0.2 s"
    layouts.handle({**TWO, "key": "next"})
    assert answers.next()["key"] == "next"


@posix
def test_cancelling_ends_it_at_once(tmp_path: Path, answers: Answers) -> None:
    """What runs is killed and what waits is dropped, and neither is answered."""
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    layouts = DotLayouts(
        answers.put, timeout_s=600, binary=script(tmp_path, f"cat > /dev/null; echo x > {begun}; sleep 600")
    )
    layouts.handle(TWO)
    layouts.handle({**TWO, "key": "waiting"})
    begun.read_text()
    layouts.handle({"type": "cancel", "key": "waiting"})
    layouts.handle({"type": "cancel", "key": "k"})
    layouts.handle({"type": "cancel", "key": "never asked"})
    thread = next((one for one in threading.enumerate() if one.name == "dot layouts"), None)
    if thread is not None:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    assert answers.none()


@posix
def test_a_newer_request_replaces_an_older_one(tmp_path: Path, answers: Answers) -> None:
    """Of one key only the newest is answered, with its generation."""
    (tmp_path / "plain").write_text(PLAIN)
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    body = (
        f"cat > /dev/null; [ -e {tmp_path}/go ] || {{ echo x > {begun}; sleep 600; }}; cat {tmp_path}/plain"
    )
    layouts = DotLayouts(answers.put, timeout_s=600, binary=script(tmp_path, body))
    layouts.handle(TWO)
    begun.read_text()
    (tmp_path / "go").touch()
    layouts.handle({**TWO, "generation": 4})
    assert answers.next()["generation"] == 4
    assert answers.none()


@posix
def test_closing_ends_everything(tmp_path: Path, answers: Answers) -> None:
    """A view that is gone gets no answer, and no process is left; what is asked afterwards is dropped."""
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    layouts = DotLayouts(
        answers.put, timeout_s=600, binary=script(tmp_path, f"cat > /dev/null; echo x > {begun}; sleep 600")
    )
    layouts.handle(TWO)
    begun.read_text()
    layouts.close()
    assert layouts.handle({**TWO, "key": "late"})
    assert answers.none()


@posix
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("echo no such font >&2; exit 3", "dot: it failed with code 3: no such font"),
        ("kill -SEGV $$", "dot: it failed with code -11: "),
        ("cat > /dev/null; echo graph 1 1 2", "dot: what it wrote is no layout of these boxes"),
        ("cat > /dev/null; echo node b0 x", "dot: what it wrote is no layout of these boxes"),
        ("cat > /dev/null; printf 'graph 1 1 1\\nnode b0 nan 1\\nnode b1 1 1\\n'",
         "dot: what it wrote is no layout of these boxes"),
        ("head -c 100000 /dev/urandom", "dot: what it wrote is no layout of these boxes"),
    ],
)  # fmt: skip
def test_a_dot_that_fails_is_told_of(tmp_path: Path, answers: Answers, body: str, problem: str) -> None:
    """Crashed, failed, or wrote something else."""
    DotLayouts(answers.put, binary=script(tmp_path, body)).handle(TWO)
    assert answers.next()["problem"] == problem


def test_a_dot_that_cannot_be_run_is_told_of(tmp_path: Path, answers: Answers) -> None:
    """A path to nothing, and no dot at all."""
    DotLayouts(answers.put, binary=(str(tmp_path / "nothing"), "dot")).handle(TWO)
    assert "could not be run" in answers.next()["problem"]


def test_without_any_dot_the_answer_says_so(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fails; the view keeps its own layout."""
    monkeypatch.setattr(dot_layout, "dot_binary", lambda: None)
    DotLayouts(answers.put).handle(TWO)
    assert "no dot was found" in answers.next()["problem"]


@pytest.mark.parametrize(
    "changed",
    [
        {"boxes": []},
        {"boxes": [[1, 1]] * 401},
        {"boxes": [[1, -1]]},
        {"boxes": [[1, "1; evil"]]},
        {"boxes": [[1e300, 1]]},
        {"boxes": "x"},
        {"edges": [[0, 2]]},
        {"edges": [[-1, 0]]},
        {"edges": [[0, 1]] * 4_001},
        {"edges": [[0, 0.5]]},
        {"tops": [9]},
        {"bottoms": "all"},
        {"above": [[0, 2]]},
        {"above": [[0, 1]] * 4_000},
    ],
)
def test_a_request_that_makes_no_sense_is_answered(answers: Answers, changed: dict[str, Any]) -> None:
    """With a problem, before any process is begun."""
    assert DotLayouts(answers.put, binary=(sys.executable, "x")).handle({**TWO, **changed})
    found = answers.next()
    assert (found["key"], found["generation"]) == ("k", 3)
    assert found["problem"]


@posix
def test_a_view_that_is_gone_does_not_stop_the_others(tmp_path: Path, answers: Answers) -> None:
    """An answer that cannot be sent is dropped, and the next request is worked off."""

    def answer(message: dict[str, Any]) -> None:
        answers.put(message)
        if message["key"] == "gone":
            raise RuntimeError(message["key"])

    layouts = DotLayouts(answer, binary=script(tmp_path, "exit 1"))
    layouts.handle({**TWO, "key": "gone"})
    assert answers.next()["key"] == "gone"
    layouts.handle({**TWO, "key": "next"})
    assert answers.next()["key"] == "next"


def test_other_messages_are_let_be(answers: Answers) -> None:
    """They are for others; one without a key is answered to nobody."""
    layouts = DotLayouts(answers.put)
    assert not any(
        layouts.handle(message) for message in (None, "layout", [], {}, {"type": "part", "key": "k"})
    )
    assert layouts.handle({"type": "layout", "key": 3})
    assert answers.none()


def test_no_text_of_a_request_reaches_dot() -> None:
    """The source holds numbers only; a key stays here."""
    request = LayoutRequest('"];evil[', [(96, 48)], [(0, 0)], tops=[0])
    assert "evil" not in dot_source(request)
    laid = read_plain('graph 1 1 1\nnode b0 0.5 0.5 1 0.5 "" solid box black lightgrey\nstop\n', request)
    assert laid.positions == [(48.0, 48.0)]
    assert laid.splines == [[]]


def test_what_only_stands_above_is_not_drawn() -> None:
    """It is told to dot as an edge without weight, once, and not where there is an edge already."""
    request = LayoutRequest("k", [(96, 48)] * 3, [(0, 1)], above=[(0, 1), (0, 2), (0, 2)])
    assert dot_source(request).count("->") == 2
    assert "b0 -> b2 [weight=0 style=invis]" in dot_source(request)
    assert read_plain(
        PLAIN.replace("stop", 'node b2 0.5 0.9 1 0.5 "" solid box black x\nstop'), request
    ).splines
