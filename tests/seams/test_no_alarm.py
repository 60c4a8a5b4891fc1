"""No false alarm: the models of the notebooks, at one size, have no finding that is more than a note."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import compile_inspector as ci
from compile_inspector.model.findings import Finding

pytest.importorskip("transformers")
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def defined(notebook: str, *wanted: str) -> dict[str, Any]:
    """What a notebook's cells that define these names define; the cells between them are not run."""
    cells = json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    scope: dict[str, Any] = {"torch": torch, "nn": torch.nn, "ci": ci, "__name__": "cells"}
    for cell in cells:
        code = "".join(cell["source"])
        if cell["cell_type"] == "code" and any(mark in code for mark in wanted):
            exec(compile(code, f"{notebook}.ipynb", "exec"), scope)
    return scope


def alarms(call) -> list[Finding]:
    """The findings above a note of a call that is made three times."""
    with ci.record() as recorder:
        for _ in range(3):
            call()
    assert recorder.session.compiles
    assert recorder.session.losses == ()
    return [one for one in recorder.session.findings if one.severity != "note"]


@pytest.fixture(autouse=True, scope="module")
def models_are_freed():
    """A model of a notebook lies in a cycle with its cell's names; recorders of later tests would tell of its code."""
    yield
    gc.collect()


@pytest.fixture
def llama():
    return defined("quickstart", "from transformers import", "LlamaForCausalLM(config)")


@pytest.fixture
def decorated():
    return defined("decorator", "from transformers import", "LlamaForCausalLM(config)")


@pytest.fixture(autouse=True)
def grad_mode():
    """The notebooks change the grad mode for themselves."""
    with torch.random.fork_rng(), torch.set_grad_enabled(True):
        yield


def test_the_quickstarts_model_in_inference(llama) -> None:
    """Compiled, and called under no_grad with one batch."""
    compiled = torch.compile(llama["model"], backend="aot_eager")
    ids = llama["tokens"](2)

    def call():
        with torch.no_grad():
            compiled(input_ids=ids)

    assert alarms(call) == []


def test_the_quickstarts_model_in_training(llama) -> None:
    """Forward, backward and an optimizer's step."""
    model = llama["model"]
    compiled = torch.compile(model, backend="aot_eager")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    ids = llama["tokens"](2)

    def call():
        compiled(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    assert alarms(call) == []


def test_the_quickstarts_module_with_a_factor() -> None:
    """The small module whose attribute the notebook changes is quiet as long as it is not changed."""
    scope = defined("quickstart", "class Scale(")
    x = torch.ones(4, 8)
    torch._dynamo.reset()
    assert alarms(lambda: torch.compile(scope["scale"], backend="eager")(x)) == []


def test_the_decorators_model(decorated) -> None:
    """The Llama under `apply`, its batch and length marked, at one size."""
    model = decorated["model"]
    settings = ci.InspectorConfig({"backend": "eager"})
    ids = decorated["inputs"][0]
    with ci.apply(model, dynamic_arg_dims={"input_ids": [0, 1]}, vllm_config=settings):
        assert alarms(lambda: model(input_ids=ids)) == []


def test_the_decorators_class_split_at_its_attention() -> None:
    """The class that the decorator cuts at an operator of its own."""
    scope = defined(
        "decorator", "from compile_inspector.errors", 'custom_op("toy::attention"', "class ToyLlama"
    )
    ids = torch.randint(256, (20,))
    try:
        assert alarms(lambda: scope["toy"](ids)) == []
    finally:
        # The operator that the cell registers lives on, and with it all of the cell's names.
        for name in [name for name, value in scope.items() if isinstance(value, torch.nn.Module)]:
            del scope[name]


def test_a_small_model_that_trains() -> None:
    """A model with dropout, a norm, embeddings and a loss, forward and backward, under Adam: nothing is amiss."""
    model = torch.nn.Sequential(
        torch.nn.Embedding(32, 16),
        torch.nn.LayerNorm(16),
        torch.nn.Linear(16, 16),
        torch.nn.GELU(),
        torch.nn.Dropout(0.1),
        torch.nn.Linear(16, 32),
    )
    optimizer = torch.optim.Adam(model.parameters())
    compiled = torch.compile(model, backend="aot_eager")
    ids = torch.randint(32, (4, 8))

    def call():
        loss = torch.nn.functional.cross_entropy(compiled(ids).flatten(0, 1), ids.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    assert alarms(call) == []
