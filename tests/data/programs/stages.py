"""A small decoder through Inductor: graphs of its stages, layers alike but one, fused kernels, and a recompile for a longer input."""

import torch
from torch import nn
from torch.nn import functional

import compile_inspector as ci

WIDTH, HEADS = 16, 2


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, HEADS, width // HEADS).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(q @ k.transpose(-1, -2) * 0.35, dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, length, width))


class Mlp(nn.Module):
    def __init__(self, act):
        super().__init__()
        self.up, self.down, self.act = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH), act

    def forward(self, x):
        return self.down(self.act(self.up(x)))


class Layer(nn.Module):
    def __init__(self, act):
        super().__init__()
        self.norm_1, self.attention, self.norm_2, self.mlp = Norm(), Attention(), Norm(), Mlp(act)

    def forward(self, x):
        x = x + self.attention(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(32, WIDTH)
        acts = [functional.gelu, functional.gelu, functional.silu, functional.gelu]
        self.layers = nn.ModuleList([Layer(act) for act in acts])
        self.norm, self.head = Norm(), nn.Linear(WIDTH, 32)

    def forward(self, tokens):
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


torch.manual_seed(0)
decoder = torch.compile(Decoder())
with ci.record(provenance=True), torch.no_grad():
    for length in (5, 7):
        decoder(torch.randint(32, (3, length)))
