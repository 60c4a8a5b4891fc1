"""A number that is read from a tensor breaks the graph and is a constant of the code after it (pytorch#130917)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['___stack0']"}


def f(x):
    scale = x.abs().max().item()
    return x / scale  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    for size in (1.5, 2.5, 3.5):
        g(torch.full((3,), size))


def fixed():
    torch._dynamo.reset()
    with torch._dynamo.config.patch(capture_scalar_outputs=True):
        g = torch.compile(f, backend="eager")
        for size in (1.5, 2.5, 3.5):
            g(torch.full((3,), size))
