"""`capture_graphs`: warms a compiled module up and captures it for each of a list of batch sizes, largest first, within a budget.

What is captured is used by the module's calls from then on (see dispatch.py). Whatever goes wrong with one size leaves the others usable, and
is told with the reason.
"""

from __future__ import annotations

import itertools
import numbers
import operator
import reprlib
import types
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from compile_inspector.engine.arguments import CallShape, call_shape
from compile_inspector.engine.capture_report import CaptureReport as CaptureReport
from compile_inspector.engine.capture_report import CaptureStep as CaptureStep
from compile_inspector.engine.capture_run import FULL, PIECEWISE, Budget, Run
from compile_inspector.engine.captured import Captured
from compile_inspector.engine.config import CUDAGraphMode
from compile_inspector.engine.context import (
    enter_forward_context,
    leave_forward_context,
    validate_cudagraph_capturing_enabled,
)
from compile_inspector.engine.counters import compilation_counter
from compile_inspector.engine.dispatch import in_capture
from compile_inspector.errors import CaptureError, InvalidConfig
from compile_inspector.torch_seams import cuda_graphs

MOST_SIZES = 10_000


def capture_graphs(
    module: Any,
    sizes: Iterable[int],
    *,
    args: tuple[Any, ...] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    mode: CUDAGraphMode | str | None = None,
    warmups: int = 1,
    copy_outputs: bool = True,
    measure: bool = False,
    max_capture_seconds: float | None = None,
    max_pool_bytes: int | None = None,
    progress: Callable[[CaptureStep], object] | None = None,
) -> CaptureReport:
    """Captures CUDA graphs of a decorated or applied module for these batch sizes; its calls run from them afterwards.

    A call is padded to the next captured size, replayed and cut; what no graph fits runs compiled, and is counted with its reason in
    `Session.captures`. Padding is tried while capturing: where a row of the results depends on other rows, only the captured sizes
    themselves run from graphs. Buffers and other tensors that the forward writes into are put back to what they held.

    Args:
        module: The module; what was captured of it before is freed.
        sizes: Batch sizes: of the first dimension that was marked dynamic, and of all that have its size.
        args: Arguments of a call to take shapes and values from; the latest call that was compiled, with made-up values, when None.
        kwargs: More of them.
        mode: FULL (one graph), PIECEWISE (one a piece) or FULL_AND_PIECEWISE (both; a call takes the piecewise ones where the whole
            model could not be captured). None: the configuration's; FULL where that is NONE.
        warmups: Calls before each capture, at least 1.
        copy_outputs: Return copies. False returns what the graphs write, which the next replay overwrites.
        measure: Also time a call from the graph, compiled, and as it is, for each size.
        max_capture_seconds: When this is over, what is left stays uncaptured and is told so.
        max_pool_bytes: What the graphs' memory may take; a capture that exceeds it is given back.
        progress: Told of each size before and after it.

    Raises:
        InvalidConfig: Sizes, warm-ups, a mode, a budget or arguments of a call that cannot be.
        CaptureError: Nothing was compiled yet, the module does not compile, its arguments cannot be held, or this is a capture already.
    """
    from compile_inspector.engine.decorator import programs

    wanted, budget = checked_sizes(sizes), Budget(max_capture_seconds, max_pool_bytes)
    if isinstance(warmups, bool) or not isinstance(warmups, numbers.Integral):
        msg = f"warmups must be a whole number of 1 or more, got {warmups!r}"
        raise InvalidConfig(msg)
    if in_capture.get() or cuda_graphs.is_capturing():
        msg = "a capture is going on in this thread: CUDA graphs cannot be captured within one another"
        raise CaptureError(msg)
    program: Any = programs.get(module)
    if program is None or program.do_not_compile:
        msg = f"this {type(module).__name__} is not compiled here: apply it first, in a mode that compiles (ci.apply(module, …))"
        raise CaptureError(msg)
    validate_cudagraph_capturing_enabled()
    modes = _modes(mode, program)
    shape = _shape_of(program, module, args, kwargs)
    if program.captured is not None:
        program.captured.release()
        program.captured = None
        program.refresh()
    captured = Captured(program, shape, copy_outputs=copy_outputs)
    compilation_counter.add("num_gpu_runner_capture_triggers")
    example = None if args is None and kwargs is None else shape.read(*_passed(program, module, args, kwargs))
    run = Run(program, module, captured, warmups=max(1, int(warmups)), measure=measure, example=example)
    try:
        with cuda_graphs.CAPTURING, _settled(shape), cuda_graphs.without_collecting(run.device):
            return run.all(wanted, modes, budget, progress)
    finally:
        program.captured = captured
        program.refresh()


def release_graphs(module: Any) -> bool:
    """Frees what was captured of a module; its calls run compiled again. Whether anything was captured."""
    from compile_inspector.engine.decorator import programs

    program: Any = programs.get(module)
    if program is None or program.captured is None:
        return False
    program.captured.release()
    program.captured = None
    program.refresh()
    return True


def graph_inputs(module: Any, size: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that the graph of a size reads: filled in place and passed to the module, they are not copied.

    Raises:
        CaptureError: No whole-model graph of this size was captured.
    """
    from compile_inspector.engine.decorator import programs

    program: Any = programs.get(module)
    captured: Captured | None = None if program is None else program.captured
    for dispatch in () if captured is None else captured.dispatches.values():
        graph = dispatch.full.get(size) or dispatch.pieces.get(size)
        if graph is not None:
            return dispatch.shape.build(graph.leaves)
    msg = f"no graph of the size {size} was captured"
    raise CaptureError(msg)


def _modes(mode: Any, program: Any) -> tuple[CUDAGraphMode, ...]:
    configured = getattr(program.config, "cudagraph_mode", None) or CUDAGraphMode.NONE
    asked = configured if mode is None else mode
    if isinstance(asked, str):
        asked = CUDAGraphMode.__members__.get(asked.upper(), asked)
    if not isinstance(asked, CUDAGraphMode) or (mode is not None and asked is CUDAGraphMode.NONE):
        msg = f"mode must be FULL, PIECEWISE or FULL_AND_PIECEWISE, got {mode!r}"
        raise InvalidConfig(msg)
    if asked.has_piecewise_cudagraphs() and not configured.has_piecewise_cudagraphs():
        msg = (
            "piecewise graphs were not asked for when this module was configured, so that its pieces are not wrapped: set splitting_ops and "
            'cudagraph_mode="FULL_AND_PIECEWISE" in its CompilationConfig'
        )
        raise CaptureError(msg)
    if asked is CUDAGraphMode.NONE:
        return (FULL,)
    return tuple(one for one in (FULL, PIECEWISE) if asked.has_mode(one))


def _shape_of(program: Any, module: Any, args: Any, kwargs: Any) -> CallShape:
    if args is None and kwargs is None:
        shape = program.call_shape
        if shape is None:
            msg = "nothing has been compiled yet that would show what calls are like: call the module once, or pass args=(…)"
            raise CaptureError(msg)
    else:
        passed, named = _passed(program, module, args, kwargs)
        marked, restore = program._mark(module, passed, named)
        restore()
        shape = call_shape(passed, named, program.parameters, marked)
        if shape.problem is None and not shape.size:
            msg = "the batch of these args is empty: pass a call with one row at least"
            raise InvalidConfig(msg)
    if shape.problem is not None:
        raise CaptureError(shape.problem)
    return shape


def _passed(program: Any, module: Any, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a caller gives as an example, as the wrapper passes it on.

    Raises:
        InvalidConfig: The forward cannot be called so.
    """
    if not isinstance(args, tuple | list | None):
        msg = f"args must be a tuple of the call's arguments, such as args=(x,), got a {type(args).__name__}"
        raise InvalidConfig(msg)
    if not isinstance(kwargs, Mapping | None):
        msg = f"kwargs must be a dict of the call's keywords, such as kwargs={{'x': x}}, got a {type(kwargs).__name__}"
        raise InvalidConfig(msg)
    try:
        return passed_on(program.wrapper, module, tuple(args or ()), dict(kwargs or {}))
    except TypeError as error:
        name, said = type(module).__name__, str(error).partition("bind() ")[2] or str(error)
        msg = f"{name}.forward() {said}: args and kwargs must be those of a call"
        raise InvalidConfig(msg) from None


def passed_on(
    wrapper: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments as the wrapper passes them on: positional as far as the forward has such parameters, defaults filled in."""
    code: types.CodeType = wrapper.original.__code__
    held = wrapper.bind(instance, *args, **kwargs)
    names = code.co_varnames
    positional = [held[name] for name in names[: code.co_argcount]]
    only = {name: held[name] for name in names[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]}
    rest = list(names[code.co_argcount + code.co_kwonlyargcount :])
    star = held[rest.pop(0)] if code.co_flags & 0x04 else ()
    double = held[rest.pop(0)] if code.co_flags & 0x08 else {}
    return tuple([*positional, *star][1:]), {**only, **double}


def checked_sizes(sizes: Any) -> tuple[int, ...]:
    """Batch sizes, each once, largest first.

    Raises:
        InvalidConfig: They are no list of whole numbers of 1 or more, or too many.
    """
    found: list[int] = []
    given: list[Any] = []
    if getattr(sizes, "ndim", None) == 0 or (isinstance(sizes, int) and not isinstance(sizes, bool)):
        given = [sizes]
    elif isinstance(sizes, Iterable) and not isinstance(sizes, str | bytes | Mapping):
        given = list(itertools.islice(sizes, MOST_SIZES + 1))
    if len(given) > MOST_SIZES:
        msg = f"sizes must be {MOST_SIZES:,} at most: each is captured by itself"
        raise InvalidConfig(msg)
    for one in given:
        try:
            number = -1 if isinstance(one, bool) else operator.index(one)
        except TypeError:
            number = -1
        if number < 1:
            msg = f"sizes must be whole numbers of 1 or more, got {one!r} among {reprlib.repr(given)}"
            raise InvalidConfig(msg)
        found.append(number)
    if not found:
        msg = f"sizes must be a list of batch sizes such as [1, 2, 4], got {reprlib.repr(sizes)}"
        raise InvalidConfig(msg)
    return tuple(sorted(set(found), reverse=True))


@contextmanager
def _settled(shape: CallShape) -> Generator[None]:
    """No gradients, no forward context of the caller's, the random generators left as they are, and nothing dispatched meanwhile."""
    devices = sorted({leaf.device.index or 0 for _, leaf in shape.tensors if leaf.device.type == "cuda"})
    inside, around = in_capture.set(True), enter_forward_context(None)
    grads = torch.is_grad_enabled()
    try:
        with torch.random.fork_rng(devices):
            if grads:
                torch.set_grad_enabled(False)
            yield
    finally:
        torch.set_grad_enabled(grads)
        leave_forward_context(around)
        in_capture.reset(inside)
