"""How long it takes to match and diff graphs, by size. Prints a table.

Run: ``python tests/benchmarks/graph_match.py``. Times are CPU time of this process, medians of several runs, of graphs that are already
read. The graphs are made here, shaped like a Llama's printout; the right one has a layer more, symbols for sizes, or other operations.
"""

from __future__ import annotations

import re
import time

from graph_parse import median_ms, printout
from rich.console import Console
from rich.table import Table

from compile_inspector.analyze.graph_diff import diff_graphs
from compile_inspector.analyze.graph_match import match_graphs
from compile_inspector.model.graph import Graph
from compile_inspector.model.text import hold


def graph(text: str, compile_id: str = "0/0") -> Graph:
    """A graph that is read."""
    made = Graph(compile_id, "dynamo", "dynamo_output_graph", hold(text))
    assert made.nodes
    return made


def main() -> None:
    """Measures and prints."""
    table = Table(
        "nodes", "against", "match, ms", "diff, ms", "pairs", "differences", title="Matching graphs"
    )
    for layers in (4, 80, 372, 1_800):
        text = printout(layers)
        left = graph(text)
        rights = {
            "itself, sizes as symbols": text.replace("64]", "s9]"),
            "a layer more": printout(layers + 1),
            "a few operations others": re.sub(r"([25]: .*)aten\.mul", r"\1aten.div", text),
            "no module in common": text.replace("_layers_", "_blocks_"),
        }
        for name, changed in rights.items():
            right = graph(changed, "0/1")
            match = median_ms(lambda left=left, right=right: match_graphs(left, right), time.process_time, 3)
            diff = median_ms(lambda left=left, right=right: diff_graphs(left, right), time.process_time, 3)
            found = diff_graphs(left, right)
            table.add_row(
                f"{len(left.nodes):,}",
                name,
                f"{match:.0f}",
                f"{diff:.0f}",
                f"{len(found.pairs):,}",
                f"{len(found.differences):,}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
