"""Warmed up with gradients, then served under inference_mode (pytorch#135892)."""

import torch

EXPECT = {"kind": "recompile", "subject": "grad_mode"}


def f(x):
    return x * 2  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g(torch.ones(3))
    with torch.inference_mode():
        g(torch.ones(3))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    for _ in range(2):
        with torch.inference_mode():
            g(torch.ones(3))
