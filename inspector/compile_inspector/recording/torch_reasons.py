"""Reads torch's own words on why an entry could not be used (the artifact ``recompile_reasons``): the first guard that failed.

torch writes them for people: ``L['x']`` is shortened to ``x``, the sentence differs by kind of guard. What the words do not tell is None.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any, NamedTuple, cast

_ENTRY = re.compile(r"(!?\d+(?:/\d+)+(?:_\d+)?): ")
_LONGEST = 4000
_STACK = "\nUser stack trace:"
_TENSOR = re.compile(
    r"tensor '(?P<name>.+?)' (?P<what>size|stride|dtype|rank|requires_grad|device index|dispatch key set|layout) mismatch"
    r"(?: at index (?P<index>\d+))?\. expected (?P<expected>.*?), actual (?P<actual>.*)",
    re.DOTALL,
)
_TENSOR_TYPE = re.compile(
    r"expected type of '(?P<name>.+?)' to be a tensor type, ?'? but found (?P<actual>.*)", re.DOTALL
)
_LENGTH = re.compile(r"len\((?P<name>.+)\) != (?P<expected>\d+)")
_TYPE = re.compile(r"___check_type_id\((?P<name>.+), \d+\)(?:, type=<class '(?P<expected>[^']+)'>)?")
_OBJECT = re.compile(r"___check_obj_id\((?P<name>.+), \d+\)(?:, type=<class '(?P<expected>[^']+)'>)?")
_STATE = re.compile(r"GLOBAL_STATE changed: ?(?P<names>.*)")
_DUPLICATES = re.compile(r"Duplicate tensors? found: (?P<names>.*)", re.DOTALL)
_BACKEND = re.compile(
    r"BACKEND_MATCH failure: .*?Cached backend: (?P<expected>.*?)\. New backend: (?P<actual>.*?)\. If ",
    re.DOTALL,
)
_GONE = re.compile(r"Cache line invalidated because (?P<name>.+?) (?:\(.*\) )?got deallocated")
_AMBIENT = {
    "___check_torch_function_mode_stack(": ("torch_function_mode_stack", "TORCH_FUNCTION_MODE_STACK"),
    "utils_device.CURRENT_DEVICE": ("default_device", "DEFAULT_DEVICE"),
    "___check_global_state(": ("global state", "GLOBAL_STATE"),
}
_WORDS = {
    "dtype": "dtype",
    "device index": "device index",
    "requires_grad": "",
    "dispatch key set": "",
    "layout": "layout",
}
_UNNAMED = frozenset(
    {
        "L",
        "G",
        "torch",
        "math",
        "utils_device",
        "list",
        "dict",
        "tuple",
        "set",
        "type",
        "len",
        "hasattr",
        "getattr",
    }
)


class Reason(NamedTuple):
    """One guard that torch named."""

    source: str
    kind: str
    expr: str
    expected: str | None
    actual: str | None
    others: tuple[str, ...] = ()


def split_reasons(text: str) -> list[tuple[str | None, str]]:
    """The payload of ``recompile_reasons`` as pairs of entry and reason; the entry is None where the text names none.

    Args:
        text: JSON, one text or a list of them; as plain text it counts as one reason.
    """
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    given = cast("list[object]", found) if isinstance(found, list) else [found]
    return [split_reason(one) for one in given if isinstance(one, str)]


def split_reason(text: str) -> tuple[str | None, str]:
    """``0/0: tensor 'x' …`` as the entry and the reason, the user's stack cut off and runs of blanks closed up."""
    text = text.partition(_STACK)[0].strip()
    match = _ENTRY.match(text)
    reason = re.sub(r" {2,}", "  ", text[match.end() :] if match else text).strip()
    return (match[1] if match else None), reason


def read_reason(reason: str) -> tuple[Reason, ...]:
    """The guards that a reason names: mostly one; none where it names no guard."""
    reason = reason[:_LONGEST]
    for read in (_tensor, _tensor_type, _length, _identity, _state, _duplicates, _backend, _gone):
        found = read(reason)
        if found:
            return found
    for sign, (source, kind) in _AMBIENT.items():
        if reason.startswith(sign):
            return (Reason(source, kind, _code(reason), None, None),)
    return _check(reason)


def _tensor(reason: str) -> tuple[Reason, ...]:
    match = _TENSOR.match(reason)
    if match is None:
        return ()
    source, what = _local(match["name"]), match["what"]
    expected, actual = match["expected"].strip(), match["actual"].strip()
    if match["index"] is not None:
        source = f"{source}.{what}()[{match['index']}]"
        return (Reason(source, "TENSOR_MATCH", f"{source} == {expected}", expected, actual),)
    if what == "rank":
        return (
            Reason(
                source,
                "TENSOR_MATCH",
                f"{source}.dim() == {expected}",
                f"{expected} dimensions",
                f"{actual} dimensions",
            ),
        )
    word = _WORDS[what]
    return (Reason(source, "TENSOR_MATCH", reason, f"{word} {expected}".strip(), f"{word} {actual}".strip()),)


def _tensor_type(reason: str) -> tuple[Reason, ...]:
    match = _TENSOR_TYPE.match(reason)
    if match is None:
        return ()
    return (Reason(_local(match["name"]), "TENSOR_MATCH", reason, "a tensor", match["actual"].strip(" '")),)


def _length(reason: str) -> tuple[Reason, ...]:
    match = _LENGTH.match(reason)
    if match is None:
        return ()
    source, expected = _local(match["name"]), match["expected"]
    return (Reason(source, "DICT_LENGTH", f"len({source}) == {expected}", f"length {expected}", None),)


def _identity(reason: str) -> tuple[Reason, ...]:
    for pattern, kind, text in (
        (_TYPE, "TYPE_MATCH", "type({0}) is {1}"),
        (_OBJECT, "ID_MATCH", "{0} is the same object of type {1}"),
    ):
        match = pattern.match(reason)
        if match is not None:
            source, name = _local(match["name"]), match["expected"]
            expected = name if kind == "TYPE_MATCH" else None
            return (
                Reason(source, kind, text.format(source, name) if name else _code(reason), expected, None),
            )
    return ()


def _state(reason: str) -> tuple[Reason, ...]:
    match = _STATE.match(reason)
    names = match["names"].split() if match else []
    return tuple(Reason(name, "GLOBAL_STATE", f"{name} is unchanged", None, None) for name in names)


def _duplicates(reason: str) -> tuple[Reason, ...]:
    match = _DUPLICATES.match(reason)
    names = re.findall(r"\"([^\"]+)\"|'([^']+)'|\b([A-Za-z_]\w*)\b", match["names"]) if match else []
    sources = tuple(_local(next(filter(None, found))) for found in names)
    if not sources:
        return ()
    return (
        Reason(
            sources[0], "NO_TENSOR_ALIASING", reason, "different tensors", " is ".join(sources), sources[1:]
        ),
    )


def _backend(reason: str) -> tuple[Reason, ...]:
    match = _BACKEND.match(reason)
    if match is None:
        return ()
    return (
        Reason(
            "backend",
            "BACKEND_MATCH",
            "the backend is the one it was compiled with",
            match["expected"],
            match["actual"],
        ),
    )


def _gone(reason: str) -> tuple[Reason, ...]:
    match = _GONE.match(reason)
    return () if match is None else (Reason(_local(match["name"]), "WEAKREF_ALIVE", reason, "alive", "gone"),)


def _check(reason: str) -> tuple[Reason, ...]:
    """A check in Python, ``self.scale == 2``."""
    try:
        return _read_check(_code(reason))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _read_check(code: str) -> tuple[Reason, ...]:
    tree: ast.Expression = _Locals().visit(ast.parse(code, mode="eval"))
    sources = tuple(dict.fromkeys(_sources(tree.body)))
    if not sources:
        return ()
    body, expected = tree.body, None
    if isinstance(body, ast.Compare) and len(body.ops) == 1 and isinstance(body.ops[0], ast.Eq):
        expected = ast.unparse(body.comparators[0])
    is_value = expected is not None and len(sources) == 1 and ".size()" not in sources[0]
    kind = "EQUALS_MATCH" if is_value else "LAMBDA_GUARD"
    return (Reason(sources[0], kind, ast.unparse(tree), expected, None, sources[1:]),)


class _Locals(ast.NodeTransformer):
    """Gives names back the ``L[…]`` that torch took from them."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in _UNNAMED or node.id.startswith("___"):
            return node
        root = ast.Name(id="L", ctx=ast.Load())
        return ast.Subscript(value=root, slice=ast.Constant(node.id), ctx=ast.Load())


def _sources(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Subscript | ast.Attribute | ast.Call) and _is_source(node):
        return [ast.unparse(node)]
    return [source for child in ast.iter_child_nodes(node) for source in _sources(child)]


def _is_source(node: ast.AST) -> bool:
    while isinstance(node, ast.Subscript | ast.Attribute | ast.Call):
        if isinstance(node, ast.Call):
            if node.args:
                return False
            node = node.func
        else:
            node = node.value
    return isinstance(node, ast.Name) and node.id in {"L", "G"}


def _local(name: str) -> str:
    """``L['x']`` for ``x``, ``L['self'].a`` for ``self.a``; a name with ``L`` or ``G`` stays."""
    name = name.strip()
    if name.startswith(("L[", "G[", "___", "list(", "dict.")):
        return name
    match = re.match(r"[A-Za-z_]\w*", name)
    return name if match is None else f"L[{match[0]!r}]{name[match.end() :]}"


def _code(reason: str) -> str:
    return reason.partition("  # ")[0].strip()
