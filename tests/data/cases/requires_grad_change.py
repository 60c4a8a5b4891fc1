"""A tensor that starts to require gradients, even under no_grad (pytorch#131975)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['a']"}


def f(a, b):
    return (a + b).clip(0)  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    a, b = torch.ones(3), torch.ones(3)
    with torch.no_grad():
        g(a, b)
        g(a.requires_grad_(), b)


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    a, b = torch.ones(3), torch.ones(3)
    with torch.no_grad():
        g(a, b)
        g(a, b)
