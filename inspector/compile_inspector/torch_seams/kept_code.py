"""What a backend compiled, as bytes, and as a callable again; and the settings under which it can be kept.

A graph compiled by AOTAutograd (Inductor, aot_eager) keeps itself where torch is told to bundle what it compiled; any other backend's
callable is kept where it is of torch's `SerializableCallable`.
Source: `torch._dynamo.aot_compile.aot_compile_fullgraph`, `torch._dynamo.aot_compile_types`.
"""

from __future__ import annotations

import functools
import importlib
import marshal
import threading
import types
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import Any

from compile_inspector.torch_seams.probe import Capability, lookup, patch, probe_names

NAME = "kept_code"
_TYPES = "torch._dynamo.aot_compile_types"
USES = (
    f"{_TYPES}:BundledAOTAutogradSerializableCallable",
    f"{_TYPES}:SerializableCallable",
    f"{_TYPES}:GraphModuleSerializableCallable",
    "torch._functorch.config:bundled_autograd_cache",
    "torch._functorch.config:bypass_autograd_cache_key",
    "torch._functorch.config:force_autograd_cache",
    "torch._functorch.config:force_non_lazy_backward_lowering",
    "torch._functorch.config:enable_autograd_cache",
    "torch._dynamo.backends.debugging:aot_eager",
    "torch._inductor.config:cpp.vec_isa_ok",
    "torch._inductor.cpu_vec_isa:valid_vec_isa_list",
    "torch._inductor.codecache:PyCodeCache",
    "torch._dynamo.utils:get_metrics_context",
    "torch._functorch._aot_autograd.runtime_wrappers:_FirstInvocationContext.__init__",
)
_SETTINGS = (
    "bundled_autograd_cache",
    "bypass_autograd_cache_key",
    "force_autograd_cache",
    "force_non_lazy_backward_lowering",
    "enable_autograd_cache",
)


_OF_INDUCTOR = (
    "torch._inductor.select_algorithm",
    "torch._inductor.async_compile",
    "torch._inductor.codegen.memory_planning",
    "torch._inductor.compile_fx",
    "torch._functorch._aot_autograd.aot_autograd_result",
    "torch._dynamo.aot_compile_types",
    "torch.utils.cpp_extension",
)


def probe() -> Capability:
    """Whether this torch can turn what it compiled into bytes."""
    return probe_names(USES)


def keeps(backend: str) -> bool:
    """Whether this torch can keep what one of its backends makes: of aot_eager, from 2.12 on."""
    return backend == "inductor" or hasattr(lookup("torch._dynamo.backends.debugging:"), "AOTEagerOutputCode")


@contextmanager
def keepable(backend: str) -> Generator[None]:
    """Settings under which what a backend compiles can be kept: forward and backward are compiled at once, and bundled."""
    settings = _SETTINGS if keeps(backend) else ()
    with lookup("torch._functorch.config:").patch(dict.fromkeys(settings, True)):
        yield


def prepare(backend: str) -> None:
    """Imports what compiling and loading need of torch, which takes seconds, before the first call does."""
    for name in ("torch._dynamo", *(_OF_INDUCTOR if backend == "inductor" else ())):
        with suppress(ImportError):
            importlib.import_module(name)


def dump(run: Any) -> tuple[str, str, bytes] | None:
    """A compiled callable: the module and name of the class that restores it, and its bytes; None where it cannot be kept."""
    bundled = lookup(f"{_TYPES}:BundledAOTAutogradSerializableCallable")
    if getattr(run, "serialize", None) is not None and not isinstance(run, bundled):
        run = bundled(run)
    if not isinstance(run, lookup(f"{_TYPES}:SerializableCallable")):
        return None
    kind = type(run)
    return kind.__module__, kind.__qualname__, kind.serialize_compile_artifacts(run)


def dump_graph(module: Any) -> tuple[str, str, bytes]:
    """An FX graph that runs as it is, in the form of `dump`; the module is taken possession of."""
    kind = lookup(f"{_TYPES}:GraphModuleSerializableCallable")
    return kind.__module__, kind.__qualname__, kind.serialize_compile_artifacts(kind(module))


def load(kept: tuple[str, str, bytes], *, calls_custom_operators: bool = True) -> Callable[..., Any]:
    """The callable that `dump` took.

    Args:
        kept: As it was taken.
        calls_custom_operators: False where every operator in it is torch's own: its first call then goes without the dispatch mode by which
            AOTAutograd looks at each operator, to see whether the results of custom ones share memory with their arguments.
    """
    module, name, data = kept
    kind: Any = importlib.import_module(module)
    for part in name.split("."):
        kind = getattr(kind, part)
    watched = nullcontext() if calls_custom_operators else _first_call_unwatched()
    with lookup("torch._dynamo.utils:get_metrics_context")(), _without_a_compiler(), watched:
        run = kind.deserialize_compile_artifacts(data)
    if isinstance(run, lookup(f"{_TYPES}:GraphModuleSerializableCallable")):
        return run.graph_module.forward
    return getattr(run, "compiled_fn", run)


@contextmanager
def _first_call_unwatched() -> Generator[None]:
    """What this thread loads in this block takes its first call for a later one."""
    first = getattr(
        lookup("torch._functorch._aot_autograd.runtime_wrappers:"), "_FirstInvocationContext", None
    )
    thread = threading.get_ident()

    def make(original: Callable[[Any], None]) -> Callable[[Any], None]:
        @functools.wraps(original)
        def __init__(self: Any) -> None:  # noqa: N807
            original(self)
            if threading.get_ident() == thread and hasattr(self, "_is_first"):
                self._is_first = False

        return __init__

    undo = None if first is None else patch(first, "__init__", make)
    try:
        yield
    finally:
        if undo is not None:
            undo()


@contextmanager
def _without_a_compiler() -> Generator[None]:
    """Spares Inductor the test program by which it asks what the processor can do, and a header that only a C++ compile would use.

    The key says that the processor is what it was; compiled C++ that is no longer there is compiled without the header.
    """
    asked = lookup("torch._inductor.cpu_vec_isa:valid_vec_isa_list")
    codecache = lookup("torch._inductor.codecache:")
    with ExitStack() as stack:
        if hasattr(codecache, "_precompile_header"):
            stack.callback(patch(codecache, "_precompile_header", lambda _: lambda *_, **__: ""))
        info = getattr(asked, "cache_info", None)
        if info is not None and not info().currsize:
            stack.callback(asked.cache_clear)
            stack.enter_context(lookup("torch._inductor.config:").patch({"cpp.vec_isa_ok": True}))
        yield


def bytecode(code: types.CodeType) -> bytes:
    """A code object as bytes; of this Python's version only.

    Raises:
        ValueError: It holds a constant that cannot be kept.
    """
    return marshal.dumps(code)


def code_of(data: bytes) -> types.CodeType:
    """The code object that `bytecode` took."""
    return marshal.loads(data)
