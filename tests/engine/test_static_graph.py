"""The fake static graph: as strict as a CUDA graph about addresses, so that a missing copy shows on a CPU."""

from __future__ import annotations

import pytest
import torch

from compile_inspector.engine.static_graph import FakeStaticGraph, StaleAddress, factory_for, static_graphs


def test_a_replay_reads_the_recorded_input_and_writes_the_same_output() -> None:
    """New values in the recorded input give new values in the output returned at the recording."""
    graph, x = FakeStaticGraph(), torch.ones(3)
    out = graph.record(lambda: x * 2, [x])
    x.fill_(5)
    graph.replay([x])
    assert out.tolist() == [10, 10, 10]


def test_the_program_runs_once_when_it_is_recorded() -> None:
    """Recording has the effects of one run, no more."""
    graph, x = FakeStaticGraph(), torch.zeros(2)
    graph.record(lambda: x.add_(1), [x])
    assert x.tolist() == [1, 1]
    graph.replay([x])
    assert x.tolist() == [2, 2]


def test_a_missing_copy_gives_the_old_result() -> None:
    """A caller that replays without filling the recorded input gets the recorded input's result, not its own."""
    graph, recorded = FakeStaticGraph(), torch.ones(2)
    out = graph.record(lambda: recorded + 1, [recorded])
    torch.full((2,), 41.0)
    graph.replay([recorded])
    assert out.tolist() == [2, 2]


def test_another_tensor_is_refused() -> None:
    """A replay with a tensor at another address, or of another shape at the same one, raises."""
    graph, x = FakeStaticGraph(), torch.ones(4)
    graph.record(lambda: x + 1, [x])
    with pytest.raises(StaleAddress, match="input 0 was at 0x"):
        graph.replay([torch.ones(4)])
    with pytest.raises(StaleAddress, match=r"shape \(2,\)"):
        graph.replay([x[:2]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64, torch.bool])
def test_freed_buffers_are_spoiled(dtype: torch.dtype) -> None:
    """What a freed graph owned holds nonsense, and it cannot be replayed."""
    graph, x = FakeStaticGraph(), torch.ones(2).to(dtype)
    out = graph.record(lambda: x.clone(), [x])
    owned = graph.own(x)
    graph.free()
    for spoiled in (out, owned):
        assert not torch.equal(spoiled, x)
    with pytest.raises(StaleAddress, match="freed"):
        graph.replay([x])


def test_outputs_that_lie_in_an_input_stay_there() -> None:
    """A program that returns its input's memory returns it at each replay."""
    graph, x = FakeStaticGraph(), torch.ones(4)
    out = graph.record(lambda: x.add_(1)[:2], [x])
    graph.replay([x])
    assert out.data_ptr() == x.data_ptr()
    assert out.tolist() == [3, 3]


def test_structures_of_outputs_are_kept() -> None:
    """Tuples, dicts, None and numbers come back as they were returned."""
    graph, x = FakeStaticGraph(), torch.ones(1)
    out = graph.record(lambda: {"a": (x + 1, None), "b": 3}, [x])
    assert out["b"] == 3
    assert out["a"][1] is None
    assert out["a"][0].item() == 2


def test_a_buffer_of_the_graph_keeps_strides_and_values() -> None:
    """Expanded and transposed tensors are copied with their strides."""
    for tensor in (torch.arange(6.0).reshape(2, 3).T, torch.arange(3.0).expand(4, 3)):
        owned = FakeStaticGraph().own(tensor)
        assert owned.stride() == tensor.stride()
        assert torch.equal(owned, tensor)
        assert owned.data_ptr() != tensor.data_ptr()


def test_nothing_captures_on_a_cpu_unless_asked_to() -> None:
    """Without a GPU no graph can be had, and the reason is given; the fake is used where it was asked for."""
    factory, reason = factory_for([torch.ones(1)])
    assert factory is None
    assert reason == "inputs on cpu cannot be captured into a CUDA graph"
    with static_graphs(FakeStaticGraph):
        assert factory_for([torch.ones(1)]) == (FakeStaticGraph, None)
    assert factory_for([torch.ones(1)])[0] is None
