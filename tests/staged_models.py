"""Small models whose stages are held against each other: decoders in two styles, a convolutional net, and training steps of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Program = tuple[Callable[..., Any], tuple[Tensor, ...]]
WIDTH, HEADS, WORDS = 32, 2, 64


class RootMeanSquare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        variance = x.pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(variance + 1e-6))


def rotated(x: Tensor) -> Tensor:
    a, b = x.chunk(2, -1)
    return torch.cat((-b, a), -1)


class RotaryAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        b, t, d = x.shape
        q = self.q(x).view(b, t, HEADS, -1).transpose(1, 2)
        k = self.k(x).view(b, t, HEADS, -1).transpose(1, 2)
        v = self.v(x).view(b, t, HEADS, -1).transpose(1, 2)
        q = q * cos + rotated(q) * sin
        k = k * cos + rotated(k) * sin
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(y.transpose(1, 2).reshape(b, t, d))


class GatedMlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up = (nn.Linear(WIDTH, 2 * WIDTH, bias=False) for _ in range(2))
        self.down = nn.Linear(2 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class RotaryLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.attention, self.between, self.mlp = (
            RootMeanSquare(),
            RotaryAttention(),
            RootMeanSquare(),
            GatedMlp(),
        )

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attention(self.before(x), cos, sin)
        return x + self.mlp(self.between(x))


class RotaryDecoder(nn.Module):
    """Like a Llama: root-mean-square norms, rotary positions, torch's own attention, a gated mlp."""

    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleList([RotaryLayer() for _ in range(layers)])
        self.norm, self.head = RootMeanSquare(), nn.Linear(WIDTH, WORDS, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        half = WIDTH // HEADS
        angles = torch.outer(
            torch.arange(tokens.shape[1]), 1.0 / (10000 ** (torch.arange(0, half, 2) / half))
        )
        angles = torch.cat((angles, angles), -1)
        cos, sin = angles.cos(), angles.sin()
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.head(self.norm(x))


class WrittenAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(x).split(d, -1)
        q, k, v = (part.view(b, t, HEADS, d // HEADS).transpose(1, 2) for part in (q, k, v))
        weights = (q @ k.transpose(-2, -1)) / math.sqrt(d // HEADS)
        weights = functional.softmax(weights, -1)
        return self.out((weights @ v).transpose(1, 2).contiguous().view(b, t, d))


class LearntLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.attention, self.between = (
            nn.LayerNorm(WIDTH),
            WrittenAttention(),
            nn.LayerNorm(WIDTH),
        )
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH), nn.Dropout(0.1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.before(x))
        return x + self.mlp(self.between(x))


class LearntDecoder(nn.Module):
    """Like a GPT: layer norms, learnt positions, attention written out, gelu and dropout."""

    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.embed, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(32, WIDTH)
        self.layers = nn.ModuleList([LearntLayer() for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WORDS, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.places(torch.arange(tokens.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


class Net(nn.Module):
    """Convolutions with batch norms, pooled."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.other = nn.Conv2d(8, 16, 3, stride=2), nn.BatchNorm2d(16)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.norm(self.first(x))), 2)
        x = functional.relu(self.other(self.second(x)))
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def _tokens() -> Tensor:
    return torch.randint(WORDS, (2, 8))


def _fixed(model: nn.Module) -> nn.Module:
    return model.eval().requires_grad_(False)


def _loss(model: nn.Module) -> Callable[[Tensor], Tensor]:
    wanted = torch.randint(WORDS, (16,))
    return lambda tokens: functional.cross_entropy(model(tokens).flatten(0, -2), wanted)


PROGRAMS: dict[str, Callable[[], Program]] = {
    "rotary": lambda: (_fixed(RotaryDecoder()), (_tokens(),)),
    "learnt": lambda: (_fixed(LearntDecoder()), (_tokens(),)),
    "net": lambda: (_fixed(Net()), (torch.randn(2, 3, 16, 16),)),
    "rotary training": lambda: (RotaryDecoder(), (_tokens(),)),
    "learnt training": lambda: (_loss(LearntDecoder()), (_tokens(),)),
    "net training": lambda: (Net(), (torch.randn(2, 3, 16, 16),)),
}
"""What to compile, and its inputs, by name; a result that needs a gradient is to be summed and led back."""
