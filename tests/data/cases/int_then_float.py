"""An int in one call and a float in the next (pytorch#117496)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['t']"}


def free(x, t=1):
    return x + t  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(free, backend="eager")
    g(torch.ones(3), t=16)
    g(torch.ones(3), t=8.5)


def fixed():
    torch._dynamo.reset()
    g = torch.compile(free, backend="eager")
    g(torch.ones(3), t=torch.tensor(16.0))
    g(torch.ones(3), t=torch.tensor(8.5))
