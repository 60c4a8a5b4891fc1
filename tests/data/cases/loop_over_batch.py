"""A loop over a dimension writes its size into the code (pytorch#99091)."""

import torch

EXPECT = {"kind": "specialization", "subject": "L['x'].size()[0]"}


def f(x):
    out = torch.zeros(3)
    for i in range(x.size(0)):  # CAUSE
        out = out + x[i]
    return out


def h(x):
    return x.sum(0)


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager", dynamic=True)
    g(torch.ones(4, 3))
    g(torch.ones(5, 3))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(h, backend="eager", dynamic=True)
    g(torch.ones(4, 3))
    g(torch.ones(5, 3))
