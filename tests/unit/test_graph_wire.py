"""A graph as columns: what the front end reads is what the graph says."""

from __future__ import annotations

import json
import zlib
from array import array
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from compile_inspector.model.graph import Graph
from compile_inspector.model.guards import Guard
from compile_inspector.model.symbols import Symbol
from compile_inspector.views.answers import answer
from compile_inspector.views.graph_wire import MAGIC, NOTHING, encode_graph
from factory import make_graph, make_tables
from graph_samples import layered

CODES = {"u8": "B", "u32": "I", "i32": "i", "f64": "d"}


class Decoded:
    """A graph's bytes, read back."""

    def __init__(self, data: bytes) -> None:
        raw = zlib.decompress(data)
        assert raw[:4] == MAGIC
        length = int.from_bytes(raw[4:8], "little")
        assert length % 8 == 0
        self.header: dict[str, Any] = json.loads(raw[8 : 8 + length])
        body = raw[8 + length :]
        self.arrays: dict[str, list[Any]] = {}
        for name, place in self.header["arrays"].items():
            values = array(CODES[place["type"]])
            assert place["offset"] % 8 == 0
            values.frombytes(body[place["offset"] : place["offset"] + place["length"] * values.itemsize])
            self.arrays[name] = list(values)

    def texts(self, column: str) -> list[str | None]:
        strings = self.header["strings"]
        return [None if code == NOTHING else strings[code] for code in self.arrays[column]]

    def lists(self, offsets: str, items: str) -> list[list[int]]:
        at, found = self.arrays[offsets], self.arrays[items]
        return [found[begin:end] for begin, end in pairwise(at)]


def decoded(graph: Graph, **tables: Any) -> Decoded:
    return Decoded(encode_graph(make_tables(graphs=(graph,), **tables), 0))


def test_every_node_comes_over() -> None:
    """Names, targets, types, lines, inputs and modules of each node are those of the graph."""
    graph = layered(3)
    found = decoded(graph)
    nodes = graph.nodes
    at = {node.name: index for index, node in enumerate(nodes)}
    assert found.header["count"] == len(nodes)
    assert found.texts("name") == [node.name for node in nodes]
    assert found.texts("target") == [node.target for node in nodes]
    assert found.texts("dtype") == [node.dtype for node in nodes]
    assert found.lists("in_offsets", "in_nodes") == [[at[name] for name in node.inputs] for node in nodes]
    paths = found.texts("g_path")
    made = [node for node in nodes if node.op == "call_function"]
    assert [paths[found.arrays["group"][at[node.name]]] for node in made] == [
        node.module_path or "" for node in made
    ]
    lines = graph.text.read().split("\n")
    assert all(
        node.name in lines[line]
        for node, line in zip(nodes, found.arrays["text_line"], strict=True)
        if node in made
    )


def test_layers_alike_are_one_run() -> None:
    """Of four layers of which one computes something else, the others are alike, and it is marked."""
    found = decoded(layered(4, odd=2))
    paths = found.texts("g_path")
    layers = [paths.index(f"layers.{layer}") for layer in range(4)]
    assert [found.arrays["g_run"][layer] for layer in layers] == [layers[0], layers[0], layers[2], layers[3]]
    assert [found.arrays["g_differs"][layer] for layer in layers] == [0, 0, 1, 0]


def test_bytes_of_symbolic_outputs() -> None:
    """An output's bytes use the sizes of the trace; where one is not known, they are unknown."""
    text = (
        "class GraphModule(torch.nn.Module):\n"
        '    def forward(self, L_x_: "bf16[s7, 8]", L_y_: "f32[u0, 2]"):\n'
        "        l_x_ = L_x_\n        l_y_ = L_y_\n"
        '        a: "f32[2*s7, 4]" = f(l_x_)\n'
        "        return (a, l_y_)"
    )
    symbol = Symbol("0/1", "s7", ("L['x'].size()[0]",), 3, None, "backed", None)
    found = decoded(make_graph(text=text), symbols=(symbol,))
    sizes = dict(zip(found.texts("name"), found.arrays["bytes"], strict=True))
    assert (sizes["l_x_"], sizes["a"]) == (48.0, 96.0)
    assert sizes["l_y_"] != sizes["l_y_"]
    symbols = found.header["symbols"]
    assert [[symbols[item] for item in own] for own in found.lists("symbol_offsets", "symbol_ids")][:3] == [
        ["s7"],
        ["u0"],
        ["s7"],
    ]


def test_guards_of_an_input() -> None:
    """A guard belongs to the input it asks about, its sizes included, and to none of another compile."""
    guards = (
        Guard("0/1", "TENSOR_MATCH", "L['x']", "check_tensor(...)", None),
        Guard("0/9", "TENSOR_MATCH", "L['x']", "check_tensor(...)", None),
        Guard("0/1", "SHAPE_ENV", "L['x'].size()[0]", "2 <= L['x'].size()[0]", None),
        Guard("0/1", "GRAD_MODE", None, "grad_mode", None),
    )
    found = decoded(layered(1), guards=guards)
    own = dict(zip(found.texts("name"), found.lists("guard_offsets", "guard_rows"), strict=True))
    assert {name: rows for name, rows in own.items() if rows} == {"l_x_": [0, 2]}


@pytest.mark.parametrize(
    "text", ["", "class GraphModule", "class G:\n    def forward(self):\n        return ()", "\x00\ufffd"]
)
def test_an_empty_or_damaged_graph_has_columns(text: str) -> None:
    """What could be read comes over, and the header says what could not."""
    graph = make_graph(text=text)
    found = decoded(graph)
    assert found.header["count"] == len(graph.nodes)
    assert found.header["problem"] == graph.problem
    assert found.texts("g_path") == [""]


def test_hostile_names_are_written_out() -> None:
    """Marks that turn the writing direction do not reach the front end as such."""
    text = 'class G:\n    def forward(self, x: "\u202eevil"):\n        return (x,)'
    assert "\\u202eevil" in (decoded(make_graph(text=text)).texts("value")[0] or "")


def test_a_chain_and_a_crowd() -> None:
    """A chain of 50,000 nodes and a value with 5,000 users are sent like any other graph."""
    chain = [f"        n{i + 1} = torch.sin(n{i})" for i in range(50_000)]
    text = "class G:\n    def forward(self, n0):\n" + "\n".join(chain) + "\n        return (n50000,)"
    assert decoded(make_graph(text=text)).header["count"] == 50_002
    crowd = [f"        u{i} = torch.sin(x)" for i in range(5_000)]
    text = "class G:\n    def forward(self, x):\n" + "\n".join(crowd) + "\n        return (u0,)"
    found = decoded(make_graph(text=text))
    assert found.arrays["in_nodes"].count(0) == 5_000
    assert found.arrays["stub"][0] == 1


def test_requests_that_make_no_sense() -> None:
    """They are answered with the problem."""
    tables = make_tables(graphs=(layered(1),))
    for key in ("explore:1", "explore:x", "explore:", "guards_of:-1"):
        said = msgspec.json.decode(answer(tables, key))
        assert "no such graph" in said["problem"]
    assert msgspec.json.decode(answer(tables, "nonsense"))["problem"]


def test_full_nodes_are_not_made() -> None:
    """A graph goes over as it was read."""
    graph = layered(3)
    answer(make_tables(graphs=[graph]), "explore:0")
    assert "nodes" not in vars(vars(graph)["_parsed"])


def test_what_calls_join_comes_over() -> None:
    """An argument and the called graph's input, its output and its caller; nothing where no graph is called."""
    text = (
        "class G(torch.nn.Module):\n    def forward(self, x):\n        body_0 = self.body_0\n"
        "        call = torch.ops.higher_order.wrap(body_0, x)\n        return (call,)\n\n"
        "    class body_0(torch.nn.Module):\n        def forward(self, a):\n            b = a.sin()\n            return (b,)\n"
    )
    found = decoded(make_graph(text=text))
    names = found.texts("name")
    pairs = zip(found.arrays["call_from"], found.arrays["call_to"], strict=True)
    assert {(names[one], names[other]) for one, other in pairs} == {
        ("x", "body_0.a"),
        ("body_0.output", "call"),
    }
    assert decoded(layered(2)).arrays["call_from"] == []
