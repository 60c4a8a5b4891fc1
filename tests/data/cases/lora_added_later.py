"""A layer that is None at first and a module later (pytorch#120958)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['self'].extra"}


class Extended(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.base = torch.nn.Linear(3, 3)
        self.extra = None

    def forward(self, x):
        y = self.base(x)
        return y if self.extra is None else y + self.extra(x)  # CAUSE


def run():
    torch._dynamo.reset()
    m = Extended()
    g = torch.compile(m, backend="eager")
    g(torch.ones(2, 3))
    m.extra = torch.nn.Linear(3, 3)
    g(torch.ones(2, 3))


def fixed():
    torch._dynamo.reset()
    m = Extended()
    m.extra = torch.nn.Linear(3, 3)
    g = torch.compile(m, backend="eager")
    g(torch.ones(2, 3))
    g(torch.ones(2, 3))
