"""Indexing with a boolean mask (pytorch#114220, #106580)."""

import torch

EXPECT = {"kind": "graph-break", "subject": "nonzero"}


def f(x):
    return x[x > 0.5] * 2  # CAUSE


def h(x):
    return torch.where(x > 0.5, x * 2, 0.0)


def run():
    torch._dynamo.reset()
    torch.compile(f, backend="eager")(torch.rand(8))


def fixed():
    torch._dynamo.reset()
    torch.compile(h, backend="eager")(torch.rand(8))
