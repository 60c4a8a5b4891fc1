"""The default dtype changes under compiled code (pytorch#109458)."""

import torch

EXPECT = {"kind": "recompile", "subject": "default_dtype"}


def f(x):
    return x + torch.ones(3)  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    before = torch.get_default_dtype()
    g(torch.ones(3, dtype=torch.float32))
    try:
        torch.set_default_dtype(torch.float64)
        g(torch.ones(3, dtype=torch.float32))
    finally:
        torch.set_default_dtype(before)


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g(torch.ones(3, dtype=torch.float32))
    g(torch.ones(3, dtype=torch.float32))
