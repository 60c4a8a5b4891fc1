"""A size of 1 stays a constant although it is marked (pytorch#135011)."""

import torch

EXPECT = {"kind": "zero-one", "subject": "L['x'].size()[0]"}


def f(x):
    return x.sin() + 1.0  # CAUSE


def marked(n):
    x = torch.ones(n, 3)
    torch._dynamo.mark_dynamic(x, 0)
    return x


def run():
    torch._dynamo.reset()
    torch.compile(f, backend="eager")(marked(1))


def fixed():
    torch._dynamo.reset()
    torch.compile(f, backend="eager")(marked(2))
