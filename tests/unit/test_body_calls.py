"""What a call joins: arguments and the inputs that they become, outputs and who calls."""

from __future__ import annotations

import pytest

from compile_inspector.analyze.body_calls import body_calls
from compile_inspector.analyze.graph_tree import graph_tree
from factory import make_graph

BODY = (
    "    class body_0(torch.nn.Module):\n        def forward(self, a, b):\n"
    "            c = torch.add(a, b)\n            return (c,)\n"
)


def joined(call: str, *, before: str = "", body: str = BODY) -> set[tuple[str, str]]:
    """The names of what is joined in a graph with one call."""
    text = (
        "class G(torch.nn.Module):\n    def forward(self, x, p):\n        body_0 = self.body_0\n"
        f"{before}        call = {call}\n        return (call,)\n\n{body}"
    )
    tree = graph_tree(make_graph(text=text))
    return {(tree.nodes[one].name, tree.nodes[other].name) for one, other in body_calls(tree)}


RETURNED = ("body_0.output", "call")


@pytest.mark.parametrize(
    "call",
    [
        "torch.ops.higher_order.wrap(body_0, x, p)",
        "torch.ops.higher_order.tag_activation_checkpoint(body_0, x, p, use_reentrant = False)",
        "torch.ops.higher_order.scan(body_0, [x], [p], [])",
        "torch.ops.higher_order.while_loop(body_0, body_0, (x, p), ())",
        "torch.ops.higher_order.cond(p, body_0, body_0, (x, p))",
        "torch.ops.higher_order.invoke_subgraph(body_0, 'name', x, p)",
        "torch.ops.higher_order.cond.default(p, body_0, body_0, [x, p])",
    ],
)
def test_arguments_become_inputs_in_order(call: str) -> None:
    """For each operator whose arguments are known to be given on in order; also where one is the predicate as well."""
    assert joined(call) == {("x", "body_0.a"), ("p", "body_0.b"), RETURNED}


@pytest.mark.parametrize(
    "call",
    [
        "torch.ops.higher_order.flex_attention(x, p, body_0)",
        "torch.ops.higher_order.wrap(body_0, x)",
        "torch.ops.higher_order.wrap(body_0, x, p, x)",
        "torch.wrap(body_0, x, p)",
        "torch.ops.higher_order.wrap(body_0, <not python>, x)",
    ],
)
def test_nothing_is_said_where_it_is_not_known(call: str) -> None:
    """Another operator, another number of arguments, a text that cannot be read: the graph's output still goes to its caller."""
    assert joined(call) == {RETURNED}


def test_a_constant_argument_takes_its_place() -> None:
    """The input that it becomes is joined to nothing, and those after it are not moved up."""
    assert joined("torch.ops.higher_order.while_loop(body_0, body_0, (0, p), ())") == {
        ("p", "body_0.b"),
        RETURNED,
    }


def test_a_call_within_a_called_graph() -> None:
    """Names are those of the graph that calls."""
    body = (
        "    class body_0(torch.nn.Module):\n        def forward(self, a, b):\n            inner_0 = self.inner_0\n"
        "            x = torch.sin(a)\n            c = torch.ops.higher_order.wrap(inner_0, x)\n            return (c,)\n\n"
        "        class inner_0(torch.nn.Module):\n            def forward(self, d):\n                e = d.sin()\n"
        "                return (e,)\n"
    )
    found = joined("torch.ops.higher_order.wrap(body_0, x, p)", body=body)
    assert {pair for pair in found if "inner_0" in pair[0] + pair[1]} == {
        ("body_0.x", "body_0.inner_0.d"),
        ("body_0.inner_0.output", "body_0.c"),
    }


def test_a_graph_without_calls_has_none() -> None:
    """Nor has an empty one."""
    assert body_calls(graph_tree(make_graph(text=""))) == []


def test_arguments_nested_without_end_are_not_followed() -> None:
    """A text that no parser takes is no argument."""
    assert joined(f"torch.ops.higher_order.wrap(body_0, {'(' * 5000}x{')' * 5000}, p)") >= {RETURNED}
