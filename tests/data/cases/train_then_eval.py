"""Switching between training and evaluation compiles once more (pytorch#110803)."""

import torch

EXPECT = {"kind": "recompile", "subject": "training"}


class Dropping(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.dropout(x, 0.5, self.training)  # CAUSE


def run():
    torch._dynamo.reset()
    m = Dropping()
    g = torch.compile(m, backend="eager")
    g(torch.ones(3))
    m.eval()
    g(torch.ones(3))


def fixed():
    torch._dynamo.reset()
    m = Dropping().eval()
    g = torch.compile(m, backend="eager")
    g(torch.ones(3))
    m.eval()
    g(torch.ones(3))
