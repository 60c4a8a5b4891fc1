"""A branch on Tensor.item(), which no setting keeps in the graph (pytorch#98533)."""

import torch

EXPECT = {"kind": "graph-break", "subject": "item"}


def f(x):
    if x.sum().item() > 0:  # CAUSE
        return x * 2
    return x


def h(x):
    return torch.where(x.sum() > 0, x * 2, x)


def run():
    torch._dynamo.reset()
    torch.compile(f, backend="eager")(torch.ones(3))


def fixed():
    torch._dynamo.reset()
    torch.compile(h, backend="eager")(torch.ones(3))
