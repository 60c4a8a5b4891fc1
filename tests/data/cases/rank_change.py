"""Tensors of one, two and three dimensions compile once each (compressed-tensors#741)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['x']"}


def cast(x):
    return torch.sign(x) * x.abs()  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(cast, backend="eager")
    g(torch.ones(12))
    g(torch.ones(3, 4))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(cast, backend="eager")
    g(torch.ones(12))
    g(torch.ones(3, 4).flatten())
