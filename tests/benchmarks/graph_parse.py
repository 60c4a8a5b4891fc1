"""How long it takes to read graphs, to send them to the explorer, and to fold and draw them, by size. Prints a table.

Run: ``python tests/benchmarks/graph_parse.py``. Times are CPU time of this process, medians of several runs; drawing is wall time, because
dot is another process. The graphs are made here, shaped like a Llama's printout.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from compile_inspector.analyze.graph_fold import fold_graph
from compile_inspector.analyze.graph_tree import graph_tree
from compile_inspector.model.graph import Graph
from compile_inspector.model.graph_reader import GraphReader
from compile_inspector.model.graph_text import parse_graph
from compile_inspector.model.tables import Tables
from compile_inspector.model.text import hold
from compile_inspector.views.graph_drawing import draw
from compile_inspector.views.graph_wire import encode_graph

SHAPE = '"f32[s52, s27, 64][64*s27, 64, 1]cpu"'
WEIGHT = "self_modules_model_modules_layers_modules_{}_modules_{}_parameters_weight_"


def printout(layers: int) -> str:
    """A graph of so many layers, with parameters, source lines and symbolic shapes."""
    weights = [WEIGHT.format(layer, name) for layer in range(layers) for name in ("norm", "up", "down")]
    lines: list[str] = [f"l_{name} = L_{name}" for name in weights]
    last = "l_x_"
    for layer in range(layers):
        lines.append("")
        for number in range(24):
            name = f"mul_{layer}_{number}"
            lines.append(
                f"# File: /home/ada/venv/lib/python3.11/site-packages/model/modeling.py:{40 + number} in forward, code: h = f(h)"
            )
            weight = {0: "norm", 10: "up", 20: "down"}.get(number)
            if weight == "norm":
                value = f"l_{WEIGHT.format(layer, weight)} * {last}"
            elif weight:
                value = f"torch._C._nn.linear({last}, l_{WEIGHT.format(layer, weight)}, None)"
            elif number % 3 == 1:
                value = f"{last}.view((s52, s27, 4, 16))"
            else:
                value = f"torch.ops.aten.mul.Tensor({last}, 0.125)"
            lines.append(f"{name}: {SHAPE} = {value};  {last} = None")
            last = name
    signature = ", ".join(f'L_{name}: "f32[64, 64][64, 1]cpu"' for name in weights)
    head = f'class GraphModule(torch.nn.Module):\n    def forward(self, s52: "Sym(s52)", L_x_: {SHAPE}, {signature}):\n'
    return head + "".join(f"        {line}\n" for line in ["l_x_ = L_x_", *lines, f"return ({last},)"])


def median_ms(call: Callable[[], object], clock: Callable[[], float], repeat: int = 7) -> float:
    """The median of several runs, in milliseconds."""
    taken: list[float] = []
    for _ in range(repeat):
        begin = clock()
        call()
        taken.append((clock() - begin) * 1e3)
    return statistics.median(taken)


def read_carefully(text: str) -> None:
    """Reads a text line by line, without the pattern for ordinary lines."""
    GraphReader(text, {}, careful=True).read()


def main() -> None:
    """Measures and prints."""
    table = Table(
        "nodes",
        "text, kB",
        "read, ms",
        "carefully, ms",
        "tree, ms",
        "send, ms",
        "sent, kB",
        "fold, ms",
        "draw, ms",
        "boxes",
        "engine",
        title="Reading and drawing graphs",
    )
    for layers in (4, 32, 80, 370, 540):
        text = printout(layers)
        graph = Graph("0/0", "dynamo", "dynamo_output_graph", hold(text))
        read = median_ms(lambda text=text: parse_graph(text, {}, {}), time.process_time)
        carefully = median_ms(lambda text=text: read_carefully(text), time.process_time)
        count = len(graph.nodes)
        tree = median_ms(lambda graph=graph: graph_tree(graph), time.process_time)
        tables = Tables(dict.fromkeys(Tables.names(), tuple) | {"graphs": lambda graph=graph: (graph,)})
        sent = len(encode_graph(tables, 0))
        send = median_ms(lambda tables=tables: encode_graph(tables, 0), time.process_time)
        fold = median_ms(lambda graph=graph: fold_graph(graph), time.process_time)
        drawn = draw(graph)
        drawing = median_ms(lambda graph=graph: draw(graph), time.perf_counter, 3)
        table.add_row(
            f"{count:,}",
            f"{len(text) / 1e3:,.0f}",
            f"{read:.0f}",
            f"{carefully:.0f}",
            f"{tree:.0f}",
            f"{send:.0f}",
            f"{sent / 1e3:,.0f}",
            f"{fold:.0f}",
            f"{drawing:.0f}",
            str(drawn.visible),
            drawn.engine,
        )
    Console().print(table)


if __name__ == "__main__":
    main()
