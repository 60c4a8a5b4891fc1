"""What ``%capture_graphs`` does: CUDA graphs of a live module for the sizes that were typed, with a bar that follows it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from compile_inspector.errors import InspectorError
from compile_inspector.notebook.show import in_notebook
from compile_inspector.torch_seams.observe import FAULTS

if TYPE_CHECKING:
    from compile_inspector.engine.capture import CaptureStep

_PERIOD_S = 0.1


def sizes_of(text: str) -> Iterable[int]:
    """Batch sizes as they are typed: ``1,2,4`` or ``1 2 4``, and ``8:64:8`` for 8, 16, … 64.

    Raises:
        UsageError: A part says something else.
    """
    found: list[range] = []
    for part in re.split(r"\s*,\s*|\s+", text.strip()):
        try:
            numbers = [int(number) for number in part.split(":")]
            first, last, step = (numbers[0], numbers[-1], 1) if len(numbers) < 3 else numbers
            sizes = range(first, last + 1, step)
        except ValueError:
            sizes = range(0)
        if not sizes:
            msg = (
                f"sizes are written 1,2,4 or FIRST:LAST:STEP, such as 8:64:8; got {part or text!r}. "
                "Those of a list of yours: ci.capture_graphs(model, sizes)"
            )
            raise UsageError(msg)
        found.append(sizes)
    return itertools.chain.from_iterable(found)


def capture(
    module: Any, sizes: Iterable[int], settings: dict[str, Any], shell: Any, *, progress: bool
) -> str:
    """Captures a module that was applied; the report as text.

    Raises:
        UsageError: It cannot be captured as asked; the message says what to do.
    """
    from compile_inspector.engine.capture import capture_graphs

    with bar(shell, wanted=progress) as follow:
        try:
            return str(capture_graphs(module, sizes, progress=follow, **settings))
        except InspectorError as error:
            raise UsageError(str(error)) from None


def release(module: Any, name: str) -> str:
    """Frees what was captured of a module; what was done, in a line."""
    from compile_inspector.engine.capture import release_graphs

    return f"the graphs of {name} are freed" if release_graphs(module) else f"nothing was captured of {name}"


@contextmanager
def bar(shell: Any, *, wanted: bool) -> Generator[Callable[[CaptureStep], None] | None]:
    """Gives what shows each step in a notebook; it goes when the block ends. None where nothing is shown."""
    if not wanted or not in_notebook(shell):
        yield None
        return
    shown = _Bar()
    try:
        yield shown.step
    finally:
        shown.close()


class _Bar:
    """One line of a cell's output: how many captures are done, and which is at hand."""

    def __init__(self) -> None:
        import time

        from compile_inspector.notebook.progress import Panel

        self._clock, self._panel, self._next = time.monotonic, Panel(), 0.0

    def step(self, step: CaptureStep) -> None:
        """Shows a step, a few times a second at most; a fault in showing it is counted."""
        now = self._clock()
        if now < self._next and step.done < step.total:
            return
        self._next = now + _PERIOD_S
        try:
            self._panel.say(
                f"capturing size {step.size} ({step.mode}), {step.done} of {step.total}",
                step.done,
                step.total,
            )
        except Exception as error:  # noqa: BLE001 - a line on the screen is not worth a capture
            FAULTS.count("progress", error)

    def close(self) -> None:
        """Takes it off the screen."""
        try:
            self._panel.close()
        except Exception as error:  # noqa: BLE001 - as above
            FAULTS.count("progress", error)
