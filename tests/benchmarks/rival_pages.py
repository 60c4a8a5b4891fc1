"""Opens the benchmark's model in torchvista and Model Explorer, in the same Chromium, and times what a reader waits for.

The times begin when the tool has its page ready: what it takes to trace or to export the model, to convert it and to start a server is
given apart. They end with the first frame that holds the graph, and, for everything opened, with the first frame that holds all of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Error, Page

from browser import lab

SCRIPT = Path(__file__).with_name("rivals.py")
LIMIT_S = 150
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


def torchvista(browser: Browser, python: str, layers: int) -> Opened:
    """A page of torchvista's with modules closed, and one with all of them open: it has no button for that."""
    with tempfile.TemporaryDirectory() as folder:
        deep = 0
        told = _told(python, "torchvista", str(layers), "1", f"{folder}/folded.html")
        if "error" in told:
            first = told["error"]
            deep = DEEP
            told = _told(python, "torchvista", str(layers), "1", f"{folder}/folded.html", deep=deep)
            if "error" in told:
                return Opened("torchvista", error=first)
        name = "torchvista" + (", recursion limit raised" if deep else "")
        folded, heap = _page(browser, Path(folder, "folded.html"))
        if folded is None:
            return Opened(name, told["seconds"] * 1e3, error=f"nothing to see after {LIMIT_S} s")
        _told(python, "torchvista", str(layers), str(ALL_LEVELS), f"{folder}/open.html", deep=deep)
        expanded, wide = _page(browser, Path(folder, "open.html"))
        late = None if expanded else f"expanded: nothing to see after {LIMIT_S} s"
        return Opened(name, told["seconds"] * 1e3, folded, expanded, wide or heap, late)


def model_explorer(browser: Browser, python: str, layers: int, *, dynamic: bool = False) -> Opened:
    """Model Explorer's page, and its button that opens all layers."""
    name = "Model Explorer" + (", one size dynamic" if dynamic else "")
    with _served(python, layers, dynamic) as told:
        if "error" in told:
            return Opened(name, error=told["error"])
        page = _new_page(browser, _MODEL_EXPLORER)
        page.route("**/check_new_version", lambda route: route.abort())
        try:
            page.goto(told["address"], wait_until="commit")
            folded = _seen(page)
            if folded is None:
                return Opened(name, told["seconds"] * 1e3, error=f"nothing to see after {LIMIT_S} s")
            page.wait_for_timeout(1500)
            page.evaluate(
                "() => { window.seenAt = null; addEventListener('click', () => (window.clickedAt = performance.now()), true); }"
            )
            page.locator("mat-icon", has_text="unfold_more_double").first.click()
            end = _seen(page)
            expanded = None if end is None else end - page.evaluate("window.clickedAt")
            late = None if expanded else f"expanded: nothing to see after {LIMIT_S} s"
            return Opened(name, told["seconds"] * 1e3, folded, expanded, heap_mb(page), late)
        finally:
            page.close()


def heap_mb(page: Page) -> float:
    """The JavaScript heap of a page after a collection, with the bytes of its arrays, in megabytes."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")
    session.detach()
    return (used["usedSize"] + used.get("backingStorageSize", 0)) / 1e6


def _page(browser: Browser, file: Path) -> tuple[float | None, float | None]:
    page = _new_page(browser, _TORCHVISTA)
    try:
        page.goto(file.as_uri(), wait_until="commit", timeout=LIMIT_S * 1000)
        seen = _seen(page)
        return seen, heap_mb(page) if seen else None
    finally:
        page.close()


def _new_page(browser: Browser, script: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    lab.only_local(page)
    page.add_init_script(script)
    return page


def _seen(page: Page) -> float | None:
    try:
        page.wait_for_function("window.seenAt", timeout=LIMIT_S * 1000)
    except Error:
        return None
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
