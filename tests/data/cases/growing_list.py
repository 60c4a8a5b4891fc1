"""A list of tensors that grows (torchdynamo#330)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['parts']"}


def f(parts):
    total = 0
    for part in parts:  # CAUSE
        total = total + part
    return total


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g([torch.ones(3)] * 2)
    g([torch.ones(3)] * 3)


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g([torch.ones(3)] * 2)
    g([torch.ones(3)] * 2)
