"""A graph for readers without the explorer: its text, and a drawing of it folded."""

from __future__ import annotations

import base64
from collections import Counter
from html import escape

from compile_inspector.errors import InspectorError
from compile_inspector.model.graph import Graph
from compile_inspector.views.words import count, visible

_MOST = 10
_MOST_CHARACTERS = 140_000
"""Of a drawing in a saved notebook."""
_MOST_BOXES = 100
"""That many take about as many characters as there is room for."""
_FEWEST_BOXES = 12


def graph_heading(graph: Graph) -> str:
    """Which graph it is, in some words; it need not be read for that."""
    return visible(f"Graph of compile {graph.compile_id}, {graph.stage}")


def graph_text(graph: Graph) -> str:
    """The graph in some lines: what it is, its inputs, and its commonest operations."""
    nodes = graph.raw
    inputs = [node for node in nodes if node.op == "placeholder"]
    calls = Counter(node.target for node in nodes if node.op.startswith("call_"))
    lines = [f"{graph_heading(graph)}: {count(len(nodes), 'node')}, {count(len(inputs), 'input')}"]
    lines += [f"  {number:>6,}  {target}" for target, number in calls.most_common(_MOST)]
    if len(calls) > _MOST:
        lines.append(f"          and {count(len(calls) - _MOST, 'more operation')}")
    if graph.problem is not None:
        lines.append(f"Not all of it could be read: {graph.problem}")
    return visible("\n".join(lines))


def graph_html(graph: Graph, *, drawn: bool = True) -> str:
    """The folded drawing as an image, with what it shows in words; without the image where drawing fails, and where it is not wished.

    Args:
        graph: Any stage's.
        drawn: False for the words alone.
    """
    text = escape(graph_text(graph))
    note = ""
    image = ""
    if drawn:
        try:
            data, note = _image(graph)
        except (InspectorError, OSError) as error:
            note = f"It could not be drawn: {error}"
        else:
            image = f'<div style="background:#fff"><img alt="{escape(graph_text(graph).splitlines()[0])}" src="data:image/svg+xml;base64,{data}"></div>'
    said = f"<p>{escape(visible(note))}</p>" if note else ""
    return f"<pre>{text}</pre>{image}{said}"


def _image(graph: Graph) -> tuple[str, str]:
    """The drawing in base64, folded to as many boxes as there is room for, and its note."""
    from compile_inspector.views.graph_drawing import as_image, draw

    boxes = _MOST_BOXES
    while True:
        drawing = draw(graph, max_nodes=boxes)
        data = base64.b64encode(as_image(drawing.svg).encode("utf-8", "replace")).decode()
        if len(data) <= _MOST_CHARACTERS or boxes <= _FEWEST_BOXES:
            return data, drawing.note or ""
        boxes = max(_FEWEST_BOXES, min(boxes, drawing.visible) * _MOST_CHARACTERS * 9 // (10 * len(data)))
