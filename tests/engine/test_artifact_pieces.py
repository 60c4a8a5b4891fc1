"""Piecewise compiles that are kept: every piece of every range is loaded, captures happen again, and what was not kept is compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import compile_inspector as ci
from attention_models import Stack, call, config, serve
from compile_inspector.engine.decorator import programs
from compile_inspector.engine.static_graph import FakeStaticGraph, static_graphs
from engine.models import KEPT_BACKEND


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache and key lie below the test's folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COMPILE_INSPECTOR_CACHE_ROOT", str(tmp_path / "cache"))


def settings(**given: Any) -> ci.InspectorConfig:
    return config(**{"backend": KEPT_BACKEND, "use_aot_compile": True, "largest": 64, **given})


def stack(vllm_config: ci.InspectorConfig) -> Any:
    torch.manual_seed(0)
    return Stack(vllm_config=vllm_config, layers=3)


def outcomes(model: Any) -> list[str]:
    return [lookup.outcome for _, lookup, _ in programs.get(model).keeping.lookups]


def check(model: Any, seen: list[tuple[Any, Any]]) -> None:
    for x, result in seen:
        torch.testing.assert_close(result, programs.get(model).wrapper.original(model, x))


def test_pieces_are_loaded_and_captured_again() -> None:
    """3 layers split at their attention, served as a runner does: after a load nothing is compiled, captures and results are those of the first."""
    vllm_config = settings()
    counted: list[int] = []
    for outcome in ("miss", "hit"):
        model, before = stack(vllm_config), ci.compilation_counter.values()
        with torch.no_grad(), static_graphs(FakeStaticGraph):
            check(model, serve(model, vllm_config))
        after = ci.compilation_counter.values()
        grown = {name: after[name] - before[name] for name in after}
        assert outcomes(model)[0] == outcome
        counted.append(grown["num_cudagraph_captured"])
        if outcome == "hit":
            assert (grown["num_graphs_seen"], grown["num_backend_compilations"]) == (0, 0)
            assert grown["num_compiled_artifacts_loaded"] > 0
    assert counted[0] == counted[1] > 0


def test_each_range_is_loaded() -> None:
    """Two ranges and an exact size: each size runs what was compiled for it, and the rows say loaded."""
    vllm_config = settings(
        compile_ranges_endpoints=[16], compile_sizes=[8], cudagraph_mode="NONE", dropped_guards="recompile"
    )
    for outcome in ("miss", "hit"):
        model = stack(vllm_config)
        with torch.no_grad(), ci.record() as recorder:
            check(
                model,
                [(x, call(model, vllm_config, x)) for x in map(torch.ones, [(9, 16), (8, 16), (30, 16)])],
            )
        assert outcomes(model) == [outcome]
    rows = [row for row in recorder.session.ranges if row.outcome == "loaded" and row.call_count]
    found = {(row.sizes, row.call_count) for row in rows}  # with those of models that live on, if any
    assert found >= {("1 to 16", 1), ("8", 1), ("17 to 64", 1)}
    # torch may still hold the first instance's compile, and a recorder tells of it then.
    assert [row.id for row in recorder.session.compiles if not row.recovered] == []
    assert recorder.session.losses == ()


def test_a_size_that_was_not_kept_is_compiled() -> None:
    """A size beyond the ranges: the loaded program makes way for one compiled in this process; the result is right, and a row says why."""
    vllm_config = settings(compile_ranges_endpoints=[16], cudagraph_mode="NONE")
    with torch.no_grad():
        stack(vllm_config)(torch.ones(9, 16))
        model = stack(vllm_config)
        check(model, [(x, model(x)) for x in map(torch.ones, [(9, 16), (100, 16), (9, 16)])])
    (_, miss, *_) = [lookup for _, lookup, _ in programs.get(model).keeping.lookups]
    assert (miss.outcome, miss.reason) == ("miss", "nothing kept was compiled for the size 100")


def test_another_split_is_another_program() -> None:
    """The splitting operators are in the key."""
    with torch.no_grad():
        stack(settings(cudagraph_mode="NONE"))(torch.ones(9, 16))
        model = stack(settings(cudagraph_mode="NONE", splitting_ops=[]))
        check(model, [(torch.ones(9, 16), model(torch.ones(9, 16)))])
    (_, lookup, _), *_ = programs.get(model).keeping.lookups
    assert lookup.outcome == "miss"
    assert [one.component for one in lookup.differs] == ["config"]


def test_a_size_of_one_that_was_not_kept_runs_as_it_is() -> None:
    """Where guards are not asked, code for the size 1 alone would run for every size: the call runs as it is, and what was loaded stays."""
    vllm_config = settings(compile_ranges_endpoints=[16], cudagraph_mode="NONE", dropped_guards="ignore")
    with torch.no_grad():
        stack(vllm_config)(torch.ones(9, 16))
        model = stack(vllm_config)
        check(model, [(x, model(x)) for x in map(torch.ones, [(9, 16), (1, 16), (9, 16), (30, 16)])])
    assert outcomes(model) == ["hit"]
