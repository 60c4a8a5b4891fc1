from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import compile_inspector as ci
from compile_inspector.engine.decorator import programs
from engine.models import Branch, Layer, config


def applied(module: Any, *, call: bool) -> Any:
    """The module, applied to and perhaps called."""
    ci.apply(module, dynamic_arg_dims={"x": 0}, vllm_config=config())
    if call:
        module(torch.ones(5, 4))
    return module


def by_torch(module: Any) -> Any:
    """Through torch.save and torch.load."""
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "torch.save": by_torch,
    **{
        f"pickle {protocol}": (lambda module, protocol=protocol: pickle.loads(pickle.dumps(module, protocol)))
        for protocol in range(6)
    },
}


@pytest.mark.parametrize("call", [False, True])
@pytest.mark.parametrize("how", list(COPIES))
def test_a_copy_of_an_applied_module_is_the_plain_module(how: str, call: bool):
    """Of the class itself, with nothing of the engine's, and the same parameters; the original stays applied."""
    module = applied(Layer(), call=call)
    other = COPIES[how](module)
    assert type(other) is Layer
    assert programs.get(other) is None
    assert set(vars(other)) == set(vars(module))
    assert torch.equal(other.linear.weight, module.linear.weight)
    assert programs.get(module) is not None
    x = torch.randn(3, 4)
    torch.testing.assert_close(module(x), other(x))


class Constructed(Branch):
    """Has a __new__ of its own."""

    def __new__(cls, *_: Any) -> Any:
        made = super().__new__(cls)
        made.born = True
        return made

    def __getnewargs__(self) -> tuple[int]:
        return (1,)


class Custom(Branch):
    """Pickles in its own way, by the class of the instance."""

    def __reduce__(self) -> Any:
        return (type(self), ())


class Copying(Branch):
    """Copies in its own way, by the class of the instance."""

    def __deepcopy__(self, memo: Any) -> Any:
        return type(self)()


@pytest.mark.parametrize("make", [Constructed, Custom, Copying])
@pytest.mark.parametrize("how", ["deepcopy", "pickle 2", "pickle 5"])
def test_a_class_with_its_own_way_of_copying_keeps_it(make: Any, how: str):
    """And the copy is of the class itself."""
    module = applied(make(), call=False)
    other = COPIES[how](module)
    assert type(other) is make
    assert other(torch.ones(2)).tolist() == [100, 100]


def test_an_unpickled_module_needs_only_its_own_class(tmp_path: Path):
    """It loads in a process where this package cannot be imported."""
    (tmp_path / "theirs.py").write_text(
        "import torch\n\n\nclass Theirs(torch.nn.Module):\n    def forward(self, x: torch.Tensor) -> torch.Tensor:\n        return x * 2\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        from theirs import Theirs  # pyright: ignore[reportMissingImports]

        module = applied(Theirs(), call=True)
        torch.save(module, tmp_path / "module.pt")
        (tmp_path / "module.pickle").write_bytes(pickle.dumps(module))
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("theirs", None)
    script = (
        "import sys, pickle, torch\n"
        "sys.modules['compile_inspector'] = None\n"
        "for module in (torch.load('module.pt', weights_only=False), pickle.load(open('module.pickle', 'rb'))):\n"
        "    print(type(module).__name__, module(torch.ones(2)).tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["Theirs [2.0, 2.0]"] * 2


@ci.support_torch_compile
class Decorated(Layer):
    """Decorated where it is defined."""


@pytest.mark.parametrize("how", ["deepcopy", "torch.save", "pickle 5"])
def test_a_decorated_instance_can_be_copied_and_pickled(how: str):
    """After its first call too; the copy is of the class, uncompiled, and compiles at its own first call."""
    model = Decorated(vllm_config=config())
    x = torch.randn(3, 4)
    model(x)
    other = COPIES[how](model)
    assert type(other) is Decorated
    assert not other.compiled
    torch.testing.assert_close(model(x), other(x))
    assert other.compiled
