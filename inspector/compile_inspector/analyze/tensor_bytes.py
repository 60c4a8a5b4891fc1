"""How many bytes a node's output takes, as far as its printed type and the sizes seen at trace time tell."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

_BITS = re.compile(r"[a-z]+(\d+)")
_LONGEST = 300
_MOST = 2**60


class OutputBytes:
    """Counts bytes of outputs.

    Args:
        hints: By symbol: its value when the graph was traced.
    """

    def __init__(self, hints: Mapping[str, int]) -> None:
        self._hints = hints
        self._sizes: dict[str, int | None] = {}

    def of(self, dtype: str | None, shape: tuple[int | str, ...] | None) -> float | None:
        """Bytes of a dense tensor of a dtype and a shape; None for what is no tensor, and where a size is not known."""
        return None if dtype is None or shape is None else self._count(dtype, shape)

    def _count(self, dtype: str, shape: tuple[int | str, ...]) -> float | None:
        bits = _BITS.match(dtype)
        if bits is None:
            return None
        total = int(bits[1]) / 8
        for size in shape:
            value = size if isinstance(size, int) else self.size(size)
            if value is None or value < 0:
                return None
            total *= value
        return total

    def size(self, expression: str) -> int | None:
        """The value of ``s77*64`` at trace time; None where it holds anything but numbers, known symbols and arithmetic."""
        if expression not in self._sizes:
            self._sizes[expression] = self._value(expression)
        return self._sizes[expression]

    def _value(self, expression: str) -> int | None:
        if len(expression) > _LONGEST:
            return None
        try:
            return self._walk(ast.parse(expression, mode="eval").body)
        except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
            return None

    def _walk(self, node: ast.expr) -> int | None:
        if isinstance(node, ast.Constant):
            return node.value if type(node.value) is int and abs(node.value) < _MOST else None
        if isinstance(node, ast.Name):
            return self._hints.get(node.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self._walk(node.operand)
            return None if value is None else -value
        if isinstance(node, ast.BinOp):
            return _arithmetic(type(node.op), self._walk(node.left), self._walk(node.right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 2:
            return _function(node.func.id, self._walk(node.args[0]), self._walk(node.args[1]))
        return None


def _arithmetic(operator: type[ast.operator], left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return None
    if operator is ast.Add:
        found = left + right
    elif operator is ast.Sub:
        found = left - right
    elif operator is ast.Mult:
        found = left * right
    elif operator is ast.FloorDiv:
        found = left // right
    elif operator is ast.Mod:
        found = left % right
    elif operator is ast.Pow and 0 <= right <= 8:
        found = left**right
    else:
        return None
    return found if abs(found) < _MOST else None


def _function(name: str, left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return None
    if name == "Max":
        return max(left, right)
    if name == "Min":
        return min(left, right)
    if name in ("FloorDiv", "CleanDiv"):
        return left // right
    return left % right if name in ("Mod", "PythonMod") else None
