"""Widgets: a session to look through, and the progress of compiles. Importing this imports anywidget."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from compile_inspector.model.tables import Tables
from compile_inspector.views.answers import answer
from compile_inspector.views.bundles import bundle
from compile_inspector.views.dot_layout import DotLayouts
from compile_inspector.views.summary import rows_of
from compile_inspector.views.why_parts import Whys
from compile_inspector.views.wire import ROW_LIMIT, WirePart, pack, to_wire
from compile_inspector.views.words import count, duration

_INTERVAL_S = 0.05


class PartsWidget(anywidget.AnyWidget):
    """A widget that is asked for parts of a session, and answers.

    Args:
        tables: The session.
        traits: Values of the widget's own traits.
    """

    _esm = traitlets.Unicode(bundle("inspector.esm.js")).tag(sync=True)

    def __init__(self, tables: Tables, **traits: Any) -> None:
        self._tables = tables
        self._whys = Whys(tables)
        self._lock = threading.Lock()
        self._layouts = DotLayouts(self._answer)
        super().__init__(**traits)  # pyright: ignore[reportUnknownMemberType]
        self.on_msg(self._asked)  # pyright: ignore[reportUnknownMemberType]

    def _asked(self, _widget: object, content: object, _buffers: object) -> None:
        """Answers one request, on whatever thread the kernel reads messages."""
        key = _requested(content)
        if key is None:
            self._layouts.handle(content)
            return
        with self._lock:
            try:
                found = answer(self._tables, key, whys=self._whys)
            except Exception as error:  # noqa: BLE001 - the reader must learn of it, and the kernel must live
                found = pack(WirePart(key, problem=f"{type(error).__name__}: {error}"))
            self.send({"type": "part", "key": key}, [found])  # pyright: ignore[reportUnknownMemberType]

    def _answer(self, message: dict[str, Any]) -> None:
        """Sends a layout, from the thread that made it."""
        with self._lock:
            self.send(message)  # pyright: ignore[reportUnknownMemberType]

    def close(self) -> None:
        """Takes it off the page, and ends the layouts that are being made for it."""
        self._layouts.close()
        super().close()


class SessionWidget(PartsWidget):
    """A session with its tabs. What is large (graphs, texts) goes over when the reader opens it.

    Args:
        tables: The session.
        view: The tab that is shown first; the overview when None.
        row_limit: Rows of one table that are sent.
    """

    payload = traitlets.Bytes(b"").tag(sync=True)

    def __init__(self, tables: Tables, *, view: str | None = None, row_limit: int = ROW_LIMIT) -> None:
        name = getattr(tables, "name", None)
        super().__init__(tables, payload=to_wire(tables, name=name, view=view, row_limit=row_limit))

    def __repr__(self) -> str:
        compiles, recompiles = rows_of(self._tables, "compiles"), rows_of(self._tables, "recompiles")
        return f"<SessionWidget: {count(len(compiles), 'compile')}, {count(len(recompiles), 'recompile')}>"


def _requested(content: object) -> str | None:
    """The key of the part that a message asks for; None where it asks for none."""
    request: dict[Any, Any] = content if isinstance(content, dict) else {}  # pyright: ignore[reportUnknownVariableType]
    key = request.get("key")
    return key if request.get("type") == "part" and isinstance(key, str) else None


class ProgressWidget(anywidget.AnyWidget):
    """One line that follows compiles while they run, and says at the end what they came to.

    `update` and `finish` may be called from any thread. Updates that follow each other within 50 ms are one message; the last one
    always arrives, with the next update or with `finish`.

    Args:
        clock: Seconds, monotonic.
    """

    _esm = traitlets.Unicode(bundle("progress.esm.js")).tag(sync=True)
    status = traitlets.Dict({}).tag(sync=True)

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self._clock = clock
        self._lock = threading.Lock()
        self._sent = float("-inf")
        self._done = False

    def update(self, *, compiles: int, active: str | None, phase: str | None, elapsed_ns: int) -> None:
        """Says where compiles are.

        Args:
            compiles: How many have ended.
            active: What is compiled now, None between compiles.
            phase: torch's name of the step it is in.
            elapsed_ns: How long all of it has taken, nanoseconds; the time shown runs on from there.
        """
        with self._lock:
            now = self._clock()
            if self._done or now - self._sent < _INTERVAL_S:
                return
            self._sent = now
            self._say(
                compiles=compiles, active=active, phase=phase, elapsed_ns=elapsed_ns, done=False, text=None
            )

    def say(self, text: str, *, value: int, total: int) -> None:
        """Says what goes on in words of its own, with a bar.

        Args:
            text: A line.
            value: How much is done.
            total: Of how much.
        """
        with self._lock:
            if not self._done:
                self._say(
                    compiles=0,
                    active=None,
                    phase=None,
                    elapsed_ns=0,
                    done=False,
                    text=text,
                    value=value,
                    total=total,
                )

    def finish(self, *, compiles: int, elapsed_ns: int, text: str | None = None) -> None:
        """Leaves one line that stays: ``text``, else how many compiles there were in which time. Nothing changes it afterwards."""
        with self._lock:
            self._done = True
            line = text or (
                f"{count(compiles, 'compile')} in {duration(elapsed_ns)}"
                if compiles
                else "Nothing was compiled."
            )
            self._say(compiles=compiles, active=None, phase=None, elapsed_ns=elapsed_ns, done=True, text=line)

    def _say(self, **status: object) -> None:
        self.status = status

    def __repr__(self) -> str:
        return "<ProgressWidget>"
