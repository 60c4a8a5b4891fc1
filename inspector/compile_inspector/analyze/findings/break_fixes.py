"""What to do about a graph break, by torch's registry of graph breaks and its hints, for the line that was met."""

from __future__ import annotations

import re

from compile_inspector.analyze.findings.fixes import DYNAMO, setting
from compile_inspector.analyze.findings.names import cut, statement
from compile_inspector.model.breaks import GraphBreak
from compile_inspector.model.findings import Fix, SetConfig

_SETTING = re.compile(r"(torch\._(?:dynamo|inductor))(?:\.config)?\.([a-z_]+)\s*=\s*(True|False|\d+)\b")
_PRINTED = re.compile(r"^print\(.*\)$", re.DOTALL)
_LOGGED = re.compile(r"^(\w+(?:\.\w+)*)\.(?:debug|info|warning|error|critical|exception|log)\(", re.DOTALL)
_WARNED = re.compile(r"^((?:\w+\.)?warn)\(", re.DOTALL)
_DISABLED = re.compile(r"<function ([\w.<>]+) at 0x")
_DECIDES = ("if ", "elif ", "while ")
_NUMPY = re.compile(r"\b(?:np|numpy)\.")
_READ = re.compile(r"\.item\(\)")
_IF = re.compile(r"^(?:el)?if\s+(.+):", re.DOTALL)
_ITEM = re.compile(r"\.(?:item|tolist)\(\)|\b(?:int|float|bool)\(")
_USELESS = re.compile(
    r"^(?:It may be possible to write Dynamo tracing rules|This graph break may be difficult|"
    r"This is likely to be a Dynamo bug|Please report an issue|If you believe|See https?://|For more information)",
    re.IGNORECASE,
)


def break_fix(found: GraphBreak) -> Fix:
    """The fix: a setting where torch names one, the line rewritten where its form tells how, torch's own hints otherwise."""
    told = " ".join((found.reason, found.explanation or "", *found.hints))
    code = statement(found.location.code) if found.location is not None else ""
    where = "" if found.location is None else f" at {found.location.short}"
    config = _setting(told, code)
    if config is not None:
        return Fix(setting(config), f"before the first call: {_because(config)}", (config,))
    return _rewritten(told, code, where) or _hinted(found, code, where)


def _setting(told: str, code: str) -> SetConfig | None:
    if "capture_scalar_outputs" in told and (code.startswith(_DECIDES) or _NUMPY.search(code)):
        return None  # the number would be captured, and the graph end right there all the same
    named = _SETTING.search(told)
    if named is not None:
        return SetConfig(f"{named[1]}.config", named[2], named[3])
    if "capture_scalar_outputs" in told and _ITEM.search(code):
        return SetConfig(DYNAMO, "capture_scalar_outputs", "True")
    if "capture_dynamic_output_shape_ops" in told or "ynamic shape operator" in told:
        return SetConfig(DYNAMO, "capture_dynamic_output_shape_ops", "True")
    return None


def _because(config: SetConfig) -> str:
    return {
        "capture_scalar_outputs": "the number stays in the graph as a symbol",
        "capture_dynamic_output_shape_ops": "sizes that depend on data stay in the graph as symbols",
    }.get(config.name, "torch names this setting for it")


def _rewritten(told: str, code: str, where: str) -> Fix | None:
    if _PRINTED.match(code):
        return Fix(
            "torch._dynamo.config.reorderable_logging_functions.add(print)",
            f"before the first call: the print comes after the graph; or delete `{cut(code)}`{where}",
        )
    logged = _LOGGED.match(code)
    if logged is not None and "logg" in told.lower() + code.lower():
        return Fix(
            f"if not torch.compiler.is_compiling():\n    {code}",
            f"in the place of the line{where}; or torch._dynamo.config.ignore_logging_functions.add({code.partition('(')[0]})",
        )
    if "capture_scalar_outputs" in told and _NUMPY.search(code):
        return Fix(
            None,
            f"no setting helps; rewrite `{cut(code)}`{where} with torch's own functions (torch.rand for numpy.random.rand), or work the number out "
            "in the caller and pass it as a tensor",
        )
    condition = _IF.match(_READ.sub("", code))
    if condition is not None and (
        "ata-dependent" in told or "ata dependent" in told or "capture_scalar_outputs" in told
    ):
        return Fix(
            None,
            f"no setting helps; rewrite `{cut(code)}`{where}: torch.cond({cut(condition[1])}, ...) with a function for each branch keeps both in the "
            "graph; or torch.where, where both may be worked out",
        )
    if code.startswith("while ") and ("ata-dependent" in told or "capture_scalar_outputs" in told):
        return Fix(
            None,
            f"rewrite `{cut(code)}`{where}: torch.while_loop keeps it in the graph; or loop in the caller, around a compiled body",
        )
    disabled = _DISABLED.search(told)
    if disabled is not None and "torch.compiler.disable" in told:
        return Fix(
            None,
            f"the program asks for it: take `@torch.compiler.disable` off {disabled[1]}, which `{cut(code)}`{where} calls",
        )
    if "torch._dynamo.graph_break" in told and code and "graph_break" not in code:
        return Fix(
            None, f"code of a library that `{cut(code)}`{where} calls asks for it: nothing is to be done"
        )
    warned = _WARNED.match(code)
    if warned is not None:
        return Fix(
            f"torch._dynamo.config.reorderable_logging_functions.add({warned[1]})",
            f"before the first call: the warning comes after the graph; or delete `{cut(code)}`{where}",
        )
    if "torch._dynamo.graph_break" in told or code.endswith("graph_break()"):
        return Fix(
            None,
            f"the program asks for it: delete `{cut(code)}`{where}" if code else "the program asks for it",
        )
    return None


def _hinted(found: GraphBreak, code: str, where: str) -> Fix:
    hints = [hint for hint in found.hints if not _USELESS.match(hint.strip())]
    place = f"`{cut(code)}`{where}" if code else f"the line{where}"
    if hints:
        return Fix(None, f"rewrite {place}: {cut(' '.join(hints), 400)}")
    return Fix(
        None,
        f"torch knows no remedy: move {place} out of the compiled function, before or after the call that is compiled",
    )
