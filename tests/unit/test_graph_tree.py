"""The tree of groups that every drawing of a graph shares."""

from __future__ import annotations

import pytest

from compile_inspector.analyze.graph_tree import GraphTree, TreeGroup, graph_tree
from compile_inspector.model.graph import Graph
from compile_inspector.model.nodes import NodeOrigin
from factory import make_graph
from graph_samples import flat, layered


def by_path(tree: GraphTree) -> dict[str, TreeGroup]:
    return {group.path: group for group in tree.groups}


def check(tree: GraphTree) -> None:
    """What holds for every tree."""
    drawn = [index for index in range(len(tree.nodes)) if not tree.hidden[index]]
    assert sorted(tree.order) == drawn
    assert len(tree.group_of) == len(tree.nodes)
    assert len(by_path(tree)) == len(tree.groups)
    for index, group in enumerate(tree.groups):
        assert group.parent < index or index == 0
        assert tree.groups[group.run].signature == group.signature
        assert tree.groups[group.run].parent == group.parent
        inside = tree.order[group.start : group.end]
        assert all(item in inside for item in group.items[:50] if item >= 0)
    for group in tree.groups:
        for item in group.items:
            if item >= 0:
                assert tree.groups[tree.group_of[item]] is group
            else:
                assert tree.groups[tree.groups[~item].parent] is group


def graph_of(*lines: str, paths: dict[str, str] | None = None, signature: str = "self, x") -> Graph:
    head = ["class G(torch.nn.Module):", f"    def forward({signature}):"]
    text = "\n".join([*head, *(f"        {line}" for line in lines)])
    origins = tuple((name, NodeOrigin(path, "m.M", None)) for name, path in (paths or {}).items())
    return make_graph(text=text, origins=origins)


def test_layers_alike_are_a_run() -> None:
    """Numbered neighbours that compute the same are one run; nodes lie in the module that made them."""
    tree = graph_tree(layered(32))
    check(tree)
    groups = by_path(tree)
    first = tree.groups.index(groups["layers.0"])
    assert {groups[f"layers.{number}"].run for number in range(32)} == {first}
    assert tree.groups[tree.group_of[tree.at["a_7"]]].path == "layers.7.mlp.fc"
    assert groups["layers.0"].module_class == "m.H"


def test_the_odd_one_is_flagged_and_no_other() -> None:
    """Of 32 layers the one that computes something else differs; its neighbours on both sides are still alike."""
    tree = graph_tree(layered(32, odd=20))
    check(tree)
    assert [group.path for group in tree.groups if group.differs] == ["layers.20"]
    groups = by_path(tree)
    assert groups["layers.21"].signature == groups["layers.0"].signature
    assert groups["layers.21"].run == tree.groups.index(groups["layers.21"])


def test_where_none_is_in_the_majority_none_differs() -> None:
    """Of two layers that compute different things neither is the odd one."""
    assert not any(group.differs for group in graph_tree(layered(2, odd=1)).groups)


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        ("d = torch.mul(c, c)", True),
        ("d = torch.mul(c, b)", False),
        ("d = torch.mul(c, x)", False),
        ('d: "f32[3]" = torch.mul(c, c)', False),
        ("d = torch.add(c, c)", False),
    ],
)
def test_alike_means_operations_types_and_wiring(other: str, alike: bool) -> None:
    """Two modules are alike where each value in one comes from where it comes from in the other."""
    graph = graph_of(
        "a = torch.sin(x)", "b = torch.mul(a, a)", "c = torch.sin(b)", other, "return (d,)",
        paths={"a": "layers.0", "b": "layers.0", "c": "layers.1", "d": "layers.1"},
    )  # fmt: skip
    groups = by_path(graph_tree(graph))
    assert (groups["layers.0"].signature == groups["layers.1"].signature) is alike


def test_values_that_live_long_are_stubs() -> None:
    """What every layer reads is a stub; what goes from one layer to the next is none, however long a layer is."""
    tree = graph_tree(layered(32))
    assert [tree.nodes[index].name for index in range(len(tree.nodes)) if tree.stubs[index]] == ["mask"]
    lines = [
        "h = torch.sin(x)",
        *(f"y_{i} = torch.sin({'h' if i == 0 else f'y_{i - 1}'})" for i in range(60)),
    ]
    names = [f"y_{i}" for i in range(60)]
    far = graph_of(*lines, "z = torch.add(y_59, h)", "return (z,)")
    assert graph_tree(far).stubs[1] == 1
    near = graph_of(*lines, "z = torch.add(y_59, h)", "return (z,)", paths=dict.fromkeys(names, "block"))
    assert graph_tree(near).stubs[1] == 0


def test_graphs_that_operators_call_lie_in_their_callers_module() -> None:
    """A called graph, and one called within it, are groups; what they return goes to the node that calls them."""
    text = (
        "class G(torch.nn.Module):\n    def forward(self, x):\n        body_0 = self.body_0\n"
        "        call = torch.ops.higher_order.wrap(body_0, x)\n        return (call,)\n\n"
        "    class body_0(torch.nn.Module):\n        def forward(self, a):\n            inner_0 = self.inner_0\n"
        "            b = torch.ops.higher_order.wrap(inner_0, a)\n            return (b,)\n\n"
        "        class inner_0(torch.nn.Module):\n            def forward(self, c):\n                d = c.sin()\n"
        "                return (d,)\n"
    )
    tree = graph_tree(make_graph(text=text, origins=(("call", NodeOrigin("block", "m.Block", None)),)))
    check(tree)
    assert [(group.path, group.kind) for group in tree.groups] == [
        ("", "root"), ("block", "module"), ("block.[body_0]", "body"), ("block.[body_0].[inner_0]", "body"),
    ]  # fmt: skip
    names = {
        tree.nodes[value].name: [tree.nodes[at].name for at in callers]
        for value, callers in tree.returned.items()
    }
    assert names == {"body_0.b": ["call"], "body_0.inner_0.d": ["body_0.b"]}


@pytest.mark.parametrize("count", [0, 1, 151, 5_000, 50_000])
def test_loose_nodes_are_bundled(count: int) -> None:
    """However many nodes lie in no module, no group holds more than 150 of them, nor more than twice as many groups."""
    tree = graph_tree(flat(count) if count else make_graph(text=""))
    check(tree)
    assert max(len(group.items) for group in tree.groups) <= 302
    assert all(sum(item >= 0 for item in group.items) <= 153 for group in tree.groups)


def test_loose_nodes_beside_layers_are_bundled_sooner() -> None:
    """Twenty loose nodes beside layers that hold far more are one box, which leaves the layers in sight; alone they are drawn one by one."""
    beside = [f"y_{index} = torch.sin(x)" for index in range(20)]
    inside = [f"z_{index} = torch.cos(x)" for index in range(100)]
    paths = {f"z_{index}": f"layers.{index // 10}" for index in range(100)}
    tree = graph_tree(graph_of(*beside, *inside, "return (z_99,)", paths=paths))
    check(tree)
    runs = [group for group in tree.groups if group.kind == "run"]
    assert [len(group.items) for group in runs] == [20]
    alone = graph_tree(graph_of(*beside, "return (y_19,)"))
    assert len(alone.groups) == 1


def test_many_inputs_are_bundled() -> None:
    """Two thousand inputs of no module, as of an optimizer, are some groups of inputs; ten are drawn one by one."""
    names = [f"x_{index}" for index in range(2_000)]
    tree = graph_tree(
        graph_of("y = torch.add(x_0, x_1)", "return (y,)", signature=f"self, {', '.join(names)}")
    )
    check(tree)
    assert max(len(group.items) for group in tree.groups) <= 153
    few = graph_tree(
        graph_of("y = torch.add(x_0, x_1)", "return (y,)", signature=f"self, {', '.join(names[:10])}")
    )
    assert len(few.groups) == 1


def test_a_crowd_of_readers_and_deep_modules_are_no_trouble() -> None:
    """A node with 5,000 users, and modules 3,000 deep, are conditioned without recursion; deep ones are one group at the end."""
    crowd = graph_of(*(f"y_{index} = torch.sin(x)" for index in range(5_000)), "return (y_0,)")
    tree = graph_tree(crowd)
    check(tree)
    assert tree.stubs[0] == 1
    deep = ".".join(f"m{index}" for index in range(3_000))
    tree = graph_tree(graph_of("y = torch.sin(x)", "return (y,)", paths={"y": deep}))
    check(tree)
    assert tree.groups[-1].path == deep
    assert len(tree.groups) == 101
