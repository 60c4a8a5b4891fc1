"""Our own layout, for want of Graphviz: longest-path layers, ordered by four barycentre sweeps, written as SVG.

Takes time in proportion to boxes and edges, and does not recurse.
"""

from __future__ import annotations

import html
from itertools import pairwise

import msgspec

from compile_inspector.analyze.folded_graph import Box, FoldedGraph
from compile_inspector.views.graph_style import (
    COLOURS,
    TIMES,
    clipped,
    kind_of,
    paint_of,
    type_of,
    type_parts,
)

_SWEEPS = 4
_LINE, _PAD, _GAP, _RISE, _MARGIN = 13.0, 6.0, 14.0, 28.0, 12.0
_WIDE, _NARROW, _THIN = 6.4, 4.9, 4.0
_MOST_BENDS = 20_000

Spot = tuple[float, float]


class Layering(msgspec.Struct):
    """Boxes, and the bends of long edges between them, by layer.

    Attributes:
        layers: From the top; ordered within.
        chains: For each edge that is no carried one: its source, the bends where it crosses layers, its target.
        above: For each box or bend: what is joined to it from the layer above.
        below: Likewise from the layer below.
    """

    layers: list[list[int]]
    chains: list[list[int]]
    above: list[list[int]]
    below: list[list[int]]


def layered(folded: FoldedGraph) -> Layering:
    """Each box below all that it reads, carried values apart, and sources right above what reads them."""
    depth = _depths(folded)
    layers: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for box, layer in enumerate(depth):
        layers[layer].append(box)
    chains: list[list[int]] = []
    count = len(depth)
    for edge in folded.edges:
        if edge.source >= edge.target:
            continue
        bends: list[int] = []
        if count - len(depth) < _MOST_BENDS:
            for layer in range(depth[edge.source] + 1, depth[edge.target]):
                layers[layer].append(count)
                bends.append(count)
                count += 1
        chains.append([edge.source, *bends, edge.target])
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for chain in chains:
        for upper, lower in pairwise(chain):
            above[lower].append(upper)
            below[upper].append(lower)
    for sweep in range(_SWEEPS):
        downward = sweep % 2 == 0
        _sweep(layers if downward else layers[::-1], above if downward else below, count)
    return Layering(layers, chains, above, below)


def _depths(folded: FoldedGraph) -> list[int]:
    above: list[list[int]] = [[] for _ in folded.boxes]
    below: list[list[int]] = [[] for _ in folded.boxes]
    for edge in folded.edges:
        if edge.source < edge.target:
            above[edge.target].append(edge.source)
            below[edge.source].append(edge.target)
    depth: list[int] = []
    for sources in above:
        depth.append(1 + max((depth[source] for source in sources), default=-1))
    for box, sources in enumerate(above):
        if not sources and below[box]:
            depth[box] = min(depth[reader] for reader in below[box]) - 1
    return depth


def _sweep(layers: list[list[int]], neighbours: list[list[int]], count: int) -> None:
    place = [0.0] * count
    for layer in layers:
        for at, box in enumerate(layer):
            place[box] = at / max(1, len(layer) - 1)
    for layer in layers:
        key = {
            box: sum(place[other] for other in neighbours[box]) / len(neighbours[box])
            if neighbours[box]
            else place[box]
            for box in layer
        }
        layer.sort(key=key.__getitem__)
        for at, box in enumerate(layer):
            place[box] = at / max(1, len(layer) - 1)


def _centres(found: Layering, widths: list[float]) -> list[float]:
    """The middle of each box and bend: under what it is joined to, as far as its neighbours leave room."""
    centres = [0.0] * len(widths)
    for layer in found.layers:
        wished = [
            sum(centres[other] for other in found.above[box]) / len(found.above[box])
            if found.above[box]
            else None
            for box in layer
        ]
        end = -1e9
        moved = 0.0
        for box, wish in zip(layer, wished, strict=True):
            half = widths[box] / 2
            centres[box] = max(end + half, wish if wish is not None else end + half if end > -1e9 else 0.0)
            moved += 0.0 if wish is None else wish - centres[box]
            end = centres[box] + half + _GAP
        known = sum(wish is not None for wish in wished)
        for box in layer:
            centres[box] += moved / known if known else 0.0
    return centres


def layered_svg(folded: FoldedGraph) -> str:
    """The graph as SVG, without frames around modules: a box in one names it instead."""
    found = layered(folded)
    sizes = [_size(folded, box) for box in folded.boxes]
    widths = [width for width, _ in sizes] + [_THIN] * (len(found.above) - len(sizes))
    centres = _centres(found, widths)
    left = (
        min((centre - width / 2 for centre, width in zip(centres, widths, strict=True)), default=0.0)
        - _MARGIN
    )
    right = (
        max((centre + width / 2 for centre, width in zip(centres, widths, strict=True)), default=0.0)
        + _MARGIN
    )
    middles = [0.0] * len(widths)
    y = _MARGIN
    for layer in found.layers:
        tall = max((sizes[box][1] for box in layer if box < len(sizes)), default=_LINE)
        for box in layer:
            middles[box] = y + tall / 2
        y += tall + _RISE
    spots = [(centre - left, middle) for centre, middle in zip(centres, middles, strict=True)]
    width = right - left
    parts = [
        f'<svg width="{width * 0.75:.1f}pt" height="{y * 0.75:.1f}pt" viewBox="0 0 {width:.1f} {y:.1f}"'
        ' xmlns="http://www.w3.org/2000/svg">'
    ]
    parts.extend(_edge(chain, spots, sizes, carried=False) for chain in found.chains)
    parts.extend(
        _edge([edge.source, edge.target], spots, sizes, carried=True)
        for edge in folded.edges
        if edge.source >= edge.target
    )
    parts.extend(_box(folded, box, spots[box.id], sizes[box.id]) for box in folded.boxes)
    return "".join(parts) + "</svg>"


def _module(folded: FoldedGraph, box: Box) -> str:
    if box.group is None or box.kind in ("input", "output"):
        return ""
    group = folded.groups[box.group]
    label = f"{group.label}.{box.within}" if box.within else group.label
    return clipped(label, 30) + (f" {TIMES} {group.repeats}" if group.repeats > 1 else "")


def _lines(folded: FoldedGraph, box: Box) -> list[str]:
    nodes = f"{box.count:,} nodes" if box.kind in ("module", "run", "body") else ""
    return [line for line in (nodes, type_of(box), _module(folded, box)) if line]


def _size(folded: FoldedGraph, box: Box) -> tuple[float, float]:
    lines = _lines(folded, box)
    title = len(kind_of(box)) + (5 if box.repeats > 1 else 0)
    width = max([title * _WIDE, *(len(line) * _NARROW for line in lines)]) + 2 * _PAD
    return max(width, 40.0), (1 + len(lines)) * _LINE + _PAD


def _edge(chain: list[int], spots: list[Spot], sizes: list[Spot], *, carried: bool) -> str:
    source, target = chain[0], chain[-1]
    points = [(spots[source][0], spots[source][1] + sizes[source][1] / 2)]
    points.extend(spots[bend] for bend in chain[1:-1])
    points.append((spots[target][0], spots[target][1] - sizes[target][1] / 2 - 4))
    path = [f"M{points[0][0]:.1f},{points[0][1]:.1f}"]
    for (x1, y1), (x2, y2) in pairwise(points):
        bend = max(8.0, abs(y2 - y1) / 2) if y2 > y1 else 40.0
        side = 0.0 if y2 > y1 else 60.0
        path.append(f"C{x1 + side:.1f},{y1 + bend:.1f} {x2 + side:.1f},{y2 - bend:.1f} {x2:.1f},{y2:.1f}")
    dash = ' stroke-dasharray="4 3"' if carried else ""
    colour = COLOURS["edge"]
    x, y = points[-1]
    tip = f"{x - 2.5:.1f},{y - 1:.1f} {x + 2.5:.1f},{y - 1:.1f} {x:.1f},{y + 4:.1f}"
    return (
        f'<g class="edge"><title>b{source}-&gt;b{target}</title><path fill="none" stroke="{colour}"{dash} d="{"".join(path)}"/>'
        f'<polygon fill="{colour}" stroke="{colour}" points="{tip}"/></g>'
    )


def _box(folded: FoldedGraph, box: Box, spot: tuple[float, float], size: tuple[float, float]) -> str:
    width, height = size
    x, y = spot[0] - width / 2, spot[1] - height / 2
    paint = paint_of(box)
    dash = ' stroke-dasharray="4 3"' if paint.dashed else ""
    middle = x + width / 2
    times = f'<tspan fill="{COLOURS["accent"]}"> {TIMES} {box.repeats}</tspan>' if box.repeats > 1 else ""
    parts = [
        f'<g class="node"><title>b{box.id}</title><rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="5"'
        f' fill="{COLOURS["base"]}"/><rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="5"'
        f' fill="{paint.fill}" stroke="{paint.line}"{dash}/>',
        _text(
            f"{html.escape(kind_of(box))}{times}", middle, y + _LINE - 1, 'font-weight="bold" font-size="11"'
        ),
    ]
    for number, line in enumerate(_lines(folded, box), 2):
        inner = html.escape(line)
        if line == type_of(box):
            inner = "".join(_part(text, symbol=symbol) for text, symbol in type_parts(box))
        parts.append(_text(inner, middle, y + number * _LINE - 1, f'fill="{COLOURS["dim"]}" font-size="9"'))
    return "".join(parts) + "</g>"


def _part(text: str, *, symbol: bool) -> str:
    return f'<tspan fill="{COLOURS["symbol"]}">{html.escape(text)}</tspan>' if symbol else html.escape(text)


def _text(inner: str, x: float, y: float, attributes: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" xml:space="preserve" font-family="Helvetica,Arial,sans-serif"'
        f" {attributes}>{inner}</text>"
    )
