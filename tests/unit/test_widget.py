"""Widgets, without a browser: what they send, from which thread, and how they name themselves."""

from __future__ import annotations

import queue
import threading
import zlib

import msgspec
import pytest

from compile_inspector.views.wire import Wire, WirePart
from factory import make_graph, make_tables, sample_tables

pytest.importorskip("anywidget", reason="anywidget is not installed")

from compile_inspector.views.display import mimebundle
from compile_inspector.views.widget import ProgressWidget, SessionWidget


def read(data: bytes) -> WirePart:
    return msgspec.json.decode(data if data[:1] == b"{" else zlib.decompress(data), type=WirePart)


class Sent:
    """Catches what a widget sends."""

    def __init__(self, widget: SessionWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        self.messages: list[tuple[dict[str, str], list[bytes]]] = []
        monkeypatch.setattr(
            widget, "send", lambda content, buffers=None: self.messages.append((content, buffers or []))
        )


def test_a_session_goes_over_as_bytes() -> None:
    """The payload is the wire of the session, with the tab that is asked for."""
    widget = SessionWidget(sample_tables(), view="guards")
    wire = msgspec.json.decode(zlib.decompress(widget.payload), type=Wire)
    assert wire.view == "guards"
    assert wire.live


def test_its_name_does_not_change_from_run_to_run() -> None:
    """A session's widget names itself by what it shows."""
    assert repr(SessionWidget(sample_tables())) == "<SessionWidget: 6 compiles, 3 recompiles>"
    assert repr(ProgressWidget()) == "<ProgressWidget>"


def test_a_part_is_answered_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for a graph's printout is answered with them; anything else that comes in is let be."""
    widget = SessionWidget(make_tables(graphs=[make_graph()]))
    sent = Sent(widget, monkeypatch)
    for content in (
        {"type": "part", "key": "graphs:0"},
        {"type": "other"},
        {"type": "part", "key": 3},
        "text",
        None,
    ):
        widget._handle_custom_msg(content, [])
    [(content, [data])] = sent.messages
    assert content == {"type": "part", "key": "graphs:0"}
    assert "class GraphModule" in (read(data).text or "")


def test_a_part_that_fails_is_answered_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in making a part, the reader is told and the kernel lives on."""

    def fail(*_: object, **__: object) -> WirePart:
        msg = "planted"
        raise RuntimeError(msg)

    widget = SessionWidget(make_tables())
    sent = Sent(widget, monkeypatch)
    monkeypatch.setattr("compile_inspector.views.widget.answer", fail)
    widget._handle_custom_msg({"type": "part", "key": "graphs:0"}, [])
    assert read(sent.messages[0][1][0]).problem == "RuntimeError: planted"


def test_parts_may_be_asked_for_from_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests from many threads at once are each answered once."""
    widget = SessionWidget(make_tables(graphs=[make_graph() for _ in range(8)]))
    sent = Sent(widget, monkeypatch)
    threads = [
        threading.Thread(
            target=widget._handle_custom_msg, args=({"type": "part", "key": f"nodes:{index}"}, [])
        )
        for index in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(content["key"] for content, _ in sent.messages) == [f"nodes:{index}" for index in range(8)]


def test_progress_that_follows_within_50_ms_is_one_message() -> None:
    """Updates are thinned to one in 50 ms; the end is always said, and is the last word."""
    now = [0.0]
    widget = ProgressWidget(clock=lambda: now[0])
    seen: list[dict[str, object]] = []
    widget.observe(lambda change: seen.append(change["new"]), "status")
    for step in range(10):
        now[0] = step * 0.02
        widget.update(compiles=step, active="forward", phase="backend_compile", elapsed_ns=step)
    widget.finish(compiles=9, elapsed_ns=1_500_000_000)
    widget.update(compiles=10, active=None, phase=None, elapsed_ns=0)
    assert [status["compiles"] for status in seen] == [0, 3, 6, 9, 9]
    assert seen[-1]["text"] == "9 compiles in 1.50 s"
    assert seen[-1]["done"]


def test_the_plain_view_stands_in_for_the_widget() -> None:
    """The bundle has a text, and the static view with the rule that hides it where the widget follows; it is the same each time."""
    bundle = mimebundle(sample_tables())
    assert set(bundle) == {"text/plain", "text/html"}
    assert 'class="ci-static"' in bundle["text/html"]
    assert "<script" not in bundle["text/html"]
    assert bundle == mimebundle(sample_tables())


def test_a_layout_that_is_asked_for_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """From another thread, with the key; without a dot, that there is none; a closed widget answers nothing."""
    monkeypatch.setattr("compile_inspector.views.dot_layout.dot_binary", lambda: None)
    widget = SessionWidget(make_tables())
    sent: queue.Queue[dict[str, object]] = queue.Queue()
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.put(content))
    widget._handle_custom_msg({"type": "layout", "key": "k", "generation": 1, "boxes": [[9, 9]]}, [])
    found = sent.get(timeout=20)
    assert (found["type"], found["key"], found["generation"]) == ("layout", "k", 1)
    assert "no dot was found" in str(found["problem"])
    widget.close()
    widget._handle_custom_msg({"type": "layout", "key": "k", "boxes": [[9, 9]]}, [])
    assert sent.empty()
