"""A Python float is part of the compiled code (pytorch#149405)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['y']"}


def scale(x, y):
    return x * y  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(scale, backend="eager")
    g(torch.ones(3), 1.5)
    g(torch.ones(3), 2.5)


def fixed():
    torch._dynamo.reset()
    g = torch.compile(scale, backend="eager")
    g(torch.ones(3), torch.tensor(1.5))
    g(torch.ones(3), torch.tensor(2.5))
