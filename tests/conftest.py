"""What holds for every test: it leaves no handler, no patch and no compiled code behind."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import sys
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

import compile_inspector.torch_seams as seams

hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


def _private_names() -> list[str]:
    modules = [
        importlib.import_module(f"{seams.__name__}.{found.name}")
        for found in pkgutil.iter_modules(seams.__path__)
    ]
    return sorted({name for module in modules for name in getattr(module, "USES", ())})


def _functions() -> dict[str, Any]:
    """What each name that a seam uses stands for now, of the parts of torch that are loaded: functions and classes only."""
    found: dict[str, Any] = {}
    for path in _private_names():
        module, _, attributes = path.partition(":")
        value: Any = sys.modules.get(module)
        for attribute in attributes.split("."):
            value = None if value is None else getattr(value, attribute, None)
        if callable(value):
            found[path] = value
    return found


def _handlers() -> list[logging.Handler]:
    attached = logging.getLogger("torch.__trace").handlers
    return [one for one in attached if type(one).__module__.startswith("compile_inspector")]


def _forget_programs() -> None:
    """A recording tells of each decorated module that is alive, and of its compile's id: one of an earlier test is not this test's.

    Cycles and kept exceptions hold some for a while.
    """
    narration = sys.modules.get("compile_inspector.engine.narration")
    for one in [] if narration is None else list(narration._live):
        narration.forget(one)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After each test torch is as it was before: our handlers gone, each function we may wrap the same, compiled code forgotten."""
    _forget_programs()
    before = _functions()
    yield
    dynamo = sys.modules.get("torch._dynamo")
    if dynamo is not None and hasattr(dynamo, "reset"):
        dynamo.reset()
    assert _handlers() == [], "a handler of ours is still on torch's trace logger"
    after = _functions()
    changed = [path for path, value in before.items() if after.get(path) is not value]
    assert changed == [], "these are still wrapped, or were not put back as they were"
    observe = sys.modules.get("compile_inspector.torch_seams.observe")
    assert observe is None or observe._recorders == 0, "a recorder is still counted"
