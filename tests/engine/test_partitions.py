"""Partitions made by Inductor: the wrapper that is put in place and taken away, and what the seam tells of every compile."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

import attention_models as models
import compile_inspector as ci
from compile_inspector.torch_seams import inductor_partitions, trace
from compile_inspector.torch_seams.probe import Faults

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
WRAPPING = {"use_inductor_graph_partition": True, "backend": "inductor"}


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.facts: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def emit(self, record: logging.LogRecord) -> None:
        metadata = getattr(record, "metadata", {})
        if metadata.get("artifact", {}).get("name") == "compile_inspector.partitions":
            self.facts.append((metadata, json.loads(record.payload)))


@contextmanager
def watching(faults: Faults) -> Iterator[Heard]:
    """Listens, with the seam installed and Inductor's cache off: a cached graph is not partitioned again."""
    heard = Heard()
    stop = trace.listen(heard)
    undo = inductor_partitions.install(trace.emit, faults)
    try:
        with models.uncached():
            yield heard
    finally:
        undo()
        stop()


def test_the_wrapper_is_in_place_within_the_block_only() -> None:
    """Inside the block Inductor has a wrapper; afterwards the one from before, none here."""
    assert inductor_partitions.partition_wrapper() is None
    with ci.maybe_use_cudagraph_partition_wrapper(models.config(**WRAPPING)):
        assert inductor_partitions.partition_wrapper() is not None
    assert inductor_partitions.partition_wrapper() is None


def test_nested_blocks_and_errors_restore_exactly_what_was_there() -> None:
    """A wrapper of someone else's, an outer block, and an error in an inner one: each finds again what it had."""

    def theirs(partition: Any, metadata: Any) -> Any:
        return partition

    undo = inductor_partitions.wrap_partitions(theirs)
    try:
        with ci.maybe_use_cudagraph_partition_wrapper(models.config(**WRAPPING)):
            outer = inductor_partitions.partition_wrapper()
            with (
                pytest.raises(KeyError),
                ci.maybe_use_cudagraph_partition_wrapper(models.config(**WRAPPING)),
            ):
                raise KeyError
            assert inductor_partitions.partition_wrapper() is outer
        assert inductor_partitions.partition_wrapper() is theirs
    finally:
        undo()
    assert inductor_partitions.partition_wrapper() is None


@pytest.mark.parametrize(
    "given", [{}, {**WRAPPING, "cudagraph_mode": "FULL"}, {**WRAPPING, "cudagraph_mode": "NONE"}]
)
def test_no_wrapper_where_none_is_asked_for(given: dict[str, Any]) -> None:
    """Without Inductor's partitions, or without piecewise graphs, Inductor is left as it is."""
    with ci.maybe_use_cudagraph_partition_wrapper(models.config(**given)):
        assert inductor_partitions.partition_wrapper() is None


def test_a_failed_compile_leaves_no_wrapper() -> None:
    """A backend failure in a compile with wrapped partitions leaves Inductor as it was."""
    settings = models.config(**WRAPPING, inductor_compile_config={"no_such_setting": 1})
    with pytest.raises(Exception, match="no_such_setting"):
        models.A(vllm_config=settings)(torch.ones(4, models.WIDTH))
    assert inductor_partitions.partition_wrapper() is None


def test_partitions_are_wrapped_with_the_options_of_their_place() -> None:
    """First: logged, garbage collected; others not; the last one's outputs are not kept."""
    from types import SimpleNamespace

    with ci.maybe_use_cudagraph_partition_wrapper(models.config(**WRAPPING)):
        wrap = inductor_partitions.partition_wrapper()
    made = [wrap(len, SimpleNamespace(partition_index=index, num_partitions=3)) for index in range(3)]
    options = [one.cudagraph_options for one in made]
    assert [one.debug_log_enable for one in options] == [True, False, False]
    assert [one.gc_disable for one in options] == [False, True, True]
    assert [one.weak_ref_output for one in options] == [False, False, True]
    assert {one.runtime_mode for one in made} == {ci.CUDAGraphMode.PIECEWISE}


def test_a_plain_compile_tells_its_partitions_and_why() -> None:
    """A `torch.compile` without graphs is one partition, and Inductor's reason is told, in the compile it belongs to."""
    faults = Faults()
    with watching(faults) as heard, torch.no_grad():
        torch.compile(lambda x: torch.relu(x + 1) @ x.T)(torch.randn(4, 4))
    ((metadata, fact),) = heard.facts
    assert metadata["frame_compile_id"] == 0
    assert [(one["kind"], one["capturable"]) for one in fact["partitions"]] == [("compiled", False)]
    assert fact["partitions"][0]["reason"] == "partition includes all ops when cudagraphs is disabled"
    assert "relu" in fact["partitions"][0]["nodes"]
    assert fact["wrapped"] is False
    assert faults.counts() == {}


def test_a_wrapped_compile_on_a_cpu_says_cpu_ops_and_splits_at_the_operator() -> None:
    """Wrapped, Inductor partitions at the splitting op; on a CPU no part can be captured, and the reasons say so."""
    faults = Faults()
    settings = models.config(**WRAPPING)
    with watching(faults) as heard, torch.no_grad(), models.counting() as grown:
        x = torch.randn(4, models.WIDTH)
        torch.testing.assert_close(models.call(models.A(vllm_config=settings), settings, x), 18 * x)
    assert grown() == (1, 1, 1, 1, 0)
    ((_, fact),) = heard.facts
    reasons = {reason for one in fact["partitions"] for reason, _ in one["reasons"]}
    assert reasons == {"cpu ops", "custom partition op: silly::attention.default"}
    assert [one["capturable"] for one in fact["partitions"]] == [False]
    assert fact["wrapped"] is True
    assert faults.counts() == {}


def test_watching_does_not_load_inductor_and_begins_when_it_is_loaded() -> None:
    """In a fresh process the seam loads nothing; the first compile, which does, is told; the module keeps its own loader."""
    program = """
import sys, torch
from compile_inspector.torch_seams import inductor_partitions
from compile_inspector.torch_seams.probe import Faults
told, faults = [], Faults()
assert inductor_partitions.probe().available
before = list(sys.meta_path)
undo = inductor_partitions.install(lambda name, payload, **_: told.append(name), faults)
assert "torch._inductor.scheduler" not in sys.modules
import torch._inductor.config
with torch._inductor.config.patch(fx_graph_cache=False), torch.no_grad():
    torch.compile(lambda x: x + 1)(torch.ones(2))
undo()
import torch._inductor.scheduler as scheduler
assert type(scheduler.__loader__).__module__.startswith("_frozen_importlib"), scheduler.__loader__
assert scheduler.__spec__.loader is scheduler.__loader__
assert sys.meta_path == [one for one in sys.meta_path if type(one).__module__ != inductor_partitions.__name__]
assert set(map(id, before)) <= set(map(id, sys.meta_path))
print(told, faults.counts())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "['partitions'] {}", done.stderr


def test_the_seam_leaves_results_and_torch_as_they_were() -> None:
    """After the undo the scheduler's methods are the originals, and nothing is told any more."""
    from torch._inductor.scheduler import Scheduler

    before = (Scheduler.graph_partition, Scheduler.should_partition)
    with watching(Faults()):
        assert Scheduler.graph_partition is not before[0]
    assert (Scheduler.graph_partition, Scheduler.should_partition) == before


def test_a_fault_of_the_seam_is_counted_and_does_not_reach_the_compile() -> None:
    """Where telling fails the compile goes on, and the fault is counted under the seam's name."""

    def broken(name: str, payload: object, **_: Any) -> None:
        raise ValueError("unwritable")

    faults = Faults()
    undo = inductor_partitions.install(broken, faults)
    try:
        with models.uncached(), torch.no_grad():
            result = torch.compile(lambda x: x + 1)(torch.ones(2))
    finally:
        undo()
    assert result.tolist() == [2, 2]
    assert faults.counts() == {("inductor_partitions", "ValueError: unwritable"): 1}
