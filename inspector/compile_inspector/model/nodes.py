"""One node of an FX graph."""

from __future__ import annotations

from typing import Literal

import msgspec

from compile_inspector.model.locations import Location

Op = Literal["placeholder", "get_attr", "call_function", "call_method", "call_module", "output"]


class GraphNode(msgspec.Struct, frozen=True, gc=False):
    """One node.

    Attributes:
        name: Unique in its graph.
        op: FX's kind of node.
        target: What it calls or reads: ``torch.ops.aten.mm.default``, ``relu``, ``L_x_``.
        inputs: Names of the nodes it reads, in order of appearance, each once.
        users: Names of the nodes that read it.
        dtype: ``f32``, … as torch abbreviates it; None for what is not a tensor.
        shape: Sizes: numbers, or symbol expressions as text; None for what is not a tensor.
        stride: Likewise, in elements.
        device: ``cpu``, ``cuda:0``; None where unknown.
        value: The annotation of a node that is no tensor (``Sym(s77)``), None otherwise.
        location: The user's line.
        module_path: ``layers.0.mlp``: the module that made it; exact where recorded live, else from the names; None where unknown.
        module_class: The class of that module; None where unknown.
        partition: Index of the partition it lies in; None where the graph was not partitioned.
        kernels: Names of the kernels it became.
        args: The call's arguments, as the printout has them.
    """

    name: str
    op: Op
    target: str
    inputs: tuple[str, ...]
    users: tuple[str, ...]
    dtype: str | None
    shape: tuple[int | str, ...] | None
    stride: tuple[int | str, ...] | None
    device: str | None
    value: str | None
    location: Location | None
    module_path: str | None
    module_class: str | None = None
    partition: int | None = None
    kernels: tuple[str, ...] = ()
    args: str = ""

    def __repr__(self) -> str:
        sizes = "" if self.shape is None else f"[{', '.join(map(str, self.shape))}]"
        kind = f"{self.dtype or ''}{sizes}" or self.value
        return f"<GraphNode {self.name}: {self.target}{f' {kind}' if kind else ''}>"


class NodeOrigin(msgspec.Struct, frozen=True, gc=False):
    """What a recorder saw of one node that its printout does not say."""

    module_path: str | None
    module_class: str | None
    location: Location | None
