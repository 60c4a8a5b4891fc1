"""Opens graphs in JupyterLab and in pages, and times what is done with them. Times end when the frame that shows the change was made."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page
from rival_pages import heap_mb

import compile_inspector as ci
from browser import lab
from compile_inspector.model.tables import Tables
from compile_inspector.views.page import Budget, to_html

WATCH = Path(lab.__file__).with_name("explorers.js")
QUERIES = ("op:linear", "mul_3", "module:self_attn", "shape:32", "line:plain_llama.py:30", "symbol:s77")
_VIEWPORT = {"width": 1400, "height": 900}
_SETUP = """\
import time
import anywidget
import compile_inspector as ci
from IPython.display import display
_ = ci.load({log!r}).environment
"""
_SHOW = """\
session = ci.load({log!r})
begin = time.time()
display(session.graph())
print("BEGIN", begin * 1e3, time.time() * 1e3)
"""


class Made(NamedTuple):
    """A recorded model, and where it lies."""

    log: Path
    page: Path
    nodes: int
    static_bytes: int
    record_s: float


class Row(NamedTuple):
    """One thing that was measured: its name, the values, the unit, the limit of the median."""

    what: str
    values: Sequence[float]
    unit: str = "ms"
    limit: float | None = None

    def cells(self) -> tuple[str, str, str, str]:
        """The row as text."""
        middle, worst = statistics.median(self.values), max(self.values)
        limit = "" if self.limit is None else f"{self.limit:g}"
        return self.what, f"{middle:,.1f} {self.unit}", f"{worst:,.1f}", limit


Measured = list[Row]


class Opening(NamedTuple):
    """What our own page took where other tools stand beside it."""

    record_s: float
    folded_ms: float
    expanded_ms: float
    heap_mb: float
    nodes: int


def prepare(record: Callable[[int], ci.Session], layers: int, folder: Path) -> Made:
    """Records a model, and writes its log and its page."""
    begin = time.perf_counter()
    session = record(layers)
    record_s = time.perf_counter() - begin
    log = session.save(folder / f"{layers}.log")
    view = session.graph()
    page = folder / f"{layers}.html"
    view.to_html(page)
    static: str = view._repr_mimebundle_()["text/html"]
    (graph,) = session.graphs
    return Made(log, page, len(graph.nodes), len(static.encode()), record_s)


def written(tables: Tables, path: Path) -> Path:
    """A page of tables that were made by hand."""
    to_html(tables, path, budget=Budget(nodes=200_000))
    return path


def in_lab(browser: Browser, log: Path, folder: Path, rounds: int) -> Measured:
    """From ``display(session.graph())``, with the graph not yet read, to its first picture; then what is done with it."""
    root, scratch = folder / "root", folder / "lab"
    root.mkdir()
    cells = [_SETUP, *[_SHOW] * (rounds + 1)]
    lab.write_notebook(root / "graph.ipynb", [cell.format(log=str(log)) for cell in cells])
    with lab.served(root, scratch) as address:
        page = _watched(browser)
        lab.open_notebook(page, address, "graph.ipynb")
        lab.run_next(page)
        waits = [_shown(page) for _ in range(rounds + 1)][1:]
        rows = [
            Row(
                "display(session.graph()) to the first picture",
                [wait.picture_ms for wait in waits],
                limit=300,
            ),
            Row("… until display returned, in the kernel", [wait.kernel_ms for wait in waits]),
            Row("… until the explorer was made, in the page", [wait.made_ms for wait in waits]),
            *_handled(page, rounds),
        ]
        page.close()
    return rows


def in_page(browser: Browser, path: Path, rounds: int, *, limits: bool = True) -> Measured:
    """From the click that opens the page to its first picture; then what is done with it, and what it holds in memory."""
    page = _watched(browser)
    opened = [_opened(page, path) for _ in range(rounds)]
    rows = [Row("page to the first picture", opened), *_handled(page, rounds)]
    rows.append(Row("JS heap, everything opened", [heap_mb(page)], "MB", 150))
    page.close()
    return rows if limits else [row._replace(limit=None) for row in rows]


def opening(browser: Browser, made: Made, rounds: int = 5) -> Opening:
    """Our page where other tools stand beside it."""
    page = _watched(browser)
    folded = statistics.median(_opened(page, made.page) for _ in range(rounds))
    expanded = statistics.median(_measure(page, "expandAll")["took"] for _ in range(rounds))
    heap = heap_mb(page)
    page.close()
    return Opening(made.record_s, folded, expanded, heap, made.nodes)


def _watched(browser: Browser) -> Page:
    page = browser.new_page(viewport=_VIEWPORT)
    page.set_default_timeout(120_000)
    lab.only_local(page)
    page.add_init_script(path=WATCH)
    return page


def _opened(page: Page, path: Path) -> float:
    page.goto(path.as_uri(), wait_until="commit")
    begin = page.evaluate("performance.timeOrigin")
    graph = page.locator(".tab[data-tab='graph']")
    page.wait_for_selector("[data-ready='1']")
    if graph.count():
        begin = page.evaluate("window.explorers.now()")
        graph.click()
    return page.evaluate("window.explorers.opened()") - begin


class _Wait(NamedTuple):
    """What passed since ``display`` was called, in milliseconds."""

    picture_ms: float
    kernel_ms: float
    made_ms: float


def _shown(page: Page) -> _Wait:
    """Runs the next cell: the time from ``display`` to the picture."""
    before = page.evaluate("window.explorers.kept.length")
    lab.run_next(page)
    painted = page.evaluate("before => window.explorers.opened(before)", before)
    made = page.evaluate("before => window.explorers.kept[before].made", before)
    said = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stdout']").last
    begin, end = map(float, said.inner_text().split("BEGIN")[1].split()[:2])
    return _Wait(painted - begin, end - begin, made - begin)


def _handled(page: Page, rounds: int) -> Measured:
    page.wait_for_timeout(1000)
    one = [_measure(page, "expandOne", 3 + 4 * at) for at in range(rounds)]
    everything = [_measure(page, "expandAll") for _ in range(rounds)]
    pan, zoom = _measure(page, "pan"), _measure(page, "zoom")
    found = [_measure(page, "search", query)["took"] for query in QUERIES for _ in range(rounds)]
    return [
        Row("open one layer", _of(one, "took"), limit=100),
        Row("open everything", _of(everything, "took"), limit=2000),
        Row("… longest time the page was blocked", _of(everything, "worst"), limit=50),
        Row("pan, everything open: painting a frame", pan["painting"], limit=16),
        Row("… from frame to frame", pan["between"], limit=17),
        Row("zoom, everything open: painting a frame", zoom["painting"], limit=16),
        Row("… from frame to frame", zoom["between"], limit=17),
        Row("search", found, limit=50),
    ]


def _of(measured: Iterable[dict[str, float]], key: str) -> list[float]:
    return [one[key] for one in measured]


def _measure(page: Page, name: str, *rest: Any) -> Any:
    return page.evaluate("([name, rest]) => window.explorers.measure(name, ...rest)", [name, list(rest)])
