from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch

import compile_inspector as ci
from compile_inspector.engine.decorator import programs
from engine.models import Branch, Layer, Scaled, config, numbers


@pytest.fixture(autouse=True, scope="module")
def guard_of_the_main_thread() -> None:
    """Built with CUDA, where there is no GPU, torch 2.11 crashes at a compile when the thread of the process's first compile has ended."""
    make = getattr(torch._C, "_ensureCUDADeviceGuardSet", None)
    if make is not None:
        make()


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """Runs each in a thread of its own, all let go together; their answers, or what they raised."""
    barrier, answers = threading.Barrier(len(work)), [None] * len(work)

    def run(index: int) -> None:
        barrier.wait()
        try:
            answers[index] = work[index]()
        except BaseException as error:
            answers[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_two_threads_on_two_instances_get_each_its_own_answer():
    """First compiles at once, of one class: nothing of one reaches the other, and the class's code is as it was."""
    cls = ci.support_torch_compile(type("New", (Scaled,), {}))
    code = Scaled.forward.__code__
    models = [cls(scale, vllm_config=config()) for scale in (2.0, 3.0, 5.0, 7.0)]
    x = numbers(1, 2, 3)
    work = [lambda model=model: [model(x).tolist() for _ in range(50)] for model in models]
    answers = at_once(*work)
    assert answers == [[[scale, 2 * scale, 3 * scale]] * 50 for scale in (2.0, 3.0, 5.0, 7.0)]
    assert Scaled.forward.__code__ is code
    assert [model(x).tolist()[0] for model in models] == [2.0, 3.0, 5.0, 7.0]
    assert [len(programs.get(model).entries) for model in models] == [1] * 4


def test_threads_on_one_instance_compile_it_once():
    """The first to come compiles, the others wait and run what it made."""
    model = Layer()
    applied = ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config())
    inputs = [torch.randn(size, 4) for size in (3, 4, 5, 6)]
    answers = at_once(*[lambda x=x: model(x) for x in inputs])
    for x, answer in zip(inputs, answers, strict=True):
        torch.testing.assert_close(torch.relu(model.linear(x)), answer)
    assert len(applied._program.entries) == 1


def test_threads_that_need_different_entries_get_them():
    """Both sides of a branch, from two threads, many times over."""
    model = Branch()
    ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config())
    big, small = numbers(1, 2, 3, 4), numbers(1, 2, 3)
    answers = at_once(
        lambda: [model(big).tolist() for _ in range(100)], lambda: [model(small).tolist() for _ in range(100)]
    )
    assert answers == [[[2, 4, 6, 8]] * 100, [[100, 200, 300]] * 100]


def test_a_failing_compile_in_one_thread_leaves_the_other_alone():
    """Its error is its own, and the lock is free again."""
    good, bad = Layer(), Layer()
    ci.apply(good, dynamic_arg_dims={"x": 0}, vllm_config=config())
    ci.apply(bad, dynamic_arg_dims={"x": 7}, vllm_config=config())
    x = torch.randn(3, 4)
    answer, error = at_once(lambda: good(x), lambda: bad(x))
    torch.testing.assert_close(torch.relu(good.linear(x)), answer)
    assert "dimension 7" in str(error)


def test_apply_and_undo_while_others_call_never_give_a_wrong_answer():
    """A call finds the module plain or applied, nothing between."""
    model, x = Branch(), numbers(1, 2, 3)

    def toggling() -> int:
        for _ in range(30):
            ci.apply(model, dynamic_arg_dims={"x": 0}, vllm_config=config()).undo()
        return 0

    answers = at_once(toggling, lambda: {tuple(model(x).tolist()) for _ in range(300)})
    assert answers == [0, {(100.0, 200.0, 300.0)}]
