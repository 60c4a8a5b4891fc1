"""How long a reader of a large graph waits: in JupyterLab, in a page, and beside other tools.

    python tests/benchmarks/explorer.py [--layers 158] [--rounds 7] [--rivals PYTHON] [--only lab page large rivals]

The model is `plain_llama.PlainLlama`, compiled with the `eager` backend; 158 layers make about 10,000 nodes. Chromium runs without a GPU.
``--rivals`` names a Python that has torch and torchvista or ai-edge-model-explorer: they are given the same model, in the same run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import explorer_pages as pages
import rival_pages as rivals
import torch
from plain_llama import PlainLlama, sample
from rich.console import Console
from rich.table import Table

import compile_inspector as ci
from browser import lab
from compile_inspector.views import bundles
from factory import make_tables
from graph_samples import layered

PARTS = ("lab", "page", "large", "rivals")
LARGE_LAYERS = 12_500
SMALL_LAYERS = 4
SAY = Console(width=130, highlight=False)


def recorded(layers: int) -> ci.Session:
    """The model's session."""
    torch.compiler.reset()
    with ci.record() as recorder, torch.no_grad():
        torch.compile(PlainLlama(layers).eval(), backend="eager")(sample())
    return recorder.session


def shown(title: str, measured: pages.Measured) -> None:
    """Prints a table of what was measured."""
    table = Table("what", "median", "worst", "limit", title=title, title_justify="left")
    for row in measured:
        table.add_row(*row.cells())
    SAY.print(table)


def beside(python: str, layers: int, own: pages.Opening) -> None:
    """Prints what each tool took for the same model."""
    table = Table(
        "tool",
        "tracing, s",
        "to the first paint, ms",
        "to all opened, ms",
        "heap, MB",
        "",
        title=f"{layers} layers",
        title_justify="left",
    )
    table.add_row(
        "compile_inspector",
        f"{own.record_s:.1f}",
        f"{own.folded_ms:,.0f}",
        f"{own.expanded_ms:,.0f}",
        f"{own.heap_mb:.0f}",
        f"{own.nodes:,} nodes",
    )
    tools = [rivals.opened(tool, python, layers) for tool in ("torchvista", "model-explorer")]
    if layers <= SMALL_LAYERS:
        tools.append(rivals.opened("model-explorer", python, layers, "--dynamic"))
    for tool in tools:
        number = [
            f"{value:,.0f}" if value is not None else "-"
            for value in (tool.folded_ms, tool.expanded_ms, tool.heap_mb)
        ]
        ready = f"{tool.ready_ms / 1e3:.1f}" if tool.ready_ms is not None else "-"
        table.add_row(tool.tool, ready, *number, tool.error or "")
    SAY.print(table)


def main() -> None:
    """Measures what was asked and prints it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", type=int, default=158)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rivals", metavar="PYTHON")
    parser.add_argument(
        "--beside", nargs="*", type=int, default=(4, 32), help="more layers to give to rivals"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    asked = parser.parse_args()
    executable = lab.chromium() or sys.exit("there is no Chromium here")
    bundle = len(bundles.bundle("inspector.esm.js").encode())
    SAY.print(f"torch {torch.__version__}, {os.cpu_count()} cores; bundle {bundle / 1e3:.0f} kB (limit 300)")
    with tempfile.TemporaryDirectory() as folder, lab.launched(executable) as browser:
        made = pages.prepare(recorded, asked.layers, Path(folder))
        SAY.print(f"{made.nodes:,} nodes; static HTML {made.static_bytes / 1e3:.0f} kB (limit 150)")
        if "lab" in asked.only:
            shown("In JupyterLab", pages.in_lab(browser, made.log, Path(folder), asked.rounds))
        if "page" in asked.only:
            shown("In a page", pages.in_page(browser, made.page, asked.rounds))
        if "large" in asked.only:
            large = pages.written(make_tables(graphs=[layered(LARGE_LAYERS)]), Path(folder) / "large.html")
            shown("50,000 nodes, in a page", pages.in_page(browser, large, 3, limits=False))
        if "rivals" in asked.only and asked.rivals:
            for layers in asked.beside:
                own = pages.opening(browser, pages.prepare(recorded, layers, Path(folder)))
                beside(asked.rivals, layers, own)
            beside(asked.rivals, asked.layers, pages.opening(browser, made))


if __name__ == "__main__":
    main()
