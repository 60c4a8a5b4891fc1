"""torch's trees of CUDA graphs, watched: torch's own decisions are real, what needs a GPU is faked."""

from __future__ import annotations

import types
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch._inductor.cudagraph_trees as trees
import torch._inductor.cudagraph_utils as utils
import torch._inductor.output_code as output_code
from torch._guards import CompileId

import compile_inspector as ci
from compile_inspector.model.captures import Capture
from compile_inspector.recording.assemble import assemble
from compile_inspector.recording.live import Catcher, records
from compile_inspector.torch_seams import cudagraph_trees, trace
from compile_inspector.torch_seams.probe import Faults

SUCCESS = trees.CheckInvariantStatus.SUCCESS
MOVED = trees.CheckInvariantStatus.StaticInputIdxMismatch
MANAGED = trees.CheckInvariantStatus.CudagraphManagedIdxMismatch
STACK = 'Found from : \n   File "/home/ada/model.py", line 12, in forward\n    x.add_(1)\n'


class Node(trees.CUDAGraphNode):
    """A recording that holds nothing."""

    def __init__(self, number: int, parent: Any) -> None:
        self.id = trees.GraphID(number)
        self.children = defaultdict(list)
        self._parent = None if parent is None else (lambda: parent)
        self.verdict: tuple[Any, str] = (SUCCESS, "")
        self.outputs_weakrefs = []

    def _is_cuda_graph_recorded_tensor(self, t: Any) -> bool:
        return False


class Manager(trees.CUDAGraphTreeManager):
    """torch's manager with what its decisions need, and nothing of a GPU."""

    def __init__(self) -> None:
        self.graph = object()
        self.roots = defaultdict(list)
        self.ids_to_funcs, self.ids_to_stack_traces = {}, {}
        self.warmed_up_functions, self.warned_mutation = set(), set()
        self.non_cudagraph_managed_mutation_hint = defaultdict(dict)
        self.skip_cudagraph = defaultdict(dict)
        self.num_rerecord = defaultdict(lambda: defaultdict(lambda: 0))
        self.id_to_mode, self.id_to_compile_id = {}, {}
        self.current_node = None
        self.debug_fail_counter = 0
        self.has_live_user_visible_output_cloning = False
        self.running_forwards_with_pending_backwards = False
        self.made = 0
        self.node_made: Callable[[Node], None] = lambda _: None

    def add(self, name: str = "partition_0", mutated: tuple[int, ...] = (), compile_id: Any = None) -> Any:
        number = trees.FunctionID(len(self.ids_to_funcs))

        def model(inputs: list[Any]) -> str:
            return "ran as it is"

        model.__name__ = name
        placeholder = utils.PlaceholderInfo("x", None, [], STACK.partition("\n")[2])
        self.ids_to_funcs[number] = types.SimpleNamespace(
            model=model, static_input_idxs=[], mutated_input_idxs=mutated, placeholders=[placeholder]
        )
        self.ids_to_stack_traces[number] = None
        self.id_to_mode[number] = trees.CompilationMode.INFERENCE
        self.id_to_compile_id[number] = compile_id or CompileId(frame_id=0, frame_compile_id=0)
        return number

    def begin(self) -> None:
        """A new iteration."""
        self.current_node = None


def _record(self: Manager, new_inputs: Any, function_id: Any) -> str:
    node = Node(self.made, self.current_node)
    self.made += 1
    place = self.roots if self.current_node is None else self.current_node.children
    place[function_id].append(node)
    self.current_node = node
    self.path_state = trees.ExecutionState.EXECUTION
    self.node_made(node)
    return "recorded"


def _warm(self: Manager, new_inputs: Any, function_id: Any) -> str:
    self.warmed_up_functions.add(function_id)
    return "warmed up"


def _execute(self: Manager, node: Node, new_inputs: Any) -> str:
    self.current_node = node
    return "replayed"


def _check(self: Node, inputs: Any) -> Any:
    status, text = self.verdict
    return status, lambda: text


def _end(self: Manager, *_: Any, **__: Any) -> None:
    return None


class Watched:
    """A handler and the seam in place."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.catcher = Catcher(lambda error: self.faults.count("catcher", error))

    def rows(self) -> tuple[Capture, ...]:
        for name, payload, compile_id in cudagraph_trees.live():
            trace.emit(name, payload, compile_id=compile_id)
        assert self.faults.counts() == {}
        tables = assemble(records(self.catcher.raw))
        assert tables.losses == ()
        return tables.captures

    def told(self) -> list[tuple[str, str | None]]:
        return [(row.event, row.reason) for row in self.rows()]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """Torch's tree manager without a GPU, and the seam on it."""
    monkeypatch.setattr(trees.CUDAGraphTreeManager, "record_function", _record)
    monkeypatch.setattr(trees.CUDAGraphTreeManager, "run_eager", _warm)
    monkeypatch.setattr(trees.CUDAGraphTreeManager, "execute_node", _execute)
    monkeypatch.setattr(trees.CUDAGraphTreeManager, "try_end_curr_execution", _end)
    monkeypatch.setattr(trees.CUDAGraphTreeManager, "apply_checkpoint_execution_state_in_allocator", _end)
    monkeypatch.setattr(trees.CUDAGraphNode, "check_invariants", _check)
    monkeypatch.setattr(
        trees.CUDAGraphNode, "mismatched_cudagraph_managed_idxs", lambda *_: [], raising=False
    )
    found = Watched()
    stops = [trace.listen(found.catcher), cudagraph_trees.install(trace.emit, found.faults)]
    yield found
    for stop in reversed(stops):
        stop()


def test_a_warm_up_a_recording_and_replays(watched: Watched) -> None:
    """One row a function, with its compile, partition and sizes; calls from the graph are counted, never told one by one."""
    manager = Manager()
    function = manager.add("partition_2")
    results = []
    for _ in range(5):
        manager.begin()
        results.append(manager._run([torch.ones(2), 4, 7], function))
    assert results == ["warmed up", "recorded", "replayed", "replayed", "replayed"]
    before = len(watched.catcher.raw)
    (row,) = watched.rows()
    assert before == 1
    assert (row.source, row.compile_id, row.partition, row.key, row.mode) == (
        "cudagraph_trees",
        "0/0",
        2,
        "(4, 7)",
        "INFERENCE",
    )
    assert (row.event, row.warmups, row.call_count, row.replay_count) == ("captured", 1, 1, 3)


def test_parents_and_children(watched: Watched) -> None:
    """A graph that follows another names it; the same function at the beginning is a recording of its own, with the reason."""
    manager = Manager()
    first, second = manager.add(), manager.add()
    for path in ((first, second), (first, second), (first, second), (second,), (second,)):
        manager.begin()
        for function in path:
            manager._run([torch.ones(2)], function)
    rows = watched.rows()
    assert [(row.number - rows[0].number, row.event, row.replay_count) for row in rows] == [
        (0, "captured", 1),
        (1, "captured", 1),
        (2, "re-recorded", 1),
    ]
    assert [row.parent for row in rows] == [None, rows[0].number, None]
    assert rows[2].reason == (
        "it was called at the beginning of an iteration, where it had not been recorded before"
    )


def test_a_rerecording_has_torchs_reason_and_the_line(watched: Watched) -> None:
    """What torch works out for its debug log alone: which input lies elsewhere, and where it comes from."""
    manager = Manager()
    function = manager.add()
    said = (
        f"{MOVED}.\ninput name: primals_1. data pointer changed from 1 to 2. input stack trace: "
        'File "/home/ada/model.py", line 9, in forward\n    return self.linear(x)\n'
    )

    def fits_no_more(node: Node) -> None:
        node.verdict = (MOVED, said)

    manager.node_made = fits_no_more
    for _ in range(4):
        manager.begin()
        manager._run([torch.ones(2)], function)
    rows = watched.rows()
    assert [row.event for row in rows] == ["captured", "re-recorded", "re-recorded"]
    assert rows[1].reason == (
        "static input data pointer changed. input name: primals_1. data pointer changed from 1 to 2"
    )
    assert rows[1].location is not None
    assert (rows[1].location.file, rows[1].location.line) == ("/home/ada/model.py", 9)


def test_a_mutated_input_is_a_skip_with_its_line(watched: Watched) -> None:
    """Calls of a function that writes into its input run without a graph; torch says so once, the calls are counted."""
    manager = Manager()
    function = manager.add(mutated=(0,))
    for _ in range(3):
        manager.begin()
        assert manager._run([torch.ones(2)], function) == "ran as it is"
    (row,) = watched.rows()
    assert (row.event, row.reason, row.call_count) == ("skipped", "mutated inputs (1 instances)", 3)
    assert row.location is not None
    assert (row.location.line, row.location.code) == (12, "x.add_(1)")


def test_recording_too_often_ends_in_calls_without_a_graph(watched: Watched) -> None:
    """Beyond torch's limit calls bypass the graphs that there are, with torch's reason."""
    manager = Manager()
    function = manager.add()
    manager.exceed_rerecord_limit = lambda node, of: manager.num_rerecord[node][of] > 1  # type: ignore[method-assign]

    def fits_no_more(node: Node) -> None:
        node.verdict = (MANAGED, f"{MANAGED}.\n")

    manager.node_made = fits_no_more
    for _ in range(6):
        manager.begin()
        manager._run([torch.ones(2)], function)
    rows = watched.rows()
    assert [row.event for row in rows] == ["captured", "re-recorded", "bypassed"]
    assert (rows[2].reason or "").startswith("function 0 exceeding max re-recording limit")
    assert rows[2].call_count == 3


def test_a_graph_from_before_the_recording_is_known_from_its_replays(watched: Watched) -> None:
    """It is no recording of now: it has no capture time; another recording of its function is one more."""
    manager = Manager()
    function = manager.add()
    manager.warmed_up_functions.add(function)
    old = Node(7, None)
    manager.roots[function].append(old)
    manager._run([torch.ones(2)], function)
    old.verdict = (MOVED, f"{MOVED}.\n")
    manager.begin()
    manager._run([torch.ones(2)], function)
    rows = watched.rows()
    assert [(row.event, row.at_ns is None, row.replay_count) for row in rows] == [
        ("captured", True, 1),
        ("re-recorded", False, 0),
    ]


def test_nothing_is_observed_after_the_end() -> None:
    """The undo puts every function back, and a call that is under way then is not counted."""
    before = trees.CUDAGraphTreeManager._run, trees.CUDAGraphNode._record, utils.cudagraphs_log
    undo = cudagraph_trees.install(trace.emit, Faults())
    assert trees.CUDAGraphTreeManager._run is not before[0]
    undo()
    assert (trees.CUDAGraphTreeManager._run, trees.CUDAGraphNode._record, utils.cudagraphs_log) == before
    assert cudagraph_trees.live() == []


def test_a_fault_in_the_observation_reaches_no_call(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted, and the call returns what torch gives it."""
    manager = Manager()
    function = manager.add()
    monkeypatch.setattr(cudagraph_trees, "_describe", lambda *_: 1 / 0)
    assert manager._run([torch.ones(2)], function) == "warmed up"
    assert list(watched.faults.counts()) == [("cudagraph_trees", "ZeroDivisionError: division by zero")]


def deferred(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Any]], str]:
    """What torch puts in front of its trees, for a function with one tensor and one size."""
    known: dict[int, Any] = {}

    def add(model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
        function = known.setdefault(inputs[1], manager.add())
        return (lambda given: manager._run(given, function)), manager._run(inputs, function)

    def model(inputs: list[Any]) -> str:
        return "ran as it is"

    monkeypatch.setattr(trees, "cudagraphify", add)
    told = {
        "is_backward": False,
        "is_inference": True,
        "compile_id": CompileId(frame_id=3, frame_compile_id=0),
    }
    made: Any = trees.cudagraphify_impl(model, [torch.ones(2), 4], [], **told)

    def call(inputs: list[Any]) -> str:
        manager.begin()
        return made(inputs)

    return call


def test_calls_of_a_size_that_is_not_to_be_captured_are_counted(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch runs them without asking its trees, and without a word; the others are counted in the trees alone."""
    call = deferred(Manager(), monkeypatch)
    with torch._inductor.config.patch({"triton.cudagraph_capture_sizes": (4,)}):
        results = [call([torch.ones(2), size]) for size in (4, 5, 4, 6, 4, 5)]
    assert results == ["warmed up", "ran as it is", "recorded", "ran as it is", "replayed", "ran as it is"]
    rows = watched.rows()
    assert [(row.event, row.replay_count, row.call_count) for row in rows] == [
        ("captured", 1, 1),
        ("bypassed", 0, 3),
    ]
    outside = rows[1]
    assert (outside.compile_id, outside.mode) == ("3/0", "INFERENCE")
    assert outside.reason is not None
    assert "cudagraph_capture_sizes" in outside.reason


def test_a_limit_of_sizes_is_the_reason_where_torch_has_one(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond it torch runs new sizes as they are, and replays those that it knows."""
    if not hasattr(torch._inductor.config.triton, "cudagraph_dynamic_shape_rerecord_limit"):
        pytest.skip("this torch has no limit of sizes")
    call = deferred(Manager(), monkeypatch)
    with torch._inductor.config.patch({"triton.cudagraph_dynamic_shape_rerecord_limit": 1}):
        for size in (4, 4, 4, 5, 6):
            call([torch.ones(2), size])
    rows = watched.rows()
    assert [(row.event, row.call_count) for row in rows] == [("captured", 1), ("bypassed", 2)]
    assert "no more than 1 of its sizes" in (rows[1].reason or "")


def test_a_skip_at_the_compile_is_told_of_its_compile() -> None:
    """`mode="reduce-overhead"` on a CPU captures nothing, says why and counts the calls; a plain compile asks for nothing."""
    torch._dynamo.reset()
    with ci.record() as recorder:
        left_out = torch.compile(lambda x: (x * 2).sin(), mode="reduce-overhead")
        for _ in range(3):
            left_out(torch.randn(8))
        torch.compile(lambda x: (x * 3).cos())(torch.randn(8))
    session = recorder.session
    left_out(torch.randn(8))
    (row,) = [row for row in session.captures if row.source == "cudagraph_trees"]
    assert (row.event, row.mode, row.compile_id) == ("skipped", "INFERENCE", session.compiles[0].id)
    assert row.call_count == 3
    assert row.reason is not None
    assert "it runs on cpu" in row.reason
    assert session.losses == ()


class _Graph(output_code.CompiledFxGraph):
    """A compiled graph whose last step does what a test wants."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update({"disabled_cudagraphs_reason": None, "cudagraph_info": None, **values})

    def __del__(self) -> None:
        """Torch's own expects more."""


@pytest.mark.parametrize(
    ("values", "said", "reason", "line"),
    [
        ({"device_types": {"cuda"}}, None, "none of its partitions can be held by a CUDA graph", None),
        (
            {
                "device_types": {"cuda"},
                "cudagraph_info": types.SimpleNamespace(cudagraph_fail_reasons=["non-Tensor inputs"]),
            },
            None,
            "non-Tensor inputs",
            None,
        ),
        (
            {"disabled_cudagraphs_reason": "incompatible op aten.nonzero", "device_types": {"cuda"}},
            None,
            "incompatible op",
            None,
        ),
        (
            {"device_types": {"cuda", "cpu"}},
            f"skipping cudagraphs due to cpu device (arg1_1). {STACK}",
            "cpu device (arg1_1)",
            12,
        ),
        (
            {"device_types": {"cuda", "cpu"}},
            "skipping cudagraphs due to multiple devices: ",
            "it runs on cpu and cuda",
            None,
        ),
    ],
)
def test_what_is_dropped_in_silence_is_told(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], said: str | None, reason: str, line: int | None
) -> None:
    """Whether torch logs it or not: a graph that CUDA graphs were asked for and that gets none has a row with the reason."""

    def dropping(self: Any, example_inputs: Any, constants: Any, graph_kwargs: Any) -> None:
        if said is not None:
            utils.log_cudagraph_skip_and_bump_counter(said)
        graph_kwargs["cudagraphs"] = False

    monkeypatch.setattr(output_code.CompiledFxGraph, "post_compile", dropping)
    faults = Faults()
    undo = cudagraph_trees.install(lambda *_, **__: None, faults)
    try:
        for _ in range(2):
            _Graph(**values).post_compile([], None, {"cudagraphs": True, "is_backward": True})
        _Graph(**values).post_compile([], None, {"cudagraphs": False, "is_backward": False})
        rows = [payload for _, payload, _ in cudagraph_trees.live()]
    finally:
        undo()
    assert faults.counts() == {}
    (row,) = rows
    assert (row["event"], row["mode"]) == ("skipped", "BACKWARD")
    assert row["reason"].startswith(reason)
    assert (row["location"] or {}).get("line") == line
