"""A view brings other strides than the tensor before it (pytorch#129798)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['x'].stride()"}


def f(x):
    return x * 2  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g(torch.ones(4, 3))
    g(torch.ones(3, 4).t())


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g(torch.ones(4, 3))
    g(torch.ones(3, 4).t().contiguous())
