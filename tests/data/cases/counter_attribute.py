"""A counter in a module makes every call compile (pytorch#128319, #115711)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['self'].counter"}


class Counting(torch.nn.Module):
    def __init__(self, *, counts):
        super().__init__()
        self.counter = 0
        self.counts = counts

    def forward(self, x):
        if self.counts:
            self.counter += 1  # CAUSE
        return x * 2


def run():
    torch._dynamo.reset()
    g = torch.compile(Counting(counts=True), backend="eager")
    for _ in range(3):
        g(torch.ones(3))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(Counting(counts=False), backend="eager")
    for _ in range(3):
        g(torch.ones(3))
