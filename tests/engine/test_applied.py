from __future__ import annotations

import copy
import gc
import textwrap
import weakref
from collections.abc import Callable
from typing import Any

import psutil
import pytest
import torch

import compile_inspector as ci
from compile_inspector.engine.compiled import Program
from compile_inspector.engine.decorator import programs
from compile_inspector.errors import InvalidDims, NotDecoratable
from compile_inspector.torch_seams import direct
from compile_inspector.torch_seams.direct import own_code
from engine.models import Branch, Layer, config, numbers

FOUR, THREE = numbers(1, 2, 3, 4), numbers(1, 2, 3)


def apply(module: Any, **given: Any) -> Any:
    """Applied with tests' settings."""
    return ci.apply(module, **({"dynamic_arg_dims": {"x": 0}, "vllm_config": config()} | given))


def test_one_instance_compiles_and_no_other():
    """Another of the class goes on as it was; the class itself is untouched."""
    forward = Layer.forward
    one, other = Layer(), Layer()
    applied = apply(one)
    x = torch.randn(3, 4)
    for _ in range(2):
        torch.testing.assert_close(torch.relu(one.linear(x)), one(x))
    assert applied.module is one
    assert applied.compiled
    assert type(other) is Layer
    assert programs.get(other) is None
    assert Layer.forward is forward


def test_the_module_looks_and_behaves_as_before():
    """isinstance, names, repr, state_dict, parameters, attributes."""
    module = Layer()
    text, state, held = repr(module), module.state_dict(), set(vars(module))
    apply(module)
    module(torch.ones(2, 4))
    assert isinstance(module, Layer)
    cls = type(module)
    assert (cls.__name__, cls.__qualname__, cls.__module__) == ("Layer", "Layer", Layer.__module__)
    assert repr(module) == text
    assert list(module.state_dict()) == list(state)
    assert {name for name, _ in module.named_parameters()} == set(state)
    assert set(vars(module)) == held
    module.load_state_dict({name: torch.zeros_like(value) for name, value in state.items()})
    assert module(torch.ones(2, 4)).sum() == 0


def test_undo_leaves_no_trace():
    """Class and attributes are exactly what they were, and again is no error."""
    module = Branch()
    before = dict(vars(module))
    applied = apply(module)
    module(FOUR)
    applied.undo()
    applied.undo()
    assert type(module) is Branch
    assert vars(module) == before
    assert programs.get(module) is None
    assert not applied.active
    assert module(THREE).tolist() == [100, 200, 300]


def test_as_a_context_manager_it_holds_within_the_block():
    """Left well or by an error."""
    module = Branch()
    with apply(module) as applied:
        assert applied.module(FOUR).tolist() == [2, 4, 6, 8]
    assert type(module) is Branch
    with pytest.raises(TypeError), apply(module):
        module()
    assert type(module) is Branch


def test_blocks_nest():
    """The inner block's end gives the outer application back, with what it had compiled."""
    module = Branch()
    with apply(module, vllm_config=config(dropped_guards="ignore")) as outer:
        module(FOUR)
        with apply(module, vllm_config=config(dropped_guards="recompile")) as inner:
            assert module(THREE).tolist() == [100, 200, 300]
            assert inner.active
            assert not outer.active
        assert outer.active
        assert module(THREE).tolist() == [2, 4, 6]
    assert type(module) is Branch


def test_applying_twice_updates_and_one_undo_ends_both():
    """The new settings hold; the module is plain again after one undo, whichever handle it comes from."""
    for which in (0, 1):
        module = Branch()
        handles = [
            apply(module, vllm_config=config(dropped_guards=policy)) for policy in ("ignore", "recompile")
        ]
        module(FOUR)
        assert module(THREE).tolist() == [100, 200, 300]
        assert [handle.active for handle in handles] == [False, True]
        handles[which].undo()
        assert type(module) is Branch
        assert programs.get(module) is None


def test_a_decorated_instance_can_be_applied_to_and_gets_its_own_back():
    """The decoration rests, and what it had compiled is there again after undo."""
    model = ci.support_torch_compile(type("Own", (Branch,), {}))(vllm_config=config(dropped_guards="ignore"))
    cls = type(model)
    model(FOUR)
    applied = apply(model)
    assert model(THREE).tolist() == [100, 200, 300]
    applied.undo()
    assert type(model) is cls
    assert model.compiled
    assert model(THREE).tolist() == [2, 4, 6]


def test_hooks_train_eval_and_to_keep_working():
    """Hooks fire; a mode or a dtype that changed is followed."""
    module, seen = Layer(), []
    apply(module)
    module.register_forward_hook(lambda *_: seen.append(1))
    x = torch.randn(3, 4)
    module(x)
    module.eval()
    module(x)
    module.to(torch.float64)
    assert module(x.double()).dtype == torch.float64
    assert len(seen) == 3
    module.to(torch.float32).train()
    torch.testing.assert_close(torch.relu(module.linear(x)), module(x))


def test_gradients_flow():
    """Backward through the compiled forward gives the eager gradients."""
    module = Layer()
    reference = copy.deepcopy(module)
    apply(module, vllm_config=config(backend="aot_eager"))
    x = torch.randn(3, 4)
    module(x).sum().backward()
    reference(x).sum().backward()
    torch.testing.assert_close(module.linear.weight.grad, reference.linear.weight.grad)


def test_a_parent_that_is_compiled_inlines_it():
    """An applied layer in a model that its user compiles is traced through."""
    model = torch.nn.Sequential(Layer(), Layer())
    apply(model[0])
    x = torch.randn(3, 4)
    torch.testing.assert_close(
        torch.compile(model, backend="eager", fullgraph=True)(x), model[1](torch.relu(model[0].linear(x)))
    )


def test_an_applied_layer_works_within_its_model():
    """The other layers run as they are."""
    model = torch.nn.Sequential(Layer(), Layer())
    expected = model(torch.ones(3, 4))
    applied = apply(model[0])
    torch.testing.assert_close(expected, model(torch.ones(3, 4)))
    assert applied.compiled


def test_inheritance_keeps_working():
    """A forward that calls its parent's, through super(), is one program."""

    class Child(Branch):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + 1

    module = Child()
    applied = apply(module)
    assert (module(FOUR).tolist(), module(THREE).tolist()) == ([3, 5, 7, 9], [101, 201, 301])
    assert applied.compiled


def test_the_module_is_freed_with_its_last_reference():
    """Compiled, applied twice and called: nothing holds it."""
    module = Layer()
    apply(module)
    apply(module)
    module(torch.ones(3, 4))
    gone = weakref.ref(module)
    del module
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("wrong", [3, None, lambda x: x, Branch])
def test_only_a_live_module_can_be_applied_to(wrong: Any):
    """The error names what came."""
    with pytest.raises(NotDecoratable, match=r"takes a torch\.nn\.Module that runs in Python, got"):
        apply(wrong)


def test_a_forward_in_the_instance_is_refused():
    """It would hide ours; the message says so, and nothing was changed."""
    module = Branch()
    module.forward = lambda x: x
    with pytest.raises(NotDecoratable, match="has a forward of its own"):
        apply(module)
    assert type(module) is Branch


def test_a_module_given_to_torch_compile_is_refused():
    """Its calls would not reach what is applied."""
    module = Branch()
    module.compile(backend="eager")
    with pytest.raises(NotDecoratable, match=r"given to torch\.compile already"):
        apply(module)
    assert type(module) is Branch


def test_wrong_dims_leave_an_earlier_application_as_it_was():
    """An apply that is refused changes nothing."""
    module = Branch()
    first = apply(module)
    with pytest.raises(InvalidDims):
        apply(module, dynamic_arg_dims={"y": 0})
    assert first.active
    assert module(FOUR).tolist() == [2, 4, 6, 8]


def test_inference_serves_apply_too():
    """Without dims they are read off the annotations."""
    module = Branch()
    with ci.apply(module, vllm_config=config(dropped_guards="raise")):
        assert module(FOUR).tolist() == [2, 4, 6, 8]
        assert module(numbers(1, 2, 3, 4, 5)).tolist() == [2, 4, 6, 8, 10]


def test_enable_if_is_asked_at_once():
    """False: the module runs as it is, and is not counted."""
    module = Branch()
    with ci.compilation_counter.expect(num_models_seen=0):
        applied = apply(module, enable_if=lambda settings: False)
    assert module(THREE).tolist() == [100, 200, 300]
    assert not applied.compiled
    applied.undo()
    assert type(module) is Branch


class Decorators:
    """Wraps a forward as libraries do."""

    @staticmethod
    def wrapping(function: Any) -> Any:
        import functools

        @functools.wraps(function)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            return function(self, *args, **kwargs)

        return wrapper


class Wrapped(torch.nn.Module):
    """A forward behind a decorator with *args and **kwargs."""

    @Decorators.wrapping
    def forward(self, x: torch.Tensor, scale: float = 2.0) -> torch.Tensor:
        return x * scale


def test_a_forward_behind_a_librarys_decorator_is_followed():
    """Dims are named by the inner function's parameters; calls by position and by name compile and answer right."""
    module = Wrapped()
    apply(module)
    for size in (4, 5):
        assert module(torch.ones(size)).tolist() == [2] * size
        assert module(x=torch.ones(size), scale=3.0).tolist() == [3] * size


def test_a_thousand_applies_and_undos_leave_memory_flat():
    """Neither objects nor resident memory grow."""
    module = Layer()

    def rounds(count: int) -> None:
        for _ in range(count):
            apply(module).undo()
        gc.collect()

    rounds(100)
    objects, memory = len(gc.get_objects()), psutil.Process().memory_info().rss
    rounds(1000)
    assert len(gc.get_objects()) - objects < 200
    assert psutil.Process().memory_info().rss - memory < 4 << 20


def test_compiling_and_undoing_again_and_again_holds_no_more_than_torch_compile():
    """No program and no name in the module's globals outlives its application; what torch keeps of each compile is torch's."""
    module, x = Layer(), torch.ones(3, 4)

    def ours() -> None:
        with apply(module):
            module(x)

    def torchs() -> None:
        marked = torch.ones(3, 4)
        torch._dynamo.mark_dynamic(marked, 0)
        torch.compile(own_code(Layer.forward), backend="eager", fullgraph=True)(module, marked)

    def growth(run: Callable[[], None]) -> int:
        run()
        gc.collect()
        before = len(gc.get_objects())
        for _ in range(10):
            run()
        gc.collect()
        return len(gc.get_objects()) - before

    growth(torchs)
    assert growth(ours) <= growth(torchs) * 1.1
    assert [one for one in gc.get_objects() if type(one) is Program and one._cls.__name__ == "Layer"] == []
    direct.sweep()
    assert [name for name in Layer.forward.__globals__ if name.endswith("_bare")] == []


@pytest.mark.parametrize(
    ("make", "key", "shapes"),
    [
        (lambda: torch.nn.Linear(4, 4), "input", ((3, 4), (5, 4))),
        (lambda: torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()), "input", ((3, 4), (5, 4))),
        (lambda: torch.nn.TransformerEncoderLayer(4, 2, batch_first=True), "src", ((3, 2, 4), (5, 2, 4))),
    ],
)
def test_torchs_own_modules_can_be_applied_to(make: Any, key: str, shapes: Any):
    """Dynamo begins no trace in torch's own files; one compile serves all sizes there too."""
    module = make().eval()
    reference = copy.deepcopy(module)
    applied = apply(module, dynamic_arg_dims={key: 0}, vllm_config=config(dropped_guards="raise"))
    for shape in shapes:
        x = torch.randn(shape)
        torch.testing.assert_close(reference(x), module(x))
    assert len(applied._program.entries) == 1


class Gradless(torch.nn.Module):
    """A forward behind torch's own decorator."""

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


def test_a_forward_under_no_grad_can_be_applied_to():
    """Its function is torch's, and takes *args only."""
    module = Gradless()
    applied = apply(module)
    for size in (3, 4):
        assert not module(torch.ones(size, requires_grad=True)).requires_grad
    assert applied.compiled


class Breaking(torch.nn.Module):
    """Cannot be traced in one graph."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print(end="")
        return x


def test_a_graph_break_is_torchs_error_each_time():
    """No graph, no silence: the error says what could not be traced, and undo gives the module back."""
    module = Breaking()
    applied = apply(module)
    for _ in range(2):
        with pytest.raises(Exception, match="print"):
            module(FOUR)
    applied.undo()
    assert module(FOUR) is FOUR


def test_a_namespace_can_be_emptied_name_by_name() -> None:
    """A name of ours stays, empty, when its module goes: a program that deletes each name it found in a namespace still finds it."""
    scope: dict[str, object] = {}
    exec(
        textwrap.dedent(
            """
            import torch, compile_inspector as ci
            class Twice(torch.nn.Module):
                def forward(self, x):
                    return x * 2
            module = Twice()
            eager = ci.InspectorConfig(compilation_config=ci.CompilationConfig(backend="eager"))
            applied = ci.apply(module, dynamic_arg_dims={"x": 0}, vllm_config=eager)
            module(torch.ones(4))
            """
        ),
        scope,
    )
    (name,) = [name for name in scope if name.endswith("_bare")]
    del scope["module"], scope["applied"]
    gc.collect()
    assert scope[name] is None
    del scope[name]
    direct.sweep()
    assert name not in scope
