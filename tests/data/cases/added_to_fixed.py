"""Adding a tensor of fixed size pins the dimension (pytorch#102814)."""

import torch

EXPECT = {"kind": "specialization", "subject": "L['x'].size()[0]"}


def f(x):
    return x + torch.ones(4, 3)  # CAUSE


def h(x):
    return x + torch.ones(1, 3)


def run():
    torch._dynamo.reset()
    torch.compile(f, backend="eager", dynamic=True)(torch.ones(4, 3))


def fixed():
    torch._dynamo.reset()
    torch.compile(h, backend="eager", dynamic=True)(torch.ones(4, 3))
