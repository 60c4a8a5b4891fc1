"""What differs where torch's own state is guarded: gradient mode, autocast, default dtype, threads, function modes."""

from __future__ import annotations

import json
import re
from typing import Any

from compile_inspector.torch_seams.finding import Finding
from compile_inspector.torch_seams.object_names import type_name
from compile_inspector.torch_seams.probe import lookup
from compile_inspector.torch_seams.value_text import shorten

USES = (
    "torch._C._dynamo.guards:GlobalStateGuard",
    "torch._C:_len_torch_function_stack",
    "torch._C:_get_function_stack_at",
)
_CHANGED = re.compile(r"GLOBAL_STATE changed:(.*)")
_SCALARS = {0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 7: "float64", 9: "complex64",
            10: "complex128", 11: "bool", 15: "bfloat16"}  # fmt: skip


def global_state(leaf: Any) -> list[Finding]:
    """The settings of torch that differ from those the entry was compiled under, one finding each."""
    part = leaf.verbose_code_parts()[0]
    wanted, have = _state(part.partition("against ")[2]), _state(_current_state())
    changed = (
        _CHANGED.search(leaf.check_verbose(None).verbose_code_parts[0])
        if hasattr(leaf, "check_verbose")
        else None
    )
    names = (
        changed.group(1).split() if changed else [name for name in wanted if wanted[name] != have.get(name)]
    )
    findings = []
    for name in names or ["global state"]:
        expected, actual = _setting(name, wanted, have)
        text = "torch's global state is the same" if expected is None else f"{name} == {expected}"
        findings.append(Finding(name, "GLOBAL_STATE", text, expected, actual))
    return findings


def _current_state() -> str:
    guard = lookup("torch._C._dynamo.guards:GlobalStateGuard")()
    state = getattr(type(guard), "__getstate__", None)
    text = state(guard) if state is not None else ""
    return text if isinstance(text, str) else ""


def _state(text: str) -> dict[str, Any]:
    try:
        found, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _setting(name: str, wanted: dict[str, Any], have: dict[str, Any]) -> tuple[str | None, str | None]:
    import torch

    autocast = re.fullmatch(r"autocast\((\w+)\)_(enabled|dtype)", name)
    if autocast and autocast.group(2) == "enabled":
        enabled = torch.is_autocast_enabled(autocast.group(1))
        return str(not enabled), str(enabled)
    if autocast:
        lists = [state.get("autocast_state", {}).get("dtype", []) for state in (wanted, have)]
        pairs = [pair for pair in zip(*lists, strict=False) if pair[0] != pair[1]]
        actual = str(torch.get_autocast_dtype(autocast.group(1))).removeprefix("torch.")
        before = {_dtype(old) for old, new in pairs if _dtype(new) == actual}
        return (before.pop() if len(before) == 1 else None), actual
    if name == "default_dtype":
        return _dtype(wanted.get(name)), _dtype(have.get(name))
    return tuple(None if state.get(name) is None else str(state[name]) for state in (wanted, have))  # type: ignore[return-value]


def _dtype(number: object) -> str | None:
    return None if number is None else _SCALARS.get(number, f"scalar type {number}")  # type: ignore[arg-type]


def names_of_modes() -> str:
    """The torch function modes in effect, outermost first."""
    at = lookup("torch._C:_get_function_stack_at")
    modes = [type_name(type(at(i))) for i in range(lookup("torch._C:_len_torch_function_stack")())]
    return shorten(", ".join(modes)) if modes else "no mode"
