"""What to do about one failing guard: the line or setting that keeps the call on the code that is already compiled."""

from __future__ import annotations

import re

from compile_inspector.analyze.findings.fixes import (
    DYNAMO,
    before_call,
    mark_fix,
    with_settings,
)
from compile_inspector.analyze.findings.names import cut, line, python_name, statement
from compile_inspector.analyze.findings.observed import size_of
from compile_inspector.model.findings import Fix, SetConfig
from compile_inspector.model.guards import module_path
from compile_inspector.model.locations import Location
from compile_inspector.model.recompiles import FailingGuard

NO_SETTING = "no setting helps: "
"""How a note begins where there is no code to paste."""
SOURCES = ("torch.compiler.config", "dynamic_sources")
"""The setting that names what is to be dynamic."""

_INT = re.compile(r"-?\d+$")
_FLOAT = re.compile(r"-?(?:\d+\.\d*(?:e[-+]?\d+)?|\d+e[-+]?\d+|inf|nan)$")
_COMPOUND = re.compile(r"(?:with|for|if|while|try|return|assert|yield)\b|.*;")
_TEXT = re.compile(r"(['\"]).*\1$", re.DOTALL)
_IDENTITY = frozenset(
    {"ID_MATCH", "CLOSURE_MATCH", "FUNCTION_MATCH", "WEAKREF_ALIVE", "OBJECT_ALIASING", "CLASS_MATCH"}
)
_STATE: dict[str, tuple[str, str]] = {
    "default_dtype": ("torch.set_default_dtype(torch.{0})", "the default dtype"),
    "num_threads": ("torch.set_num_threads({0})", "the number of threads"),
    "deterministic_algorithms": ("torch.use_deterministic_algorithms({0})", "the deterministic mode"),
    "default_device": ("torch.set_default_device({0!r})", "the default device"),
    "allow_tf32": ("torch.backends.cuda.matmul.allow_tf32 = {0}", "this setting"),
    "float32_matmul_precision": ("torch.set_float32_matmul_precision({0!r})", "this setting"),
}


def guard_fix(guard: FailingGuard, call: Location | None) -> Fix:
    """The fix for one failing guard.

    Args:
        guard: That failed.
        call: The user's call that recompiled.
    """
    for offer in (_of_state, _of_training, _of_tensor, _of_size, _of_number, _of_identity, _of_shape):
        found = offer(guard, call)
        if found is not None:
            return found
    return _of_value(guard, call)


def _of_state(guard: FailingGuard, call: Location | None) -> Fix | None:
    name, was = guard.source, guard.expected
    if name == "grad_mode":
        run = statement(call.code) if call is not None else ""
        run = "..." if not run or _COMPOUND.match(run) else run
        return Fix(
            f"with torch.set_grad_enabled({was or True}):\n    {run}",
            f"in the place of the call{'' if call is None else f' at {call.short}'}: every call runs in one grad mode; "
            "where both modes are needed, two compiles are what it takes, and no more come",
        )
    for key, (code, what) in _STATE.items():
        if key in name and was is not None:
            return Fix(
                code.format(was.removeprefix("torch.")),
                f"{before_call(call)}, and nothing else: {what} was another when it was compiled",
            )
    if "autocast" in name:
        return Fix(
            None,
            f"no setting helps: run every call inside the same torch.autocast, or outside it; this one is {line(call)}",
        )
    if guard.kind in {"GLOBAL_STATE", "TORCH_FUNCTION_MODE_STACK", "DEFAULT_DEVICE", "BACKEND_MATCH"}:
        return Fix(
            None, f"no setting helps: {name} has to be the same in every call; this one is {line(call)}"
        )
    return None


def _of_training(guard: FailingGuard, call: Location | None) -> Fix | None:
    if not guard.source.endswith(".training"):
        return None
    module = python_name(guard.source.removesuffix(".training"))
    method = "train" if guard.expected == "True" else "eval"
    note = f"{before_call(call)}: the mode that it was compiled in; where both modes are needed, two compiles are what it takes, and no more come"
    return Fix(f"{module or 'module'}.{method}()", note)


def _of_tensor(guard: FailingGuard, call: Location | None) -> Fix | None:
    if guard.kind != "TENSOR_MATCH" and ".stride()[" not in guard.source:
        return None
    name, was = python_name(guard.source) or guard.source, guard.expected or ""
    tensor = name.partition(".stride()")[0]
    if ".stride()[" in guard.source:
        tensor = python_name(guard.source.partition(".stride()[")[0]) or guard.source
        return Fix(
            f"{tensor} = {tensor}.contiguous()", f"{before_call(call)}: every call brings the same layout"
        )
    if was.startswith("dtype "):
        return Fix(
            f"{tensor} = {tensor}.to(torch.{was[6:].removeprefix('torch.')})",
            f"{before_call(call)}: the dtype that it was compiled for",
        )
    if was.startswith("requires_grad "):
        return Fix(
            f"{tensor} = {tensor}.detach().requires_grad_({was[14:]})",
            f"{before_call(call)}: as it was when it was compiled",
        )
    if was.startswith("device"):
        return Fix(
            f"{tensor} = {tensor}.to({was.rpartition(' ')[2]!r})",
            f"{before_call(call)}: where it was when it was compiled",
        )
    return None


def _of_size(guard: FailingGuard, call: Location | None) -> Fix | None:
    size = size_of(guard.source)
    if size is None or guard.kind != "TENSOR_MATCH" or guard.others:
        return None
    if "._parameters[" in guard.source or "._buffers[" in guard.source:
        return with_settings(
            (SetConfig(DYNAMO, "force_parameter_static_shapes", "False"),),
            "before the first call: sizes of parameters and buffers may change too, after one more compile",
        )
    return mark_fix(
        (guard.source,),
        call,
        what="its size is a symbol; dynamic=False keeps every size that is not marked a number",
    )


def _of_number(guard: FailingGuard, call: Location | None) -> Fix | None:
    was = guard.expected or ""
    if guard.kind not in {"EQUALS_MATCH", "CONSTANT_MATCH", "LAMBDA_GUARD"} or guard.others:
        return None
    name = python_name(guard.source) or guard.source
    if _FLOAT.match(was):
        return Fix(
            f"{name} = torch.tensor({was})",
            f"{before_call(call)}: a tensor's value is not part of the compiled code",
        )
    if not _INT.match(was) or not _INT.match(guard.actual or "") or ".__" in guard.source:
        return None
    if not guard.source.startswith(("L[", "G[")) or size_of(guard.source) is not None:
        return None
    note = "before the first call: these are symbols from the first compile on"
    if _in_module(guard.source):
        note += "; torch._dynamo.config.allow_unspec_int_on_nn_module = True does it for every integer of a module, after one more compile"
    return with_settings((SetConfig(*SOURCES, repr(guard.source)),), note)


def _in_module(source: str) -> bool:
    return module_path(source) not in (None, "")


def _of_identity(guard: FailingGuard, call: Location | None) -> Fix | None:
    if guard.kind not in _IDENTITY:
        return None
    name = python_name(guard.source) or guard.source
    return Fix(
        None,
        f"no setting helps: each object that comes as {name} is compiled once; where it is made anew for every call, make it once and pass the same one at {line(call)}",
    )


def _of_shape(guard: FailingGuard, call: Location | None) -> Fix | None:
    if guard.kind not in {"LAMBDA_GUARD", "SHAPE_ENV", "SYMBOLIC_SHAPE_GUARD"}:
        return None
    if guard.location is None or guard.location.code is None:
        return Fix(None, f"no setting helps: the compiled code holds only where {cut(guard.expr)}")
    return Fix(
        None,
        f"no setting helps: rewrite {line(guard.location)} so that it does not depend on {guard.source}, or decide it before {line(call)}; "
        f"the compiled code holds only where {cut(guard.expr)}",
    )


def _of_value(guard: FailingGuard, call: Location | None) -> Fix:
    name = python_name(guard.source) or guard.source
    if guard.kind in {"TYPE_MATCH", "TENSOR_MATCH"}:
        return Fix(
            None, f"no setting helps: {name} has to be of one type in every call; this one is {line(call)}"
        )
    if guard.kind in {
        "LENGTH_CHECK",
        "SEQUENCE_LENGTH",
        "DICT_LENGTH",
        "DICT_KEYS",
        "DICT_KEYS_MATCH",
        "DICT_CONTAINS",
        "SET_CONTAINS",
        "TUPLE_ITERATOR_LEN",
    }:
        return Fix(
            None,
            f"no setting helps: {name} has to have the same elements in every call; pad it, or stack it into one tensor, before {line(call)}",
        )
    if guard.kind == "NO_TENSOR_ALIASING" or "uplicate" in guard.expr:
        return Fix(f"{name} = {name}.clone()", f"{before_call(call)}: no argument is another one's tensor")
    what = "each text" if _TEXT.match(guard.expected or "") else "each value"
    return Fix(
        None,
        f"no setting helps: {what} of {name} is compiled into the code; work out what the graph needs of it before {line(call)}, "
        "or pass it as a tensor",
    )
