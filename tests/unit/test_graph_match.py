"""Which nodes of two graphs correspond, and what differs between them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from compile_inspector.analyze.graph_diff import Difference, diff_graphs
from compile_inspector.analyze.graph_match import match_graphs, match_one_to_one
from compile_inspector.analyze.op_families import family_of
from compile_inspector.model.graph import Graph
from compile_inspector.model.nodes import NodeOrigin
from factory import make_graph
from graph_samples import flat, layered

HEAD = "class G(torch.nn.Module):\n    def forward(self, {}):\n"


def graph(body: str, given: str = 'L_x_: "f32[4]"', **changes: Any) -> Graph:
    """A graph of these lines; a line that begins with ``@`` is the source line of those below it."""
    lines: list[str] = []
    for line in body.strip().splitlines():
        text = line.strip()
        mark = re.fullmatch(r"@(\d+) ?(.*)", text)
        lines.append(f"# File: /m.py:{mark[1]} in f, code: {mark[2] or 'x'}" if mark else text)
    return make_graph(text=HEAD.format(given) + "".join(f"        {line}\n" for line in lines), **changes)


def names(left: Graph, right: Graph, pairs: tuple[tuple[int, int], ...]) -> set[tuple[str, str]]:
    return {(left.nodes[one].name, right.nodes[other].name) for one, other in pairs}


def told(left: Graph, right: Graph) -> list[tuple[str, str, str | None]]:
    """Each difference as kind, node, aspect."""

    def name(row: Difference) -> str:
        return right.nodes[row.right].name if row.right is not None else left.nodes[row.left or 0].name

    return [(row.kind, name(row), row.what) for row in diff_graphs(left, right).differences]


CHAIN = "a = torch.sin(L_x_)\nb = torch.cos(a)\nc = torch.relu(b)\nreturn (c,)"


def test_a_graph_corresponds_to_itself() -> None:
    """Every node to itself, and nothing differs."""
    found = layered(5)
    assert match_graphs(found, found) == tuple((n, n) for n in range(len(found.nodes)))
    assert diff_graphs(found, found).differences == ()


def test_a_node_that_is_put_in_moves_no_other() -> None:
    """The new node is the one that was added, although every later name was shifted; what reads it has other arguments."""
    left = graph("add = L_x_ + 1\nadd_1 = add + 2\nadd_2 = add_1 + 3\nreturn (add_2,)")
    right = graph("add = L_x_ + 1\nadd_1 = add + 9\nadd_2 = add_1 + 2\nadd_3 = add_2 + 3\nreturn (add_3,)")
    assert told(left, right) == [("added", "add_1", None), ("changed", "add_2", "arguments")]


def test_a_node_that_is_gone_stands_where_it_stood() -> None:
    """Between its neighbours in the list of differences."""
    left = graph(CHAIN)
    right = graph("a = torch.sin(L_x_)\nc = torch.relu(a)\nreturn (c,)")
    assert told(left, right) == [("removed", "b", None), ("changed", "c", "arguments")]


def test_an_operation_in_place_of_another_is_one_change() -> None:
    """On the same values, in the same module: its target changed."""
    assert told(graph(CHAIN), graph(CHAIN.replace("torch.cos", "torch.tanh"))) == [("changed", "b", "target")]


def test_every_aspect_of_a_node_is_told() -> None:
    """Dtype, shape, device and the literals among the arguments; strides where the shape stayed."""
    left = graph('a: "f32[4, 2][2, 1]cpu" = L_x_.view(4, 2)\nb: "f32[4, 2][2, 1]cpu" = a * 2\nreturn (b,)')
    right = graph(
        'a: "f16[s77, 2][2, 1]cpu" = L_x_.view(-1, 2)\nb: "f32[4, 2][1, 4]cuda:0" = a * 2\nreturn (b,)'
    )
    assert told(left, right) == [
        ("changed", "a", "dtype"),
        ("changed", "a", "shape"),
        ("changed", "a", "arguments"),
        ("changed", "b", "stride"),
        ("changed", "b", "device"),
    ]
    found = diff_graphs(left, right).differences[1]
    assert (found.was, found.now) == ("[4, 2]", "[s77, 2]")


def test_other_names_for_the_same_values_are_no_difference() -> None:
    """Only what is computed counts."""
    assert told(graph(CHAIN), graph(re.sub(r"\b([abc])\b", r"v_\1", CHAIN))) == []


def test_swapped_arguments_are_a_difference() -> None:
    """``a - b`` is not ``b - a``."""
    body = "a = torch.sin(L_x_)\nb = torch.cos(L_x_)\nc = {}\nreturn (c,)"
    assert told(graph(body.format("a - b")), graph(body.format("b - a"))) == [("changed", "c", "arguments")]


def test_a_renamed_module_does_not_part_its_nodes() -> None:
    """What is alike corresponds although no module has the same path."""

    def owned(root: str) -> Graph:
        places = {"a": "one", "b": "two", "c": "two"}
        return graph(
            CHAIN,
            origins=tuple((name, NodeOrigin(f"{root}.{path}", None, None)) for name, path in places.items()),
        )

    assert told(owned("encoder"), owned("backbone")) == []


def test_an_input_under_another_name_is_the_same_input() -> None:
    """What reads it in the same place corresponds, so it does; its name is what changed."""
    assert told(graph(CHAIN), graph(CHAIN.replace("L_x_", "L_y_"), 'L_y_: "f32[4]"')) == [
        ("changed", "L_y_", "target")
    ]


def test_layers_correspond_to_the_layers_of_their_number() -> None:
    """A model with two layers more: all of theirs, and nothing else, was added."""
    left, right = layered(6), layered(8)
    diff = diff_graphs(left, right)
    added = [right.nodes[row.right or 0].name for row in diff.differences if row.kind == "added"]
    assert len(diff.pairs) == len(left.nodes)
    assert added == [f"{name}_{number}" for layer in (6, 7) for name, number in
                     (("n", layer), ("a", layer), ("r", layer), ("h", layer + 1))]  # fmt: skip


def test_the_inputs_of_aten_graphs_correspond_by_type() -> None:
    """A size that became an input shifts the numbers of the others, not the others."""
    body = 'mul: "f32[{0}, 8]" = torch.ops.aten.mul.Tensor({1}, {2})\nreturn (mul,)'
    left = graph(
        body.format(4, "primals_1", "primals_2"),
        'primals_1: "f32[4, 8]", primals_2: "f32[8]"',
        stage="forward",
    )
    right = graph(
        body.format("s0", "primals_2", "primals_3"),
        'primals_1: "Sym(s0)", primals_2: "f32[s0, 8]", primals_3: "f32[8]"',
        compile_id="0/1",
        stage="forward",
    )
    assert names(left, right, match_graphs(left, right)) == {
        ("primals_1", "primals_2"),
        ("primals_2", "primals_3"),
        ("mul", "mul"),
        ("output", "output"),
    }
    assert [row for row in told(left, right) if row[0] != "changed"] == [("added", "primals_1", None)]


DYNAMO = """
@3 y = self.fc(x).view(2, 2)
linear: "f32[4, 1]" = torch._C._nn.linear(l_x_, l_w_)
y: "f32[2, 2]" = linear.view(2, 2)
@4 return gelu(y) * 2
gelu: "f32[2, 2]" = torch._C._nn.gelu(y)
mul: "f32[2, 2]" = gelu * 2
return (mul,)
"""
FORWARD = """
@3 y = self.fc(x).view(2, 2)
permute: "f32[8, 1]" = torch.ops.aten.permute.default(primals_2, [1, 0])
mm: "f32[4, 1]" = torch.ops.aten.mm.default(primals_1, permute)
view: "f32[2, 2]" = torch.ops.aten.view.default(mm, [2, 2])
@4 return gelu(y) * 2
mul: "f32[2, 2]" = torch.ops.aten.mul.Tensor(view, 0.7)
erf: "f32[2, 2]" = torch.ops.aten.erf.default(mul)
mul_1: "f32[2, 2]" = torch.ops.aten.mul.Tensor(view, erf)
mul_2: "f32[2, 2]" = torch.ops.aten.mul.Tensor(mul_1, 2)
return (mul_2, view)
"""
BACKWARD = """
@4 return gelu(y) * 2
mul_3: "f32[2, 2]" = torch.ops.aten.mul.Tensor(tangents_1, 2)
exp: "f32[2, 2]" = torch.ops.aten.exp.default(view)
mul_4: "f32[2, 2]" = torch.ops.aten.mul.Tensor(mul_3, exp)
@3 y = self.fc(x).view(2, 2)
view_1: "f32[4, 1]" = torch.ops.aten.view.default(mul_4, [4, 1])
mm_1: "f32[1, 8]" = torch.ops.aten.mm.default(view_1, primals_1)
return (None, mm_1)
"""


def stages() -> tuple[Graph, Graph, Graph]:
    """One small model as traced, lowered forward, and backward."""
    dynamo = graph("l_x_ = L_x_\nl_w_ = L_w_\n" + DYNAMO, 'L_x_: "f32[4, 8]", L_w_: "f32[1, 8]"')
    forward = graph(
        FORWARD, 'primals_1: "f32[4, 8]", primals_2: "f32[1, 8]"', stage="forward", direction="forward"
    )
    backward = graph(
        BACKWARD,
        'primals_1: "f32[4, 8]", view: "f32[2, 2]", tangents_1: "f32[2, 2]"',
        stage="backward",
        direction="backward",
    )
    return dynamo, forward, backward


def test_an_operation_corresponds_to_all_that_it_became() -> None:
    """A linear to its transposed weight and its product, what is between two operations to what lies between them."""
    dynamo, forward, _ = stages()
    assert names(dynamo, forward, match_graphs(dynamo, forward)) == {
        ("l_x_", "primals_1"),
        ("l_w_", "primals_2"),
        ("linear", "permute"),
        ("linear", "mm"),
        ("y", "view"),
        ("gelu", "mul"),
        ("gelu", "erf"),
        ("gelu", "mul_1"),
        ("mul", "mul_2"),
        ("output", "output"),
    }


def test_a_backward_graph_corresponds_to_what_it_is_the_gradient_of() -> None:
    """From the end to the begin; the values that were saved are what the forward graph made."""
    dynamo, forward, backward = stages()
    found = names(dynamo, backward, match_graphs(dynamo, backward, forward=forward))
    assert {("mul", "mul_3"), ("gelu", "mul_4"), ("linear", "mm_1"), ("y", "view_1"), ("y", "view")} <= found


def test_correspondence_is_the_same_from_both_sides() -> None:
    """Left and right only change places."""
    dynamo, forward, backward = stages()
    for one, other in ((dynamo, forward), (dynamo, backward)):
        pairs = match_graphs(one, other, forward=forward)
        turned = match_graphs(other, one, forward=forward)
        assert sorted((b, a) for a, b in turned) == list(pairs)


def test_one_to_one_means_each_node_once() -> None:
    """Between levels too, the first of its own kind is taken."""
    dynamo, forward, _ = stages()
    pairs = match_one_to_one(dynamo, forward)
    assert len({one for one, _ in pairs}) == len(pairs) == len({other for _, other in pairs})
    assert ("linear", "mm") in names(dynamo, forward, pairs)


def test_between_levels_the_spelling_does_not_count() -> None:
    """``torch._C._nn.linear`` that became ``aten.mm`` is no change of its target."""
    dynamo, forward, _ = stages()
    assert ("changed", "mm", "target") not in told(dynamo, forward)


def test_stages_of_one_compile_correspond_by_name() -> None:
    """What a pass replaced by another spelling of the same keeps its partner; a name that was given anew does not mislead."""
    left = graph('a: "f32[4]" = torch.ops.aten.view.default(x, [4])\nreturn (a,)', stage="forward")
    kept = graph('a: "f32[4]" = torch.ops.aten.reshape.default(x, [4])\nreturn (a,)', stage="post_grad")
    anew = graph('a: "f32[9]" = torch.ops.aten.exp.default(x)\nreturn (a,)', stage="post_grad")
    assert ("a", "a") in names(left, kept, match_graphs(left, kept))
    assert ("a", "a") not in names(left, anew, match_graphs(left, anew))


@pytest.mark.parametrize("text", ["", "no graph at all", "class G:\n  def forward(self"])
def test_a_damaged_graph_corresponds_to_nothing(text: str) -> None:
    """Nothing is read, nothing fails, and every node of the other side was added."""
    damaged, sound = make_graph(text=text), graph(CHAIN)
    assert match_graphs(damaged, sound) == ()
    assert [row[0] for row in told(damaged, sound)] == ["added"] * len(sound.nodes)


def test_a_long_chain_and_a_node_with_many_readers_are_matched() -> None:
    """Fifty thousand nodes in a row; five thousand readers of one value: iterative, and every node finds its own."""
    left, right = flat(50_000), flat(49_999)
    assert len(match_graphs(left, right)) == len(right.nodes)
    wide = "\n".join(f"r_{n} = torch.add(L_x_, {n})" for n in range(5_000))
    found = graph(f"{wide}\nreturn (r_1,)")
    less = graph(wide.replace("r_7 = torch.add(L_x_, 7)\n", "") + "\nreturn (r_1,)")
    assert told(found, less) == [("removed", "r_7", None)]


def test_ten_thousand_nodes_of_one_line_are_divided() -> None:
    """A generated program may have all of it on one line, in two modules: every lowered node finds an operation of its module."""

    def lines(call: str) -> str:
        body = "\n".join(f"a_{n} = {call}({'x' if n == 0 else f'a_{n - 1}'})" for n in range(10_000))
        return f"@1\n{body}\nreturn (a_1,)"

    owners = tuple((f"a_{n}", NodeOrigin("ab"[n % 2], None, None)) for n in range(10_000))
    program = graph(lines("torch.sigmoid"), "x", origins=owners)
    lowered = graph(lines("torch.ops.aten.exp.default"), "x", stage="forward", origins=owners)
    pairs = [pair for pair in match_graphs(program, lowered) if program.nodes[pair[0]].op == "call_function"]
    assert len(pairs) == 10_000
    assert all(program.nodes[a].module_path == lowered.nodes[b].module_path for a, b in pairs)


@pytest.mark.parametrize(
    ("target", "family"),
    [
        ("torch.ops.aten.relu.default", "relu"),
        ("relu", "relu"),
        ("relu_", "relu"),
        ("torch.nn.functional.embedding", "embedding"),
        ("operator.truediv", "div"),
        ("torch.ops.aten.addmm.default", "mm"),
        ("torch._C._nn.linear", "mm"),
        ("torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default", "attention"),
        ("operator.and_", "and_"),
        ("__", "__"),
        ("", ""),
    ],
)
def test_a_family_is_the_same_at_every_stage(target: str, family: str) -> None:
    """Whatever a stage calls it."""
    assert family_of(target) == family
