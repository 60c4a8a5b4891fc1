"""What a query finds in a graph; frontend/tests/search.test.ts asks the explorer the same."""

from __future__ import annotations

import pytest

from compile_inspector.analyze.graph_search import search_graph
from compile_inspector.model.graph import Graph
from factory import make_graph
from graph_samples import layered

TEXT = """\
class GraphModule(torch.nn.Module):
    def forward(self, s7: "Sym(s7)", L_x_: "f32[s7, 8][8, 1]cuda:0"):
        l_x_ = L_x_
        # File: /home/ada/model.py:12 in forward, code: y = torch.mm(x, w)
        mm: "f32[s7, 16][16, 1]cuda:0" = torch.mm(l_x_, l_x_)
        # File: /home/ada/model.py:13 in forward, code: return y.relu()
        relu: "f32[s77, 16][16, 1]cuda:0" = mm.relu()
        return (relu,)
"""


def names(graph: Graph, query: str) -> list[str]:
    return [node.name for node in search_graph(graph, query)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", []),
        ("   ", []),
        ("mm", ["mm"]),
        ("MM op:mm", ["mm"]),
        ("op:placeholder", ["s7", "l_x_"]),
        ("symbol:s7", ["s7", "l_x_", "mm"]),
        ("symbol:s77", ["relu"]),
        ("shape:16", ["mm", "relu"]),
        ("shape:16 relu", ["relu"]),
        ("line:model.py:12", ["mm"]),
        ("line::13", ["relu"]),
        ("line:model.py", ["mm", "relu"]),
        ('"y = torch.mm(x, w)"', ["mm"]),
        ("dtype:f32 device:cuda", ["l_x_", "mm", "relu"]),
        ("partition:2", []),
        ("kernel:triton", []),
        ("nothing_like_it", []),
        ("name:mm[", []),
    ],
)
def test_words_and_keys(query: str, found: list[str]) -> None:
    """Every word must be there, anywhere or where its key says."""
    assert names(make_graph(text=TEXT), query) == found


def test_a_module_holds_what_is_in_it() -> None:
    """A module's path or class finds the nodes of all modules below it."""
    graph = layered(2)
    assert names(graph, "module:layers.1") == ["n_1", "a_1", "r_1", "h_2"]
    assert names(graph, "module:m.R module:layers.0") == ["a_0", "r_0"]
