from __future__ import annotations

import logging
import os
from typing import Any

import pytest
import torch

import compile_inspector as ci
from compile_inspector.errors import GuardViolation, InvalidConfig
from engine.models import Branch, Layer, Scaled, config, numbers

FOUR, THREE = numbers(1, 2, 3, 4), numbers(1, 2, 3)


def decorated(**given: Any) -> type:
    """Branch, decorated anew."""
    return ci.support_torch_compile(**(given or {"dynamic_arg_dims": {"x": 0}}))(
        type("Decorated", (Branch,), {})
    )


@pytest.mark.parametrize(("policy", "answer"), [("ignore", [2, 4, 6]), ("recompile", [100, 200, 300])])
def test_the_other_side_of_a_branch_on_the_size(policy: str, answer: list[float]):
    """The contract's known-good answers: the original's wrong one under "ignore", the right one by default."""
    model = decorated()(vllm_config=config(dropped_guards=policy))
    assert model(FOUR).tolist() == [2, 4, 6, 8]
    assert model(THREE).tolist() == answer


def test_the_other_side_raises_under_raise():
    """The violation names the size, what it was, and the user's line."""
    model = decorated()(vllm_config=config(dropped_guards="raise"))
    model(FOUR)
    line = Branch.forward.__code__.co_firstlineno + 1
    with pytest.raises(GuardViolation, match=r"4 <= L\['x'\]\.size\(\)\[0\], and it is 3") as raised:
        model(THREE)
    assert f"models.py:{line}: return x * 2 if len(x) >= 4 else x * 100" in str(raised.value)
    assert isinstance(raised.value, RuntimeError)
    assert model(numbers(1, 2, 3, 4, 5)).tolist() == [2, 4, 6, 8, 10]


@pytest.mark.parametrize("mode", [ci.CompilationMode.NONE, ci.CompilationMode.STOCK_TORCH_COMPILE])
def test_uncompiled_modes_run_the_forward(mode: Any):
    """A class in mode NONE or STOCK does not compile by itself, and is not counted."""
    with ci.compilation_counter.expect(num_models_seen=0, stock_torch_compile_count=0):
        model = decorated()(vllm_config=config(mode))
    assert model.do_not_compile
    assert (model(FOUR).tolist(), model(THREE).tolist()) == ([2, 4, 6, 8], [100, 200, 300])
    assert not model.compiled


def test_stock_mode_of_apply_is_torch_compile_with_every_guard():
    """Apply plays the runner: `module.compile`, counted once; both answers are right, and undo takes it back."""
    model = Branch()
    before = dict(vars(model))
    with ci.compilation_counter.expect(stock_torch_compile_count=1, num_models_seen=0):
        applied = ci.apply(
            model, dynamic_arg_dims={"x": 0}, vllm_config=config(ci.CompilationMode.STOCK_TORCH_COMPILE)
        )
    assert model._compiled_call_impl is not None
    assert (model(FOUR).tolist(), model(THREE).tolist()) == ([2, 4, 6, 8], [100, 200, 300])
    applied.undo()
    assert vars(model) == before
    assert type(model) is Branch


class Bound(torch.nn.Module):
    """Another answer for sizes below 10."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.shape[0] >= 10 else x - 1


@pytest.mark.parametrize("sizes", [(20, 5), (5, 20)])
@pytest.mark.parametrize("policy", ["recompile", "raise", "ignore"])
def test_evaluate_guards_raises_where_a_size_would_need_a_recompile(sizes: tuple[int, int], policy: str):
    """Under every policy the guards on sizes are kept, and one that does not hold raises a RuntimeError."""
    shapes = ci.DynamicShapesConfig(evaluate_guards=True)
    model = Bound()
    ci.apply(
        model,
        dynamic_arg_dims={"x": 0},
        vllm_config=config(dropped_guards=policy, dynamic_shapes_config=shapes),
    )
    first, second = sizes
    assert model(torch.zeros(first))[0] == (1 if first >= 10 else -1)
    with pytest.raises(RuntimeError, match=r"10|9.*L\['x'\]\.size\(\)\[0\]"):
        model(torch.zeros(second))
    assert model(torch.zeros(first + 1)).shape == (first + 1,)


def test_evaluate_guards_leaves_the_other_guards_to_the_policy():
    """A value that changed compiles anew; only sizes raise."""
    shapes = ci.DynamicShapesConfig(evaluate_guards=True)
    model = Scaled(2.0)
    ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config(dynamic_shapes_config=shapes))
    assert model(FOUR, 2).tolist() == [4, 8, 12, 16]
    assert model(FOUR, 3).tolist() == [6, 12, 18, 24]


@pytest.mark.parametrize("kind", ["BACKED", "UNBACKED", "BACKED_SIZE_OBLIVIOUS"])
@pytest.mark.parametrize("policy", ["recompile", "raise"])
def test_each_kind_of_dynamic_shape_serves_every_size_with_one_compile(kind: str, policy: str):
    """With "raise" a second compile would be an error: sizes 2 to 9 need none."""
    shapes = ci.DynamicShapesConfig(type=kind)
    model = Layer()
    applied = ci.apply(
        model,
        dynamic_arg_dims={"x": 0},
        vllm_config=config(dropped_guards=policy, dynamic_shapes_config=shapes),
    )
    for size in (4, 9, 2, 7):
        x = torch.randn(size, 4)
        torch.testing.assert_close(torch.relu(model.linear(x)), model(x))
        assert vars(x) == {}
    assert len(applied._program.entries) == 1


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("kind", ["BACKED", "UNBACKED", "BACKED_SIZE_OBLIVIOUS"])
@pytest.mark.parametrize("policy", ["recompile", "raise", "ignore"])
def test_a_first_size_of_0_or_1_gives_no_wrong_answer_later(first: int, kind: str, policy: str):
    """Later sizes get the right answer, or under "raise" a clear error; never a wrong result."""
    shapes = ci.DynamicShapesConfig(type=kind)
    model = Layer()
    ci.apply(
        model,
        dynamic_arg_dims={"x": 0},
        vllm_config=config(dropped_guards=policy, dynamic_shapes_config=shapes),
    )
    for size in (first, 4, 9):
        x = torch.randn(size, 4)
        if policy == "raise" and kind == "BACKED" and size == 4:
            with pytest.raises(GuardViolation, match=r"L\['x'\]"):
                model(x)
            return
        torch.testing.assert_close(torch.relu(model.linear(x)), model(x))


def test_a_branch_on_an_unbacked_size_is_torchs_clear_error():
    """A size without a value cannot be branched on; the instance can be called again."""
    shapes = ci.DynamicShapesConfig(type="UNBACKED")
    model = Branch()
    applied = ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config(dynamic_shapes_config=shapes))
    with pytest.raises(Exception, match=r"data-dependent|unbacked"):
        model(FOUR)
    applied.undo()
    assert model(THREE).tolist() == [100, 200, 300]


def test_shape_invariants_are_traced_before_the_forward():
    """With a `torch._check` the branch on an unbacked size can be traced, and the check holds at each call."""

    def invariants(self: Any, x: torch.Tensor) -> None:
        torch._check(x.size(0) >= 4)

    shapes = ci.DynamicShapesConfig(type="UNBACKED")
    for make in (
        lambda: ci.support_torch_compile(dynamic_arg_dims={"x": 0}, shape_invariants=invariants)(
            type("New", (Branch,), {})
        )(vllm_config=config(dynamic_shapes_config=shapes)),
        lambda: (
            ci.apply(
                Branch(),
                dynamic_arg_dims={"x": 0},
                shape_invariants=invariants,
                vllm_config=config(dynamic_shapes_config=shapes),
            ).module
        ),
    ):
        model = make()
        assert model(FOUR).tolist() == [2, 4, 6, 8]
        assert model(numbers(1, 2, 3, 4, 5)).tolist() == [2, 4, 6, 8, 10]


class Two(torch.nn.Module):
    """Two inputs of one length."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


def test_dims_of_one_shape_id_share_one_symbol():
    """Two unbacked dimensions add up where they are said to be equal."""
    shapes = ci.DynamicShapesConfig(type="UNBACKED")
    model = Two()
    ci.apply(
        model,
        dynamic_arg_dims={"x": {0: "n"}, "y": {0: "n"}},
        vllm_config=config(dynamic_shapes_config=shapes),
    )
    for size in (4, 6):
        assert model(torch.ones(size), torch.ones(size)).tolist() == [2] * size


def test_mark_unbacked_dims_on_top_of_backed_ones():
    """One dimension backed, one unbacked: every pair of sizes with one compile."""
    model = Layer()
    applied = ci.apply(
        model,
        dynamic_arg_dims={"x": 0},
        mark_unbacked_dims={"x": 1},
        vllm_config=config(dropped_guards="raise"),
    )
    for shape in ((3, 5, 4), (4, 1, 4), (2, 8, 4)):
        x = torch.randn(shape)
        torch.testing.assert_close(torch.relu(model.linear(x)), model(x))
    assert {one.kind for one in applied._program.marked} == {"backed", "unbacked"}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
def test_inductor_compiles_too():
    """The default backend generates code for every size."""
    model = Layer()
    ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config(backend=""))
    for size in (4, 6):
        x = torch.randn(size, 4)
        torch.testing.assert_close(torch.relu(model.linear(x)), model(x))


def test_inductors_settings_reach_inductor():
    """A setting that Inductor does not know is an error that names it, at the first call."""
    model = Layer()
    ci.apply(
        model,
        dynamic_arg_dims={"x": 0},
        vllm_config=config(backend="inductor", inductor_compile_config={"no_such": 1}),
    )
    with pytest.raises(RuntimeError, match="no_such"):
        model(torch.ones(2, 4))


calls: list[int] = []


def counting(graph: Any, example_inputs: Any) -> Any:
    """A backend by its qualified name."""
    calls.append(len(example_inputs))
    return graph.forward


def test_a_backend_can_be_any_registered_name_or_a_qualified_one():
    """One by its name, a function of a module by its path."""
    calls.clear()
    for backend in ("aot_eager", f"{__name__}.counting"):
        model = Layer()
        ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config(backend=backend))
        assert model(torch.zeros(2, 4)).shape == (2, 4)
    assert len(calls) == 1


@pytest.mark.parametrize("name", ["indutcor", "engine.models.nothing", "no.such.module"])
def test_an_unknown_backend_is_refused(name: str):
    """The error names it; the module can be applied to again."""
    model = Layer()
    ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config(backend=name))
    with pytest.raises(InvalidConfig, match=name):
        model(torch.ones(2, 4))
    ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config())
    assert model(torch.ones(2, 4)).shape == (2, 4)


def test_the_first_compile_says_and_books_its_seconds(caplog: pytest.LogCaptureFixture):
    """A decoder's time and an encoder's are added up apart."""
    one, other = config(), config()
    with caplog.at_level(logging.INFO, logger="compile_inspector"):
        decorated()(vllm_config=one)(FOUR)
        decorated(dynamic_arg_dims={"x": 0}, is_encoder=True)(vllm_config=other)(FOUR)
    assert caplog.text.count("the first compile took") == 2
    assert one.compilation_config.compilation_time > 0
    assert one.compilation_config.encoder_compilation_time == 0
    assert other.compilation_config.encoder_compilation_time > 0


def test_traced_files_are_forwards_and_every_inlined_functions():
    """The forward's own file and torch's module that it calls."""
    settings = config()
    ci.apply(Layer(), dynamic_arg_dims={"x": 0}, vllm_config=settings).module(torch.ones(2, 4))
    names = {file.rpartition("/")[2] for file in settings.compilation_config.traced_files}
    assert {"models.py", "linear.py"} <= names


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_settings_of_a_compile_hold_in_it_alone(error: type[BaseException]):
    """The contract's switches are set while the backend runs, and put back after an interrupt or its failure; the environment too."""
    import torch._dynamo.config as dynamo
    import torch.fx.experimental._config as fx

    inlining = torch._dynamo.symbolic_convert.InliningInstructionTranslator
    before = (
        dynamo.enable_cpp_symbolic_shape_guards,
        fx.backed_size_oblivious,
        inlining.__dict__["inline_call_"],
    )
    seen: list[Any] = []

    def failing(graph: Any, example_inputs: Any) -> Any:
        seen.append((dynamo.enable_cpp_symbolic_shape_guards, fx.backed_size_oblivious))
        raise error(error.__name__)

    name = f"failing_{error.__name__.lower()}"
    torch._dynamo.register_backend(failing, name=name)
    environment = dict(os.environ)
    shapes = ci.DynamicShapesConfig(type="BACKED_SIZE_OBLIVIOUS")
    model = Layer()
    x = torch.ones(2, 4)
    ci.apply(
        model,
        dynamic_arg_dims={"x": 0},
        vllm_config=config(backend=name, dynamic_shapes_config=shapes),
    )
    with pytest.raises((error, RuntimeError), match=error.__name__):
        model(x)
    assert os.environ == environment
    assert seen == [(False, True)]
    assert before == (
        dynamo.enable_cpp_symbolic_shape_guards,
        fx.backed_size_oblivious,
        inlining.__dict__["inline_call_"],
    )
    assert vars(x) == {}
    ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config())
    assert model(x).shape == (2, 4)
