"""The environment of a recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compile_inspector.model.environment import ConfigPatch, Environment
from compile_inspector.model.records import Loss, Record
from compile_inspector.model.text import HeldText
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.environment import environment
from compile_inspector.recording.trace_file import read_log

DATA = Path(__file__).parents[1] / "data"
FOREIGN = Path(__file__).parents[3] / "shared" / "traces"

FACT = {
    "torch": "2.13.0",
    "cuda": "12.8",
    "gpu": "NVIDIA H100",
    "python": "3.11.7",
    "packages": [["numpy", "2.4.6"]],
    "config": [
        ["torch._dynamo.config", "recompile_limit", "3", "8"],
        ["torch._inductor.config", "x", "1", None],
    ],
    "seams": [["guards", "not there"]],
}


def built(*records: Record) -> tuple[Environment, tuple[Loss, ...]]:
    trace = Trace(records)
    return environment(trace, Places(trace)), trace.losses.rows()


def fact(value: Any, **envelope: Any) -> Record:
    text = value if isinstance(value, str) else json.dumps(value)
    return Record("artifact", {"name": "compile_inspector.environment"}, envelope, HeldText(text))


def test_a_recording_of_ours_has_all_of_it() -> None:
    """The recorder writes the environment into the stream."""
    found, losses = built(fact(FACT, rank=2))
    assert losses == ()
    assert found == Environment(
        torch="2.13.0",
        cuda="12.8",
        gpu="NVIDIA H100",
        python="3.11.7",
        packages=(("numpy", "2.4.6"),),
        config=(
            ConfigPatch("torch._dynamo.config", "recompile_limit", "3", "8"),
            ConfigPatch("torch._inductor.config", "x", "1", None),
        ),
        seams=(("guards", "not there"),),
        ranks=(2,),
    )


def test_of_a_foreign_log_what_its_records_tell() -> None:
    """The version of torch stands in a record of its own, Python's in each compile's metrics."""
    found, losses = built(*read_log(DATA / "recompiles.log.gz").records)
    assert losses == ()
    assert (found.torch, found.python, found.cuda, found.gpu, found.config) == (
        "2.13.0+cpu",
        "3.11.7",
        None,
        None,
        (),
    )


def test_a_log_that_tells_nothing_gives_nothing() -> None:
    """What is not known is None."""
    assert built(Record("dynamo_start", {}, {})) == (Environment(), ())


WRONG_TYPES = {"torch": 3, "packages": 1, "config": [[1, 2, 3, 4], "x", []], "seams": [["a"]]}


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '"\\ud800"', '"\ud800"'], ids=range(4))
def test_a_fact_that_is_no_json_is_a_loss(text: str) -> None:
    """Nothing is known then, and it is said that something was there."""
    found, losses = built(fact(text))
    assert found == Environment()
    assert [loss.count for loss in losses] == [1]


@pytest.mark.parametrize("value", ["[]", "null", {}, WRONG_TYPES], ids=range(4))
def test_a_fact_of_another_form_gives_what_is_left(value: Any) -> None:
    """Fields of a wrong type are None or empty."""
    assert built(fact(value)) == (Environment(), ())


def test_an_unknown_field_of_a_newer_recorder_is_passed_over() -> None:
    """The rest is read."""
    found, losses = built(fact(FACT | {"mood": "good"}))
    assert (found.torch, losses) == ("2.13.0", ())


@pytest.mark.skipif(not FOREIGN.is_dir(), reason="the logs recorded elsewhere are not here")
def test_the_gpu_is_read_from_a_cache_key() -> None:
    """Only Inductor's cache key names the GPU in a log that is not ours."""
    found, _ = built(*read_log(FOREIGN / "inductor_provenance_jit_cuda_log.txt").records)
    assert (found.gpu, found.cuda, found.python, found.packages) == (
        "NVIDIA PG509-210",
        "12.4.0",
        "3.12.10+meta",
        (("triton", "3.2.0"),),
    )
