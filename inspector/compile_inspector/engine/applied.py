"""`apply`: compiling one live module, and taking that back without a trace."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import torch

from compile_inspector.engine import capture, dims, narration
from compile_inspector.engine.artifacts import keeping
from compile_inspector.engine.compiled import Program, resolve_backend
from compile_inspector.engine.config import CompilationMode
from compile_inspector.engine.context import check_config, get_current_vllm_config
from compile_inspector.engine.counters import compilation_counter
from compile_inspector.engine.decorator import dispatch, options_of, programs
from compile_inspector.engine.wrapping import adopt, base_of
from compile_inspector.errors import NotDecoratable
from compile_inspector.torch_seams import direct


class Applied:
    """One module that compiles itself; as a context manager, only within its block.

    Attributes:
        module: The module, the same object as before.
    """

    def __init__(self, module: Any, program: Program, before: Before) -> None:
        self.module = module
        self._program = program
        self._before = before

    @property
    def active(self) -> bool:
        """Whether it is still what the module's calls go through."""
        return programs.get(self.module) is self._program

    @property
    def compiled(self) -> bool:
        """Whether something has been compiled."""
        return self._program.compiled

    @property
    def settings(self) -> dict[str, Any]:
        """What was applied, as plain values: the fact ``applied``."""
        return self._program.applied_fact()

    @property
    def unmarked(self) -> tuple[dims.Unmarked, ...]:
        """Inputs that share a marked size and were not marked themselves, at the latest compile."""
        return self._program.unmarked

    def capture(self, sizes: Iterable[int], **options: Any) -> capture.CaptureReport:
        """Captures CUDA graphs for these batch sizes; calls run from them afterwards. Options: those of `capture_graphs`.

        Raises:
            InvalidConfig, CaptureError: As `capture_graphs`.
        """
        return capture.capture_graphs(self.module, sizes, **options)

    def inputs(self, size: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments that the graph of a size reads: filled in place and passed to the module, they are not copied.

        Raises:
            CaptureError: No graph of this size was captured.
        """
        return capture.graph_inputs(self.module, size)

    def release(self) -> None:
        """Frees every captured graph; calls run compiled again."""
        capture.release_graphs(self.module)

    def undo(self) -> None:
        """Makes the module what it was before anything was applied to it; again is no error."""
        undo(self.module)

    def __enter__(self) -> Applied:
        return self

    def __exit__(self, *_: object) -> None:
        """Makes the module what it was before this: plain, or as an earlier `apply` left it."""
        if self.active:
            self.release()
            _restore(self.module, self._before)

    def __repr__(self) -> str:
        state = "undone" if not self.active else "compiled" if self.compiled else "not called yet"
        return f"<Applied to {base_of(self.module).__qualname__}: {state}>"


def apply(
    module: Any,
    *,
    dynamic_arg_dims: dims.Dims | None = None,
    mark_unbacked_dims: dims.Dims | None = None,
    enable_if: Callable[[Any], bool] | None = None,
    is_encoder: bool = False,
    shape_invariants: Callable[..., Any] | None = None,
    vllm_config: Any = None,
    prefix: str = "",
) -> Applied:
    """Lets one module that exists compile its forward at its next call; other instances of its class are untouched.

    Applied again, the new settings take the place of the old ones and nothing compiled is kept. Inputs that share a marked size without
    being marked are reported before the compile, in the log and in `Applied.unmarked`.

    Args:
        module: It.
        dynamic_arg_dims: As of `support_torch_compile`.
        mark_unbacked_dims: As there.
        enable_if: As there, asked now.
        is_encoder: As there.
        shape_invariants: As there.
        vllm_config: The configuration; the current one when None. In mode STOCK_TORCH_COMPILE the module is given to `torch.compile`.
        prefix: What to call the module in reports, such as ``model.layers.0``.

    Raises:
        NotDecoratable: It is no module, or one that cannot be wrapped (a TypeError).
        InvalidDims: As `support_torch_compile` (a ValueError).
    """
    if not isinstance(module, torch.nn.Module) or isinstance(module, torch.jit.ScriptModule):
        msg = f"apply takes a torch.nn.Module that runs in Python, got {type(module).__name__}"
        raise NotDecoratable(msg)
    config = vllm_config if vllm_config is not None else get_current_vllm_config()
    check_config(config)
    given = {
        "dynamic_arg_dims": dynamic_arg_dims,
        "mark_unbacked_dims": mark_unbacked_dims,
        "enable_if": enable_if,
        "is_encoder": is_encoder,
        "shape_invariants": shape_invariants,
    }
    options = options_of(base_of(module), given)
    mode = config.compilation_config.mode
    enabled = enable_if is None or bool(enable_if(config))
    stock = mode == CompilationMode.STOCK_TORCH_COMPILE and enabled
    backend = resolve_backend(getattr(config.compilation_config, "backend", "")) if stock else None
    before = _remember(module)
    known = None if before.program is None else before.program.origin
    try:
        program = Program(
            module,
            adopt(module, dispatch),
            options,
            config,
            prefix=prefix,
            do_not_compile=not enabled or mode in (CompilationMode.NONE, CompilationMode.STOCK_TORCH_COMPILE),
            how="applied",
        )
        program.origin, program.stock_backend = known or before, backend
        _install(module, program)
    except BaseException:
        _restore(module, before)
        raise
    if stock:
        compilation_counter.add("stock_torch_compile_count")
    elif not program.do_not_compile:
        compilation_counter.add("num_models_seen")
        keeping.prepare(config.compilation_config)
    narration.applied(program.applied_fact())
    return Applied(module, program, before)


def undo(module: Any) -> bool:
    """Makes a module what it was before anything was applied to it; whether anything was."""
    program: Any = programs.get(module)
    if program is None or program.origin is None:
        return False
    if program.captured is not None:
        capture.release_graphs(module)
    _restore(module, program.origin)
    del program
    direct.sweep()
    return True


class Before(msgspec.Struct, frozen=True):
    """What a module was before something was applied to it; holds neither the module nor anything that does.

    Attributes:
        cls: Its class.
        program: What its calls went through; None for nothing.
    """

    cls: type
    program: Any


def _remember(module: Any) -> Before:
    """What a module is now, taken out of the way.

    Raises:
        NotDecoratable: Somebody else has given it to torch.compile.
    """
    program: Any = programs.get(module)
    if module.__dict__.get("_compiled_call_impl") is not None and (
        program is None or program.stock_backend is None
    ):
        msg = (
            f"this {type(module).__name__} was given to torch.compile already (module.compile()); its calls would never reach what "
            "is applied here. Set module._compiled_call_impl = None first"
        )
        raise NotDecoratable(msg)
    if program is not None:
        program.rest()
        programs.pop(module)
    return Before(module.__class__, program)


def _install(module: Any, program: Any) -> None:
    programs.put(module, program, functools.partial(_forget, program.wrapper))
    program.resume()
    module.__dict__.pop("_compiled_call_impl", None)
    if program.stock_backend is not None:
        module.compile(fullgraph=True, backend=program.stock_backend)


def _restore(module: Any, before: Before) -> None:
    current = programs.pop(module)
    if current is not None:
        current.rest()
    module.__class__ = before.cls
    module.__dict__.pop("_compiled_call_impl", None)
    if before.program is not None:
        _install(module, before.program)


def _forget(wrapper: Any, key: int) -> None:
    wrapper.hot.pop(key, None)
