"""Folding graphs to a bounded number of boxes."""

from __future__ import annotations

import pytest

from compile_inspector.analyze.folded_graph import FoldedGraph
from compile_inspector.analyze.graph_fold import fold_graph
from compile_inspector.model.nodes import NodeOrigin
from factory import make_graph
from graph_samples import flat, layered


def check(folded: FoldedGraph) -> None:
    """What holds for every folded graph."""
    assert [box.id for box in folded.boxes] == list(range(len(folded.boxes)))
    assert all(edge.source != edge.target for edge in folded.edges)
    assert len({(edge.source, edge.target) for edge in folded.edges}) == len(folded.edges)
    for edge in folded.edges:
        assert 0 <= edge.source < len(folded.boxes)
        assert 0 <= edge.target < len(folded.boxes)
        assert edge.carried or edge.source < edge.target
    for group in folded.groups:
        assert group.parent is None or group.parent < group.id
    names = [name for box in folded.boxes for name in box.names]
    assert len(set(names)) == len(names)


def test_a_small_graph_keeps_its_nodes() -> None:
    """Constants and sizes are not drawn, every other node is a box, modules are frames around them."""
    folded = fold_graph(layered(2))
    check(folded)
    assert (folded.total, folded.constants, len(folded.boxes)) == (14, 2, 12)
    assert [(group.label, group.parent) for group in folded.groups] == [
        ("layers", None),
        ("1", 0),
        ("mlp", 1),
        ("0", 0),
        ("mlp", 3),
    ]
    relu = next(box for box in folded.boxes if box.names == ("r_0",))
    assert (relu.kind, relu.label, relu.shape, folded.groups[relu.group or 0].label) == (
        "node",
        "torch.relu",
        ("s7", 8),
        "mlp",
    )


def test_a_module_of_one_node_needs_no_frame() -> None:
    """The node says the module's name itself."""
    linear = next(box for box in fold_graph(layered(2)).boxes if box.names == ("a_0",))
    assert (linear.within, linear.constants) == ("fc", 1)


def test_layers_alike_become_one() -> None:
    """Of 32 layers one is shown, with how often; its last value flows back to its first node, and on to the output."""
    folded = fold_graph(layered(32), max_boxes=40)
    check(folded)
    layer = next(group for group in folded.groups if group.repeats > 1)
    assert (layer.label, layer.repeats) == ("layers.0 … 31", 32)
    assert len(folded.boxes) == 8
    boxes = {box.names[0]: box.id for box in folded.boxes}
    carried = {(edge.source, edge.target) for edge in folded.edges if edge.carried}
    assert carried == {(boxes["h_1"], boxes["n_0"])}
    assert (boxes["h_1"], boxes["output"]) in {(edge.source, edge.target) for edge in folded.edges}


def test_the_view_from_above_does_not_grow_with_the_layers() -> None:
    """4, 32 and 158 layers give the same boxes."""
    assert len({len(fold_graph(layered(layers), max_boxes=12).boxes) for layers in (4, 32, 158)}) == 1


def test_a_layer_unlike_the_others_is_shown_and_named() -> None:
    """Repeats end where a layer computes something else."""
    folded = fold_graph(layered(32, odd=20), max_boxes=60)
    check(folded)
    assert [(group.label, group.repeats) for group in folded.groups if group.label[0].isdigit()] == [
        ("21 … 31", 11), ("20", 1), ("0 … 19", 20),
    ]  # fmt: skip
    assert "layers.20" in folded.differing
    assert "layers.3" not in folded.differing


def test_a_closed_module_counts_what_is_in_it() -> None:
    """Where opening would show too much, a module is one box that stands for all its nodes in all its repeats."""
    folded = fold_graph(layered(32), max_boxes=5)
    check(folded)
    closed = next(box for box in folded.boxes if box.kind == "module" and box.label.startswith("layers"))
    assert closed.count == 32 * 4
    assert len(folded.boxes) <= 5


@pytest.mark.parametrize("limit", [1, 2, 5, 10, 40, 150])
def test_loose_nodes_are_bundled(limit: int) -> None:
    """A graph without modules is bundled by function, then by place: never more boxes than asked for, beside its ends."""
    folded = fold_graph(flat(5_000), max_boxes=limit)
    check(folded)
    assert len(folded.boxes) <= limit + 2
    assert sum(box.count for box in folded.boxes) == 5_002


@pytest.mark.parametrize("limit", [1, 7, 20, 60, 150])
@pytest.mark.parametrize("layers", [1, 3, 50])
def test_the_limit_holds(limit: int, layers: int) -> None:
    """However many layers: at most so many boxes, beside two inputs, the output and what stands outside all modules."""
    folded = fold_graph(layered(layers, odd=layers // 2), max_boxes=limit)
    check(folded)
    assert len(folded.boxes) <= max(limit, 5)


def test_depth_does_not_matter() -> None:
    """Modules nested 3,000 deep and 20,000 nodes fold without recursion."""
    deep = NodeOrigin(".".join(f"m{index}" for index in range(3_000)), "m.Deep", None)
    graph = flat(20_000)
    folded = fold_graph(make_graph(text=graph.text.read(), origins=(("x_5", deep), ("x_9", deep))))
    check(folded)
    assert len(folded.boxes) <= 152


def test_values_read_from_afar_are_named_instead() -> None:
    """A value read more than forty boxes on is written into its reader, so that no edge crosses the drawing."""
    text = flat(100).text.read().replace("torch.sin(x_98)", "torch.mul(x_98, x_3)")
    folded = fold_graph(make_graph(text=text))
    reader = next(box for box in folded.boxes if box.names == ("x_99",))
    assert reader.reads == ("x_3",)
    assert all(folded.boxes[edge.target].id != reader.id or "x_3" not in edge.values for edge in folded.edges)


def test_graphs_that_operators_call_come_before_them() -> None:
    """A higher-order operator's graph is a frame of its own; what it returns flows into the call."""
    text = (
        "class G(torch.nn.Module):\n    def forward(self, x):\n        y = torch.sin(x)\n        body_0 = self.body_0\n"
        "        call = torch.ops.higher_order.wrap(body_0, y)\n        return (call,)\n\n"
        "    class body_0(torch.nn.Module):\n        def forward(self, x):\n            a = x.sin()\n            b = a.cos()\n"
        "            return (b,)\n"
    )
    folded = fold_graph(make_graph(text=text))
    check(folded)
    assert [box.names[0] for box in folded.boxes] == ["x", "y", "body_0.a", "body_0.b", "call", "output"]
    assert [group.label for group in folded.groups] == ["[body_0]"]
    assert (3, 4) in {(edge.source, edge.target) for edge in folded.edges}


def test_nothing_to_fold() -> None:
    """A text without a graph gives no boxes and no error."""
    assert fold_graph(make_graph(text="")) == FoldedGraph((), (), (), 0, 0)
