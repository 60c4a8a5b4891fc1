"""The arguments and the module's tensors that a captured graph is bound to: what counts as the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from compile_inspector.engine.bound import laid_out, place_of, sameness
from compile_inspector.engine.static_graph import StaleAddress
from compile_inspector.engine.watched import Watched
from compile_inspector.torch_seams import tensor_match


def bound(leaves: list[Any], copied: tuple[int, ...] = ()) -> Any:
    tensors = [
        place_of(index, one)
        for index, one in enumerate(leaves)
        if isinstance(one, torch.Tensor) and index not in copied
    ]
    values = [(index, one) for index, one in enumerate(leaves) if not isinstance(one, torch.Tensor)]
    return sameness(tensors, values, [(index, leaves[index], False) for index in copied])


def test_the_same_tensors_and_values_are_the_same_however_they_are_passed() -> None:
    """In a list or a tuple; another tensor object at the same address counts, too."""
    x, y = torch.ones(4), torch.ones(4)
    same = bound([x, 3, y, None])
    assert same([x, 3, y, None]) is True
    assert same((x.view(4), 3, y, None)) is True


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_one_that_differs_is_denied_wherever_it_stands(place: int) -> None:
    """A tensor elsewhere, a shorter one at the same address, no tensor at all, another value, another dtype of one that is copied."""
    x, y = torch.ones(4), torch.ones(4)
    same = bound([x, 3, y, None], copied=(2,))
    others: list[list[Any]] = [
        [torch.ones(4), x[:2], 5, None],
        [4, "3", None],
        [y.double(), y[:2], 1],
        [1, x],
    ]
    for other in others[place]:
        given: list[Any] = [x, 3, torch.zeros(4), None]
        assert same(given)
        given[place] = other
        assert same(given) is False


MODES = (torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu"), torch.enable_grad)


@pytest.mark.parametrize("known", [True, False], ids=["asked of torch", "compared in Python"])
def test_the_same_tensors_are_the_same_in_every_mode_of_the_thread(
    known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the mode changes, also where a tensor occurs twice, and where torch's check is not to be had."""
    if not known:
        monkeypatch.setattr(tensor_match, "USES", ("torch:no_such_check",))
    x, weight = torch.ones(4), torch.nn.Parameter(torch.randn(3, 3))
    for leaves in ([x, weight], [x, weight, x]):
        same = bound(leaves)
        for mode in MODES * 5:
            with mode():
                assert same(leaves)
                assert not same([torch.ones(4), *leaves[1:]])


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.t_(),
        lambda one: one.resize_(2, 3),
        lambda one: setattr(one, "data", one.data.t()),
        lambda one: one.as_strided_((3, 3), (3, 0)),
    ],
    ids=["turned", "shortened", "turned data", "repeated"],
)
def test_what_is_changed_where_it_lies_is_denied(change: Any) -> None:
    """The same object at the same address, after many calls in which it was the same."""
    one = torch.randn(3, 3)
    same = bound([one])
    assert [same([one]) for _ in range(3)] == [True] * 3
    change(one)
    assert not same([one])


def test_leaves_lie_flat_in_one_list_or_nested() -> None:
    """Each is found again in another call of the same form, and a call of another form is refused."""
    x = torch.ones(2)
    calls: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        ((x, 1), {}, "flat"),
        (([x, 1],), {}, "list"),
        (((x, [1]),), {}, "nested"),
        ((x,), {"b": 1, "a": 2}, "nested"),
    ]
    for args, kwargs, style in calls:
        layout, leaves = laid_out(args, kwargs)
        assert layout.style == style
        assert list(layout.leaves(args, kwargs)) == list(leaves)
        assert layout.call(leaves) == (args, kwargs)
        for other in ((x, 1, 2), (x,), ([x, 1, 2],), ({"x": x},)):
            if len(other) != len(args) or other != args:
                with pytest.raises(StaleAddress, match="another structure"):
                    layout.leaves(other, {})


def test_arguments_are_named_by_keyword_or_position() -> None:
    """As the caller passed them."""
    layout, _ = laid_out((torch.ones(1), 2), {"scale": 3, "bias": 4})
    assert [layout.name(index) for index in range(layout.size)] == ["0", "1", "'bias'", "'scale'"]


PLACES = (
    "L['self'].layers['one'].weight",
    "L['self'].layers['one'].bias",
    "L['self'].held[-1]",
    "L['self'].held[L['self'].which]",
    "L['self'].by[\"it's\"].one",
    "G['shared']",
)


def watched() -> tuple[Watched, Any, dict[str, Any]]:
    tensors = [torch.full((3,), float(index)) for index in range(6)]
    layers = {"one": SimpleNamespace(weight=tensors[0], bias=tensors[1])}
    by = {"it's": SimpleNamespace(one=tensors[4])}
    instance = SimpleNamespace(layers=layers, held=[tensors[3], tensors[2]], which=0, by=by)
    scope: dict[str, Any] = {"shared": tensors[5]}
    text = "".join(f"{place}, " for place in PLACES)
    fetch = eval(f"lambda L, G: ({text})", {"__builtins__": {}})
    return Watched(PLACES, tuple(tensors), fetch, scope, "self"), instance, scope


def test_every_place_of_the_module_is_looked_at() -> None:
    """Attributes, items, globals, and a way that depends on the module itself; each change is seen."""
    found, instance, scope = watched()
    same = found.checker()
    assert same(instance) is True
    one = instance.layers["one"]
    changes: list[tuple[Any, str, Any]] = [
        (one, "weight", torch.zeros(3)),
        (one, "bias", None),
        (instance, "which", 1),
        (instance, "held", []),
        (instance, "layers", {}),
        (instance.by["it's"], "one", torch.zeros(3)),
    ]
    for owner, name, value in changes:
        before = getattr(owner, name)
        setattr(owner, name, value)
        assert same(instance) is False, name
        setattr(owner, name, before)
        assert same(instance) is True
    scope["shared"] = torch.zeros(3)
    assert same(instance) is False


def test_a_tensor_that_moved_is_seen() -> None:
    """The object is the same, and its memory is another."""
    found, instance, _ = watched()
    same = found.checker()
    instance.layers["one"].weight.data = torch.zeros(3)
    assert same(instance) is False


def test_where_nothing_is_read_nothing_changes() -> None:
    """A module without tensors."""
    assert Watched((), (), lambda *_: (), {}, "self").checker()(object()) is True
