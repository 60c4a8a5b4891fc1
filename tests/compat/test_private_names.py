"""Every private name of torch that a seam uses is written down, and is there in the installed torch or its seam says so."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

import msgspec
import pytest
import torch

from compile_inspector import torch_seams
from compile_inspector.torch_seams.probe import lookup

MANIFEST = Path(__file__).with_name("private_names.json")
SEAMS = tuple(
    name
    for _, name, _ in pkgutil.iter_modules(torch_seams.__path__)
    if hasattr(importlib.import_module(f"compile_inspector.torch_seams.{name}"), "USES")
)


def manifest() -> dict[str, list[str]]:
    return msgspec.json.decode(MANIFEST.read_bytes())


def test_the_manifest_names_every_seam() -> None:
    """The manifest is what the seams declare: no more, no less. Regenerate it with `python tests/compat/test_private_names.py`."""
    declared = {name: sorted(_seam(name).USES) for name in SEAMS}
    assert declared == manifest()


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", SEAMS)
def test_what_is_missing_is_said(name: str) -> None:
    """On this torch each declared name is there, or the probe of every seam that needs it names one that is not."""
    missing = {use for use in _seam(name).USES if not _is_there(use)}
    probing = [
        _seam(seam).probe()
        for seam in SEAMS
        if hasattr(_seam(seam), "probe") and missing & set(_seam(seam).USES)
    ]
    assert bool(missing) == bool(probing), (torch.__version__, missing)
    assert not any(capability.available for capability in probing)
    assert all(capability.reason for capability in probing)


@pytest.mark.parametrize(
    "path", sorted(Path(torch_seams.__path__[0]).glob("*.py")), ids=lambda path: path.stem
)
def test_a_seam_looks_up_only_what_it_declares(path: Path) -> None:
    """Each private name looked up in a seam's source is among its declared names or holds one of them."""
    looked_up = {
        node.args[0].value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "lookup"
        and isinstance(node.args[0], ast.Constant)
        and "._" in node.args[0].value
    }
    declared = getattr(_seam(path.stem), "USES", ()) if path.stem != "__init__" else ()
    undeclared = {one for one in looked_up if not any(use.startswith(one) for use in declared)}
    assert undeclared == set()


def _seam(name: str):
    return importlib.import_module(f"compile_inspector.torch_seams.{name}")


def _is_there(use: str) -> bool:
    try:
        lookup(use)
    except (ImportError, AttributeError):
        return False
    return True


if __name__ == "__main__":
    MANIFEST.write_bytes(
        msgspec.json.format(msgspec.json.encode({name: sorted(_seam(name).USES) for name in SEAMS})) + b"\n"
    )
