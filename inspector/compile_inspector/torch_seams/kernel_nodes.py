"""Which nodes each kernel of a backward graph was made of, where that graph is compiled by itself at the first call of `backward`.

Inductor keeps them, as it does for any graph while provenance is asked for, but leaves them out of the record that it writes: it takes a
graph without a pre-grad graph for one without provenance.

Source: `torch._inductor.debug.dump_inductor_provenance_info`, `_inductor_triton_kernel_to_post_grad_node_info`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from compile_inspector.torch_seams.probe import (
    Capability,
    Emit,
    Faults,
    Undo,
    once_loaded,
    patch,
    probe_unloaded,
)

NAME = "kernel_nodes"
USES = (
    "torch._inductor.debug:dump_inductor_provenance_info",
    "torch._inductor.debug:_inductor_triton_kernel_to_post_grad_node_info",
)
_DEBUG = "torch._inductor.debug"
_SAID = "cppCodeToPost"


def probe() -> Capability:
    """Whether this torch keeps the nodes of kernels; Inductor is not loaded to find out."""
    return probe_unloaded(_DEBUG, USES)


def install(emit: Emit, faults: Faults) -> Undo:
    """Emits the fact ``kernel_nodes`` right before a record of provenance that lacks them."""
    wanted = True
    undos: list[Undo] = []

    def watch(module: Any) -> None:
        seen = set(module._inductor_triton_kernel_to_post_grad_node_info)

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(original)
            def dump_inductor_provenance_info(*args: Any, **kwargs: Any) -> Any:
                found = original(*args, **kwargs)
                if wanted:
                    try:
                        if isinstance(found, dict) and _SAID not in found:
                            added = _added(module, seen)
                            if added:
                                emit("kernel_nodes", {_SAID: added})
                    except Exception as error:
                        faults.count(NAME, error)
                return found

            return dump_inductor_provenance_info

        undos.append(patch(module, "dump_inductor_provenance_info", make))

    forget = once_loaded(_DEBUG, _guarded(watch, faults))

    def undo() -> None:
        nonlocal wanted
        wanted = False
        forget()
        for restore in reversed(undos):
            restore()

    return undo


def _guarded(watch: Callable[[Any], None], faults: Faults) -> Callable[[Any], None]:
    def guarded(module: Any) -> None:
        try:
            watch(module)
        except Exception as error:
            faults.count(NAME, error)

    return guarded


def _added(module: Any, seen: set[str]) -> dict[str, list[str]]:
    """What came in since the last time: outside a whole compile nothing is ever taken out, and each call of a kernel has a number."""
    kept: dict[str, Any] = module._inductor_triton_kernel_to_post_grad_node_info
    added = {name: [str(node) for node in nodes] for name, nodes in kept.items() if name not in seen}
    seen.update(added)
    return added
