from __future__ import annotations

import copy
import gc
import types
import weakref
from typing import Any, Generic, Optional, TypeVar

import pytest
import torch

import compile_inspector as ci
from compile_inspector.engine.decorator import programs
from compile_inspector.errors import InvalidConfig, NotDecoratable
from engine.models import Branch, Layer, config, numbers

FOUR, THREE = numbers(1, 2, 3, 4), numbers(1, 2, 3)


def new(base: type = Branch, **body: Any) -> type:
    """A class of its own to decorate."""
    return type("New", (base,), body)


def test_bare_and_with_arguments_decorate_the_class_itself():
    """Either way the same class comes back, its signature and name as they were."""
    for decorate in (ci.support_torch_compile, ci.support_torch_compile(dynamic_arg_dims={"x": 0})):

        class Mine(torch.nn.Module):
            def forward(self, x: torch.Tensor, *, scale: float = 2.0) -> torch.Tensor:
                """Doc."""
                return x * scale

        forward = Mine.forward
        assert decorate(Mine) is Mine
        assert (Mine.forward.__name__, Mine.forward.__doc__) == (forward.__name__, forward.__doc__)
        assert Mine.forward.__defaults__ == forward.__defaults__
        assert Mine.forward.__kwdefaults__ == forward.__kwdefaults__
        model = Mine(vllm_config=config())
        assert model(FOUR, scale=3.0).tolist() == [3, 6, 9, 12]
        assert model(x=FOUR).tolist() == [2, 4, 6, 8]


def test_without_a_forward_nothing_can_be_decorated():
    """The message is the field's."""
    for cls in (type("Plain", (), {}), type("Module", (torch.nn.Module,), {})):
        with pytest.raises(TypeError) as raised:
            ci.support_torch_compile(cls)
        assert str(raised.value) == "decorated class should have a forward method."


def test_only_a_class_can_be_decorated():
    """For an instance the error says what to use."""
    with pytest.raises(NotDecoratable, match="use apply for an instance"):
        ci.support_torch_compile(Branch())
    with pytest.raises(NotDecoratable, match="only a class"):
        ci.ignore_torch_compile(3)


def test_an_instance_gets_the_fields_attributes():
    """After construction they are there; `compiled` follows the first call."""
    settings = config()
    with ci.compilation_counter.expect(num_models_seen=1):
        model = ci.support_torch_compile(new())(vllm_config=settings)
    assert model.vllm_config is settings
    assert model.compilation_config is settings.compilation_config
    assert (model.do_not_compile, model.compiled, model.aot_compiled_fn) == (False, False, None)
    assert model.was_aot_compile_fn_loaded_from_disk is False
    model(FOUR)
    assert model.compiled is True


def test_instances_from_before_the_decoration_compile_too():
    """They take the configuration that is current at their first call."""
    cls = new()
    model = cls()
    ci.support_torch_compile(cls)
    with ci.set_current_vllm_config(config()):
        assert model(FOUR).tolist() == [2, 4, 6, 8]
    assert model.compiled


def test_a_missing_configuration_is_the_current_one():
    """It is looked up when the instance is built, and reaches the original constructor where that names it."""

    @ci.support_torch_compile
    class Named(Branch):
        def __init__(self, size: int, *, vllm_config: Any, prefix: str = "") -> None:
            super().__init__()
            self.seen = (size, vllm_config, prefix)

    settings = config()
    with ci.set_current_vllm_config(settings):
        assert Named(3, prefix="model.layers.0").seen == (3, settings, "model.layers.0")
    assert Named(3, vllm_config=settings).seen == (3, settings, "")


def test_a_constructor_that_names_neither_gets_neither():
    """They are taken off, and a constructor with **kwargs does not see them."""

    @ci.support_torch_compile
    class Loose(Branch):
        def __init__(self, size: int, **rest: Any) -> None:
            super().__init__()
            self.seen = (size, rest)

    assert Loose(3, vllm_config=config(), prefix="p", other=1).seen == (3, {"other": 1})


def test_a_configuration_can_be_given_by_position():
    """A constructor that takes it first is called as its author does."""

    @ci.support_torch_compile
    class First(Branch):
        def __init__(self, vllm_config: Any, prefix: str = "") -> None:
            super().__init__()
            self.seen = (vllm_config, prefix)

    settings = config()
    model = First(settings, "p")
    assert model.seen == (settings, "p")
    assert model.vllm_config is settings


def test_what_cannot_serve_as_a_configuration_is_refused():
    """The error says what it lacks."""
    with pytest.raises(InvalidConfig, match=r"needs a \.compilation_config"):
        ci.support_torch_compile(new())(vllm_config=3)


T = TypeVar("T")


class Box(Generic[T]):
    """A generic class."""


class Fussy(Branch):
    """Takes arguments of many annotations."""

    def __init__(
        self,
        a: int,
        b: float = 1.0,
        c: str | None = None,
        d: Optional[list[int]] = None,  # noqa: UP045
        e: "NoSuchName" = None,  # noqa: F821, UP037
        f: Box[int] | None = None,
        g: dict = None,  # noqa: RUF013
    ) -> None:
        super().__init__()


@pytest.mark.parametrize("wrong", [("a",), (1, "b"), (1, 1.0, 3), (1, 1.0, None, None, None, None, [])])
def test_a_positional_argument_of_another_class_is_refused(wrong: tuple[Any, ...]):
    """The message is the field's, with both names; self is not counted."""
    cls = ci.support_torch_compile(new(Fussy))
    kind = type(wrong[-1]).__name__
    with pytest.raises(TypeError) as raised:
        cls(*wrong, vllm_config=config())
    assert str(raised.value) == (
        f"'New.__init__' received a positional argument of type '{kind}', but no parameter of that type was found in the method "
        "signature. Please either annotate 'New.__init__' or pass it as a keyword argument."
    )


def test_annotations_that_are_no_plain_class_are_resolved_or_skipped():
    """Unions are looked into, an int is a float, None fits a default of None, generics and unknown names are let pass."""
    ci.support_torch_compile(new(Fussy))(1, 2, "c", [1], object(), Box(), None, vllm_config=config())


def test_enable_if_decides_at_construction():
    """It is asked once, with the configuration."""
    asked: list[Any] = []

    def enable_if(settings: Any) -> bool:
        asked.append(settings)
        return settings.extra == "yes"

    cls = ci.support_torch_compile(dynamic_arg_dims={"x": 0}, enable_if=enable_if)(new())
    on, off = config(), config()
    on.extra = "yes"
    with ci.compilation_counter.expect(num_models_seen=1):
        enabled, disabled = cls(vllm_config=on), cls(vllm_config=off)
    assert asked == [on, off]
    assert (enabled.do_not_compile, disabled.do_not_compile) == (False, True)
    assert disabled(THREE).tolist() == [100, 200, 300]
    assert not disabled.compiled


def test_do_not_compile_can_be_switched():
    """While it is set every call runs the forward; what was compiled is kept."""
    model = ci.support_torch_compile(new())(vllm_config=config(dropped_guards="ignore"))
    model(FOUR)
    model.do_not_compile = True
    assert model(THREE).tolist() == [100, 200, 300]
    model.do_not_compile = False
    assert model(THREE).tolist() == [2, 4, 6]


def test_skip_compiled_runs_the_forward():
    """In a forward context that asks for it, and only there."""
    settings = config(dropped_guards="ignore")
    model = ci.support_torch_compile(new())(vllm_config=settings)
    model(FOUR)
    with ci.set_forward_context(None, settings, skip_compiled=True):
        assert model(THREE).tolist() == [100, 200, 300]
    with ci.set_forward_context(None, settings):
        assert model(THREE).tolist() == [2, 4, 6]


def test_the_nearest_decoration_wins():
    """An ignored subclass does not compile, a subclass of that decorated again does."""
    base = ci.support_torch_compile(new())
    ignored = ci.ignore_torch_compile(type("Ignored", (base,), {}))
    again = ci.support_torch_compile(type("Again", (ignored,), {}))
    for cls, compiles in ((base, True), (ignored, False), (again, True)):
        with ci.compilation_counter.expect(num_models_seen=int(compiles)):
            model = cls(vllm_config=config())
        assert model.do_not_compile is not compiles
        assert model(FOUR).tolist() == [2, 4, 6, 8]
        assert model.compiled is compiles


def test_decorating_a_subclass_or_a_class_again_wraps_once():
    """The forward and the constructor are those of the first wrapping; one call of the original each."""
    built: list[str] = []

    class Base(Branch):
        def __init__(self, *, vllm_config: Any = None, prefix: str = "") -> None:
            super().__init__()
            built.append(prefix)

    ci.support_torch_compile(Base)
    forward, init = Base.forward, Base.__init__
    sub = ci.support_torch_compile(type("Sub", (Base,), {}))
    ci.support_torch_compile(Base)
    assert (Base.forward, Base.__init__) == (forward, init)
    assert (sub.forward, sub.__init__) == (forward, init)
    with ci.compilation_counter.expect(num_models_seen=1):
        model = sub(vllm_config=config(), prefix="p")
    assert built == ["p"]
    assert model(FOUR).tolist() == [2, 4, 6, 8]
    assert len(programs.get(model).entries) == 1


def test_a_subclass_with_its_own_forward_compiles_that():
    """Decorated or not, its whole forward is one program, the inherited one inlined; before and after the decoration."""
    base = new()

    class Early(base):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + 1

    ci.support_torch_compile(base)

    class Late(base):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + 1

    again = ci.support_torch_compile(type("Again", (Late,), {}))
    for cls in (Early, Late, again):
        model = cls(vllm_config=config())
        assert model(FOUR).tolist() == [3, 5, 7, 9]
        assert model(THREE).tolist() == [101, 201, 301]
        with ci.set_forward_context(None, None, skip_compiled=True):
            assert model(FOUR).tolist() == [3, 5, 7, 9]
        assert len(programs.get(model).entries) == 2


def test_a_decorated_child_of_a_compiled_parent_is_inlined():
    """The parent's program is one; the child makes none of its own."""
    child_class = ci.support_torch_compile(new(Layer))

    @ci.support_torch_compile
    class Parent(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.child = child_class(vllm_config=config())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.child(x) + 1

    parent = Parent(vllm_config=config())
    x = torch.randn(3, 4)
    torch.testing.assert_close(torch.relu(parent.child.linear(x)) + 1, parent(x))
    assert parent.compiled
    assert not parent.child.compiled


def test_decorated_children_of_an_ignored_parent_compile():
    """Ignoring is of the class, not of what it holds."""
    child_class = ci.support_torch_compile(new(Layer))

    class Parent(ci.support_torch_compile(new())):
        def __init__(self) -> None:
            super().__init__()
            self.child = child_class(vllm_config=config())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.child(x)

    parent = ci.ignore_torch_compile(Parent)()
    assert parent(torch.ones(3, 4)).shape == (3, 4)
    assert not parent.compiled
    assert parent.child.compiled


def test_within_torch_compile_the_forward_is_traced_through():
    """A decorated model compiled by its user is compiled once, by them."""
    model = ci.support_torch_compile(new())(vllm_config=config())
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert compiled(FOUR).tolist() == [2, 4, 6, 8]
    assert not model.compiled


def test_symbolic_tracing_sees_the_forward():
    """torch.fx traces the module as if it were not decorated."""
    model = ci.support_torch_compile(new(Layer))(vllm_config=config())
    traced = torch.fx.symbolic_trace(model)
    x = torch.randn(3, 4)
    torch.testing.assert_close(traced(x), torch.relu(model.linear(x)))


def test_forward_hooks_fire_and_can_change_the_answer():
    """Pre-hooks and hooks run on each call, compiled or not."""
    model = ci.support_torch_compile(new())(vllm_config=config())
    seen: list[str] = []
    model.register_forward_pre_hook(lambda module, args: seen.append("before"))
    model.register_forward_hook(lambda module, args, output: (seen.append("after"), output + 1)[1])
    for _ in range(2):
        assert model(FOUR).tolist() == [3, 5, 7, 9]
    assert seen == ["before", "after"] * 2


def test_an_instance_is_freed_with_its_last_reference():
    """Nothing of the engine's holds it, compiled or not."""
    for call in (False, True):
        model = ci.support_torch_compile(new(Layer))(vllm_config=config())
        if call:
            model(torch.ones(3, 4))
        gone = weakref.ref(model)
        del model
        gc.collect()
        assert gone() is None


def test_a_copy_of_a_decorated_instance_compiles_for_itself():
    """It starts uncompiled, and what it closes over is its own."""
    model = ci.support_torch_compile(new(Layer))(vllm_config=config())
    x = torch.randn(3, 4)
    model(x)
    other = copy.deepcopy(model)
    assert not other.compiled
    with torch.no_grad():
        other.linear.weight.zero_()
        other.linear.bias.fill_(1)
    assert torch.equal(other(x), torch.ones(3, 4))
    torch.testing.assert_close(model(x), torch.relu(model.linear(x)))
    assert other.compiled


def test_a_forward_that_raises_can_be_called_again():
    """The error comes out; the next call, with what it can take, compiles."""

    @ci.support_torch_compile
    class Raising(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.dim() == 1:
                raise ValueError("one dimension")
            return x * 2

    model = Raising(vllm_config=config())
    with pytest.raises(Exception, match="one dimension"):
        model(FOUR)
    assert not model.compiled
    assert model(torch.ones(2, 2)).tolist() == [[2, 2], [2, 2]]
    assert model.compiled


def test_a_constructor_that_raises_leaves_nothing_behind():
    """The next instance is built as if nothing had been."""

    @ci.support_torch_compile
    class Raising(Branch):
        def __init__(self, fail: bool) -> None:
            super().__init__()
            if fail:
                raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Raising(True, vllm_config=config())
    with ci.compilation_counter.expect(num_models_seen=1):
        assert Raising(False, vllm_config=config())(FOUR).tolist() == [2, 4, 6, 8]


def test_wrong_arguments_of_a_call_are_pythons_own_error():
    """The wrapper has the forward's parameters, so that a bad call is refused as without it."""
    model = ci.support_torch_compile(new())(vllm_config=config())
    with pytest.raises(TypeError, match=r"forward\(\) missing 1 required positional argument: 'x'"):
        model()
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        model(FOUR, z=1)


def test_every_form_of_parameter_is_passed_on():
    """Positional only, defaults, *args, keyword only, **kwargs, and a closure."""
    factor = 2.0

    class Every(torch.nn.Module):
        def forward(
            self, x: torch.Tensor, /, y: float = 1.0, *rest: float, k: float = 0.0, **more: float
        ) -> torch.Tensor:
            return x * factor + y + sum(rest) + k + sum(more.values())

    model = ci.support_torch_compile(Every)(vllm_config=config())
    assert model(FOUR).tolist() == [3, 5, 7, 9]
    assert model(FOUR, 0.0, 1.0, 2.0, k=10.0, z=20.0).tolist() == [35, 37, 39, 41]
    assert model(FOUR).tolist() == [3, 5, 7, 9]


def test_intermediate_tensors_go_in_and_out():
    """As an argument, every tensor of it dynamic, and as the answer."""

    @ci.support_torch_compile
    class Stage(torch.nn.Module):
        def forward(
            self, x: torch.Tensor, states: ci.IntermediateTensors | None = None
        ) -> ci.IntermediateTensors:
            if states is None:
                return ci.IntermediateTensors({"h": x})
            return ci.IntermediateTensors({"h": x + states["h"]})

    model = Stage(vllm_config=config())
    for size in (4, 5):
        out = model(torch.ones(size), ci.IntermediateTensors({"h": torch.ones(size)}))
        assert isinstance(out, ci.IntermediateTensors)
        assert out["h"].tolist() == [2] * size
    assert model(FOUR)["h"].tolist() == [1, 2, 3, 4]


def test_should_torch_compile_mm_encoder_is_the_settings():
    """For enable_if of encoders."""
    assert not ci.should_torch_compile_mm_encoder(config())
    assert ci.should_torch_compile_mm_encoder(config(compile_mm_encoder=True))


def test_any_object_with_a_compilation_config_serves():
    """A foreign configuration needs no more than a mode; a class that is no module gets a call."""

    @ci.support_torch_compile
    class Plain:
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    foreign = types.SimpleNamespace(compilation_config=types.SimpleNamespace(mode=2, backend="eager"))
    model = Plain(vllm_config=foreign)
    assert model(FOUR).tolist() == [2, 4, 6, 8]
    assert model.compiled
