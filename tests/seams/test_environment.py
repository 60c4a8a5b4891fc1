"""The environment, asked of the torch that is installed."""

from __future__ import annotations

import json
import platform
import warnings
from collections.abc import Iterator

import pytest

pytest.importorskip("torch")

import torch
import torch._dynamo
import torch._inductor.config

from compile_inspector.torch_seams import environment


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    with torch._dynamo.config.patch({}), torch._inductor.config.patch({}):
        yield


def test_this_torch_has_what_the_seam_needs() -> None:
    """The private names are there."""
    assert environment.probe().available


def test_versions_are_those_of_the_process() -> None:
    """Texts that JSON can hold; absent ones are None."""
    found = environment.describe()
    assert (found["torch"], found["python"]) == (torch.__version__, platform.python_version())
    assert found["cuda"] == torch.version.cuda
    assert found == json.loads(json.dumps(found))


def test_settings_at_their_defaults_are_not_listed() -> None:
    """A fresh process has no patches but those of its environment."""
    with torch._dynamo.config.patch(recompile_limit=torch._dynamo.config._config["recompile_limit"].default):
        names = {row[1] for row in environment.describe()["config"]}
    assert "recompile_limit" not in names


def test_patched_settings_are_listed_with_their_defaults() -> None:
    """Those of Dynamo and of Inductor, nested names too."""
    with torch._dynamo.config.patch(recompile_limit=3), torch._inductor.config.patch({"cpp.threads": 2}):
        rows = environment.describe()["config"]
    assert ["torch._dynamo.config", "recompile_limit", "3", "8"] in rows
    assert ["torch._inductor.config", "cpp.threads", "2", "-1"] in rows


def test_a_deprecated_alias_is_neither_listed_nor_warned_of() -> None:
    """``cache_size_limit`` is another name of ``recompile_limit``."""
    with torch._dynamo.config.patch(recompile_limit=5), warnings.catch_warnings():
        warnings.simplefilter("error")
        names = [row[1] for row in environment.describe()["config"]]
    assert ("recompile_limit" in names, "cache_size_limit" in names) == (True, False)


class Loud:
    def __repr__(self) -> str:
        raise RuntimeError("called")

    __eq__ = None  # type: ignore[assignment]
    __hash__ = object.__hash__


def test_no_code_of_the_user_runs_for_a_settings_text() -> None:
    """Of an object only its class is named, at any depth; of a function its name."""
    shown = environment._shown
    assert shown(Loud()).endswith(".Loud")
    assert shown([1, {"a": Loud()}]).startswith("list(1, dict(tuple('a', ")
    assert shown(platform.python_version) == "platform.python_version"
    assert shown("x" * 1000) == repr("x" * 1000)[:500] + "…"


def test_no_device_is_initialised() -> None:
    """Asking for the environment never makes a CUDA context."""
    before = torch.cuda.is_initialized()
    environment.describe()
    assert before == torch.cuda.is_initialized()
