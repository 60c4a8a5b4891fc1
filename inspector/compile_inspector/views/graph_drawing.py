"""Draws a graph as one self-contained SVG.

Graphviz lays it out where there is a ``dot`` (on the path, else graphviz-pure's); our own layering does where there is none, where it
fails and where it takes too long: a drawing never fails for want of an engine. The SVG holds no script and refers to nothing outside.
Its colours are CSS variables (``--ci-background``, ``--ci-foreground``), then the notebook's own, then light or dark by the reader's
preference; text from the user's program is escaped wherever it stands.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from compile_inspector.analyze.folded_graph import Box, FoldedGraph
from compile_inspector.analyze.graph_fold import MAX_BOXES, fold_graph
from compile_inspector.errors import DrawingError
from compile_inspector.model.graph import Graph
from compile_inspector.views.graph_style import (
    COLOURS,
    STYLE,
    TIMES,
    Paint,
    class_of,
    clipped,
    kind_of,
    paint_of,
    title_of_box,
    title_of_edge,
    type_parts,
)
from compile_inspector.views.layering import layered_svg

Engine = Literal["dot", "plain"]

TIMEOUT_S = 5.0
_PNG = b"\x89PNG"
_TITLE = re.compile(r"<title>([^<]*)</title>")
_COLOUR = re.compile(r'(fill|stroke)="(#[0-9a-f]{6})"')
_HEAD = re.compile(r'<svg width="([\d.]+)pt" height="([\d.]+)pt"')
_SPACE = "\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}"
"""dot drops other spaces where the font changes."""
_FONT = "Helvetica,Arial,sans-serif"


class Drawing(msgspec.Struct, frozen=True):
    """A drawn graph.

    Attributes:
        svg: The text of one ``<svg>`` element.
        engine: ``dot``, ``graphviz-pure``, or ``plain`` for our own layering.
        visible: Boxes drawn.
        total: Nodes of the graph.
        note: What a reader should know of the drawing (folded, another engine than wished, damaged text); None where nothing.
    """

    svg: str
    engine: str
    visible: int
    total: int
    note: str | None

    def __repr__(self) -> str:
        return f"<Drawing: {self.total} nodes in {self.visible} boxes>"

    def _repr_svg_(self) -> str:
        return self.svg


def draw(graph: Graph, *, max_nodes: int = MAX_BOXES, engine: Engine | None = None) -> Drawing:
    """The graph as SVG, folded to at most ``max_nodes`` boxes.

    Args:
        graph: Any stage's.
        max_nodes: The most boxes to draw.
        engine: ``dot`` or ``plain``; the best there is when None.
    """
    folded = fold_graph(graph, max_boxes=max_nodes)
    said = _notes(graph, folded)
    svg, used, failure = draw_folded(folded, engine=engine)
    if failure is not None:
        said.append(failure)
    return Drawing(svg, used, len(folded.boxes), folded.total, "; ".join(said) or None)


def _notes(graph: Graph, folded: FoldedGraph) -> list[str]:
    said: list[str] = []
    drawn = folded.total - folded.constants
    if len(folded.boxes) < drawn:
        said.append(f"folded: {len(folded.boxes)} boxes for {drawn:,} nodes")
    if folded.constants:
        said.append(f"{folded.constants:,} parameters, constants and sizes are not drawn")
    if folded.differing:
        shown = ", ".join(folded.differing[:3]) + (", …" if len(folded.differing) > 3 else "")
        said.append(f"not alike their neighbours: {shown}")
    if graph.problem is not None:
        said.append(f"not all of the graph could be read: {graph.problem}")
    return said


def draw_folded(folded: FoldedGraph, *, engine: Engine | None = None) -> tuple[str, str, str | None]:
    """A folded graph as SVG, the engine that drew it, and why it is not the one wished for."""
    found = None if engine == "plain" else dot_binary()
    if found is None:
        wanted = (
            "no dot was found: install Graphviz or graphviz-pure for a better layout"
            if engine != "plain"
            else None
        )
        return _finished(layered_svg(folded), folded), "plain", wanted
    binary, name = found
    try:
        return _finished(run_dot(dot_source(folded), binary), folded), name, None
    except DrawingError as error:
        return _finished(layered_svg(folded), folded), "plain", f"drawn without {name}: {error}"


def dot_binary() -> tuple[str, str] | None:
    """A ``dot`` to run and its name: the one on the path, else graphviz-pure's; None where there is none."""
    found = shutil.which("dot")
    if found is not None:
        return found, "dot"
    try:
        from graphviz.backend.dot_command import DOT_BINARY
    except ImportError:
        return None
    bundled = Path(DOT_BINARY)
    return (str(bundled), "graphviz-pure") if bundled.is_absolute() and bundled.exists() else None


def run_dot(source: str, binary: str, *, timeout_s: float = TIMEOUT_S) -> str:
    """The SVG of a DOT source, from its ``<svg`` on.

    Raises:
        DrawingError: dot could not be run, failed, gave no SVG, or took longer than ``timeout_s``.
    """
    text = _run(source, binary, "svg", timeout_s).decode("utf-8", "replace")
    begin = text.find("<svg")
    if begin < 0:
        msg = "it ended with code 0 and gave no SVG"
        raise DrawingError(msg)
    return text[begin:]


def picture(source: str, binary: str, *, timeout_s: float = 4 * TIMEOUT_S) -> bytes:
    """The PNG of a DOT source.

    Raises:
        DrawingError: dot could not be run, failed, cannot write PNG, or took longer than ``timeout_s``.
    """
    data = _run(source, binary, "png", timeout_s)
    if not data.startswith(_PNG):
        msg = f"{binary} gave no PNG"
        raise DrawingError(msg)
    return data


def _run(source: str, binary: str, form: str, timeout_s: float) -> bytes:
    try:
        done = subprocess.run(
            [binary, f"-T{form}"],
            input=source.encode("utf-8", "replace"),
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"it took longer than {timeout_s:g} s"
        raise DrawingError(msg) from error
    except OSError as error:
        msg = f"{binary} could not be run ({error})"
        raise DrawingError(msg) from error
    if done.returncode != 0:
        msg = f"it failed with code {done.returncode}: {done.stderr.decode('utf-8', 'replace').strip()[:300]}"
        raise DrawingError(msg)
    return done.stdout


def dot_source(folded: FoldedGraph) -> str:
    """The DOT source of a folded graph; node ``b3`` is box 3, ``cluster_2`` is group 2."""
    from graphviz import Digraph

    dot = Digraph(
        graph_attr={
            "rankdir": "TB", "nodesep": "0.16", "ranksep": "0.28", "fontname": _FONT, "fontsize": "10", "bgcolor": "transparent",
            "compound": "true", "pad": "0.15", "newrank": "true",
        },
        node_attr={"shape": "box", "style": "rounded,filled", "fontname": _FONT, "fontsize": "10", "margin": "0.13,0.05", "height": "0.2"},
        edge_attr={"arrowsize": "0.5", "color": COLOURS["edge"], "fontname": _FONT, "fontsize": "8", "penwidth": "0.9"},
    )  # fmt: skip
    children: dict[int | None, list[int]] = {}
    for group in folded.groups:
        children.setdefault(group.parent, []).append(group.id)
    boxes: dict[int | None, list[Box]] = {}
    for box in folded.boxes:
        boxes.setdefault(box.group, []).append(box)
    lines: list[str] = dot.body  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    _body(lines, folded, children, boxes)
    for edge in folded.edges:
        extra = ' [style="dashed" constraint="false"]' if edge.carried else ""
        lines.append(f"\tb{edge.source} -> b{edge.target}{extra}\n")
    return dot.source


def _body(
    lines: list[str],
    folded: FoldedGraph,
    children: Mapping[int | None, Sequence[int]],
    boxes: Mapping[int | None, Sequence[Box]],
) -> None:
    """Writes boxes and the frames around them, without recursion: modules may nest without bound."""
    stack: list[tuple[int | None, bool]] = [(None, True)]
    while stack:
        group, opening = stack.pop()
        if not opening:
            lines.append("\t}\n")
            continue
        if group is not None:
            lines.append(f"\tsubgraph cluster_{group} {{\n\t{_frame(folded, group)}\n")
            stack.append((group, False))
        lines.extend(f"\t{_node(box)}\n" for box in boxes.get(group, ()))
        stack.extend((child, True) for child in reversed(children.get(group, ())))


def _frame(folded: FoldedGraph, group: int) -> str:
    found = folded.groups[group]
    label = _rich(clipped(found.label, 48), colour="dim")
    if found.repeats > 1:
        label = f"<B>{label}</B>{_rich(f'{_SPACE}{TIMES} {found.repeats}', colour='accent')}"
    if found.module_class:
        label += _rich(f"{_SPACE}{class_of(found.module_class)}", colour="dim")
    border = COLOURS["accent"] if found.repeats > 1 else COLOURS["frame"]
    return f'label=<{label}> labeljust="l" style="rounded" color="{border}" penwidth="1" margin="7"'


def _node(box: Box) -> str:
    paint = paint_of(box)
    style = f"rounded,filled{',dashed' if paint.dashed else ''}"
    return f'b{box.id} [label=<{_label(box)}> style="{style}" fillcolor="{paint.fill}" color="{paint.line}"]'


def _label(box: Box) -> str:
    first = f"<B>{_rich(kind_of(box))}</B>"
    if box.within:
        first += _rich(f"{_SPACE}{clipped(box.within, 30)}", colour="dim")
    if box.repeats > 1:
        first += _rich(f"{_SPACE}{TIMES} {box.repeats}", colour="accent")
    second = "".join(_rich(text, colour="symbol" if symbol else "dim") for text, symbol in type_parts(box))
    lines = [first, f'<FONT POINT-SIZE="8">{second}</FONT>' if second else ""]
    if box.kind in ("module", "run", "body"):
        lines.insert(1, f'<FONT POINT-SIZE="8">{_rich(f"{box.count:,} nodes", colour="dim")}</FONT>')
    if box.reads:
        shown = ", ".join(clipped(name, 24) for name in box.reads[:3]) + (", …" if len(box.reads) > 3 else "")
        lines.append(f'<FONT POINT-SIZE="8">{_rich(f"↩ {shown}", colour="accent")}</FONT>')
    return "<BR/>".join(line for line in lines if line)


def _rich(text: str, *, colour: str | None = None) -> str:
    escaped = (
        html.escape(text).replace("[", "&#91;").replace("]", "&#93;")
    )  # dot reads a lone bracket as the end of CDATA
    return f'<FONT COLOR="{COLOURS[colour]}">{escaped}</FONT>' if colour and escaped else escaped


def _finished(svg: str, folded: FoldedGraph) -> str:
    """The SVG with our style: colours as variables, tooltips for titles, a size that fits its place."""
    titles = {f"b{box.id}": title_of_box(box) for box in folded.boxes}
    titles |= {f"cluster_{group.id}": clipped(group.label, 200) for group in folded.groups}
    titles |= {f"b{edge.source}->b{edge.target}": title_of_edge(folded, edge) for edge in folded.edges}

    def titled(found: re.Match[str]) -> str:
        title = titles.get(html.unescape(found[1]))
        return f"<title>{html.escape(title)}</title>" if title else ""

    def coloured(found: re.Match[str]) -> str:
        name = Paint.names.get(found[2])
        return f'{found[1]}="{found[2]}"' if name is None else f'class="ci-{found[1]}-{name}"'

    svg = _TITLE.sub(titled, svg)
    svg = _classes(_COLOUR.sub(coloured, svg))
    width = ""
    if (size := _HEAD.search(svg)) is not None:
        width = f' width="{float(size[1]) * 4 / 3:.0f}" height="{float(size[2]) * 4 / 3:.0f}"'
        svg = svg.replace(size[0], "<svg", 1)
    name = f"A graph of {folded.total} nodes in {len(folded.boxes)} boxes"
    head = f'<svg class="ci-graph" role="img" aria-label="{name}"{width} style="max-width:100%;height:auto"'
    begin = svg.index(">") + 1
    return f"{svg[:begin].replace('<svg', head, 1)}<style>{STYLE}</style>{svg[begin:]}"


_TOOLTIP = re.compile(r"<title>[^<]*</title>\n?")
_OPENING = re.compile(r"<[a-z][^>]*>")
_NEEDLESS = re.compile(r' id="[^"]*"| text-anchor="start"|(?<=\d\.\d)\d+')


def as_image(svg: str) -> str:
    """A drawing for use as an image, in which no tooltip is ever seen: a third smaller."""
    return _OPENING.sub(lambda found: _NEEDLESS.sub("", found[0]), _TOOLTIP.sub("", svg))


_TAG = re.compile(r"<(?:path|polygon|polyline|ellipse|text|tspan|rect|line|g)\b[^>]*>")
_CLASS = re.compile(r' class="([^"]*)"')


def _classes(svg: str) -> str:
    """An element may have one ``class`` attribute: puts several into one. The font is our style's, not each text's."""

    def merged(found: re.Match[str]) -> str:
        tag = found[0].replace(f' font-family="{_FONT}"', "")
        names = _CLASS.findall(tag)
        if len(names) < 2:
            return tag
        tag = _CLASS.sub("", tag)
        head, space, rest = tag.partition(" ")
        return f'{head} class="{" ".join(names)}"{space}{rest}'

    return _TAG.sub(merged, svg)
