"""How a drawn graph looks: words, colours and tooltips of its boxes, whatever engine lays them out."""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec

from compile_inspector.analyze.folded_graph import Box, Edge, FoldedGraph

TIMES = "\N{MULTIPLICATION SIGN}"

_SHADES: dict[str, str] = {
    "text": "#000000", "dim": "#0a0a01", "symbol": "#0a0a02", "accent": "#0a0a03", "edge": "#0a0a04", "frame": "#0a0a05",
    "plain": "#0a0a10", "heavy": "#0a0a11", "shape": "#0a0a12", "module": "#0a0a13", "input": "#0a0a14", "output": "#0a0a15",
    "base": "#0a0a06", "line": "#0a0a20", "line-heavy": "#0a0a21", "line-module": "#0a0a23", "line-input": "#0a0a24",
}  # fmt: skip
COLOURS: dict[str, str] = _SHADES
"""Marks that an engine writes as colours; `STYLE` says what each looks like."""

STYLE = """
.ci-graph{--ci-b:#ffffff;--ci-t:#1f2328;--ci-d:#59636e}
@media (prefers-color-scheme:dark){.ci-graph{--ci-b:#0d1117;--ci-t:#e6edf3;--ci-d:#9198a1}}
.ci-graph{background:var(--ci-background,var(--jp-layout-color0,var(--vscode-editor-background,var(--ci-b))));
--ci-text:var(--ci-foreground,var(--jp-content-font-color1,var(--vscode-editor-foreground,var(--ci-t))));
--ci-quiet:var(--ci-muted,var(--jp-content-font-color2,var(--vscode-descriptionForeground,var(--ci-d))))}
.ci-graph text{fill:var(--ci-text);font-family:Helvetica,Arial,sans-serif}
.ci-graph .ci-fill-dim{fill:var(--ci-quiet)}
.ci-graph .ci-fill-symbol{fill:#bf5b04}
.ci-graph .ci-fill-accent{fill:#8f5cf0}
.ci-graph .ci-stroke-accent{stroke:#8f5cf0}
.ci-graph .ci-fill-base{fill:var(--ci-background,var(--jp-layout-color0,var(--vscode-editor-background,var(--ci-b))))}
.ci-graph .ci-fill-edge{fill:#7d8590}.ci-graph .ci-stroke-edge{stroke:#7d8590}
.ci-graph .ci-stroke-frame{stroke:#7d8590;stroke-opacity:.55}
.ci-graph .ci-fill-plain{fill:#7d8590;fill-opacity:.14}
.ci-graph .ci-fill-shape{fill:#7d8590;fill-opacity:.04}
.ci-graph .ci-fill-heavy{fill:#2f81f7;fill-opacity:.20}
.ci-graph .ci-fill-module{fill:#2da44e;fill-opacity:.16}
.ci-graph .ci-fill-input{fill:#8f5cf0;fill-opacity:.16}
.ci-graph .ci-fill-output{fill:#8f5cf0;fill-opacity:.16}
.ci-graph .ci-stroke-line{stroke:#7d8590;stroke-opacity:.7}
.ci-graph .ci-stroke-line-heavy{stroke:#2f81f7}
.ci-graph .ci-stroke-line-module{stroke:#2da44e}
.ci-graph .ci-stroke-line-input{stroke:#8f5cf0}
.ci-graph .node:hover path,.ci-graph .node:hover polygon{stroke-width:2.5}
.ci-graph .edge:hover path{stroke-width:2.5;stroke:#bf5b04}
"""

_HEAVY = re.compile(r"linear|mm\b|matmul|conv|attention|einsum|embedding|lstm|gru|\brnn")
_SHAPING = frozenset(
    ("view", "reshape", "transpose", "permute", "expand", "unsqueeze", "squeeze", "slice", "getitem", "select", "t", "T", "size",
     "contiguous", "clone", "to", "_to_copy", "detach", "flatten", "unflatten", "alias", "as_strided", "split", "chunk", "getattr",
     "_unsafe_view", "convert_element_type")
)  # fmt: skip
_SYMBOL = re.compile(r"\b[su]\d+\b")
_PLAIN = re.compile(r"(?:torch\.ops\.(?:aten|prims|higher_order)|torch\._C(?:\.\w+)*|torch\._functorch(?:\.\w+)*|torch\.functional"
                    r"|torch\.nn\.functional|torch\.ops|torch)\.(.+)")  # fmt: skip
_OVERLOAD = re.compile(
    r"(.+)\.(?:default|Tensor|Scalar|int|self|dim|Tensor_Scalar|dim_IntList|using_ints|dims|Mode)"
)


class Paint(msgspec.Struct, frozen=True):
    """What a box is painted with: marks of `COLOURS`."""

    fill: str
    line: str
    dashed: bool = False

    names: ClassVar[dict[str, str]] = {shade: name for name, shade in _SHADES.items() if name != "text"}


def short_target(target: str) -> str:
    """``mm`` of ``torch.ops.aten.mm.default``, ``add`` of ``operator.add``, ``mine.op`` of ``torch.ops.mine.op.default``."""
    if target.startswith("operator."):
        return target[9:].rstrip("_")
    if (plain := _PLAIN.fullmatch(target)) is not None:
        target = plain[1]
    overload = _OVERLOAD.fullmatch(target)
    return target if overload is None else overload[1]


def class_of(qualified: str) -> str:
    """``LlamaMLP`` of ``transformers.models.llama.modeling_llama.LlamaMLP``."""
    return clipped(qualified.rpartition(".")[2], 32)


def clipped(text: str, longest: int) -> str:
    """The text on one line and at most so long, its middle left out where it is longer; control characters become spaces."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * longest + 400]).split())
    if len(text) <= longest:
        return text
    head = (longest - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (longest - 1 - head) :]}"


def kind_of(box: Box) -> str:
    """The first line of a box."""
    if box.kind == "node":
        return clipped(short_target(box.label), 34)
    return clipped(box.label, 44)


def type_of(box: Box) -> str:
    """``f32[s77, 16]``, or what it is instead of a tensor; empty where unknown."""
    if box.kind == "output":
        return ""
    if box.dtype is not None and box.shape is not None:
        return clipped(f"{box.dtype}[{', '.join(map(str, box.shape))}]", 40)
    return clipped(box.value, 40) if box.value else ""


def type_parts(box: Box) -> list[tuple[str, bool]]:
    """`type_of` in parts, each with whether it is a symbol."""
    text = type_of(box)
    parts: list[tuple[str, bool]] = []
    end = 0
    for found in _SYMBOL.finditer(text):
        parts.append((text[end : found.start()], False))
        parts.append((found[0], True))
        end = found.end()
    parts.append((text[end:], False))
    return [part for part in parts if part[0]]


def paint_of(box: Box) -> Paint:
    """How a box is painted: modules green, inputs and outputs violet, heavy operators blue, mere views faint."""
    if box.kind in ("input", "output"):
        return Paint(COLOURS["input"], COLOURS["line-input"])
    if box.kind in ("module", "run", "body"):
        return Paint(COLOURS["module"], COLOURS["line-module"])
    name = short_target(box.label)
    last = name.rpartition(".")[2]
    if last in _SHAPING or name in _SHAPING:
        return Paint(COLOURS["shape"], COLOURS["line"], dashed=True)
    if _HEAVY.search(name):
        return Paint(COLOURS["heavy"], COLOURS["line-heavy"])
    return Paint(COLOURS["plain"], COLOURS["line"])


def title_of_box(box: Box) -> str:
    """A box's tooltip: what it calls, what it gives, where it stands."""
    first = box.names[0] if len(box.names) == 1 else f"{box.names[0]} … {box.names[-1]}"
    lines = [clipped(box.label, 200), clipped(first, 200)]
    if box.module_path:
        lines.append(
            clipped(f"in {box.module_path}" + (f" ({box.module_class})" if box.module_class else ""), 200)
        )
    if box.count > 1:
        lines.append(f"{box.count:,} nodes")
    if type_of(box):
        lines.append(type_of(box))
    if box.constants:
        lines.append(
            f"reads {box.constants} parameters or constants"
            if box.constants > 1
            else "reads 1 parameter or constant"
        )
    if box.reads:
        lines.append(clipped(f"reads {', '.join(box.reads)}", 200))
    if box.location is not None:
        lines.append(
            clipped(f"{box.location}" + (f": {box.location.code}" if box.location.code else ""), 300)
        )
    return "\n".join(lines)


def title_of_edge(folded: FoldedGraph, edge: Edge) -> str:
    """An edge's tooltip: the values that flow along it."""
    values = ", ".join(edge.values[:8]) + (", …" if len(edge.values) > 8 else "")
    source, target = folded.boxes[edge.source], folded.boxes[edge.target]
    back = " (from one repeat to the next)" if edge.carried else ""
    return clipped(f"{values}: {kind_of(source)} → {kind_of(target)}{back}", 300)
