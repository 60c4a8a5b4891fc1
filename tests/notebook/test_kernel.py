"""The extension in a kernel, as a notebook's front end meets it: outputs, progress, interrupts."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client import KernelManager
from jupyter_client.blocking import BlockingKernelClient

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
SETUP = """
%load_ext compile_inspector
import time
import torch

def slow(graph, inputs):
    time.sleep(WAIT)
    return graph

def double(x):
    return x * 2

WAIT = 0.0
f = torch.compile(double, backend=slow)
"""
LEFT = """
import logging, threading
handlers = [h for h in logging.getLogger("torch.__trace").handlers if "compile_inspector" in type(h).__module__]
threads = [t.name for t in threading.enumerate() if "compile_inspector" in t.name]
from compile_inspector.torch_seams import observe
print(handlers, threads, observe._recorders)
"""

Messages = list[dict[str, Any]]


@pytest.fixture(scope="module")
def client() -> Iterator[BlockingKernelClient]:
    """A kernel with the extension loaded."""
    manager = KernelManager(kernel_name="python3")
    manager.transport = "ipc"
    manager.start_kernel()
    started = manager.blocking_client()
    started.start_channels()
    started.wait_for_ready(timeout=120)
    assert errors(run(started, SETUP)) == []
    yield started
    started.stop_channels()
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()


def run(client: BlockingKernelClient, code: str, *, interrupt_on: str | None = None) -> Messages:
    """Every message a cell published, up to the kernel's being idle; the kernel is interrupted when a stream says ``interrupt_on``."""
    sent = client.execute(code)
    messages: Messages = []
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            message = client.get_iopub_msg(timeout=1)
        except queue.Empty:
            continue
        if message["parent_header"].get("msg_id") != sent:
            continue
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return messages
        messages.append(message)
        if interrupt_on is not None and interrupt_on in message["content"].get("text", ""):
            interrupt_on = None
            client.control_channel.send(client.session.msg("interrupt_request", {}))
    raise AssertionError(messages)


def displayed(messages: Messages) -> list[dict[str, Any]]:
    return [
        m["content"]
        for m in messages
        if m["msg_type"] in {"display_data", "update_display_data", "execute_result"}
    ]


def errors(messages: Messages) -> list[str]:
    return [m["content"]["ename"] for m in messages if m["msg_type"] == "error"]


def said(messages: Messages) -> str:
    return "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")


def test_a_session_is_two_outputs(client) -> None:
    """First its text and static view, then the widget, and nothing else."""
    shown = displayed(run(client, "torch._dynamo.reset()\nWAIT = 0.0\n%inspect f(torch.ones(3)) is None"))
    assert [sorted(output["data"]) for output in shown] == [
        ["text/html", "text/plain"],
        [WIDGET_VIEW],
        ["text/plain"],
    ]
    assert "1 compile of 1 function" in shown[0]["data"]["text/plain"]


def test_a_long_compile_shows_its_progress_and_takes_it_away(client) -> None:
    """The progress is an output of a widget alone, which is empty at the end; the session follows as ever."""
    shown = displayed(run(client, "%%inspect\ntorch._dynamo.reset()\nWAIT = 1.5\n_ = f(torch.ones(3))"))
    assert [sorted(output["data"]) for output in shown] == [
        [WIDGET_VIEW],
        [],
        ["text/html", "text/plain"],
        [WIDGET_VIEW],
    ]
    assert shown[0]["transient"]["display_id"] == shown[1]["transient"]["display_id"]


def test_the_progress_tells_the_compile_and_its_phase(client) -> None:
    """Messages to the widget name the compile and the phase it is in."""
    messages = run(client, "%%inspect\ntorch._dynamo.reset()\nWAIT = 1.5\n_ = f(torch.ones(3))")
    states = [m["content"]["data"].get("state", {}) for m in messages if m["msg_type"] == "comm_msg"]
    told = [state["status"] for state in states if "status" in state]
    assert any(status["active"] and status["phase"] for status in told)


def test_progress_can_be_turned_off(client) -> None:
    """With the setting off a long compile adds no output."""
    run(client, "%config CompileInspector.progress = False")
    shown = displayed(run(client, "%%inspect\ntorch._dynamo.reset()\nWAIT = 1.0\n_ = f(torch.ones(3))"))
    run(client, "%config CompileInspector.progress = True")
    assert len(shown) == 2


def test_an_interrupt_ends_the_cell_and_leaves_nothing(client) -> None:
    """Ctrl-C in the middle of a compile is the KeyboardInterrupt it would be; no handler, thread or recorder stays."""
    code = "%%inspect --name cut\ntorch._dynamo.reset()\nWAIT = 60\nprint('go', flush=True)\n_ = f(torch.ones(3))"
    messages = run(client, code, interrupt_on="go")
    assert errors(messages) == ["KeyboardInterrupt"]
    assert said(run(client, LEFT)) == "[] [] 0\n"
    assert said(run(client, "print(type(cut).__name__)")) == "Session\n"
    run(client, "WAIT = 0.0")


def test_an_interrupt_under_inspector_on_leaves_nothing(client) -> None:
    """The same where every cell is recorded; the next cell is recorded on its own."""
    run(client, "%inspector on")
    code = "torch._dynamo.reset()\nWAIT = 60\nprint('go', flush=True)\n_ = f(torch.ones(3))"
    assert errors(run(client, code, interrupt_on="go")) == ["KeyboardInterrupt"]
    shown = displayed(run(client, "torch._dynamo.reset()\nWAIT = 0.0\n_ = f(torch.ones(3))"))
    run(client, "%inspector off")
    assert [output["data"]["text/plain"].split(" in ")[0] for output in shown] == ["1 compile"]
    assert said(run(client, LEFT)) == "[] [] 0\n"


GRAPHED = """
import compile_inspector as ci
torch._dynamo.reset()
with ci.record() as recorder:
    f(torch.ones(3))
view = recorder.session.graph()
"""


def test_an_explorer_is_on_its_way_before_its_graph_is_read(client) -> None:
    """The browser gets the widget first, then its graph; what readers without the widget see takes its place at the end."""
    messages = run(client, GRAPHED + "view")
    order = [
        m["msg_type"] if m["msg_type"].startswith(("comm", "update")) else sorted(m["content"]["data"])[0]
        for m in messages
        if m["msg_type"].startswith(("comm", "display", "update"))
    ]
    opened = len(order) - 1 - order[::-1].index("comm_open")
    read, rest = order[opened + 1 :], order[:opened]
    assert rest[0] == "text/html"
    assert read == [WIDGET_VIEW, "comm_msg", "update_display_data"]
    (update,) = [m for m in messages if m["msg_type"] == "comm_msg"]
    assert list(update["content"]["data"]["state"]) == []
    assert update["content"]["data"]["buffer_paths"] == [["graph"]]
    first, *_, last = displayed(messages)
    assert first["data"]["text/plain"] == "Graph of compile 0/0, dynamo"
    assert last["data"]["text/plain"].startswith("Graph of compile 0/0, dynamo: 3 nodes")
    assert "data:image/svg+xml" in last["data"]["text/html"]


def test_an_explorer_whose_graph_cannot_be_read_is_taken_away(client) -> None:
    """The reader sees the error, and no widget that waits for ever; shown again, it works."""
    broken = """
from compile_inspector.views import graph_widget
answer = graph_widget.answer
def fail(*args):
    raise RuntimeError("planted")
graph_widget.answer = fail
view"""
    messages = run(client, GRAPHED + broken)
    assert errors(messages) == ["RuntimeError"]
    assert [m["msg_type"] for m in messages if m["msg_type"].startswith("comm_c")] == ["comm_close"]
    again = run(client, "graph_widget.answer = answer\nview")
    assert errors(again) == []
    assert any(m["content"].get("data", {}).get("buffer_paths") == [["graph"]] for m in again)
