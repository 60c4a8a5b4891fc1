"""A dict with other keys than before (pytorch#151122)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['x']"}


def f(x):
    total = 0
    for value in x.values():  # CAUSE
        total = total + value
    return total


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g({"a": torch.ones(3)})
    g({"b": torch.ones(3)})


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g({"a": torch.ones(3)})
    g({"a": torch.zeros(3)})
