"""Layouts by Graphviz for a view that asks for them: off the caller's thread, in a process that can be killed.

A request is a plain dict from a browser, so nothing of it is trusted: sizes and numbers are checked, and no text of it reaches dot.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from compile_inspector.errors import DrawingError
from compile_inspector.views.graph_drawing import TIMEOUT_S, dot_binary

MOST_BOXES = 400
MOST_EDGES = 4_000

_LARGEST_PX = 1e6
_PX_PER_INCH = 96.0
_WAITING = 64

Answer = Callable[[dict[str, Any]], None]
Point = tuple[float, float]


class LayoutRequest(msgspec.Struct, frozen=True):
    """What a view asks for; boxes and places in pixels.

    Attributes:
        key: Names the request in the answer; a newer request of the same key replaces it.
        generation: Comes back with the answer.
        boxes: Width and height of each.
        edges: Pairs of boxes.
        tops: Boxes that are held in the first rank.
        bottoms: Boxes that are held in the last one.
        above: Pairs of boxes of which the first stands above the second, though no edge is drawn.
    """

    key: str
    boxes: list[Point]
    edges: list[tuple[int, int]] = []
    generation: int | float | str | None = None
    tops: list[int] = []
    bottoms: list[int] = []
    above: list[tuple[int, int]] = []


class Laid(msgspec.Struct, frozen=True):
    """Where things go, in pixels from the top left.

    Attributes:
        positions: The middle of each box.
        splines: For each edge, in the order of the request: the points of a chain of cubic Bezier curves, x and y in turn; empty where
            dot drew none.
    """

    width: float
    height: float
    positions: list[Point]
    splines: list[list[float]]


class DotLayouts:
    """Answers the messages ``layout`` and ``cancel`` of one view.

    Requests are worked off one by one, on a thread that ends when there are none. Of requests with the same key only the newest is
    answered.

    Args:
        answer: Called with the message to send back, on that thread.
        timeout_s: How long one layout may take, seconds.
        binary: The ``dot`` to run and its name; what `dot_binary` finds when None.
    """

    def __init__(
        self, answer: Answer, *, timeout_s: float = TIMEOUT_S, binary: tuple[str, str] | None = None
    ) -> None:
        self._answer = answer
        self._timeout_s = timeout_s
        self._binary = binary
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, LayoutRequest] = OrderedDict()
        self._running: tuple[str, _Run] | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def handle(self, message: object) -> bool:
        """Takes a message if it is one of these two; False for any other, and then nothing was done."""
        content: Mapping[Any, Any] = message if isinstance(message, dict) else {}  # pyright: ignore[reportUnknownVariableType]
        kind, key = content.get("type"), content.get("key")
        if kind not in ("layout", "cancel"):
            return False
        if not isinstance(key, str):
            return True
        if kind == "cancel":
            self._cancel(key)
            return True
        try:
            request = _checked(content)
        except (DrawingError, msgspec.ValidationError) as error:
            self._cancel(key)
            self._answer(_message(key, content.get("generation"), problem=str(error)))
            return True
        self._ask(request)
        return True

    def close(self) -> None:
        """Drops what waits and kills what runs; nothing is answered any more."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            if self._running is not None:
                self._running[1].kill()

    def _cancel(self, key: str) -> None:
        with self._lock:
            self._drop(key)

    def _drop(self, key: str) -> None:
        self._waiting.pop(key, None)
        if self._running is not None and self._running[0] == key:
            self._running[1].kill()

    def _ask(self, request: LayoutRequest) -> None:
        with self._lock:
            self._drop(request.key)
            if self._closed:
                return
            if len(self._waiting) >= _WAITING:
                self._waiting.popitem(last=False)
            self._waiting[request.key] = request
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="dot layouts", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                _, request = self._waiting.popitem(last=False)
                run = _Run()
                self._running = (request.key, run)
            try:
                message = self._made(request, run)
            except Exception as error:  # noqa: BLE001 - the view must learn of it, and the thread must go on
                message = _message(
                    request.key, request.generation, problem=f"{type(error).__name__}: {error}"
                )
            with self._lock:
                self._running = None
            if not run.killed:
                with contextlib.suppress(Exception):  # the view is gone; the next request may be another's
                    self._answer(message)

    def _made(self, request: LayoutRequest, run: _Run) -> dict[str, Any]:
        found = self._binary or dot_binary()
        if found is None:
            problem = "no dot was found: install Graphviz or graphviz-pure for its layout"
            return _message(request.key, request.generation, problem=problem)
        binary, name = found
        try:
            text = run.output(binary, dot_source(request), self._timeout_s)
            laid = read_plain(text, request)
        except DrawingError as error:
            return _message(request.key, request.generation, problem=f"{name}: {error}")
        return _message(request.key, request.generation, engine=name, **msgspec.to_builtins(laid))


def _message(key: str, generation: object, **fields: object) -> dict[str, Any]:
    return {"type": "layout", "key": key, "generation": generation, **fields}


class _Run:
    """One process of dot, which any thread may kill."""

    def __init__(self) -> None:
        self.killed = False
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """Ends it, now or as soon as it begins."""
        with self._lock:
            self.killed = True
            if self._process is not None:
                _kill(self._process)

    def output(self, binary: str, source: str, timeout_s: float) -> str:
        """What dot writes.

        Raises:
            DrawingError: It could not be run, failed, or took too long.
        """
        process = self._start(binary)
        try:
            out, said = process.communicate(source.encode(), timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            msg = f"it took longer than {timeout_s:g} s"
            raise DrawingError(msg) from error
        finally:
            _kill(process)
            process.communicate()
        if process.returncode != 0:
            msg = f"it failed with code {process.returncode}: {said.decode('utf-8', 'replace').strip()[:300]}"
            raise DrawingError(msg)
        return out.decode("utf-8", "replace")

    def _start(self, binary: str) -> subprocess.Popen[bytes]:
        with self._lock:
            if self.killed:
                msg = "it was cancelled"
                raise DrawingError(msg)
            pipe = subprocess.PIPE
            try:
                self._process = subprocess.Popen(
                    [binary, "-Tplain"], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
                )
            except OSError as error:
                msg = f"{binary} could not be run ({error})"
                raise DrawingError(msg) from error
            return self._process


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and what it started; one that was waited for is let be, since its number may be another's by now."""
    if process.returncode is not None:
        return
    try:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass


def _checked(content: Mapping[Any, Any]) -> LayoutRequest:
    request = msgspec.convert(
        {name: content[name] for name in LayoutRequest.__struct_fields__ if name in content}, LayoutRequest
    )
    count = len(request.boxes)
    if not 0 < count <= MOST_BOXES or len(request.edges) + len(request.above) > MOST_EDGES:
        msg = f"at most {MOST_BOXES} boxes and {MOST_EDGES:,} edges are laid out by dot, and one box at least"
        raise DrawingError(msg)
    if not all(0 < size <= _LARGEST_PX for box in request.boxes for size in box):
        msg = "a box has no size"
        raise DrawingError(msg)
    pairs = [*request.edges, *request.above]
    named = [*(end for pair in pairs for end in pair), *request.tops, *request.bottoms]
    if not all(0 <= box < count for box in named):
        msg = "an edge ends at a box that there is not"
        raise DrawingError(msg)
    return request


def dot_source(request: LayoutRequest) -> str:
    """The DOT source of a request; box 3 is ``b3``."""
    from graphviz import Digraph

    dot = Digraph(
        graph_attr={"rankdir": "TB", "nodesep": "0.2", "ranksep": "0.35"},
        node_attr={"shape": "box", "fixedsize": "true", "label": ""},
        edge_attr={"arrowhead": "none"},
    )
    lines: list[str] = dot.body  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    for index, (width, height) in enumerate(request.boxes):
        lines.append(
            f'\tb{index} [width="{width / _PX_PER_INCH:.4f}" height="{height / _PX_PER_INCH:.4f}"]\n'
        )
    for rank, held in (("source", request.tops), ("sink", request.bottoms)):
        if held:
            lines.append(f"\t{{rank={rank}; {' '.join(f'b{box};' for box in held)}}}\n")
    drawn = dict.fromkeys(request.edges)
    lines.extend(f"\tb{source} -> b{target}\n" for source, target in drawn)
    lines.extend(
        f"\tb{upper} -> b{lower} [weight=0 style=invis]\n"
        for upper, lower in dict.fromkeys(request.above)
        if (upper, lower) not in drawn
    )
    return dot.source


def read_plain(text: str, request: LayoutRequest) -> Laid:
    """Dot's plain output.

    Raises:
        DrawingError: It is not what was asked for.
    """
    height, width = 0.0, 0.0
    positions: dict[str, Point] = {}
    splines: dict[tuple[str, str], list[float]] = {}
    try:
        for line in text.splitlines():
            word, *rest = line.split(" ")
            if word == "graph":
                width, height = float(rest[1]), float(rest[2])
            elif word == "node":
                positions[rest[0]] = (float(rest[1]), float(rest[2]))
            elif word == "edge":
                count = int(rest[2])
                splines[rest[0], rest[1]] = [float(number) for number in rest[3 : 3 + 2 * count]]
        places = [_place(positions[f"b{box}"], height) for box in range(len(request.boxes))]
    except (ValueError, IndexError, KeyError) as error:
        msg = "what it wrote is no layout of these boxes"
        raise DrawingError(msg) from error
    drawn = [_curve(splines.get((f"b{one}", f"b{other}"), ()), height) for one, other in request.edges]
    laid = Laid(round(width * _PX_PER_INCH, 2), round(height * _PX_PER_INCH, 2), places, drawn)
    if not all(math.isfinite(number) for place in places for number in place):
        msg = "what it wrote is no layout of these boxes"
        raise DrawingError(msg)
    return laid


def _place(point: Point, height: float) -> Point:
    return round(point[0] * _PX_PER_INCH, 2), round((height - point[1]) * _PX_PER_INCH, 2)


def _curve(numbers: Sequence[float], height: float) -> list[float]:
    points = zip(numbers[::2], numbers[1::2], strict=False)
    return [coordinate for point in points for coordinate in _place(point, height)]
