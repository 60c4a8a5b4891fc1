from __future__ import annotations

import copy
import dataclasses
from typing import Annotated, Any, Optional, Union

import pytest
import torch

import compile_inspector as ci
from compile_inspector.engine import dims
from compile_inspector.engine.config import DynamicShapesType
from compile_inspector.errors import InvalidDims
from engine.models import Branch, Layer, config, numbers

BACKED = DynamicShapesType.BACKED


class Jaxtyped:
    """What jaxtyping makes of ``Float[Tensor, "b s"]``: a class with the array's type and its dims."""

    array_type = torch.Tensor
    dims = ("b", "s")


def signature(annotation: Any) -> Any:
    """A forward with one argument annotated so."""

    def forward(self: Any, x: Any) -> Any:
        return x

    forward.__annotations__["x"] = annotation
    return forward


@pytest.mark.parametrize(
    "annotation",
    [
        torch.Tensor,
        torch.FloatTensor,
        ci.IntermediateTensors,
        torch.nn.Parameter,
        torch.LongTensor,
        Optional[torch.Tensor],  # noqa: UP045
        torch.Tensor | None,
        Union[torch.Tensor, ci.IntermediateTensors, None],  # noqa: UP007
        Annotated[torch.Tensor, "b s"],
        Annotated[torch.Tensor | None, "b s"],
        Jaxtyped,
        "torch.Tensor",
        "Tensor",
        "Optional[torch.Tensor]",
        "torch.Tensor | None",
        "None | IntermediateTensors",
        "ci.IntermediateTensors",
        "nowhere.Tensor",
        "Annotated[Tensor, 'b s']",
        'Float[Tensor, "b s"]',
    ],
)
def test_a_tensor_annotation_makes_dimension_0_dynamic(annotation: Any):
    """Tensors, optional ones, annotated ones, as objects or as texts, found or not."""
    assert dims.infer(signature(annotation)) == {"x": 0}


@pytest.mark.parametrize(
    "annotation",
    [
        int,
        str,
        None,
        Any,
        list[torch.Tensor],
        dict,
        "int",
        "list[Tensor]",
        "TensorLike",
        torch.Tensor | int,
        "Tensor | int",
    ],
)
def test_no_other_annotation_does(annotation: Any):
    """What may be no tensor is not inferred to be one."""
    assert dims.infer(signature(annotation)) == {}


def test_names_in_a_local_scope_are_found():
    """A string annotation may name what only the function's own closure knows."""
    local = torch.Tensor

    def forward(self: Any, x: local) -> Any:
        return local, x

    assert dims.infer(forward) == {"x": 0}


@pytest.mark.parametrize("wrong", [True, [], {}, "0", None, [0, True], {"b": 0}, {0: 1}, 1.0])
def test_a_value_that_is_no_dimension_is_refused_at_decoration(wrong: Any):
    """Nothing is decorated with dims that name none; the error shows the key and the value."""
    with pytest.raises(InvalidDims, match=r"the dynamic dimensions of 'x' are .*must be a dimension"):
        ci.support_torch_compile(dynamic_arg_dims={"x": wrong})(type("New", (Branch,), {}))


@pytest.mark.parametrize("given", ["dynamic_arg_dims", "mark_unbacked_dims"])
def test_an_unknown_key_is_refused_with_the_contracts_words(given: str):
    """The message is the field's; a note lists what the forward takes."""
    new = type("New", (Branch,), {})
    with pytest.raises(ValueError, match="not found") as raised:
        ci.support_torch_compile(**{given: {"y": 0}})(new)
    assert str(raised.value) == f"Argument y not found in the forward method of {new}"
    assert raised.value.__notes__ == ["It takes x."]


def test_no_dynamic_dimension_at_all_is_refused():
    """Neither inferred nor given: the message is the field's."""

    class Plain(torch.nn.Module):
        def forward(self, x):
            return x

    for given in (None, {}):
        with pytest.raises(ValueError, match="No dynamic") as raised:
            ci.support_torch_compile(dynamic_arg_dims=given)(Plain)
        assert str(raised.value) == (
            f"No dynamic dimensions found in the forward method of {Plain}. Please provide dynamic_arg_dims explicitly."
        )


def test_a_key_that_is_no_path_is_refused():
    """Only subscripts and attributes lead into an argument."""
    for key in ("x[", "x()", "x[0", "x + 1"):
        with pytest.raises(InvalidDims, match="names no part of an argument"):
            dims.check({key: 0}, Branch.forward, Branch, "dynamic_arg_dims")


@pytest.mark.parametrize("dim", [5, -3, 2])
def test_a_dimension_out_of_range_is_refused_at_the_first_call(dim: int):
    """The message names the tensor, the dimension and the shape; the module can be called again."""
    module = Branch()
    applied = ci.apply(module, dynamic_arg_dims={"x": dim}, vllm_config=config())
    with pytest.raises(
        InvalidDims,
        match=rf"dimension {dim} of L\['x'\] cannot be dynamic: this tensor has 2 dimensions \(4x3\)",
    ):
        module(torch.ones(4, 3))
    assert not applied.compiled
    applied.undo()
    assert module(numbers(1, 2)).tolist() == [100, 200]


def test_an_argument_without_tensors_is_refused_with_the_contracts_words():
    """The type and the dims are shown."""
    with pytest.raises(ValueError, match="Unsupported") as raised:
        dims.mark({"x": 3}, {"x": 0}, {}, BACKED)
    assert str(raised.value) == "Unsupported dynamic dimensions 0 for argument x with type <class 'int'>."


@dataclasses.dataclass
class Batch:
    """Tensors under names."""

    ids: Any
    size: int = 2


@pytest.mark.parametrize(
    ("key", "make", "sources"),
    [
        ("x", lambda t: t, ["L['x']"]),
        ("x", lambda t: None, []),
        ("x", lambda t: [t, t.clone(), None], ["L['x'][0]", "L['x'][1]"]),
        ("x", lambda t: (t,), ["L['x'][0]"]),
        ("x", lambda t: {"k": t}, ["L['x']['k']"]),
        ("x", lambda t: Batch(t), ["L['x'].ids"]),
        (
            "x",
            lambda t: ci.IntermediateTensors({"h": t, "r": t.clone()}),
            ["L['x'].tensors['h']", "L['x'].tensors['r']"],
        ),
        ("x[1]", lambda t: (t.clone(), t), ["L['x'][1]"]),
        ("x['k']", lambda t: {"k": t, "l": t.clone()}, ["L['x']['k']"]),
        ("x.ids", lambda t: Batch(t), ["L['x'].ids"]),
        ("x['h']", lambda t: ci.IntermediateTensors({"h": t}), ["L['x'].tensors['h']"]),
        ("x[0]", lambda t: None, []),
    ],
)
def test_every_tensor_of_an_argument_is_marked_or_the_one_a_key_names(
    key: str, make: Any, sources: list[str]
):
    """None is skipped; containers are gone through; a path names one tensor."""
    marked, restore = dims.mark({"x": make(torch.ones(4, 2))}, {key: -1}, {}, BACKED)
    restore()
    assert [(one.source, one.dim, one.size) for one in marked] == [(source, 1, 2) for source in sources]


def test_a_path_that_is_not_there_is_an_error():
    """The message shows how far it led."""
    with pytest.raises(InvalidDims, match=r"'x\[3\]' is not there: L\['x'\] is a tuple, and IndexError"):
        dims.mark({"x": (numbers(1),)}, {"x[3]": 0}, {}, BACKED)


@pytest.mark.parametrize("kind", list(DynamicShapesType))
def test_marks_are_taken_off_again(kind: DynamicShapesType):
    """After a compile a tensor carries exactly the marks that it had before."""
    plain, own = torch.ones(4, 2), torch.ones(4, 2)
    torch._dynamo.mark_dynamic(own, 1)
    before = copy.deepcopy(vars(own))
    _, restore = dims.mark({"x": plain, "y": own}, {"x": 0, "y": 0}, {"x": 1}, kind)
    assert vars(plain) != {}
    restore()
    assert vars(plain) == {}
    assert vars(own) == before


def test_unbacked_dims_carry_hint_and_shape_id():
    """One dimension at a time, with the present size as hint and the group's name."""
    x, y = torch.ones(4, 2), torch.ones(4)
    marked, restore = dims.mark(
        {"x": x, "y": y}, {"x": {0: "b", 1: None}, "y": {0: "b"}}, {}, DynamicShapesType.UNBACKED
    )
    assert x._dynamo_hint_overrides == {0: 4, 1: 2}
    assert x._dynamo_shape_ids == {0: "b"}
    assert y._dynamo_shape_ids == {0: "b"}
    restore()
    assert [(one.source, one.dim, one.shape_id) for one in marked] == [
        ("L['x']", 0, "b"),
        ("L['x']", 1, None),
        ("L['y']", 0, "b"),
    ]


def test_a_shape_id_needs_a_torch_that_knows_it(monkeypatch: pytest.MonkeyPatch):
    """Where `mark_unbacked` takes none, it is a RuntimeError, not silence."""
    import torch._dynamo.decorators as decorators

    monkeypatch.setattr(decorators, "mark_unbacked", lambda tensor, index: None)
    with pytest.raises(RuntimeError, match=r"it needs torch 2\.11 or later"):
        dims.mark({"x": numbers(1, 2)}, {"x": {0: "b"}}, {}, DynamicShapesType.UNBACKED)


def test_unbacked_wins_where_both_name_a_dimension():
    """`mark_unbacked_dims` is on top of the rest, and no dimension gets two marks."""
    x = torch.ones(4, 2)
    marked, restore = dims.mark({"x": x}, {"x": [0, 1]}, {"x": 0}, BACKED)
    assert not hasattr(x, "_dynamo_dynamic_indices") or x._dynamo_dynamic_indices == {1}
    restore()
    assert {(one.dim, one.kind) for one in marked} == {(0, "unbacked"), (1, "backed")}


class Rotary(torch.nn.Module):
    """As a Hugging Face decoder layer: tensors in a tuple share the sequence length."""

    def forward(self, hidden: torch.Tensor, position_embeddings: Any = None) -> torch.Tensor:
        cos, sin = position_embeddings
        return hidden * cos + hidden * sin


def test_inputs_that_share_a_marked_size_are_reported_before_the_compile(caplog: pytest.LogCaptureFixture):
    """The report names each, in the log, on the Applied, and on the error that torch raises in the end."""
    module, cos = Rotary(), torch.ones(2, 7, 4)
    applied = ci.apply(module, dynamic_arg_dims={"hidden": 1}, vllm_config=config())
    with pytest.raises(Exception, match=r"marked as dynamic|Constraints violated") as raised:
        module(torch.ones(2, 7, 4), (cos, cos.clone()))
    assert [str(one) for one in applied.unmarked] == [
        f"L['position_embeddings'][{index}] has size 7 in dimension 1, as L['hidden'].size()[1] has"
        for index in (0, 1)
    ]
    assert "L['position_embeddings'][0] has size 7" in caplog.text
    assert any("name them in dynamic_arg_dims too" in note for note in raised.value.__notes__)
    applied = ci.apply(module, dynamic_arg_dims={"hidden": 1, "position_embeddings": 1}, vllm_config=config())
    for length in (7, 9):
        assert (
            module(torch.ones(2, length, 4), (torch.ones(2, length, 4), torch.ones(2, length, 4))).sum()
            == 16 * length
        )
    assert applied.unmarked == ()


def test_sequence_length_and_batch_can_both_be_dynamic():
    """Two dimensions of one argument: one compile serves every size of both."""
    module = Layer()
    with ci.apply(module, dynamic_arg_dims={"x": [0, -2]}, vllm_config=config(dropped_guards="raise")):
        for shape in ((3, 5, 4), (2, 9, 4), (8, 2, 4)):
            x = torch.randn(shape)
            torch.testing.assert_close(torch.relu(module.linear(x)), module(x))
