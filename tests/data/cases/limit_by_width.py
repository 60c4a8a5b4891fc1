"""Every width compiles until torch gives up (dion#23)."""

import torch

EXPECT = {"kind": "recompile-limit", "subject": "L['x'].size()[1]"}


def f(x):
    return x * 2  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager", dynamic=False)
    for n in range(2, 13):
        g(torch.ones(3, n))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    for n in range(2, 13):
        g(torch.ones(3, n))
