"""The program that ``compile-inspector demo`` records: a small language model that recompiles once and has one graph break.

It is read as text and run under the name ``demo.py``: a recording takes this package's own files for its machinery, not for a user's.
"""

from __future__ import annotations

import torch
from torch import nn


class Block(nn.Module):
    """Causal attention and a gated MLP, each with a residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1 = nn.RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm_2 = nn.RMSNorm(width)
        self.gate = nn.Linear(width, 2 * width, bias=False)
        self.up = nn.Linear(width, 2 * width, bias=False)
        self.down = nn.Linear(2 * width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, length, width)`` to the same."""
        batch, length, width = x.shape
        parts = self.qkv(self.norm_1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        y = self.norm_2(x)
        return x + self.down(nn.functional.silu(self.gate(y)) * self.up(y))


class Model(nn.Module):
    """Two blocks between an embedding and a head."""

    def __init__(self, vocabulary: int = 128, width: int = 64) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(Block(width, heads=4) for _ in range(2))
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens ``(batch, length)`` to logits ``(batch, length, vocabulary)``."""
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def choose(logits: torch.Tensor) -> torch.Tensor:
    """The most likely next tokens; the branch on a tensor's value ends the graph there."""
    last = logits[:, -1]
    if last.max() > 1e6:
        last = last.clamp(max=1e6)
    return last.argmax(-1)


def run(backend: str) -> None:
    """Compiles the model, calls it with two batch sizes, and chooses a token."""
    torch.manual_seed(0)
    model = torch.compile(Model().eval(), backend=backend)
    chooser = torch.compile(choose, backend=backend)
    with torch.no_grad():
        for batch in (2, 3, 5):
            logits = model(torch.randint(128, (batch, 16)))
        chooser(logits)
