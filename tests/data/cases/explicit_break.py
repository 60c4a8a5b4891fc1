"""A graph break that was left in the code (pytorch#141553)."""

import torch

EXPECT = {"kind": "graph-break", "subject": "graph_break"}


def inner(x):
    x = x + 1
    torch._dynamo.graph_break()  # CAUSE
    return x + 1


def f(x):
    return inner(x)


def h(x):
    return x + 2


def run():
    torch._dynamo.reset()
    torch.compile(f, backend="eager")(torch.ones(3))


def fixed():
    torch._dynamo.reset()
    torch.compile(h, backend="eager")(torch.ones(3))
