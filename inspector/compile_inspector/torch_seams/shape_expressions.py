"""torch's symbolic shape checks (``2 <= L['x'].size()[0]``), evaluated on values that were read beforehand.

The text of a check is data: it is parsed, the sources in it are replaced by names, and only what is then arithmetic on plain numbers is
evaluated. No attribute of a user's object is read.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from compile_inspector.torch_seams.static_lookup import Unreadable, is_plain

_PROPERTIES = frozenset({"size", "stride", "storage_offset"})
_ROOTS = frozenset({"L", "G"})
_OPERATORS: dict[type, str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_BUILTINS = {
    "abs": abs,
    "min": min,
    "max": max,
    "int": int,
    "float": float,
    "bool": bool,
    "round": round,
    "pow": pow,
}


class Subject(msgspec.Struct, frozen=True):
    """A source that a check reads.

    Attributes:
        text: ``L['x'].size()[0]``.
        base: The source of the object: ``L['x']``.
        what: ``size``, ``stride``, ``storage_offset``, or None for the object itself.
        index: Which dimension; None where there is none.
    """

    text: str
    base: str
    what: str | None = None
    index: int | None = None


class Expression(msgspec.Struct, frozen=True):
    """A parsed check.

    Attributes:
        text: As torch wrote it, without the comment.
        subjects: In order of appearance, each once.
        code: Evaluates it with ``v0``, ``v1``, … for the subjects.
        only_identity: It is ``a is b``, which may be asked of any object.
        expected: ``5``, ``>= 2``, ``== L['y'].size()[0]``: what the first subject has to be; None where it cannot be said so shortly.
    """

    text: str
    subjects: tuple[Subject, ...]
    code: types.CodeType
    only_identity: bool
    expected: str | None


class _Collect(ast.NodeTransformer):
    def __init__(self) -> None:
        self.subjects: dict[str, Subject] = {}

    def visit(self, node: ast.AST) -> ast.AST:
        subject = _subject(node)
        if subject is None:
            return self.generic_visit(node)
        self.subjects.setdefault(subject.text, subject)
        position = list(self.subjects).index(subject.text)
        return ast.copy_location(ast.Name(id=f"v{position}", ctx=ast.Load()), node)


def _subject(node: ast.AST) -> Subject | None:
    if not isinstance(node, ast.Subscript | ast.Attribute | ast.Call):
        return None
    call, index = node, None
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and type(node.slice.value) is int
    ):
        call, index = node.value, node.slice.value
    if (
        isinstance(call, ast.Call)
        and not call.args
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in _PROPERTIES
    ):
        return Subject(ast.unparse(node), ast.unparse(call.func.value), call.func.attr, index)
    if _root(node) in _ROOTS or (_root(node) or "").startswith("___"):
        text = ast.unparse(node)
        return Subject(text, text)
    return None


def _root(node: ast.AST) -> str | None:
    while isinstance(node, ast.Subscript | ast.Attribute | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


@lru_cache(maxsize=8192)
def parse(text: str) -> Expression | None:
    """A check with its comment cut off and its sources found; None where it is no expression."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
        plain = ast.unparse(tree)
        collect = _Collect()
        only_identity = isinstance(tree.body, ast.Compare) and all(
            isinstance(op, ast.Is | ast.IsNot) for op in tree.body.ops
        )
        expected = _expected(tree.body)
        changed = ast.fix_missing_locations(collect.visit(tree))
        code = compile(changed, "<guard>", "eval")  # type: ignore[arg-type]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return Expression(plain, tuple(collect.subjects.values()), code, only_identity, expected)


def _expected(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        return None
    left, right = node.left, node.comparators[0]
    operator = _OPERATORS.get(type(node.ops[0]))
    if operator is None:
        return None
    if _subject(left) is None:
        if _subject(right) is None:
            return None
        left, right, operator = right, left, _MIRRORED.get(operator, operator)
    wanted = ast.unparse(right)
    return wanted if operator == "==" and isinstance(right, ast.Constant) else f"{operator} {wanted}"


def evaluate(
    expression: Expression, read: Callable[[Subject], Any], names: Mapping[str, Any]
) -> tuple[bool, tuple[Any, ...]]:
    """Whether a check holds, and its subjects' values.

    Args:
        expression: From `parse`.
        read: Gives a subject's value, or raises `Unreadable`.
        names: The functions that torch's checks may call (``math``, ``IsNonOverlappingAndDenseIndicator``, …).

    Raises:
        Unreadable: A value is not a plain number, or evaluating failed.
    """
    values = tuple(read(subject) for subject in expression.subjects)
    if not expression.only_identity and not all(is_plain(value) for value in values):
        raise Unreadable("it computes with what is not a plain number")
    scope = {**names, "__builtins__": _BUILTINS, **{f"v{i}": value for i, value in enumerate(values)}}
    try:
        return bool(eval(expression.code, scope)), values
    except Exception as error:
        raise Unreadable(f"evaluating it raised {type(error).__name__}") from error
