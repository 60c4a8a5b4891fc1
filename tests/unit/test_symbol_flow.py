"""The way of a symbol through a graph, and the verdicts of nodes' dimensions."""

from __future__ import annotations

from compile_inspector.analyze.findings.observed import Observed
from compile_inspector.analyze.symbol_flow import node_verdicts, symbol_flow
from compile_inspector.model.locations import Location
from compile_inspector.model.symbols import Specialization, Symbol
from compile_inspector.model.tables import Tables
from compile_inspector.views.wire_parts import part
from factory import make_compile, make_dim, make_graph, make_guard, make_tables

X0 = "L['x'].size()[0]"
TEXT = """\
class G(torch.nn.Module):
    def forward(self, s77: "Sym(s77)", L_x_: "f32[s77, 8]", L_w_: "f32[8, 8]"):
        l_x_ = L_x_
        l_w_ = L_w_
        # File: /m.py:3 in f, code: n = x.shape[0] * 2
        mul: "Sym(2*s77)" = s77 * 2
        # File: /m.py:4 in f, code: y = x @ w
        y: "f32[s77, 8]" = l_x_ @ l_w_
        # File: /m.py:5 in f, code: if x.shape[0] > 4: z = y.relu()
        z: "f32[s77, 8]" = y.relu()
        # File: /m.py:6 in f, code: q = w.sum()
        q: "f32[]" = l_w_.sum()
        u: "f32[u0]" = torch.nonzero(q)
        return (z, q, u)
"""
LINE_5 = Location("/m.py", 5, "f", "if x.shape[0] > 4: z = y.relu()")


def recorded(text: str = TEXT, **more: object) -> Tables:
    rows = {
        "symbols": [
            Symbol("0/0", "s77", (X0,), 5, "[5, int_oo]", "backed", None),
            Symbol("0/0", "u0", (), None, None, "unbacked", None),
        ],
        "guards": [
            make_guard(source=None, kind="SHAPE_ENV", expr=f"4 < {X0}", location=LINE_5),
            make_guard(source="L['y']", expr="s770 is another symbol"),
            make_guard("0/1", source=X0),
        ],
        **more,
    }
    return make_tables(compiles=[make_compile()], graphs=[make_graph("0/0", text=text)], **rows)  # type: ignore[arg-type]


def roles(tables: Tables, symbol: str = "s77") -> list[tuple[str, str]]:
    graph = tables.graphs[0]
    flow = symbol_flow(Observed(tables), graph, symbol)
    return [(graph.nodes[step.node].name, step.role) for step in flow.steps]


def test_a_symbol_goes_from_its_input_to_its_guard() -> None:
    """Where it comes in, what computes with it, what carries it in its shape, and the line of the guard on it."""
    assert roles(recorded()) == [
        ("s77", "enters"),
        ("l_x_", "enters"),
        ("mul", "computes"),
        ("y", "carries"),
        ("z", "guarded"),
    ]
    flow = symbol_flow(Observed(recorded()), recorded().graphs[0], "s77")
    assert (flow.guards, flow.sources, flow.pin) == ((0,), (X0,), None)


def test_a_pinned_symbol_goes_from_its_input_to_the_line_that_pinned_it() -> None:
    """No shape holds it any more: what lies between is what the input reaches and the line depends on."""
    text = TEXT.replace('s77: "Sym(s77)", ', "").replace("s77 * 2", "l_x_.size()").replace("s77", "5")
    pin = Specialization("0/0", "s77", (X0,), "5", "x.shape[0] == 5", LINE_5)
    tables = recorded(text, specializations=[pin])
    assert roles(tables) == [("l_x_", "enters"), ("y", "carries"), ("z", "pinned")]


def test_a_number_that_is_an_input_goes_in_as_one() -> None:
    """Torch hands a float over as a tensor; its symbol stands on what reads it."""
    text = TEXT.replace("L_w_: ", 'L_self_scale: "f64[]", L_w_: ').replace(
        "        l_w_ = L_w_", '        l_w_ = L_w_\n        item: "Sym(zf6)" = L_self_scale.item()'
    )
    scale = Symbol("0/0", "zf6", ("L['self'].scale",), None, None, "backed", None)
    assert roles(recorded(text, symbols=[scale]), "zf6") == [("L_self_scale", "enters"), ("item", "computes")]


def test_a_symbol_that_no_node_holds_goes_nowhere() -> None:
    """Nothing is made up for it."""
    assert roles(recorded(), "s1") == []


def test_a_node_has_the_verdict_of_the_dimension_it_stems_from() -> None:
    """An input that of its own dimensions, a later node that of its symbols; what depends on data says so; the rest has none."""
    tables = recorded(
        dims=[
            make_dim("L['x']", 0, "marked", symbol="s77", why="marked by the user"),
            make_dim("L['x']", 1, "static", why="never seen with another size"),
            make_dim("L['w']", 0, "static", why="a plain weight"),
        ]
    )
    graph = tables.graphs[0]
    found = {graph.nodes[row.node].name: row.verdict for row in node_verdicts(Observed(tables), graph)}
    assert found == {
        "s77": "marked",
        "l_x_": "marked",
        "l_w_": "static",
        "mul": "marked",
        "y": "marked",
        "z": "marked",
        "u": "unbacked",
    }


def test_both_are_parts_of_the_wire() -> None:
    """The way with a sentence that says it; requests that make no sense are answered with that."""
    tables = recorded(dims=[make_dim("L['x']", 0, "dynamic", symbol="s77")])
    flow = part(tables, "symbol:0:s77")
    assert flow.text == f"s77 stands for {X0}; held by 5 nodes of this graph; checked by 1 guard"
    assert flow.table is not None
    assert flow.table.total == 5
    verdicts = part(tables, "verdicts:0").table
    assert verdicts is not None
    assert verdicts.total == 6
    for key in ("symbol:0:", "symbol:9:s77", "symbol:x:s77", "verdicts:", "verdicts:0:1", "verdicts:٣"):
        assert part(tables, key).problem == "There is no such part."
