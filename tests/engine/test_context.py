from __future__ import annotations

import threading

import pytest

import compile_inspector as ci
from compile_inspector.engine.context import validate_cudagraph_capturing_enabled
from compile_inspector.errors import InvalidConfig


def test_a_default_configuration_is_current_where_none_is_set():
    """Without a block there is a configuration all the same."""
    assert ci.get_current_vllm_config() == ci.InspectorConfig()


def test_current_configurations_nest_and_are_put_back_after_an_error():
    """Each block restores what was current before it."""
    outer, inner = ci.InspectorConfig(), ci.InspectorConfig()
    with ci.set_current_vllm_config(outer):
        with ci.set_current_vllm_config(inner):
            assert ci.get_current_vllm_config() is inner
        with pytest.raises(KeyError), ci.set_current_vllm_config(inner):
            {}["no"]
        assert ci.get_current_vllm_config() is outer
    assert ci.get_current_vllm_config() is not outer


def test_what_has_no_compilation_config_cannot_be_current():
    """The error shows what came and says what to pass."""
    with (
        pytest.raises(InvalidConfig, match=r"needs a .compilation_config, and 3 has none"),
        ci.set_current_vllm_config(3),
    ):
        pass


def test_a_forward_context_is_there_only_in_its_block():
    """Its fields are what was given; outside there is none, and asking says what to do."""
    config, batch = ci.InspectorConfig(), ci.BatchDescriptor(8)
    assert not ci.is_forward_context_available()
    with ci.set_forward_context(
        {"a": 1},
        config,
        cudagraph_runtime_mode=ci.CUDAGraphMode.PIECEWISE,
        batch_descriptor=batch,
        skip_compiled=True,
    ):
        context = ci.get_forward_context()
        assert (context.attn_metadata, context.vllm_config, context.batch_descriptor) == (
            {"a": 1},
            config,
            batch,
        )
        assert context.skip_compiled
        with ci.set_forward_context(None, config):
            assert not ci.get_forward_context().skip_compiled
        assert ci.get_forward_context() is context
    with pytest.raises(RuntimeError, match="run the model within `with set_forward_context"):
        ci.get_forward_context()


def test_one_call_cannot_run_in_a_pair_of_modes():
    """A pair is a policy, not a mode of a call."""
    with (
        pytest.raises(InvalidConfig, match="must be NONE, PIECEWISE or FULL"),
        ci.set_forward_context(
            None, ci.InspectorConfig(), cudagraph_runtime_mode=ci.CUDAGraphMode.FULL_AND_PIECEWISE
        ),
    ):
        pass


def test_each_thread_has_its_own_contexts():
    """Another thread sees neither this one's configuration nor its forward context."""
    seen: list[object] = []
    with ci.set_current_vllm_config(ci.InspectorConfig(extra="mine")), ci.set_forward_context(None, None):
        thread = threading.Thread(
            target=lambda: seen.extend(
                [ci.get_current_vllm_config().extra, ci.is_forward_context_available()]
            )
        )
        thread.start()
        thread.join()
    assert seen[0] != "mine"
    assert seen[1] is False


def test_capturing_can_be_switched_off():
    """A capture at the wrong time is refused with the contract's words."""
    ci.set_cudagraph_capturing_enabled(False)
    try:
        with pytest.raises(RuntimeError) as raised:
            validate_cudagraph_capturing_enabled()
    finally:
        ci.set_cudagraph_capturing_enabled(True)
    assert str(raised.value) == (
        "CUDA graph capturing detected at an inappropriate time. This operation is currently disabled."
    )
    validate_cudagraph_capturing_enabled()


def test_batches_with_equal_descriptions_share_a_key():
    """Descriptors are compared and hashed by value."""
    assert {ci.BatchDescriptor(4): 1}[ci.BatchDescriptor(4)] == 1
    assert ci.BatchDescriptor(4) != ci.BatchDescriptor(4, uniform=True)
