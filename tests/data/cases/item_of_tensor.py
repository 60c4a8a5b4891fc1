"""Tensor.item() ends the graph (pytorch#130917, #158642)."""

import torch

EXPECT = {"kind": "graph-break", "subject": "item"}


def f(x):
    scale = x.sum().item()  # CAUSE
    return x * scale


def h(x):
    return x * x.sum()


def run():
    torch._dynamo.reset()
    torch.compile(f, backend="eager")(torch.ones(3))


def fixed():
    torch._dynamo.reset()
    torch.compile(h, backend="eager")(torch.ones(3))
