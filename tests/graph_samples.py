"""Graphs of any size, made by hand: layers alike, and nodes in a row."""

from __future__ import annotations

from compile_inspector.model.graph import Graph
from compile_inspector.model.nodes import NodeOrigin
from factory import make_graph


def layered(layers: int, *, odd: int | None = None) -> Graph:
    """A model of layers alike; ``odd`` computes something else."""
    lines = ['h_0: "f32[s7, 8]" = torch.nn.functional.embedding(l_x_, l_w_)']
    origins = [("h_0", NodeOrigin("embed", "m.Embed", None))]
    for layer in range(layers):
        function = "torch.tanh" if layer == odd else "torch.relu"
        lines += [
            f'n_{layer}: "f32[s7, 8]" = torch.layer_norm(h_{layer}, mask)',
            f'a_{layer}: "f32[s7, 8]" = torch._C._nn.linear(n_{layer}, l_w_)',
            f'r_{layer}: "f32[s7, 8]" = {function}(a_{layer})',
            f'h_{layer + 1}: "f32[s7, 8]" = h_{layer} + r_{layer}',
        ]
        for name, path in (("n", ".norm"), ("a", ".mlp.fc"), ("r", ".mlp"), ("h", "")):
            key = f"{name}_{layer + 1 if name == 'h' else layer}"
            origins.append((key, NodeOrigin(f"layers.{layer}{path}", f"m.{name.upper()}", None)))
    text = "\n".join(
        [
            "class GraphModule(torch.nn.Module):",
            '    def forward(self, s7: "Sym(s7)", L_x_: "i64[s7]", mask: "b8[s7]", L_self_parameters_w_: "f32[9, 8]"):',
            "        l_x_ = L_x_",
            "        l_w_ = L_self_parameters_w_",
            *(f"        {line}" for line in lines),
            f"        return (h_{layers},)",
        ]
    )
    return make_graph(text=text, origins=tuple(origins))


def flat(count: int) -> Graph:
    """A graph without modules, on four functions' lines."""
    lines = ["x_0 = torch.sin(x)"]
    for index in range(1, count):
        if index % 25 == 0:
            lines.append(f"# File: /m.py:{index} in f{index // 25 % 4}, code: x")
        lines.append(f"x_{index} = torch.sin(x_{index - 1})")
    text = "\n".join(
        [
            "class G(torch.nn.Module):",
            "    def forward(self, x):",
            *(f"        {line}" for line in lines),
            f"        return (x_{count - 1},)",
        ]
    )
    return make_graph(text=text)
