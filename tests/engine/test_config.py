from __future__ import annotations

import logging

import pytest

import compile_inspector as ci
from compile_inspector.engine.config import max_num_batched_tokens
from compile_inspector.errors import InspectorError, InvalidConfig


def test_modes_have_the_fields_numbers_and_alias():
    """The four modes are 0 to 3, and VLLM_COMPILE is the last."""
    assert [mode.value for mode in ci.CompilationMode] == [0, 1, 2, 3]
    assert ci.CompilationMode.VLLM_COMPILE is ci.CompilationMode.PIECEWISE_COMPILE


def test_cudagraph_modes_that_are_pairs():
    """A pair has one mode for decode batches and one for the rest; a plain mode is both."""
    mode = ci.CUDAGraphMode
    assert (mode.FULL_AND_PIECEWISE.decode_mode(), mode.FULL_AND_PIECEWISE.mixed_mode()) == (
        mode.FULL,
        mode.PIECEWISE,
    )
    assert (mode.FULL_DECODE_ONLY.decode_mode(), mode.FULL_DECODE_ONLY.mixed_mode()) == (mode.FULL, mode.NONE)
    assert (mode.PIECEWISE.decode_mode(), mode.PIECEWISE.mixed_mode()) == (mode.PIECEWISE, mode.PIECEWISE)
    assert mode.FULL_AND_PIECEWISE.has_piecewise_cudagraphs()
    assert mode.FULL_DECODE_ONLY.has_full_cudagraphs()
    assert not mode.FULL_DECODE_ONLY.has_piecewise_cudagraphs()
    assert not mode.FULL_AND_PIECEWISE.is_valid_runtime_mode()


@pytest.mark.parametrize(
    ("given", "expected"),
    [("PIECEWISE", "NONE"), ("FULL_AND_PIECEWISE", "FULL"), ("FULL", "FULL"), ("NONE", "NONE")],
)
def test_without_splitting_ops_nothing_is_captured_piecewise(given: str, expected: str):
    """PIECEWISE becomes NONE and FULL_AND_PIECEWISE becomes FULL where there is nothing to split at."""
    assert ci.CompilationConfig(cudagraph_mode=given).cudagraph_mode is ci.CUDAGraphMode[expected]


def test_cudagraph_mode_defaults_to_capturing_where_there_are_sizes():
    """Capture sizes alone ask for captures; without them none are made."""
    assert ci.CompilationConfig().cudagraph_mode is ci.CUDAGraphMode.NONE
    split = ci.CompilationConfig(splitting_ops=["a::b"], cudagraph_capture_sizes=[2, 1, 2])
    assert split.cudagraph_mode is ci.CUDAGraphMode.FULL_AND_PIECEWISE
    assert split.cudagraph_capture_sizes == (1, 2)


def test_compile_sizes_can_name_the_capture_sizes():
    """The word stands for the capture sizes, beside sizes given in numbers."""
    config = ci.CompilationConfig(
        cudagraph_capture_sizes=[1, 2], compile_sizes=["cudagraph_capture_sizes", 8]
    )
    assert config.compile_sizes == (1, 2, 8)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"mode": "fast"}, "mode must be one of NONE, STOCK_TORCH_COMPILE.*got 'fast'"),
        ({"mode": True}, "mode must be one of"),
        ({"mode": 4}, "got 4"),
        ({"backend": None}, "backend must be a name, got None"),
        (
            {"splitting_ops": "a::b"},
            'splitting_ops must be a list of operator names such as "mylib::attention"',
        ),
        ({"splitting_ops": [""]}, "splitting_ops"),
        ({"cudagraph_mode": "SOME"}, "cudagraph_mode must be one of NONE, PIECEWISE, FULL"),
        ({"cudagraph_capture_sizes": [0]}, "whole numbers of 1 or more, got \\[0\\]"),
        ({"compile_sizes": [True]}, "compile_sizes"),
        ({"compile_ranges_endpoints": ["8"]}, "compile_ranges_endpoints"),
        ({"cudagraph_num_of_warmups": -1}, "0 or more, got -1"),
        ({"dropped_guards": "warn"}, "'recompile', 'raise', 'ignore', got 'warn'"),
        ({"dynamic_shapes_config": "backed"}, "must be a DynamicShapesConfig"),
        (
            {"dynamic_shapes_config": {"type": "loose"}},
            "BACKED, UNBACKED, BACKED_SIZE_OBLIVIOUS, got 'loose'",
        ),
    ],
)
def test_a_wrong_value_is_refused_where_it_is_given(wrong: dict, said: str):
    """Every setting that cannot be right raises at once, with the value seen and what can be."""
    with pytest.raises(InvalidConfig, match=said) as raised:
        ci.CompilationConfig(**wrong)
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, InspectorError)


def test_an_inspector_config_takes_a_mapping_or_a_mode():
    """The compilation config can be written as its fields, or as a mode alone."""
    assert ci.InspectorConfig({"mode": 2}).compilation_config.mode is ci.CompilationMode.DYNAMO_TRACE_ONCE
    assert ci.InspectorConfig("NONE").compilation_config.mode is ci.CompilationMode.NONE
    with pytest.raises(InvalidConfig, match="max_num_batched_tokens must be a size of 1 or more, got 0"):
        ci.InspectorConfig(max_num_batched_tokens=0)
    with pytest.raises(InvalidConfig, match="must be a CompilationConfig"):
        ci.InspectorConfig(compilation_config=None)


def test_the_largest_size_is_read_off_a_foreign_configuration_too():
    """Any object serves: its own number, that of its scheduler, or 8192."""
    foreign = type("Foreign", (), {"scheduler_config": type("S", (), {"max_num_batched_tokens": 64})})()
    assert max_num_batched_tokens(foreign) == 64
    assert max_num_batched_tokens(ci.InspectorConfig(max_num_batched_tokens=32)) == 32
    assert max_num_batched_tokens(object()) == 8192


def test_the_hash_is_of_what_changes_the_program():
    """Settings that change what is compiled change the hash; times, folders and traced files do not."""
    one, other = ci.CompilationConfig(), ci.CompilationConfig()
    other.compilation_time, other.debug_dump_path = 3.0, "/somewhere"
    other.traced_files.add("/a.py")
    assert one.compute_hash() == other.compute_hash()
    changed = [
        ci.CompilationConfig(mode=2),
        ci.CompilationConfig(backend="eager"),
        ci.CompilationConfig(splitting_ops=["a::b"]),
        ci.CompilationConfig(dynamic_shapes_config=ci.DynamicShapesConfig(evaluate_guards=True)),
        ci.CompilationConfig(inductor_compile_config={"max_autotune": True}),
    ]
    assert len({one.compute_hash(), *(config.compute_hash() for config in changed)}) == 6


def test_the_environment_sets_what_is_kept_on_disk(monkeypatch: pytest.MonkeyPatch):
    """The package's own variables are read; the original's are not."""
    monkeypatch.setenv("VLLM_USE_AOT_COMPILE", "1")
    assert not ci.CompilationConfig().use_aot_compile
    for name in ("USE_AOT", "DISABLE_CACHE", "FORCE_AOT_LOAD"):
        monkeypatch.setenv(f"COMPILE_INSPECTOR_{name}", "1")
    monkeypatch.setenv("COMPILE_INSPECTOR_CACHE_ROOT", "/kept/here")
    config = ci.CompilationConfig()
    assert (config.use_aot_compile, config.disable_compile_cache, config.force_aot_load) == (True, True, True)
    assert config.cache_root == "/kept/here"


def test_the_eager_backend_turns_aot_off_with_a_warning(caplog: pytest.LogCaptureFixture):
    """There is nothing to keep of an eager compile, and that is said."""
    with caplog.at_level(logging.WARNING):
        config = ci.CompilationConfig(backend="eager", use_aot_compile=True)
    assert not config.use_aot_compile
    assert "use_aot_compile is off" in caplog.text
