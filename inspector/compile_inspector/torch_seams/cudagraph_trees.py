"""torch's own CUDA graphs (`mode="reduce-overhead"`): what its trees record, record again and replay, and what they leave out, with the reasons.

torch tells of these in its log only, and of some not at all: a graph whose partitions hold nothing that can be captured is dropped in silence
(pytorch#176611). Replays and calls without a graph are counted here while a recorder is in place; nothing is written for a single call. Some
calls never reach the trees: those of what torch left out at its compile are counted where the compiled graph itself is called, those of sizes
that it does not capture in front of the trees. Not seen are calls of what was left out before any recorder was there, and of
``triton.cudagraph_trees = False``.
Source: `torch._inductor.cudagraph_trees`, `torch._inductor.cudagraph_utils`, `torch._inductor.output_code.CompiledFxGraph.post_compile`.
"""

from __future__ import annotations

import inspect
import itertools
import re
import threading
import time
import weakref
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

NAME = "cudagraph_trees"
USES = (
    "torch._inductor.cudagraph_trees:CUDAGraphTreeManager._run",
    "torch._inductor.cudagraph_trees:CUDAGraphTreeManager.record_function",
    "torch._inductor.cudagraph_trees:CUDAGraphTreeManager.run_eager",
    "torch._inductor.cudagraph_trees:CUDAGraphTreeManager.execute_node",
    "torch._inductor.cudagraph_trees:CUDAGraphNode.check_invariants",
    "torch._inductor.cudagraph_trees:CUDAGraphNode._record",
    "torch._inductor.cudagraph_trees:cudagraphify_impl",
    "torch._inductor.cudagraph_utils:cudagraphs_log",
    "torch._inductor.output_code:CompiledFxGraph.post_compile",
    "torch._inductor.output_code:CompiledFxGraph.__call__",
    "torch._inductor.config:triton.cudagraphs",
    "torch._guards:CompileContext.current_compile_id",
)
_TREES, _UTILS, _OUTPUT = (
    "torch._inductor.cudagraph_trees",
    "torch._inductor.cudagraph_utils",
    "torch._inductor.output_code",
)
_SKIP = "log_cudagraph_skip_and_bump_counter"
_FRAME = re.compile(
    r'File "(?P<file>[^"\n]+)", line (?P<line>\d+), in (?P<function>\S+)(?:\n\s+(?P<code>\S[^\n]*))?'
)
_PARTITION = re.compile(r"partition_(\d+)$")
_PREFIX = re.compile(r"^(?:(?:skipping|disabling) cudagraphs? due to )+")
_LONGEST = 1000
_numbers = itertools.count(1)
_current = threading.local()
_observed: _Observed | None = None


def probe() -> Capability:
    """Whether this torch has its trees of CUDA graphs where they can be watched; Inductor is not loaded to find out."""
    return probe_unloaded(_TREES, USES)


def live() -> list[tuple[str, dict[str, Any], Any]]:
    """What has been observed since the first recorder began, as it stands now; see `narration.live`."""
    observed = _observed
    return [] if observed is None else observed.facts()


def install(emit: Emit, faults: Faults) -> Undo:
    """Tells of each recording, re-recording and skip as the fact `captures`; `live` gives them again with counts.

    Parts of Inductor that are not loaded yet are watched from the moment that something else loads them.
    """
    global _observed
    observed = _observed = _Observed(emit, faults)
    undos: list[Undo] = []

    def watch(hooks: Callable[[Any, _Observed], list[Undo]]) -> Callable[[Any], None]:
        def then(module: Any) -> None:
            try:
                if observed.wanted:
                    undos.extend(hooks(module, observed))
            except Exception as error:
                faults.count(NAME, error)

        return then

    watched = ((_TREES, _watch_trees), (_UTILS, _watch_log), (_OUTPUT, _watch_compiles))
    forget = [once_loaded(name, watch(hooks)) for name, hooks in watched]

    def undo() -> None:
        global _observed
        observed.wanted = False
        for one in forget:
            one()
        while undos:
            undos.pop()()
        if _observed is observed:
            _observed = None

    return undo


class _Call:
    """One call of a function that torch has in a tree, while it runs."""

    __slots__ = ("function", "kernels", "mismatch", "reason", "record_ns", "served")

    def __init__(self, function: _Function) -> None:
        self.function = function
        self.served = False
        self.mismatch: str | None = None
        self.reason: str | None = None
        self.record_ns: int | None = None
        self.kernels: tuple[int | None, int | None] = (None, None)


class _Function:
    """One compiled function in a tree: one key of sizes of one compile.

    Attributes:
        row: What is told of it until its first recording, and of that; None before it has been called.
        recorded: Whether it was recorded.
        common: What is the same in each of its rows.
    """

    def __init__(self, compile_id: Any, common: dict[str, Any]) -> None:
        self.compile_id, self.common = compile_id, common
        self.row: dict[str, Any] | None = None
        self.recorded = False
        self.bypasses: dict[str, dict[str, Any]] = {}


class _Observed:
    """Everything that was seen: one row a graph, and one a reason for which calls ran without."""

    def __init__(self, emit: Emit, faults: Faults) -> None:
        self.wanted = True
        self._emit, self.faults = emit, faults
        self._lock = threading.Lock()
        self._rows: list[tuple[dict[str, Any], Any]] = []
        self._functions: weakref.WeakKeyDictionary[Any, dict[Any, _Function]] = weakref.WeakKeyDictionary()
        self._graphs: weakref.WeakKeyDictionary[Any, dict[Any, dict[str, Any]]] = weakref.WeakKeyDictionary()
        self._skips: dict[tuple[str, str], dict[str, Any]] = {}
        self._left_out: dict[int, tuple[weakref.ref[Any], dict[str, Any]]] = {}

    def left_out(self, graph: Any, row: dict[str, Any]) -> None:
        """Counts the calls of a compiled graph in a row, as long as it lives; it cannot be hashed."""
        key = id(graph)
        self._left_out[key] = (weakref.ref(graph, lambda _: self._left_out.pop(key, None)), row)

    def row_left_out(self, graph: Any) -> dict[str, Any] | None:
        """The row that counts a compiled graph's calls; None for one that was not left out."""
        found = self._left_out.get(id(graph))
        return None if found is None else found[1]

    def facts(self) -> list[tuple[str, dict[str, Any], Any]]:
        """Every row as it stands now."""
        with self._lock:
            return [("captures", dict(row), compile_id) for row, compile_id in self._rows]

    def tell(self, row: dict[str, Any], compile_id: Any) -> None:
        """Writes a row into the trace."""
        try:
            self._emit("captures", dict(row), compile_id=compile_id)
        except Exception as error:
            self.faults.count(NAME, error)

    def new(self, common: dict[str, Any], compile_id: Any, **values: Any) -> dict[str, Any]:
        """A row, which `facts` gives from now on."""
        number = next(_numbers)
        row = {
            "id": number,
            "key": f"tree-{number}",
            "source": "cudagraph_trees",
            "compile_id": None if compile_id is None else str(compile_id),
            "at_ns": time.time_ns(),
            "replay_count": 0,
            "launch_ns": 0,
            "call_count": 0,
            "warmups": 0,
            **common,
            **values,
        }
        with self._lock:
            self._rows.append((row, compile_id))
        return row

    def function(self, manager: Any, function_id: Any, inputs: Any) -> _Function:
        """What is known of a function; made at its first call."""
        known = self._functions.setdefault(manager, {})
        found = known.get(function_id)
        if found is None:
            found = known[function_id] = _describe(manager, function_id, inputs)
        return found

    def graph_row(self, manager: Any, node: Any) -> dict[str, Any] | None:
        """The row of a recording; None for one that was not seen."""
        return self._graphs.get(manager, {}).get(node.id)

    def put_graph(self, manager: Any, node: Any, row: dict[str, Any]) -> None:
        """Remembers the row of a recording."""
        self._graphs.setdefault(manager, {})[node.id] = row

    def skipped(self, reason: str, compile_id: Any, mode: str | None, **common: Any) -> dict[str, Any]:
        """The row of a compiled graph that torch will not capture; told once a reason and compile."""
        text, place = _taken_apart(reason)
        found = self._skips.get((str(compile_id), text))
        if found is not None:
            if mode is not None and found["mode"] == "unknown":
                found["mode"] = mode
            return found
        row = self.new(
            common, compile_id, mode=mode or "unknown", event="skipped", reason=text, location=place
        )
        self._skips[str(compile_id), text] = row
        self.tell(row, compile_id)
        return row


def _describe(manager: Any, function_id: Any, inputs: Any) -> _Function:
    compile_id = manager.id_to_compile_id.get(function_id)
    mode: Any = manager.id_to_mode.get(function_id)
    model = manager.ids_to_funcs[function_id].model
    partition = _PARTITION.search(getattr(model, "__name__", ""))
    sizes = [one for one in inputs if type(one) is int]
    common = {
        "mode": getattr(mode, "name", "unknown"),
        "partition": None if partition is None else int(partition[1]),
        "symints": sizes or None,
    }
    found = _Function(compile_id, common)
    found.recorded = bool(manager.roots.get(function_id))
    return found


def _watch_trees(module: Any, observed: _Observed) -> list[Undo]:
    manager, node = module.CUDAGraphTreeManager, module.CUDAGraphNode
    success = module.CheckInvariantStatus.SUCCESS
    return [
        patch(manager, "_run", lambda original: _running(original, observed)),
        patch(manager, "record_function", lambda original: _recording(original, observed)),
        patch(manager, "run_eager", lambda original: _warming(original, observed)),
        patch(manager, "execute_node", lambda original: _replaying(original, observed)),
        patch(node, "check_invariants", lambda original: _checking(original, observed, success)),
        patch(node, "_record", lambda original: _capturing(original, observed)),
        patch(module, "cudagraphify_impl", lambda original: _dispatching(original, observed)),
    ]


def _dispatching(original: Any, observed: _Observed) -> Any:
    """What torch calls in front of the trees: a call of it in which no tree ran something is one without a graph."""

    def cudagraphify_impl(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        integers = [index for index, one in enumerate(inputs) if type(one) is int]
        deferred = original(model, inputs, *args, **kwargs)
        if not observed.wanted:
            return deferred
        outside = _Outside(observed, model, kwargs)

        def call(given: Any) -> Any:
            if not observed.wanted:
                return deferred(given)
            before, key = getattr(_current, "entered", 0), [given[index] for index in integers]
            result = deferred(given)
            if getattr(_current, "entered", 0) == before:
                outside.count(key)
            return result

        return call

    return cudagraphify_impl


class _Outside:
    """The calls of one function that torch ran without asking its trees."""

    def __init__(self, observed: _Observed, model: Any, told: dict[str, Any]) -> None:
        partition = _PARTITION.search(getattr(model, "__name__", ""))
        self._observed, self._compile_id = observed, told.get("compile_id") or _compile_id()
        self._common = {"mode": _mode(told), "partition": None if partition is None else int(partition[1])}
        self._rows: dict[str, dict[str, Any]] = {}

    def count(self, key: list[int]) -> None:
        """Counts one, of these sizes."""
        try:
            reason = _why_outside(key)
            row = self._rows.get(reason)
            if row is None:
                row = self._observed.new(self._common, self._compile_id, event="bypassed", reason=reason)
                self._rows[reason] = row
                self._observed.tell(row, self._compile_id)
            row["call_count"] += 1
        except Exception as error:
            self._observed.faults.count(NAME, error)


def _why_outside(key: list[int]) -> str:
    config = lookup("torch._inductor.config:triton")
    sizes = getattr(config, "cudagraph_capture_sizes", None)
    if sizes is not None and (key[0] if len(key) == 1 else tuple(key)) not in sizes:
        return "its sizes are not among those of torch._inductor.config.triton.cudagraph_capture_sizes"
    limit = getattr(config, "cudagraph_dynamic_shape_rerecord_limit", None)
    if limit is not None:
        return f"torch captures no more than {limit} of its sizes: torch._inductor.config.triton.cudagraph_dynamic_shape_rerecord_limit"
    return "torch ran it without asking its trees of graphs, and told no reason"


def _mode(told: dict[str, Any]) -> str:
    return "BACKWARD" if told.get("is_backward") else "INFERENCE" if told.get("is_inference") else "FORWARD"


def _running(original: Any, observed: _Observed) -> Any:
    """Around a call: if nothing recorded, replayed or warmed up in it, it ran without a graph."""

    def _run(self: Any, new_inputs: Any, function_id: Any, *args: Any, **kwargs: Any) -> Any:
        if not observed.wanted:
            return original(self, new_inputs, function_id, *args, **kwargs)
        outer, call = getattr(_current, "call", None), None
        _current.entered = getattr(_current, "entered", 0) + 1
        try:
            call = _current.call = _Call(observed.function(self, function_id, new_inputs))
        except Exception as error:
            observed.faults.count(NAME, error)
        try:
            result = original(self, new_inputs, function_id, *args, **kwargs)
        finally:
            _current.call = outer
        if call is not None:
            try:
                if not call.served:
                    _bypassed(observed, call)
                if outer is not None and outer.function is call.function:
                    outer.served = True
            except Exception as error:
                observed.faults.count(NAME, error)
        return result

    return _run


def _bypassed(observed: _Observed, call: _Call) -> None:
    """Counts a call without a graph: in the function's own row where it has no graph at all, else in a row of the reason."""
    function = call.function
    if call.reason is None and function.bypasses:
        next(reversed(function.bypasses.values()))["call_count"] += 1
        return
    text, place = _taken_apart(call.reason or "torch ran it without a graph, and told no reason")
    row = function.bypasses.get(text)
    if row is None:
        if not function.recorded and function.row is not None:
            row = function.row
            row |= {"event": "skipped", "reason": text, "location": place}
        else:
            event = "bypassed" if function.recorded else "skipped"
            row = observed.new(function.common, function.compile_id, event=event, reason=text, location=place)
        function.bypasses[text] = row
        observed.tell(row, function.compile_id)
    row["call_count"] += 1


def _warming(original: Any, observed: _Observed) -> Any:
    def run_eager(self: Any, new_inputs: Any, function_id: Any, *args: Any, **kwargs: Any) -> Any:
        call = _current_call(observed)
        if call is not None:
            call.served = True
            function = call.function
            if function.row is None:
                function.row = observed.new(function.common, function.compile_id, event="warming")
            function.row["warmups"] += 1
            function.row["call_count"] += 1
        return original(self, new_inputs, function_id, *args, **kwargs)

    return run_eager


def _recording(original: Any, observed: _Observed) -> Any:
    def record_function(self: Any, new_inputs: Any, function_id: Any, *args: Any, **kwargs: Any) -> Any:
        call = _current_call(observed)
        if call is None:
            return original(self, new_inputs, function_id, *args, **kwargs)
        call.served = True
        parent, before = self.current_node, _pool_bytes(self)
        siblings = len((self.roots if parent is None else parent.children).get(function_id, ()))
        result = original(self, new_inputs, function_id, *args, **kwargs)
        try:
            _recorded(observed, call, self, parent, siblings, before)
        except Exception as error:
            observed.faults.count(NAME, error)
        return result

    return record_function


def _recorded(
    observed: _Observed, call: _Call, manager: Any, parent: Any, siblings: int, before: int | None
) -> None:
    function, node = call.function, manager.current_node
    above = None if parent is None else observed.graph_row(manager, parent)
    again = function.recorded
    place, reason = None, None
    if again:
        reason, place = _taken_apart(call.mismatch if siblings and call.mismatch else _elsewhere(above))
    row = function.row if not again and function.row is not None else None
    if row is None:
        row = observed.new(function.common, function.compile_id, event="captured")
    function.recorded, function.row = True, function.row or row
    row |= {
        "event": "re-recorded" if again else "captured",
        "reason": reason,
        "location": place,
        "parent": None if above is None else above["id"],
        "at_ns": time.time_ns(),
        "capture_ns": call.record_ns,
        "pool_bytes_before": before,
        "pool_bytes_after": _pool_bytes(manager),
        "kernel_count": call.kernels[0],
        "memcpy_count": call.kernels[1],
    }
    observed.put_graph(manager, node, row)
    observed.tell(row, function.compile_id)


def _elsewhere(above: dict[str, Any] | None) -> str:
    where = "at the beginning of an iteration" if above is None else f"after graph {above['id']}"
    return f"it was called {where}, where it had not been recorded before"


def _replaying(original: Any, observed: _Observed) -> Any:
    def execute_node(self: Any, node: Any, new_inputs: Any, *args: Any, **kwargs: Any) -> Any:
        call = _current_call(observed)
        if call is None:
            return original(self, node, new_inputs, *args, **kwargs)
        call.served = True
        begin = time.perf_counter_ns()
        result = original(self, node, new_inputs, *args, **kwargs)
        try:
            row = observed.graph_row(self, node)
            if row is None:
                row = _found_recorded(observed, call.function, self, node)
            row["replay_count"] += 1
            row["launch_ns"] += time.perf_counter_ns() - begin
        except Exception as error:
            observed.faults.count(NAME, error)
        return result

    return execute_node


def _found_recorded(observed: _Observed, function: _Function, manager: Any, node: Any) -> dict[str, Any]:
    """The row of a graph that was recorded before any recorder was there."""
    parent = node.parent
    above = None if parent is None else observed.graph_row(manager, parent)
    values = {"event": "captured", "at_ns": None, "parent": None if above is None else above["id"]}
    row = observed.new(function.common, function.compile_id, **values)
    function.recorded, function.row = True, function.row or row
    observed.put_graph(manager, node, row)
    return row


def _checking(original: Any, observed: _Observed, success: Any) -> Any:
    """Keeps why a recording does not fit a call, which torch works out for its debug log only."""

    def check_invariants(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(self, inputs, *args, **kwargs)
        call = _current_call(observed)
        if call is not None and found[0] is not success:
            try:
                call.mismatch = str(found[1]())
            except Exception as error:
                call.mismatch = str(found[0])
                observed.faults.count(NAME, error)
        return found

    return check_invariants


def _capturing(original: Any, observed: _Observed) -> Any:
    """Times the capture itself and counts what it holds before it ends."""

    def _record(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        call = _current_call(observed)
        if call is None:
            return original(self, model, inputs, *args, **kwargs)

        def counted(*given: Any, **named: Any) -> Any:
            result = model(*given, **named)
            call.kernels = _capturing_nodes()
            return result

        begin = time.perf_counter_ns()
        result = original(self, counted, inputs, *args, **kwargs)
        call.record_ns = time.perf_counter_ns() - begin
        return result

    return _record


def _current_call(observed: _Observed) -> _Call | None:
    return getattr(_current, "call", None) if observed.wanted else None


class _Log:
    """torch's logger of CUDA graphs, which also keeps what it is told of skips."""

    def __init__(self, logger: Any, observed: _Observed) -> None:
        self._logger, self._observed = logger, observed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logger, name)

    def warning(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Passes a warning on."""
        if self._observed.wanted and _caller() == _SKIP:
            try:
                _said(self._observed, str(message))
            except Exception as error:
                self._observed.faults.count(NAME, error)
        self._logger.warning(message, *args, **{"stacklevel": 2, **kwargs})


def _caller() -> str:
    """The name of the function that called the function that asks."""
    frame = inspect.currentframe()
    outer = None if frame is None or frame.f_back is None else frame.f_back.f_back
    return "" if outer is None else outer.f_code.co_name


def _said(observed: _Observed, message: str) -> None:
    call = _current_call(observed)
    said = getattr(_current, "said", None)
    if call is not None:
        call.reason = message
    elif said is not None:
        said.append(message)
    else:
        observed.skipped(message, _compile_id(), None)


def _watch_log(module: Any, observed: _Observed) -> list[Undo]:
    return [patch(module, "cudagraphs_log", lambda original: _Log(original, observed))]


def _watch_compiles(module: Any, observed: _Observed) -> list[Undo]:
    graph = module.CompiledFxGraph
    return [
        patch(graph, "post_compile", lambda original: _finishing(original, observed)),
        patch(graph, "__call__", lambda original: _calling(original, observed)),
    ]


def _calling(original: Any, observed: _Observed) -> Any:
    """Counts the calls of what was left out."""

    def __call__(self: Any, inputs: Any) -> Any:  # noqa: N807
        row = observed.row_left_out(self)
        if row is not None and observed.wanted:
            row["call_count"] += 1
        return original(self, inputs)

    return __call__


def _finishing(original: Any, observed: _Observed) -> Any:
    """Around the last step of a compile, in which a graph is given to the trees or, in silence too, is not."""

    def post_compile(
        self: Any, example_inputs: Any, constants: Any, graph_kwargs: Any, *args: Any, **kwargs: Any
    ) -> Any:
        if not observed.wanted:
            return original(self, example_inputs, constants, graph_kwargs, *args, **kwargs)
        outer, said = getattr(_current, "said", None), list[str]()
        asked = _asked(graph_kwargs)
        _current.said = said
        try:
            result = original(self, example_inputs, constants, graph_kwargs, *args, **kwargs)
        finally:
            _current.said = outer
        try:
            if asked:
                _left_out(observed, self, graph_kwargs, said)
        except Exception as error:
            observed.faults.count(NAME, error)
        return result

    return post_compile


def _asked(graph_kwargs: Any) -> bool:
    """Whether CUDA graphs were asked for, though they may be switched off for this graph by now."""
    return bool(graph_kwargs.get("cudagraphs")) or bool(lookup("torch._inductor.config:triton.cudagraphs"))


def _left_out(observed: _Observed, graph: Any, graph_kwargs: Any, said: list[str]) -> None:
    disabled = getattr(graph, "disabled_cudagraphs_reason", None)
    if not said and not disabled and bool(graph_kwargs.get("cudagraphs")):
        return
    info = getattr(graph, "cudagraph_info", None)
    failed = list(getattr(info, "cudagraph_fail_reasons", None) or ())
    devices = " and ".join(sorted(getattr(graph, "device_types", None) or ())) or "no device"
    nothing = f"none of its partitions can be held by a CUDA graph (it runs on {devices}); torch drops such a graph in silence"
    reason = said[-1] if said else disabled or ", ".join(failed) or nothing
    if _taken_apart(reason)[0] == "multiple devices:":
        reason = f"it runs on {devices}: torch captures what runs on one CUDA device"
    kept: Any = getattr(graph, "fx_kwargs", None) or {}
    told = {**graph_kwargs, **{name: value for name, value in kept.items() if value is not None}}
    row = observed.skipped(reason, _compile_id(), _mode(told))
    if not bool(graph_kwargs.get("cudagraphs")):
        observed.left_out(graph, row)


def _compile_id() -> Any:
    return lookup("torch._guards:CompileContext.current_compile_id")()


def _taken_apart(message: str) -> tuple[str, dict[str, Any] | None]:
    """Torch's text of a reason in one line, and the user's line in it: the innermost outside torch."""
    text, _, stack = message.partition("Found from")
    if not stack:
        text, _, stack = message.partition("input stack trace:")
    found = None
    for frame in _FRAME.finditer(stack):
        if "/torch/" not in frame["file"] or found is None:
            found = {**frame.groupdict(), "line": int(frame["line"])}
    text = " ".join(_PREFIX.sub("", text.strip()).split()).rstrip(". ")
    return text[:_LONGEST], found


def _pool_bytes(manager: Any) -> int | None:
    try:
        import torch

        segments = torch.cuda.memory_snapshot(
            mempool_id=manager.cuda_graphs_thread_pool, include_traces=False
        )
    except Exception:
        return None
    return sum(int(one["total_size"]) for one in segments)


def _capturing_nodes() -> tuple[int | None, int | None]:
    """Kernels and copies in the graph that this thread's stream is being captured into; None where CUDA's bindings are not installed."""
    try:
        import torch
        from cuda.bindings import runtime  # type: ignore[import-not-found]

        captured = runtime.cudaStreamGetCaptureInfo(torch.cuda.current_stream().cuda_stream)
        graph = captured[3]
        size = runtime.cudaGraphGetNodes(graph, numNodes=0)[2]
        nodes = runtime.cudaGraphGetNodes(graph, numNodes=size)[1]
        kinds = [runtime.cudaGraphNodeGetType(node)[1] for node in nodes[:size]]
        types = runtime.cudaGraphNodeType
    except Exception:
        return None, None
    return kinds.count(types.cudaGraphNodeTypeKernel), kinds.count(types.cudaGraphNodeTypeMemcpy)
