"""Opens the benchmark's model in torchvista and Model Explorer, in the same Chromium, and times what a reader waits for.

The times begin when the tool has its page ready: what it takes to trace or to export the model, to convert it and to start a server is
given apart. They end with the first frame that holds the graph, and, for everything opened, with the first frame that holds all of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import Browser, Page

from browser import lab

SCRIPT = Path(__file__).with_name("rivals.py")
LIMIT_S = 240
DEEP = 1_000_000
ALL_LEVELS = 99

_TORCHVISTA = """(() => {
  const look = () => {
    if (document.querySelector("g[class*='node_'] rect")) requestAnimationFrame(() => (window.seenAt = performance.now()));
    else requestAnimationFrame(look);
  };
  look();
})()"""
_MODEL_EXPLORER = """(() => {
  let answered = false;
  const Plain = window.Worker;
  window.Worker = class extends Plain {
    constructor(...all) {
      super(...all);
      // 1: a graph was laid out; 3: groups were opened or closed. After either the page draws what came.
      this.addEventListener("message", (event) => { if (event.data.eventType === 1 || event.data.eventType === 3) answered = true; });
    }
  };
  for (const name of ["drawElements", "drawArrays", "drawElementsInstanced", "drawArraysInstanced"]) {
    const plain = WebGL2RenderingContext.prototype[name];
    WebGL2RenderingContext.prototype[name] = function (...all) {
      if (answered) {
        answered = false;
        requestAnimationFrame(() => (window.seenAt = performance.now()));
      }
      return plain.apply(this, all);
    };
  }
})()"""


class Opened(NamedTuple):
    """What one tool took, in milliseconds; ``error`` is the tool's own where there is nothing else."""

    tool: str
    ready_ms: float | None = None
    folded_ms: float | None = None
    expanded_ms: float | None = None
    heap_mb: float | None = None
    error: str | None = None


Told = Iterator[dict[str, Any]]
"""Facts of `Opened`, as they become known."""


def opened(tool: str, python: str, layers: int, *options: str) -> Opened:
    """What one tool takes for the model. It runs in a process group of its own, which is ended when a page does not come back.

    Args:
        tool: ``torchvista`` or ``model-explorer``.
        python: The Python that has it.
        layers: Of the model.
        options: ``--dynamic``.
    """
    command = [sys.executable, __file__, tool, python, str(layers), *options]
    facts: dict[str, Any] = {"tool": tool + "".join(f", {option[2:]}" for option in options)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    late = threading.Timer(LIMIT_S, _end, [process])
    late.start()
    assert process.stdout
    for line in process.stdout:
        facts |= json.loads(line)
    if not late.is_alive() and facts.get("error") is None:
        missing = "anything to see" if facts.get("folded_ms") is None else "all opened"
        facts["error"] = f"not {missing} within {LIMIT_S} s"
    late.cancel()
    process.wait()
    return Opened(**facts)


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def torchvista(browser: Browser, python: str, layers: int) -> Told:
    """A page of torchvista's with modules closed, and one with all of them open: it has no button for that."""
    with tempfile.TemporaryDirectory() as folder:
        deep = 0
        told = _told(python, "torchvista", str(layers), "1", f"{folder}/folded.html")
        if "error" in told:
            deep = DEEP
            yield {"tool": "torchvista, recursion limit raised"}
            told = _told(python, "torchvista", str(layers), "1", f"{folder}/folded.html", deep=deep)
        if "error" in told:
            yield {"error": told["error"]}
            return
        yield {"ready_ms": told["seconds"] * 1e3}
        yield from _page(browser, Path(folder, "folded.html"), "folded_ms")
        _told(python, "torchvista", str(layers), str(ALL_LEVELS), f"{folder}/open.html", deep=deep)
        yield from _page(browser, Path(folder, "open.html"), "expanded_ms")


def model_explorer(browser: Browser, python: str, layers: int, *, dynamic: bool) -> Told:
    """Model Explorer's page, and its button that opens all layers."""
    with _served(python, layers, dynamic) as told:
        if "error" in told:
            yield {"error": told["error"]}
            return
        yield {"ready_ms": told["seconds"] * 1e3}
        page = _new_page(browser, _MODEL_EXPLORER)
        page.route("**/check_new_version", lambda route: route.abort())
        page.goto(told["address"], wait_until="commit")
        yield {"folded_ms": _seen(page), "heap_mb": heap_mb(page)}
        page.wait_for_timeout(1500)
        page.evaluate(
            "() => { window.seenAt = null; addEventListener('click', () => (window.clickedAt = performance.now()), true); }"
        )
        page.locator("mat-icon", has_text="unfold_more_double").first.click()
        end = _seen(page)
        yield {"expanded_ms": end - page.evaluate("window.clickedAt"), "heap_mb": heap_mb(page)}


def heap_mb(page: Page) -> float:
    """The JavaScript heap of a page after a collection, with the bytes of its arrays, in megabytes."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")
    session.detach()
    return (used["usedSize"] + used.get("backingStorageSize", 0)) / 1e6


def _page(browser: Browser, file: Path, what: str) -> Told:
    page = _new_page(browser, _TORCHVISTA)
    page.goto(file.as_uri(), wait_until="commit", timeout=LIMIT_S * 1000)
    yield {what: _seen(page), "heap_mb": heap_mb(page)}
    page.close()


def _new_page(browser: Browser, script: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    lab.only_local(page)
    page.add_init_script(script)
    return page


def _seen(page: Page) -> float:
    page.wait_for_function("window.seenAt", timeout=LIMIT_S * 1000)
    return page.evaluate("window.seenAt")


def _told(python: str, *words: str, deep: int = 0) -> dict[str, Any]:
    command = [python, str(SCRIPT), *words, *(["--recursion", str(deep)] if deep else [])]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    return _line(ran.stdout, ran.stderr)


@contextmanager
def _served(python: str, layers: int, dynamic: bool) -> Iterator[dict[str, Any]]:
    command = [python, str(SCRIPT), "model-explorer", str(layers), *(["--dynamic"] if dynamic else [])]
    with tempfile.TemporaryFile("w+") as said:
        server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
        )
        try:
            assert server.stdout
            first = server.stdout.readline()
            said.seek(0)
            told = _line(first, said.read())
            if "address" in told:
                lab.wait_for(told["address"].split("?")[0])
            yield told
        finally:
            server.terminate()
            server.wait()


def _line(text: str, said: str) -> dict[str, Any]:
    lines = [line for line in text.splitlines() if line.startswith("{")]
    if not lines:
        print(said[-2000:], file=sys.stderr)
        return {"error": said.strip().splitlines()[-1] if said.strip() else "it said nothing"}
    return json.loads(lines[-1])


def main() -> None:
    """Opens the model in one tool and prints facts as they become known, a line each."""
    tool, python, layers, *options = sys.argv[1:]
    with lab.launched(lab.chromium() or sys.exit("there is no Chromium here")) as browser:
        if tool == "torchvista":
            told = torchvista(browser, python, int(layers))
        else:
            told = model_explorer(browser, python, int(layers), dynamic="--dynamic" in options)
        for facts in told:
            print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
