"""Where Inductor cuts the code of a graph, and why: of every compile, also of a plain `torch.compile`.

Inductor partitions its scheduled nodes into those that a CUDA graph can hold and those that it cannot; `Scheduler.should_partition` gives the reason
of each. A graph that comes from Inductor's cache is not partitioned again, so nothing is told of it.
Source: `torch._inductor.scheduler.Scheduler.graph_partition`, `torch._inductor.utils.set_customized_partition_wrappers`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from compile_inspector.torch_seams.probe import (
    Capability,
    Emit,
    Faults,
    Undo,
    lookup,
    once_loaded,
    patch,
    probe_unloaded,
)

NAME = "inductor_partitions"
USES = (
    "torch._inductor.scheduler:Scheduler.graph_partition",
    "torch._inductor.scheduler:Scheduler.should_partition",
    "torch._inductor.utils:set_customized_partition_wrappers",
    "torch._inductor.utils:_unstable_customized_partition_wrapper",
)
_SCHEDULER = "torch._inductor.scheduler"
_CUSTOM = "custom partition op: "


def probe() -> Capability:
    """Whether this torch partitions, and can be watched at it; Inductor is not loaded to find out."""
    return probe_unloaded(_SCHEDULER, USES)


def wrap_partitions(wrapper: Callable[..., Any]) -> Undo:
    """Lets Inductor pass every partition that a CUDA graph can hold through a wrapper; the undo puts back the one before, or none."""
    holder = lookup("torch._inductor.utils:_unstable_customized_partition_wrapper")
    before = holder.wrapper
    change = lookup("torch._inductor.utils:set_customized_partition_wrappers")
    change(wrapper)

    def undo() -> None:
        change(before)

    return undo


def partition_wrapper() -> Any:
    """The wrapper in place, or None."""
    return lookup("torch._inductor.utils:_unstable_customized_partition_wrapper").wrapper


def install(emit: Emit, faults: Faults) -> Undo:
    """Tells, of each graph that Inductor partitions, its partitions and their reasons, as the fact `partitions`.

    Where Inductor is not loaded yet, it is watched from the moment that something else loads it: loading takes seconds.
    """
    asked = threading.local()
    wanted = True
    undos: list[Undo] = []

    def watch_reason(original: Any) -> Any:
        def should_partition(self: Any, node: Any, *args: Any, **kwargs: Any) -> Any:
            reason = original(self, node, *args, **kwargs)
            reasons = getattr(asked, "reasons", None)
            if reasons is not None:
                reasons[id(node)] = reason
            return reason

        return should_partition

    def watch_partition(original: Any) -> Any:
        def graph_partition(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not wanted:
                return original(self, *args, **kwargs)
            outer, asked.reasons = getattr(asked, "reasons", None), {}
            try:
                made = original(self, *args, **kwargs)
                try:
                    emit("partitions", _fact(made, asked.reasons))
                except Exception as error:
                    faults.count(NAME, error)
            finally:
                asked.reasons = outer
            return made

        return graph_partition

    def watch(module: Any) -> None:
        try:
            if wanted:
                undos.append(patch(module.Scheduler, "should_partition", watch_reason))
                undos.append(patch(module.Scheduler, "graph_partition", watch_partition))
        except Exception as error:
            faults.count(NAME, error)

    forget = once_loaded(_SCHEDULER, watch)

    def undo() -> None:
        nonlocal wanted
        wanted = False
        forget()
        while undos:
            undos.pop()()

    return undo


def _fact(made: Any, reasons: dict[int, Any]) -> dict[str, Any]:
    partitions, signatures = made[0], made[1]
    rows = [
        _row(index, partition, signature, reasons)
        for index, (partition, signature) in enumerate(zip(partitions, signatures, strict=True))
    ]
    return {"by": "inductor", "wrapped": partition_wrapper() is not None, "partitions": rows}


def _row(index: int, partition: Any, signature: Any, reasons: dict[int, Any]) -> dict[str, Any]:
    """One partition: the FX nodes that its kernels come from, whether a CUDA graph can hold it, and why not, by reason and kernel."""
    why: dict[str, list[str]] = {}
    for node in partition:
        reason = reasons.get(id(node))
        if reason is not None:
            why.setdefault(str(reason), []).append(node.get_name())
    ops = [reason.removeprefix(_CUSTOM) for reason in why if reason.startswith(_CUSTOM)]
    skipped = bool(getattr(signature, "skip_cudagraph", False))
    if skipped and not why:
        why["smaller than the least size of a partition"] = []
    return {
        "index": index,
        "name": f"partition_{index}",
        "kind": "splitting" if ops else "compiled",
        "nodes": list(dict.fromkeys(name for node in partition for name in _origins(node))),
        "kernels": [node.get_name() for node in partition],
        "split_op": ", ".join(ops) or None,
        "reason": "; ".join(why) or None,
        "reasons": [[reason, names] for reason, names in why.items()],
        "capturable": not skipped,
    }


def _origins(node: Any) -> list[str]:
    """The names of the FX nodes that a scheduled node, fused or not, was made from."""
    found: list[str] = []
    for one in node.get_nodes():
        origins = getattr(one.node, "origins", None)
        found += [origin.name for origin in origins or ()]
    return found
