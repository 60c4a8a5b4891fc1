"""A tensor, and then one of a subclass (pytorch#187073)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['x']"}


class Named(torch.Tensor):
    pass


def f(x):
    return x * 2  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g(torch.ones(3))
    g(torch.ones(3).as_subclass(Named))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g(torch.ones(3))
    g(torch.ones(3).as_subclass(Named).as_subclass(torch.Tensor))
