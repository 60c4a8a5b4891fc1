"""Splitting graphs: which nodes match a name, where the cuts are, and that the pieces compute what the graph does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import fx

import attention_models
from compile_inspector.engine.splitting import Split, find_splitting, split


def divide(function: Callable[..., Any], ops: list[str], *inputs: torch.Tensor) -> Split:
    """The split of what Dynamo captures of a function, dim 0 of each input dynamic; checks that it computes the same."""
    found: list[Split] = []

    def backend(module: fx.GraphModule, _: Any) -> Callable[..., Any]:
        found.append(split(module, ops))
        return found[-1].module

    for one in inputs:
        torch._dynamo.mark_dynamic(one, 0)
    expected = function(*(one.clone() for one in inputs))
    actual = torch.compile(function, backend=backend, fullgraph=True)(*inputs)
    torch.testing.assert_close(actual, expected)
    return found[0]


def kinds(divided: Split) -> list[str]:
    return [piece.kind for piece in divided.pieces]


def test_a_split_op_in_the_middle_makes_three_pieces() -> None:
    """add, relu, add split at relu: three pieces, the second one splitting."""
    divided = divide(lambda x: torch.ops.aten.relu.default(x + 1) + 1, ["aten::relu"], torch.randn(4, 3))
    assert kinds(divided) == ["compiled", "splitting", "compiled"]
    assert divided.pieces[1].split_op == "aten::relu"
    assert divided.pieces[1].reason == "aten::relu is a splitting op"


def test_a_split_op_at_either_end_makes_two_pieces() -> None:
    """No empty piece is made before a first splitting op or after a last one."""
    first = divide(lambda x: torch.ops.aten.relu.default(x) + 1, ["aten::relu"], torch.randn(4, 3))
    last = divide(lambda x: torch.ops.aten.relu.default(x + 1), ["aten::relu"], torch.randn(4, 3))
    assert kinds(first) == ["splitting", "compiled"]
    assert kinds(last) == ["compiled", "splitting"]


def test_twice_in_a_chain_of_five_makes_five_pieces() -> None:
    """add, relu, add, relu, add: five pieces, two of them splitting."""

    def chain(x: torch.Tensor) -> torch.Tensor:
        return torch.relu(torch.relu(x + 1) + 1) + 1

    divided = divide(chain, ["aten::relu"], torch.randn(4, 3))
    assert kinds(divided) == ["compiled", "splitting", "compiled", "splitting", "compiled"]


def test_consecutive_split_ops_make_one_piece() -> None:
    """Splitting ops that follow each other directly share a piece, which names both."""

    def chain(x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(torch.relu(x + 1)) + 1

    divided = divide(chain, ["aten::relu", "aten::sigmoid"], torch.randn(4, 3))
    assert kinds(divided) == ["compiled", "splitting", "compiled"]
    assert divided.pieces[1].split_op == "aten::relu, aten::sigmoid"


def test_what_unpacks_results_stays_with_their_producer() -> None:
    """The getitems of a split op with two results lie in its piece, and do not part it from the next split op."""

    def both(x: torch.Tensor) -> torch.Tensor:
        one, two = torch.ops.silly.pair(x + 1)
        return torch.relu(one) + two

    divided = divide(both, ["silly::pair", "aten::relu"], torch.randn(4, 3))
    assert kinds(divided) == ["compiled", "splitting", "compiled"]
    assert divided.pieces[1].nodes[:3] == ("pair", "one", "two")


def test_indexing_a_tensor_is_no_unpacking() -> None:
    """Rows taken out of a tensor after an operator wrote into it are the written ones: indexing stays behind the operator."""

    def masked(x: torch.Tensor) -> torch.Tensor:
        x = x + 1
        out = torch.zeros_like(x)
        torch.ops.silly.attention(x, x, x, out)
        return out[[0, 2]] * 2

    divided = divide(masked, ["silly::attention"], torch.randn(4, 3))
    assert kinds(divided) == ["compiled", "splitting", "compiled"]


def test_every_piece_returns_a_tuple() -> None:
    """Also a piece of one result returns a tuple, as every compiler expects."""
    divided = divide(lambda x: torch.relu(x + 1) + 1, ["aten::relu"], torch.randn(4, 3))
    outputs = [
        node.args[0] for piece in divided.pieces for node in piece.module.graph.nodes if node.op == "output"
    ]
    assert [isinstance(one, tuple) for one in outputs] == [True, True, True]


def test_a_size_may_be_given_by_keyword_across_a_cut() -> None:
    """``size()`` as a keyword argument, as a positional one, and unpacked, on the far side of a cut."""

    def sizes(x: torch.Tensor) -> torch.Tensor:
        x = x + 1
        size = x.size()
        y = torch.relu(x)
        rows, columns = size
        return torch.zeros(size=size) + y.view(size) + torch.ones(rows, columns) + y.reshape(shape=size)

    divided = divide(sizes, ["aten::relu"], torch.randn(4, 3))
    assert kinds(divided) == ["compiled", "splitting", "compiled"]
    targets = [node.target for piece in divided.pieces for node in piece.module.graph.nodes]
    assert "size" not in targets


def test_a_size_that_is_no_input_is_read_from_its_tensor() -> None:
    """A size that is an expression of the input's size crosses a cut as a number."""

    def doubled(x: torch.Tensor) -> torch.Tensor:
        y = torch.cat([x, x])
        size = y.size()
        return torch.ones(size) * torch.relu(y)

    assert kinds(divide(doubled, ["aten::relu"], torch.randn(4, 3)))[1] == "splitting"


def test_arithmetic_on_sizes_alone_is_no_piece() -> None:
    """Between two splitting ops, numbers computed from sizes make no piece to compile."""

    def sized(x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(x + 1)
        double = x.shape[0] * 2
        return torch.ops.aten.sigmoid(y), double

    divided = divide(sized, ["aten::relu", "aten::sigmoid"], torch.randn(4, 3))
    assert "compiled" not in kinds(divided)[1:]


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: torch.ops.aten.add.Tensor(x, x), "aten::add"),
        (lambda x: torch.ops.aten.add.Tensor(x, x), "aten::add.Tensor"),
        (lambda x: torch.ops.aten.add(x, x), "aten::add"),
        (lambda x: torch.add(x, x), "aten::add"),
        (lambda x: x + x, "aten::add"),
        (lambda x: x.add(x), "aten::add"),
        (lambda x: torch.nn.functional.relu(x), "aten::relu"),
        (lambda x: torch.nn.functional.relu(x), "torch.nn.functional.relu"),
        (lambda x: torch.relu(x), "torch.relu"),
        (lambda x: torch.nn.functional.gelu(x), "aten::gelu"),
        (lambda x: x @ x.T, "aten::matmul"),
        (lambda x: torch.ops.silly.pair(x)[0], "silly::pair"),
        (lambda x: torch.ops.silly.pair(x)[0], "silly::pair.default"),
    ],
)
def test_a_name_means_every_way_of_calling_the_operator(function: Callable[..., Any], name: str) -> None:
    """Overloads, packets, functions, methods and Python operators are found by the operator's name."""
    divided = divide(function, [name], torch.randn(4, 3))
    assert divided.unmatched == ()
    assert "splitting" in kinds(divided)


def test_another_overload_does_not_match() -> None:
    """A name with an overload means that overload only."""
    graph = fx.Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_function(torch.ops.aten.add.Tensor, (x, x)))
    assert find_splitting(graph, ["aten::add.Scalar"]) == {}
    assert len(find_splitting(graph, ["aten::add.Tensor"])) == 1


def test_a_name_that_matches_nothing_is_warned_about_with_near_names(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A misspelt splitting op is named in a warning, with what it may mean; the graph stays whole."""
    with caplog.at_level(logging.WARNING):
        divided = divide(lambda x: attention_models.attend(x + 1), ["silly::atention"], torch.randn(4, 3))
    assert kinds(divided) == ["compiled"]
    assert divided.unmatched[0][0] == "silly::atention"
    assert "silly::attention" in divided.unmatched[0][1]
    assert (
        "'silly::atention' matches no operator of the graph; did you mean 'silly::attention'" in caplog.text
    )


def test_a_name_without_likeness_is_warned_about_too(caplog: pytest.LogCaptureFixture) -> None:
    """Where no name is near, the warning offers none."""
    divide(lambda x: x + 1, ["nowhere::zzzzzz"], torch.randn(4, 3))
    assert "'nowhere::zzzzzz' matches no operator of the graph\n" in caplog.text + "\n"


def test_a_graph_that_torch_cannot_split_is_left_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure inside torch's splitting leaves the graph whole and says so."""

    def fail(*_: Any, **__: Any) -> None:
        raise KeyError("u7")

    monkeypatch.setattr("compile_inspector.engine.splitting.split_module", fail)
    divided = divide(lambda x: torch.relu(x + 1) + 1, ["aten::relu"], torch.randn(4, 3))
    assert kinds(divided) == ["compiled"]
    assert divided.problem == "torch could not split the graph (KeyError: 'u7'); it is compiled whole"


def test_a_graph_that_reshapes_in_place_is_left_whole(caplog: pytest.LogCaptureFixture) -> None:
    """A tensor whose shape changes in place would be taken for another one on the far side of a cut: the graph stays whole."""

    def reshaping(x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        y.unsqueeze_(0)
        return torch.relu(y) + 1

    divided = divide(reshaping, ["aten::relu"], torch.randn(4, 3))
    assert kinds(divided) == ["compiled"]
    assert "changes a tensor's shape in place (unsqueeze_)" in (divided.problem or "")
    assert "unsqueeze_" in caplog.text


def test_gradient_and_autocast_regions_survive_a_cut() -> None:
    """A region without gradients that is cut stays one on both sides."""

    def regions(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            y = torch.relu(x + 1) + 1
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z = torch.relu(y @ y.T) @ y
        return z.float() + x

    divided = divide(regions, ["aten::relu"], torch.randn(4, 3, requires_grad=True))
    assert kinds(divided).count("splitting") == 2
