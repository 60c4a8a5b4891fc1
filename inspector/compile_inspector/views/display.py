"""How a session shows itself in IPython: text in a terminal; in a notebook a static view and the widget, of which one is seen.

Two outputs, because a front end always prefers a widget's output, and shows an error in place of it where the widget is gone (a
notebook that was saved and opened again). A style rule hides the static view where the widget follows it alive, and the widget's
output where it is dead; where no rule is obeyed, the widget hides the view itself. The widget's output holds nothing but the widget: a
saved notebook needs none of it.
"""

from __future__ import annotations

import sys
from html import escape
from typing import TYPE_CHECKING, Any

from compile_inspector.errors import InspectorError
from compile_inspector.model.tables import Tables
from compile_inspector.views.summary import rows_of

if TYPE_CHECKING:
    from compile_inspector.views.graph_view import GraphView

STATIC_CLASS = "ci-static"

_CHARACTERS_DRAWN = 150_000
_STYLE = (
    f"<style>.jp-OutputArea-child:has(.{STATIC_CLASS}):has(+.jp-OutputArea-child .ci-root){{display:none}}"
    f".jp-OutputArea-child:has(.{STATIC_CLASS})+.jp-OutputArea-child:not(:has(.ci-root)){{display:none}}</style>"
)


def display_session(tables: Tables, *, view: str | None = None) -> None:
    """Displays a session through IPython.

    Args:
        tables: The session.
        view: The tab that the widget shows first; the overview when None.
    """
    from IPython.display import display  # pyright: ignore[reportUnknownVariableType]

    if not _in_notebook():
        display({"text/plain": _text(tables)}, raw=True)
        return
    from compile_inspector.views.widget import SessionWidget

    display(mimebundle(tables), raw=True)
    widget = SessionWidget(tables, view=view)
    reference = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    display({"application/vnd.jupyter.widget-view+json": reference}, raw=True)


def display_graph(view: GraphView) -> None:
    """Displays the explorer of a graph through IPython.

    The explorer is on its way before the graph is read, so that a browser prepares it meanwhile; what readers without it see is made last.
    """
    from IPython.display import display  # pyright: ignore[reportUnknownVariableType]

    from compile_inspector.views.graph_summary import graph_heading, graph_html

    if not _in_notebook():
        display({"text/plain": str(view)}, raw=True)
        return
    graph = view.graph
    heading = graph_heading(graph)
    handle: Any = display(_static(heading, f"<pre>{escape(heading)}</pre>"), raw=True, display_id=True)
    widget = view.open()
    reference = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    display({"application/vnd.jupyter.widget-view+json": reference}, raw=True)
    widget.read()
    handle.update(_static(str(view), graph_html(graph)), raw=True)


def _static(text: str, html: str) -> dict[str, Any]:
    return {"text/plain": text, "text/html": f'{_STYLE}<div class="{STATIC_CLASS}">{html}</div>'}


def mimebundle(tables: Tables) -> dict[str, Any]:
    """A session for front ends that ask for a bundle: its text, and its static view."""
    from compile_inspector.views.static_html import static_html

    html = static_html(tables, drawing_svg=_first_drawing(tables))
    return _static(_text(tables), html)


def _text(tables: Tables) -> str:
    from compile_inspector.views.text import print_text

    return print_text(tables, name=getattr(tables, "name", None))


def _in_notebook() -> bool:
    """Whether a kernel runs here: a terminal shows text only."""
    ipython: Any = sys.modules.get("IPython")
    shell: Any = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


def _first_drawing(tables: Tables) -> str | None:
    """The drawing of the first graph that Dynamo traced; None where there is none.

    None as well where the graph is so large (above some 600 nodes) that a reader would wait for it: the widget draws it when asked to.
    """
    from compile_inspector.views.graph_drawing import draw

    for graph in rows_of(tables, "graphs"):
        if graph.stage == "dynamo":
            try:
                return draw(graph).svg if len(graph.text.read()) <= _CHARACTERS_DRAWN else None
            except (InspectorError, OSError):
                return None
    return None
