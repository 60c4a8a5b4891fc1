"""A branch on a tensor's values (pytorch#98533, #194768)."""

import torch

EXPECT = {"kind": "graph-break", "subject": "Data-dependent"}


def f(x):
    if x.sum() > 0:  # CAUSE
        return x * 2
    return x - 1


def h(x):
    return torch.where(x.sum() > 0, x * 2, x - 1)


def run():
    torch._dynamo.reset()
    torch.compile(f, backend="eager")(torch.ones(3))


def fixed():
    torch._dynamo.reset()
    torch.compile(h, backend="eager")(torch.ones(3))
