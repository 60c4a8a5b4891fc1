"""Runs the body of a recorded cell, or an expression, in the user's namespace as IPython itself would.

Errors come out unchanged; IPython prints their traceback without the frames of the magic, so that it reads as it would without it.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any

from IPython.core.displayhook import DisplayHook
from IPython.core.error import UsageError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_AWAITS = "top-level await cannot run inside this magic: turn recording on with `%inspector on`, which records the next cells and lets them await"
_RENDER = "_render_traceback_"


class RejectedCell(Exception):  # noqa: N818
    """A cell that does not compile, shown as IPython shows it.

    It is no `SyntaxError` itself: IPython would print the frames of the magic above one that comes out of running code.
    """

    def __init__(self, shell: InteractiveShell, error: SyntaxError) -> None:
        super().__init__(str(error))
        self._lines: list[str] = shell.SyntaxTB.structured_traceback(type(error), error, [])  # type: ignore[arg-type]

    def _render_traceback_(self) -> list[str]:
        return self._lines


def run_cell(shell: InteractiveShell, source: str) -> None:
    """Runs the body of a cell; what it displays appears as it would without the magic.

    Raises:
        Exception: Whatever the cell raises.
        RejectedCell: It does not compile.
        UsageError: It awaits at its top level.
    """
    tree, name = _parsed(shell, source)
    silent = _ends_with_semicolon(source)
    _run(shell, _codes(shell, tree.body, name, "none" if silent else shell.ast_node_interactivity))


def run_expression(shell: InteractiveShell, source: str) -> Any:
    """The value of an expression; statements run too, and give None.

    Raises:
        Exception: Whatever it raises.
        RejectedCell: It does not compile.
        UsageError: It awaits.
    """
    tree, name = _parsed(shell, source)
    if len(tree.body) == 1 and isinstance(statement := tree.body[0], ast.Expr):
        return _run(shell, iter([_code(shell, ast.Expression(statement.value), name, "eval")]))
    return _run(shell, iter([_code(shell, tree, name, "exec")]))


def _codes(
    shell: InteractiveShell, nodes: list[ast.stmt], name: str, interactivity: str
) -> Iterator[CodeType]:
    """One code object a statement, each compiled when the one before has run, as in a plain cell."""
    if interactivity == "last_expr_or_assign":
        _show_last_assignment(nodes)
    shown_from = _shown_from(nodes, interactivity)
    for index, node in enumerate(nodes):
        if index >= shown_from:
            yield _code(shell, ast.Interactive([node]), name, "single")
        else:
            yield _code(shell, ast.Module([node], []), name, "exec")


def _shown_from(nodes: list[ast.stmt], interactivity: str) -> int:
    """The index of the first statement whose value is displayed."""
    if interactivity == "all":
        return 0
    if interactivity == "last" or (
        interactivity.startswith("last_expr") and nodes and isinstance(nodes[-1], ast.Expr)
    ):
        return len(nodes) - 1
    return len(nodes)


def _show_last_assignment(nodes: list[ast.stmt]) -> None:
    """Appends an expression that shows what the last statement assigned, as IPython does where it is set up so."""
    last = nodes[-1] if nodes else None
    if isinstance(last, ast.Assign) and len(last.targets) == 1:
        target = last.targets[0]
    elif isinstance(last, ast.AugAssign | ast.AnnAssign):
        target = last.target
    else:
        return
    if isinstance(target, ast.Name):
        nodes.append(
            ast.fix_missing_locations(ast.copy_location(ast.Expr(ast.Name(target.id, ast.Load())), last))
        )


def _parsed(shell: InteractiveShell, source: str) -> tuple[ast.Module, str]:
    try:
        cell = shell.transform_cell(source)
        name = shell.compile.cache(cell, _number(shell), raw_code=source)
        tree: ast.Module = shell.compile.ast_parse(cell, filename=name)  # type: ignore[assignment]
    except SyntaxError as error:
        raise _rejected(shell, error) from None
    _refuse_await(shell, tree, name)
    return shell.transform_ast(tree), name


def _refuse_await(shell: InteractiveShell, tree: ast.Module, name: str) -> None:
    """Refuses a cell that awaits before any of it has run."""
    try:
        code = compile(tree, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError:
        return  # the statement in question says so when its turn comes
    if shell.autoawait and code.co_flags & inspect.CO_COROUTINE:
        raise UsageError(_AWAITS)


def _code(shell: InteractiveShell, tree: ast.AST, name: str, mode: str) -> CodeType:
    try:
        return shell.compile(tree, name, mode)  # type: ignore[arg-type]
    except SyntaxError as error:
        raise _rejected(shell, error) from None


def _rejected(shell: InteractiveShell, error: SyntaxError) -> RejectedCell:
    """The error to raise, named after what it stands for, which is the name front ends report."""
    return type(type(error).__name__, (RejectedCell,), {"__module__": "builtins"})(shell, error)


def _number(shell: InteractiveShell) -> int:
    running = shell.displayhook.exec_result
    number = None if running is None else running.execution_count
    return shell.execution_count if number is None else number


def _ends_with_semicolon(source: str) -> bool:
    try:
        return bool(DisplayHook.semicolon_at_end_of_expression(source))
    except Exception:  # noqa: BLE001 - what does not tokenize will not compile, and is reported there
        return False


def _run(shell: InteractiveShell, codes: Iterator[CodeType]) -> Any:
    """Runs code objects in order; the value of the last."""
    value = None
    try:
        with shell.display_trap:
            for code in codes:
                value = eval(code, shell.user_global_ns, shell.user_ns)
    except BaseException as error:
        _hide_frames_above(shell, error)
        raise
    return value


def _hide_frames_above(shell: InteractiveShell, error: BaseException) -> None:
    """Makes IPython print an error's traceback from the user's first frame on.

    The error itself carries the printing until the running cell has ended; it is then as it was.
    """
    if hasattr(error, _RENDER):
        return

    def rendered() -> list[str]:
        return shell.InteractiveTB.structured_traceback(
            type(error), error, _below(error.__traceback__), tb_offset=0
        )

    def forget(*_: object) -> None:
        shell.events.unregister("post_run_cell", forget)
        vars(error).pop(_RENDER, None)

    try:
        setattr(error, _RENDER, rendered)
    except Exception:  # noqa: BLE001 - an error that takes no attributes is printed with all its frames
        return
    shell.events.register("post_run_cell", forget)


def _below(traceback: TracebackType | None) -> TracebackType | None:
    """The part of a traceback below the frame that ran the user's code; all of it where that is not found."""
    step, found = traceback, traceback
    while step is not None:
        if step.tb_frame.f_code is _run.__code__ and step.tb_next is not None:
            found = step.tb_next
        step = step.tb_next
    return found
