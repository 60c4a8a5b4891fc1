"""Two tensors, and then one tensor for both (pytorch#104921)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['y']"}


def f(x, y):
    return x + y  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    x = torch.ones(3)
    g(x, torch.ones(3))
    g(x, x)


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    x = torch.ones(3)
    g(x, torch.ones(3))
    g(x, x.clone())
