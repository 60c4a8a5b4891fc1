"""Entering autocast compiles again (pytorch#143592)."""

import torch

EXPECT = {"kind": "recompile", "subject": "autocast"}


def f(x):
    return x @ x  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g(torch.ones(3, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        g(torch.ones(3, 3))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    for _ in range(2):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            g(torch.ones(3, 3))
