"""An argument that is None in one call and a tensor in the next (pytorch#151122)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['mask']"}


def f(x, mask):
    if mask is None:  # CAUSE
        return x * 2
    return x * mask


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g(torch.ones(3), None)
    g(torch.ones(3), torch.ones(3))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g(torch.ones(3), torch.ones(3))
    g(torch.ones(3), torch.zeros(3))
