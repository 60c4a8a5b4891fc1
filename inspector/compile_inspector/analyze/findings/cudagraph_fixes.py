"""What to do where code runs without a CUDA graph or is recorded again, by torch's or the decorator's reason."""

from __future__ import annotations

import re
from collections.abc import Callable

from compile_inspector.analyze.findings.names import statement
from compile_inspector.model.captures import Capture
from compile_inspector.model.findings import Fix, SetConfig

_PARTITION = SetConfig("torch._inductor.config", "graph_partition", "True")
_PARTITION_CODE = "torch._inductor.config.graph_partition = True"
_WRITTEN = re.compile(
    r"^(?P<name>[A-Za-z_][\w.]*?)(?:\.(?P<method>[a-z]\w*)_\(|\s*(?:\[[^\]]*\])?\s*[-+*/]?=(?!=))"
)
_STEP_CODE = "torch.compiler.cudagraph_mark_step_begin()"


def written(row: Capture) -> str | None:
    """The tensor that the line behind a reason writes into: ``x`` of ``x.add_(1)``; None where it cannot be read off it."""
    code = "" if row.location is None else statement(row.location.code)
    found = _WRITTEN.match(code)
    return None if found is None else found["name"]


def _mutated(row: Capture) -> Fix:
    name = written(row)
    if name is None:
        return Fix(None, "compute a new tensor on that line instead of writing into one that was passed in")
    return Fix(
        f"torch._dynamo.mark_static_address({name})",
        "before the first call, where every call passes this same tensor; otherwise let that line make a new tensor instead of writing into an "
        "argument, or keep the tensor as a buffer of the module",
    )


def _cpu(_: Capture) -> Fix:
    return Fix(
        _PARTITION_CODE,
        "before the first call: Inductor then leaves what runs on the CPU outside the graphs and captures the rest; or move that tensor to the GPU "
        "where it is made (device=…)",
        (_PARTITION,),
    )


def _operator(_: Capture) -> Fix:
    return Fix(
        _PARTITION_CODE,
        "before the first call: Inductor then leaves this operator outside the graphs and captures the rest",
        (_PARTITION,),
    )


def _dynamic(_: Capture) -> Fix:
    name = "triton.cudagraph_skip_dynamic_graphs"
    return Fix(
        f"torch._inductor.config.{name} = False",
        "before the first call: each size is then recorded by itself; pad batches to a few sizes to keep these few",
        (SetConfig("torch._inductor.config", name, "False"),),
    )


def _outside(row: Capture) -> Fix:
    limited = "rerecord_limit" in (row.reason or "")
    name = f"triton.cudagraph_{'dynamic_shape_rerecord_limit' if limited else 'capture_sizes'}"
    return Fix(
        f"torch._inductor.config.{name} = None",
        "before the first call: every size is then captured; or pad batches to the sizes that are",
        (SetConfig("torch._inductor.config", name, "None"),),
    )


def _no_gpu(_: Capture) -> Fix:
    return Fix(
        None, "CUDA graphs hold what runs on a CUDA GPU; move the module and its inputs to one (.cuda())"
    )


def _limit(_: Capture) -> Fix:
    return Fix(
        _STEP_CODE,
        "at the beginning of each iteration, and clone results that must outlive it (result.clone()): addresses then stay the same",
    )


def _capture_failed(_: Capture) -> Fix:
    return Fix(
        'ci.CompilationConfig(splitting_ops=["mylib::attention"], cudagraph_mode="FULL_AND_PIECEWISE")',
        "name the operator that synchronises, allocates or calls the CPU, and apply the module again: what lies around it is captured piece by piece",
    )


def _larger(row: Capture) -> Fix:
    return Fix(
        "applied.capture(sizes=[...])",
        f"with the sizes that calls have, or pad them yourself ({row.reason}); sizes that are rare may as well run compiled",
    )


def _rows(_: Capture) -> Fix:
    return Fix(
        "applied.capture(sizes=[...])",
        "with exactly the sizes that calls have: each row of a result depends on the other rows, so that a padded batch would compute something else",
    )


def _replaced(row: Capture) -> Fix:
    name = (row.reason or "").partition(" ")[0]
    return Fix(
        "with torch.no_grad(): old.copy_(new)",
        f"writes the new values into {name} where it lies, so that the graphs read them; after replacing it, capture again",
    )


def _gradients(_: Capture) -> Fix:
    return Fix("with torch.no_grad():", "around calls that need no gradients; a replay computes none")


def _memory(_: Capture) -> Fix:
    return Fix(
        "applied.capture(sizes=[...], max_pool_bytes=...)",
        "with smaller sizes, or before other memory is taken: graphs keep theirs as long as they live",
    )


def _left_out(_: Capture) -> Fix:
    return Fix(
        "applied.capture(sizes=[...])",
        "with a larger budget, or fewer sizes; what was left out runs compiled",
    )


def _compile(_: Capture) -> Fix:
    return Fix(
        "applied.capture(sizes=[...])",
        "again, after the calls that made this other compile: sizes are captured for the compile that serves them; see the findings on recompiles for why there are several",
    )


def _address(_: Capture) -> Fix:
    return Fix(
        "with torch.no_grad(): old.copy_(new)",
        "writes new values into a parameter or buffer where it lies; a new tensor in its place is recorded again. A tensor that is passed in and stays: "
        "torch._dynamo.mark_static_address(tensor) before the first call",
    )


def _path(_: Capture) -> Fix:
    return Fix(
        _STEP_CODE,
        "at the beginning of each iteration: torch then knows that results of the one before are no longer needed, and calls come in the same order",
    )


_FIXES: tuple[tuple[str, Callable[[Capture], Fix]], ...] = (
    (r"cudagraph_capture_sizes|cudagraph_dynamic_shape_rerecord_limit", _outside),
    (r"mutated inputs|input storage mutation", _mutated),
    (r"cpu device|non-Tensor inputs", _cpu),
    (r"runs on (cpu|no device)|^inputs on ", _no_gpu),
    (r"multiple devices|it runs on ", _cpu),
    (r"symbolic|dynamic", _dynamic),
    (r"re-recording", _limit),
    (r"is gone|than at the capture$|lies elsewhere than", _replaced),
    (r"^the capture failed", _capture_failed),
    (r"^out of memory|out of memory for|^given back", _memory),
    (r"^left out", _left_out),
    (r"^the batch is larger", _larger),
    (r"^only the sizes that were captured", _rows),
    (r"needs gradients", _gradients),
    (r"of which no ", _compile),
    (r"static input data pointer changed", _address),
    (r"data pointer changed|expected dead|it was called", _path),
    (r"incompatible op|deterministic|partitions", _operator),
)


def cudagraph_fix(row: Capture) -> Fix:
    """What to do about a reason; a reason of a kind that is not known has no fix."""
    for pattern, make in _FIXES:
        if re.search(pattern, row.reason or ""):
            return make(row)
    return Fix(None, "no fix is known for this reason")
