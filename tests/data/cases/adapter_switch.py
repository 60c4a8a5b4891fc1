"""A flag that switches an adapter off compiles the other branch (pytorch#124717)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['self'].disabled"}


class Adapted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.disabled = False

    def forward(self, x):
        if self.disabled:  # CAUSE
            return x * x
        return x * x + 1


def run():
    torch._dynamo.reset()
    m = Adapted()
    g = torch.compile(m, backend="eager")
    g(torch.ones(3))
    m.disabled = True
    g(torch.ones(3))


def fixed():
    torch._dynamo.reset()
    m = Adapted()
    g = torch.compile(m, backend="eager")
    g(torch.ones(3))
    g(torch.ones(3))
