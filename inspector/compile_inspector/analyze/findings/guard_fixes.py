"""What to do about one failing guard: the line or setting that keeps the call on the code that is already compiled."""

from __future__ import annotations

import re

from compile_inspector.analyze.findings.call_fixes import of_inference
from compile_inspector.analyze.findings.fixes import DYNAMO, SOURCES, with_settings
from compile_inspector.analyze.findings.names import cut, line
from compile_inspector.analyze.findings.observed import size_of
from compile_inspector.analyze.findings.sites import Site
from compile_inspector.model.findings import Fix, SetConfig
from compile_inspector.model.guards import module_path
from compile_inspector.model.recompiles import FailingGuard

NO_SETTING = "no setting helps: "
"""How a note begins where there is no code to paste."""
INSTALLED = re.compile(r"/(?:site|dist)-packages/")
EACH_RANGE = "each range is compiled once and no more come; where that is too often, keep {name} within one of them, by padding for instance"
_INT = re.compile(r"-?\d+$")
_RANK = re.compile(r"\d+ dimensions?$")
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


def guard_fix(guard: FailingGuard, site: Site) -> Fix:
    """The fix for one failing guard.

    Args:
        guard: That failed.
        site: The user's call that recompiled.
    """
    site = site.passing((guard.source,))
    for offer in (_of_state, _of_training, _of_size, _of_number, _of_identity, _of_shape):
        found = offer(guard, site)
        if found is not None:
            return found
    return _of_value(guard, site)


def _of_state(guard: FailingGuard, site: Site) -> Fix | None:
    name, was = guard.source, guard.expected
    for key, (code, what) in _STATE.items():
        if key in name and was is not None:
            return Fix(
                code.format(was.removeprefix("torch.")),
                f"{site.before}, and nothing else: {what} was another when it was compiled",
            )
    if "autocast" in name:
        return Fix(
            None,
            f"no setting helps: run every call inside the same torch.autocast, or outside it; this one is {site}",
        )
    if guard.kind in {"GLOBAL_STATE", "TORCH_FUNCTION_MODE_STACK", "DEFAULT_DEVICE", "BACKEND_MATCH"}:
        return Fix(None, f"no setting helps: {name} has to be the same in every call; this one is {site}")
    return None


def _of_training(guard: FailingGuard, site: Site) -> Fix | None:
    if not guard.source.endswith(".training"):
        return None
    module = site.name(guard.source.removesuffix(".training"))
    method = "train" if guard.expected == "True" else "eval"
    note = f"{site.before}: the mode that it was compiled in; where both modes are needed, two compiles are what it takes, and no more come"
    return Fix(f"{module or 'module'}.{method}()", note)


def _of_size(guard: FailingGuard, _site: Site) -> Fix | None:
    size = size_of(guard.source)
    if size is None or guard.kind != "TENSOR_MATCH" or guard.others:
        return None
    if "._parameters[" in guard.source or "._buffers[" in guard.source:
        return with_settings(
            (SetConfig(DYNAMO, "force_parameter_static_shapes", "False"),),
            "before the first call: sizes of parameters and buffers may change too, after one more compile",
        )
    return None


def _of_number(guard: FailingGuard, _site: Site) -> Fix | None:
    was = guard.expected or ""
    if guard.kind not in {"EQUALS_MATCH", "CONSTANT_MATCH", "LAMBDA_GUARD"} or guard.others:
        return None
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


def _of_identity(guard: FailingGuard, site: Site) -> Fix | None:
    if guard.kind not in _IDENTITY:
        return None
    name = site.name(guard.source) or guard.source
    return Fix(
        None,
        f"no setting helps: each object that comes as {name} is compiled once; where it is made anew for every call, make it once and pass the same one at {site}",
    )


def _of_shape(guard: FailingGuard, site: Site) -> Fix | None:
    if guard.kind not in {"LAMBDA_GUARD", "SHAPE_ENV", "SYMBOLIC_SHAPE_GUARD"}:
        return None
    if guard.location is None or guard.location.code is None:
        return Fix(None, f"no setting helps: the compiled code holds only where {cut(guard.expr)}")
    if INSTALLED.search(guard.location.file):
        return Fix(
            None,
            f"no setting helps: {line(guard.location)} is a library's, and splits the sizes; the compiled code holds only where {cut(guard.expr)}; "
            f"{EACH_RANGE.format(name=site.words(guard.source))}",
        )
    return Fix(
        None,
        f"no setting helps: rewrite {line(guard.location)} so that it does not depend on {guard.source}, or decide it before {site}; "
        f"the compiled code holds only where {cut(guard.expr)}",
    )


def _of_value(guard: FailingGuard, site: Site) -> Fix:
    name = site.name(guard.source) or guard.source
    if of_inference(guard):
        return Fix(
            None,
            f"no setting helps: {name} was made, or the call run, under torch.inference_mode() for one call and outside it for the other, and its "
            f"dispatch keys tell; make it and run every call in the same mode; this one is {site}",
        )
    if guard.kind == "TENSOR_MATCH" and _RANK.match(guard.expected or ""):
        return Fix(
            None,
            f"no setting helps: {name} has to have {guard.expected} in every call; reshape it before {site}",
        )
    if guard.kind in {"TYPE_MATCH", "TENSOR_MATCH"}:
        return Fix(None, f"no setting helps: {name} has to be of one type in every call; this one is {site}")
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
        how = (
            "bring the same keys"
            if "DICT" in guard.kind or "key" in (guard.expected or "")
            else "pad it, or stack it into one tensor"
        )
        return Fix(
            None,
            f"no setting helps: {name} has to have the same elements in every call; {how}, before {site}",
        )
    if guard.kind == "NO_TENSOR_ALIASING" or "uplicate" in guard.expr:
        code, where = site.wrapped({guard.subjects[-1]: "{}.clone()"}, within=True)
        return Fix(code, f"{where}: no argument is another one's tensor")
    what = "each text" if _TEXT.match(guard.expected or "") else "each value"
    number = _INT.match(guard.expected or "") is not None and _INT.match(guard.actual or "") is not None
    return Fix(
        None,
        f"no setting helps: {what} of {name} is compiled into the code; pass the same in every call, or work out what the graph needs of it before {site}"
        + (
            ", or pass it as a tensor"
            if number
            else "; where only a few come, each is compiled once and no more come"
        ),
    )
