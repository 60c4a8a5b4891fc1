"""A call of a disabled function (pytorch#126722)."""

import torch

EXPECT = {"kind": "graph-break", "subject": "disable"}


@torch.compiler.disable
def aside(x):
    return x


def f(x):
    x = aside(x + 1)  # CAUSE
    return x * 2


def h(x):
    return (x + 1) * 2


def run():
    torch._dynamo.reset()
    torch.compile(f, backend="eager")(torch.ones(3))


def fixed():
    torch._dynamo.reset()
    torch.compile(h, backend="eager")(torch.ones(3))
