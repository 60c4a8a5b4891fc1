"""Shows a session below its cell, in the way that the shell and the user's settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from compile_inspector.api import Session


def in_notebook(shell: InteractiveShell) -> bool:
    """Whether a front end that shows HTML and widgets is at the other end; a terminal is none."""
    return hasattr(shell, "kernel")


VIEWS = {
    "overview": None,
    "compiles": "compiles",
    "recompiles": "recompiles",
    "graph": "graphs",
    "guards": "guards",
    "dims": "dims",
    "symbols": "symbols",
    "breaks": "graph_breaks",
    "applied": "applied",
    "violations": "violations",
    "partitions": "partitions",
    "ranges": "ranges",
    "captures": "captures",
    "files": "traced_files",
    "kernels": "kernels",
    "caches": "caches",
    "losses": "losses",
}
"""What can be shown first: the tab's name, and the table that stands for it in a text; None for the summary."""


def show(shell: InteractiveShell, session: Session, *, how: str, view: str | None = None) -> None:
    """Displays a session.

    Args:
        shell: Where.
        session: What.
        how: As a widget, as text, or not at all; ``auto`` decides by the shell.
        view: What to show first, one of `VIEWS`; the overview when None.
    """
    if how == "none":
        return
    if how == "widget" or (how == "auto" and in_notebook(shell)):
        from compile_inspector.views.display import display_session

        display_session(session, view=view)
        return
    from IPython.display import display

    display({"text/plain": _text(session, view)}, raw=True)


def _text(session: Session, view: str | None) -> str:
    table = VIEWS.get(view or "overview")
    if table is None:
        return str(session)
    from compile_inspector.views.table_text import print_table

    return print_table(session, table)
